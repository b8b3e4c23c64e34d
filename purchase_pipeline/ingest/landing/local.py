"""A folder of this machine, or of several that mount it, as the place of raw lots."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import time
from typing import IO

_ARRIVING = ".arriving-"
_ABANDONED_SECONDS = 3600.0


class LocalBackend:
    """Files that get their names by a rename, once they are on disk; a lock on the folder holds several together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __str__(self) -> str:
        return str(self._folder)

    def address_of(self, name: str) -> str:
        """Return the file's path."""
        return str(self._folder / name)

    @contextmanager
    def arriving(self) -> Iterator[IO[bytes]]:
        """Open a file beside the others, in the folder, which is made if it is not there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=self._folder, prefix=_ARRIVING, delete=False) as file:
            try:
                yield file
            finally:
                Path(file.name).unlink(missing_ok=True)

    def keep(self, file: IO[bytes], name: str) -> None:
        """Write the file to disk, then rename it."""
        file.flush()
        os.fsync(file.fileno())
        Path(file.name).replace(self._folder / name)

    def read(self, name: str) -> bytes:
        """Read a file whole."""
        return (self._folder / name).read_bytes()

    def open(self, name: str) -> IO[bytes]:
        """Open a file; who has it open keeps it, whatever becomes of its name."""
        return (self._folder / name).open("rb")

    def has(self, name: str) -> bool:
        """Look for a file."""
        return (self._folder / name).exists()

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Share the folder's lock with others who look."""
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Have the folder's lock alone."""
        with self._locked(fcntl.LOCK_EX):
            yield

    def clear(self, prefix: str, suffix: str, but: str) -> None:
        """Remove the others at once. What processes write that were not killed is younger than an hour."""
        for path in self._folder.iterdir():  # once: there may be many, and others wait for the lock meanwhile
            if path.name.startswith(prefix) and path.name.endswith(suffix) and path.name != but:
                path.unlink(missing_ok=True)
            elif path.name.startswith(_ARRIVING):
                with suppress(FileNotFoundError):
                    if time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                        path.unlink()

    @contextmanager
    def _locked(self, mode: int) -> Iterator[None]:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, mode)
            yield
        finally:
            os.close(folder)
