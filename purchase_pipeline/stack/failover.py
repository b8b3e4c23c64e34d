"""Failover: `up` and `ingest` report and survive outages of PostgreSQL."""

from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import TypeVar

import sqlalchemy as sa

from purchase_pipeline import needs_extra
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.database import DatabaseUnavailableError, database_in_use, is_embedded
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgresError

with needs_extra("app", "Dagster's storage in PostgreSQL"):
    from dagster_postgres.utils import DagsterPostgresException

Result = TypeVar("Result")

# The server also ends a session with an internal error, such as at a limit of its role.
DATABASE_AWAY = (
    sa.exc.OperationalError,
    sa.exc.InterfaceError,
    sa.exc.InternalError,
    DagsterPostgresException,
)
_POLL_SECONDS = 0.5
_TIMEOUT_SECONDS = 600.0


class Failover:
    """Runs database operations; restarts an embedded server that has stopped, and waits for an external one."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._say = say
        self._away_since: float | None = None
        self.returns = 0

    def attempt(self, operation: Callable[[], Result]) -> Result | None:
        """Return the operation's result, or None while the database is unavailable.

        Raises:
            DatabaseUnavailableError: it has been unavailable for ten minutes.
        """
        try:
            result = operation()
        except DATABASE_AWAY as error:
            self._recover(error)
            return None
        if self._away_since is not None:
            self._say(f"PostgreSQL is available again after {monotonic() - self._away_since:.0f} s.")
            self._away_since = None
            self.returns += 1
        return result

    def wait_for(self, operation: Callable[[], Result]) -> Result:
        """Repeat the operation until it succeeds, and return its result.

        Raises:
            DatabaseUnavailableError: the database has been unavailable for ten minutes.
        """
        while (result := self.attempt(operation)) is None:
            sleep(_POLL_SECONDS)
        return result

    def _recover(self, error: Exception) -> None:
        embedded = is_embedded(self._settings)
        if self._away_since is None:
            self._away_since = monotonic()
            action = "Restarting it" if embedded else "Waiting for it"
            self._say(f"PostgreSQL is unavailable: {_first_line(error)}. {action}; no batch is lost.")
        elif monotonic() - self._away_since > _TIMEOUT_SECONDS:
            raise DatabaseUnavailableError(
                f"PostgreSQL has been unavailable for {_TIMEOUT_SECONDS / 60:g} minutes: {_first_line(error)}.",
                hint="Run the command again once it is available; loaded batches are kept.",
            ) from error
        if embedded:
            # A failed restart is tried again at the next operation.
            with suppress(EmbeddedPostgresError, DatabaseUnavailableError), database_in_use(self._settings):
                pass


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0].rstrip(".")
