"""A landing backend in a folder, local or mounted by several machines."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EDQUOT, ENOSPC
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import time
from typing import IO

from purchase_pipeline.ingest.landing.backend import LandingUnavailableError

_STAGED_PREFIX = ".staged-"
_STAGED_PREFIXES = (_STAGED_PREFIX, ".arriving-")  # the second is of the first version, before 2026-11-29
_ABANDONED_SECONDS = 3600.0
_FULL = (ENOSPC, EDQUOT)
_PERMISSIONS = "Check its owner and permissions, or choose another folder with PURCHASE_LANDING."


class LocalBackend:
    """Files in a folder: synced, then renamed. A lock on the folder makes changes of several files atomic."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __str__(self) -> str:
        return str(self._folder)

    def address_of(self, name: str) -> str:
        """Return the file's path."""
        return str(self._folder / name)

    @contextmanager
    def staged_file(self) -> Iterator[IO[bytes]]:
        """Open a temporary file in the folder, which is created if missing."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            staged = NamedTemporaryFile(dir=self._folder, prefix=_STAGED_PREFIX, delete=False)  # noqa: SIM115
        except OSError as error:
            raise self._unwritable(error) from error
        with staged as file:
            try:
                yield file
            except OSError as error:
                if error.errno in _FULL:
                    raise self._unwritable(error) from error
                raise
            finally:
                Path(file.name).unlink(missing_ok=True)

    def publish(self, file: IO[bytes], name: str) -> None:
        """Sync the file to disk, then rename it."""
        file.flush()
        os.fsync(file.fileno())
        Path(file.name).replace(self._folder / name)

    def read(self, name: str) -> bytes:
        """Read a file."""
        return (self._folder / name).read_bytes()

    def open(self, name: str) -> IO[bytes]:
        """Open a file. It stays readable after it is replaced or deleted."""
        return (self._folder / name).open("rb")

    def exists(self, name: str) -> bool:
        """Return whether the file exists."""
        return (self._folder / name).exists()

    def names(self, suffix: str) -> list[str]:
        """Return the names of files with this suffix; none if the folder does not exist."""
        with suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            return [entry.name for entry in entries if entry.name.endswith(suffix)]
        return []

    def sizes(self, suffix: str) -> dict[str, int]:
        """Return the sizes of files with this suffix."""
        found = dict[str, int]()
        for name in self.names(suffix):
            with suppress(FileNotFoundError):  # replaced meanwhile
                found[name] = (self._folder / name).stat().st_size
        return found

    def remove(self, name: str) -> None:
        """Delete a file. Those who have opened it read it to its end."""
        (self._folder / name).unlink(missing_ok=True)

    @contextmanager
    def shared_lock(self) -> Iterator[None]:
        """Hold the folder's lock, shared."""
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextmanager
    def exclusive_lock(self) -> Iterator[None]:
        """Hold the folder's lock, exclusive."""
        with self._locked(fcntl.LOCK_EX):
            yield

    def remove_superseded(self, prefix: str, suffix: str, keep: str) -> None:
        """Remove superseded files, and staged files older than an hour: their processes were killed."""
        # Listed once and without a Path for each, as others wait for the lock, and there may be 100,000 files.
        with os.scandir(self._folder) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            if name.startswith(prefix) and name.endswith(suffix) and name != keep:
                (self._folder / name).unlink(missing_ok=True)
            elif name.startswith(_STAGED_PREFIXES):
                with suppress(FileNotFoundError):
                    if time() - (self._folder / name).stat().st_mtime > _ABANDONED_SECONDS:
                        (self._folder / name).unlink()

    def _unwritable(self, error: OSError) -> LandingUnavailableError:
        return LandingUnavailableError(
            f"Cannot write to the landing folder {self._folder}: {error.strerror}.",
            hint="Free some disk space." if error.errno in _FULL else _PERMISSIONS,
        )

    @contextmanager
    def _locked(self, mode: int) -> Iterator[None]:
        try:
            folder = os.open(self._folder, os.O_RDONLY)
        except PermissionError as error:
            raise LandingUnavailableError(
                f"Cannot read the landing folder {self._folder}: {error.strerror}.", hint=_PERMISSIONS
            ) from error
        try:
            fcntl.flock(folder, mode)
            yield
        finally:
            os.close(folder)
