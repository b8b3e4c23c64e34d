"""One daemon per Dagster storage, enforced by an advisory lock that also shows who holds it.

PostgreSQL releases the lock when its session ends, so a dead process holds nothing, whatever its machine. A daemon not
started by `up` (Docker Compose, `dagster-daemon run`) takes no lock; it is detected by its heartbeats.
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

_LOCK = 703_561_003  # combined with the schema of Dagster's tables
_NAME = "purchase-pipeline up"
_POLL_SECONDS = 2.0  # a daemon sends a heartbeat every 30 s
_TWO_DAEMONS = (
    "Another daemon, not started by `up` (Docker Compose, or `dagster-daemon run`), uses Dagster's storage {storage}. "
    "Two daemons fail each other's runs."
)
_TWO_DAEMONS_HINT = "Stop the other daemon, or set DAGSTER_POSTGRES_URL to another storage."
# The server detects a dead holder by keepalives, and must not end an idle session, whatever the role's settings.
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
    """The lock of a storage, held as long as this process's connection."""

    def __init__(self, storage_url: str) -> None:
        url = sa.make_url(storage_url)
        self._shown = url.set(drivername="postgresql").render_as_string(hide_password=True)
        named = url.update_query_dict(
            {"application_name": f"{_NAME}, process {os.getpid()} on {socket.gethostname()}"}
        )
        self._engine = engine_for(named.render_as_string(hide_password=False))
        self._connection: sa.Connection | None = None
        self._seen_ids: dict[str, list[str | None]] = {}
        self._polled_at = float("-inf")

    def hold(self) -> None:
        """Acquire the lock, or check that it is still held: PostgreSQL may have restarted.

        Raises:
            DaemonRunningError: another process holds it.
            sqlalchemy.exc.OperationalError: the database is unavailable; the lock is lost until acquired again.
        """
        if self._connection is not None:
            try:
                self._connection.execute(sa.select(sa.true()))
            except sa.exc.DBAPIError:
                self.release()
        if self._connection is None:
            self._connection = self._acquire()

    def release(self) -> None:
        """Release the lock, if held."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()  # closed without a round trip: the server may be unavailable
            connection.close()

    def watch(self, instance: dg.DagsterInstance) -> None:
        """Check the heartbeats for a second daemon: one that alternates with another.

        Raises:
            DaemonRunningError: two daemons are running.
        """
        if monotonic() - self._polled_at < _POLL_SECONDS:
            return
        self._polled_at = monotonic()
        for kind, heartbeat in instance.get_daemon_heartbeats().items():
            seen = self._seen_ids.setdefault(kind, [])
            if heartbeat.daemon_id in seen[:-1]:
                raise DaemonRunningError(_TWO_DAEMONS.format(storage=self._shown), hint=_TWO_DAEMONS_HINT)
            if heartbeat.daemon_id not in seen:
                seen.append(heartbeat.daemon_id)

    def _acquire(self) -> sa.Connection:
        with ExitStack() as closed_unless_taken:
            connection = closed_unless_taken.enter_context(self._engine.connect())
            if not _try_lock(connection.execution_options(isolation_level="READ COMMITTED")):
                raise self._already_running(connection)
            closed_unless_taken.pop_all()
        return connection

    def _already_running(self, connection: sa.Connection) -> DaemonRunningError:
        holder = connection.execute(_HOLDER).one_or_none()
        who, since = holder or (f"{_NAME}, just ended", None)
        when = f", since {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""
        return DaemonRunningError(
            f"A Dagster daemon already uses {self._shown}: {who}{when}. Two daemons would fail each other's runs.",
            hint="Stop it first, or set DAGSTER_POSTGRES_URL to another storage. `purchase-pipeline status` shows its "
            "progress, and `purchase-pipeline ingest` can run at the same time.",
        )


def _try_lock(connection: sa.Connection) -> bool:
    """Try to acquire the lock for the session, or for a transaction behind a transaction pooler.

    The transaction stays open. In READ COMMITTED it holds no snapshot and no table lock, so it blocks nobody.
    """
    direct = connection.scalar(sa.select(sa.func.pg_backend_pid())) == _process_of(connection)
    names, values = list(_SETTINGS), list(_SETTINGS.values())
    connection.execute(_SET, {"in_transaction": not direct, "names": names, "given": values})
    taken = connection.scalar(_TAKE if direct else _TAKE_IN_TRANSACTION)
    if direct:
        connection.commit()
        connection.execution_options(isolation_level="AUTOCOMMIT")
    return bool(taken)


def _process_of(connection: sa.Connection) -> int | None:
    """Return the backend pid sent at connection; a pooler sends one of its own."""
    info = getattr(connection.connection.driver_connection, "info", None)
    return getattr(info, "backend_pid", None)


@contextmanager
def only_daemon(storage_url: str) -> Iterator[DaemonLock]:
    """Hold the lock of a storage.

    Raises:
        DaemonRunningError: another process holds it.
    """
    lock = DaemonLock(storage_url)
    lock.hold()
    try:
        yield lock
    finally:
        lock.release()
