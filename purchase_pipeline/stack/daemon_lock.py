"""One daemon a storage. Who runs it holds a lock in Dagster's database, which tells all others who that is.

PostgreSQL ends the lock with the session that holds it, so a dead holder holds nothing, on whichever machine it was. A
daemon that no `up` started (Docker Compose, `dagster-daemon run`) takes no lock: it shows by its heartbeats.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.stack.lock import DaemonRunningError

_LOCK = 703_561_003  # with the schema that Dagster's tables are in
_NAME = "purchase-pipeline up"
_LOOK_SECONDS = 2.0  # a daemon is heard every 30 s
_TWO_DAEMONS = (
    "Another daemon works on Dagster's storage {storage}, which no `up` started: Docker Compose's, or one that was "
    "started by hand. Two daemons fail each other's runs. Stop that one, or name another storage with "
    "DAGSTER_POSTGRES_URL."
)
# A holder that vanished is noticed by the server; one that only waits is not ended by it, whatever its role is set to.
_SETTINGS = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",
}
_SET = sa.text("""
    SELECT set_config(name, given.value, :in_transaction)
    FROM unnest(CAST(:names AS text[]), CAST(:given AS text[])) AS given (name, value) JOIN pg_settings USING (name)
""")
_SCHEMA = "quote_ident(current_schema())::regnamespace::oid"
_TAKE = sa.text(f"SELECT pg_try_advisory_lock({_LOCK}, {_SCHEMA}::int)")  # two constants
_TAKE_IN_TRANSACTION = sa.text(f"SELECT pg_try_advisory_xact_lock({_LOCK}, {_SCHEMA}::int)")
_HOLDER = sa.text(f"""
    SELECT application_name, coalesce(xact_start, backend_start) AT TIME ZONE 'UTC'
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND classid = {_LOCK} AND objid = {_SCHEMA}
    AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")  # noqa: S608


class DaemonLock:
    """The lock of one storage, held by this process for as long as its connection lasts."""

    def __init__(self, storage_url: str) -> None:
        url = sa.make_url(storage_url)
        self._shown = url.set(drivername="postgresql").render_as_string(hide_password=True)
        named = url.update_query_dict(
            {"application_name": f"{_NAME}, process {os.getpid()} on {socket.gethostname()}"}
        )
        self._engine = engine_for(named.render_as_string(hide_password=False))
        self._connection: sa.Connection | None = None
        self._heard: dict[str, list[str | None]] = {}
        self._looked_at = float("-inf")

    def hold(self) -> None:
        """Take the lock, or make sure that it is held still: PostgreSQL may have been started again meanwhile.

        Raises:
            DaemonRunningError: somebody else has it; with who, and since when.
            sqlalchemy.exc.OperationalError: the database is away, and with it the lock, until it is taken again.
        """
        if self._connection is not None:
            try:
                self._connection.execute(sa.select(sa.true()))
            except sa.exc.DBAPIError:
                self.release()
        if self._connection is None:
            self._connection = self._taken()

    def release(self) -> None:
        """Let go of the lock, if it is held."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()  # closed as it is: nothing is to be said to a server that may be away
            connection.close()

    def watch(self, instance: dg.DagsterInstance) -> None:
        """Look at the heartbeats. A daemon that is heard again after another one was heard is a second one.

        Raises:
            DaemonRunningError: there is one.
        """
        if monotonic() - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = monotonic()
        for kind, heartbeat in instance.get_daemon_heartbeats().items():
            heard = self._heard.setdefault(kind, [])
            if heartbeat.daemon_id in heard[:-1]:
                raise DaemonRunningError(_TWO_DAEMONS.format(storage=self._shown))
            if heartbeat.daemon_id not in heard:
                heard.append(heartbeat.daemon_id)

    def _taken(self) -> sa.Connection:
        with ExitStack() as closed_unless_taken:
            connection = closed_unless_taken.enter_context(self._engine.connect())
            if not _try(connection.execution_options(isolation_level="READ COMMITTED")):
                raise DaemonRunningError(self._refusal(connection))
            closed_unless_taken.pop_all()
        return connection

    def _refusal(self, connection: sa.Connection) -> str:
        holder = connection.execute(_HOLDER).one_or_none()
        who, since = holder or (f"{_NAME}, which has just ended", None)
        when = f", since {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""
        return (
            f"Dagster's daemon runs on {self._shown} already: {who}{when}. Two daemons would fail each other's runs. "
            "Stop that one first, or name another storage with DAGSTER_POSTGRES_URL. What it loads is shown here by "
            "`purchase-pipeline status`, and `purchase-pipeline ingest` may run beside it."
        )


def _try(connection: sa.Connection) -> bool:
    """Try to take the lock: for the session; behind a pooler, which lends one for a transaction, for a transaction.

    That transaction stays open. In READ COMMITTED it has no snapshot, and it locks no table: it is in nobody's way.
    """
    direct = connection.scalar(sa.select(sa.func.pg_backend_pid())) == _process_of(connection)
    names, given = list(_SETTINGS), list(_SETTINGS.values())
    connection.execute(_SET, {"in_transaction": not direct, "names": names, "given": given})
    taken = connection.scalar(_TAKE if direct else _TAKE_IN_TRANSACTION)
    if direct:
        connection.commit()
        connection.execution_options(isolation_level="AUTOCOMMIT")
    return bool(taken)


def _process_of(connection: sa.Connection) -> int | None:
    """Return the server process that a connection was told of when it was made: a pooler tells one of its own."""
    info = getattr(connection.connection.driver_connection, "info", None)
    return getattr(info, "backend_pid", None)


@contextmanager
def only_daemon(storage_url: str) -> Iterator[DaemonLock]:
    """Hold a storage's lock.

    Raises:
        DaemonRunningError: another process holds it.
    """
    lock = DaemonLock(storage_url)
    lock.hold()
    try:
        yield lock
    finally:
        lock.release()
