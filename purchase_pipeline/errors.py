"""The base of the error tree.

PipelineError
 ├─ ingest/    ApiUnavailableError, ApiRefusedError, TooManyRejectsError, DamagedFileError, LandingUnavailableError, ...
 ├─ stack/     DatabaseUnavailableError, EmbeddedPostgresError, PortTakenError, ServiceFailedError, ...
 └─ postgres/  PostgresWriteError and subclasses with table, column, row and SQLSTATE (see postgres/errors.py)
"""


class PipelineError(Exception):
    """An expected failure. The command line prints it without a traceback; Dagster shows it on the run's page.

    Attributes:
        hint: what to do about it; may be empty.
        transient: whether a retry may succeed.
    """

    transient = False

    def __init__(self, message: str, *, hint: str = "", transient: bool | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        if transient is not None:
            self.transient = transient

    def __str__(self) -> str:
        return f"{super().__str__()} {self.hint}".rstrip()
