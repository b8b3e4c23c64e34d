"""PostgreSQL's ends and returns, while a campaign runs: told once each, and outlived."""

from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import TypeVar

import sqlalchemy as sa
from dagster_postgres.utils import DagsterPostgresException

from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.database import DatabaseUnavailableError, database_in_use, is_embedded
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgresError

Found = TypeVar("Found")

# An internal error is one of the server's own making, such as the end of a session at a limit of its role.
DATABASE_AWAY = (
    sa.exc.OperationalError,
    sa.exc.InterfaceError,
    sa.exc.InternalError,
    DagsterPostgresException,
)
_LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 600.0


class Failover:
    """Asks the database, and starts it again when it is gone and ours; waits for a given one."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._say = say
        self._away_since: float | None = None
        self.returns = 0

    def ask(self, question: Callable[[], Found]) -> Found | None:
        """Return the answer, or None while the database is away.

        Raises:
            DatabaseUnavailableError: it has been away for ten minutes.
        """
        try:
            answer = question()
        except DATABASE_AWAY as error:
            self._mend(error)
            return None
        if self._away_since is not None:
            self._say(f"PostgreSQL is back after {monotonic() - self._away_since:.0f} s; going on.")
            self._away_since = None
            self.returns += 1
        return answer

    def wait_for(self, question: Callable[[], Found]) -> Found:
        """Return the answer, however many times the question has to be asked.

        Raises:
            DatabaseUnavailableError: the database has been away for ten minutes.
        """
        while (answer := self.ask(question)) is None:
            sleep(_LOOK_SECONDS)
        return answer

    def _mend(self, error: Exception) -> None:
        ours = is_embedded(self._settings)
        if self._away_since is None:
            self._away_since = monotonic()
            then = "It is started again" if ours else "Waiting for it"
            self._say(f"PostgreSQL does not answer: {_first_line(error)}. {then}; no lot is lost.")
        elif monotonic() - self._away_since > _PATIENCE_SECONDS:
            raise DatabaseUnavailableError(
                f"PostgreSQL has not answered for {_PATIENCE_SECONDS / 60:g} minutes: {_first_line(error)}. "
                "Run the same command again when it does; loaded lots stay loaded."
            ) from error
        if ours:
            # Started beside the use that lasts as long as this watch; another look, another try.
            with suppress(EmbeddedPostgresError, DatabaseUnavailableError), database_in_use(self._settings):
                pass


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0].rstrip(".")
