"""ADBC's connections, of databases whose types are known.

ADBC reads all types and columns of a database before it connects: 50 ms of CPU time, 15 times what connecting costs.
What we select has types that are built in, so what was read stays true for as long as the process.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import adbc_driver_postgresql
from adbc_driver_manager import AdbcConnection, AdbcDatabase

_KEPT = 4


class _Databases:
    """The last few databases, by connection string; one with an open connection is not closed."""

    def __init__(self) -> None:
        # ADBC counts a database's connections, in one thread at a time; a garbage collection may close one anywhere.
        self._lock = RLock()
        self._databases: dict[str, AdbcDatabase] = {}
        self._users: dict[str, int] = {}

    @contextmanager
    def connection(self, conninfo: str) -> Iterator[AdbcConnection]:
        with self._lock:
            database = self._databases.pop(conninfo, None) or adbc_driver_postgresql.connect(conninfo)
            self._databases[conninfo] = database  # the newest is the last
            connection = AdbcConnection(database)
            self._users[conninfo] = self._users.get(conninfo, 0) + 1
        try:
            yield connection
        finally:
            with self._lock:
                connection.close()
                self._users[conninfo] -= 1
                self._forget()

    def _forget(self) -> None:
        """Close the oldest unused databases beyond those to be kept."""
        for conninfo in list(self._databases)[:-_KEPT]:
            if not self._users.get(conninfo):
                self._users.pop(conninfo, None)
                self._databases.pop(conninfo).close()


connection_of = _Databases().connection
"""Open a connection, and close it at the end."""
