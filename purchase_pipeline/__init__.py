"""A Dagster pipeline that loads batches from an HTTP API into PostgreSQL; and the base of the error tree.

PipelineError
 ├─ MissingExtraError
 ├─ ingest/    ApiUnavailableError, ApiRefusedError, TooManyRejectsError, DamagedFileError, LandingUnavailableError, ...
 ├─ stack/     DatabaseUnavailableError, EmbeddedPostgresError, PortTakenError, ServiceFailedError, ...
 └─ postgres/  PostgresWriteError and subclasses with table, column, row and SQLSTATE (see postgres/errors.py)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module


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


class MissingExtraError(PipelineError):
    """A package is not installed that one of our optional extras brings."""


@contextmanager
def needs_extra(extra: str, purpose: str) -> Iterator[None]:
    """Import what only an extra brings; `purpose` is what needs it, as the subject of a sentence.

    Raises:
        MissingExtraError: a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("purchase_pipeline"):
            raise
        raise MissingExtraError(
            f"{purpose} needs the package {(error.name or '').partition('.')[0]}, which is not installed.",
            hint=f'Run: pip install "purchase-pipeline[{extra}]"',
        ) from error


def __dir__() -> list[str]:
    """Return the component's name too, by which Dagster finds it (entry point `dagster_dg_cli.registry_modules`)."""
    return [*globals(), "FeedComponent"]


def __getattr__(name: str) -> object:
    if name != "FeedComponent":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # On demand: most of the package does not load Dagster.
    found: object = import_module(f"{__name__}.feeds.component").FeedComponent
    return found
