"""Raw lots as files: as received, compressed, whole or absent."""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import time
from typing import IO

import zstandard
from pydantic import AwareDatetime, BaseModel, ValidationError

from purchase_pipeline.raw_rows import RawFormat, split_rows

_CHUNK_BYTES = 1 << 18
_ARRIVING = ".arriving-"
_ABANDONED_SECONDS = 3600.0
_FAST = 1  # zstd's level: a lot is written once and read once or twice, beside a network and a database


class DamagedFileError(Exception):
    """A landed file does not hold what it held when it landed. To fetch the lot again mends it."""


class LandedLote(BaseModel, frozen=True):
    """What is known of a lot that has landed.

    `refused`: too many of its rows broke the contract for the lot to be loaded, so it is worth asking for again.
    """

    lote: str
    rows: int
    raw_format: RawFormat
    digest: str
    raw_bytes: int
    file_name: str
    received_at: AwareDatetime
    refused: bool = False


class Landing:
    """A folder of raw lots: for each, a file with its bytes and a manifest that makes it count.

    The manifest is replaced last, in one step, and names the file; so a reader sees the old lot or the new one, and a
    stop at any moment leaves at worst a file that no manifest names, cleared when the lot, or an hour later any, lands.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, lote: str) -> LandedLote | None:
        """Return the lot's manifest, or None if it has not landed, or nothing can be read there."""
        manifest = self._manifest(lote)
        if not manifest.exists():
            return None
        with self._held(fcntl.LOCK_SH):
            return self._read(manifest)

    def land(self, lote: str, raw_format: RawFormat, chunks: Iterable[bytes], rows: int) -> LandedLote:
        """Keep a lot that arrives in chunks. An error while it arrives leaves what was there before."""
        self._manifest(lote)  # the name is checked before anything arrives
        self.folder.mkdir(parents=True, exist_ok=True)
        digest, raw_bytes = hashlib.sha256(), 0
        with _arriving(self.folder) as file:
            # A thread of zstd's own, so that nobody waits for it while bytes arrive.
            compressor = zstandard.ZstdCompressor(level=_FAST, write_checksum=True, threads=1)
            with compressor.stream_writer(file, closefd=False) as compressed:
                for chunk in chunks:
                    digest.update(chunk)
                    raw_bytes += len(chunk)
                    compressed.write(chunk)
            landed = LandedLote(
                lote=lote,
                rows=rows,
                raw_format=raw_format,
                digest=f"sha256:{digest.hexdigest()}",
                raw_bytes=raw_bytes,
                file_name=f"{lote}.{digest.hexdigest()[:16]}.zst",
                received_at=datetime.now(UTC),
            )
            with self._held(fcntl.LOCK_EX):
                _keep(file, self.folder / landed.file_name)
                self._write_manifest(landed)
                for stale in self.folder.glob(f"{lote}.*.zst"):
                    if stale.name != landed.file_name:
                        stale.unlink()
        self._clear_abandoned()
        return landed

    def refuse(self, landed: LandedLote) -> None:
        """Note that a lot is not worth loading as it is, unless it has landed anew meanwhile."""
        with self._held(fcntl.LOCK_EX):
            if self._read(self._manifest(landed.lote)) == landed:
                self._write_manifest(landed.model_copy(update={"refused": True}))

    def is_whole(self, landed: LandedLote) -> bool:
        """Tell whether the file still holds the bytes that arrived. Reads it through."""
        digest = hashlib.sha256()
        try:
            with self._open(landed) as chunks:
                for chunk in chunks:
                    digest.update(chunk)
        except DamagedFileError:
            return False
        return landed.digest == f"sha256:{digest.hexdigest()}"

    @contextmanager
    def open_rows(self, landed: LandedLote) -> Iterator[Iterator[bytes]]:
        """Open a landed lot: its rows' texts, in order, a chunk at a time.

        Raises:
            DamagedFileError: now or while it is read: the file is gone, or broken.
        """
        with self._open(landed) as chunks:
            yield split_rows(landed.raw_format, chunks)

    @contextmanager
    def _open(self, landed: LandedLote) -> Iterator[Iterator[bytes]]:
        path = self.folder / landed.file_name
        try:
            file = path.open("rb")
        except FileNotFoundError as error:
            raise _damaged(landed, error) from error
        with file:
            yield _decompressed(file, landed)

    def _read(self, manifest: Path) -> LandedLote | None:
        try:
            landed = LandedLote.model_validate_json(manifest.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        return landed if (self.folder / landed.file_name).exists() else None

    def _write_manifest(self, landed: LandedLote) -> None:
        with _arriving(self.folder) as file:
            file.write(landed.model_dump_json(indent=2).encode())
            _keep(file, self._manifest(landed.lote))

    @contextmanager
    def _held(self, mode: int) -> Iterator[None]:
        """Look while nobody changes a manifest (`LOCK_SH`), or change one while nobody looks (`LOCK_EX`)."""
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, mode)
            yield
        finally:
            os.close(folder)

    def _clear_abandoned(self) -> None:
        """Remove what killed processes were writing; what living ones write is younger."""
        for arriving in self.folder.glob(f"{_ARRIVING}*"):
            with suppress(FileNotFoundError):
                if time() - arriving.stat().st_mtime > _ABANDONED_SECONDS:
                    arriving.unlink()

    def _manifest(self, lote: str) -> Path:
        if not re.fullmatch(r"[\w-]{1,100}", lote):
            raise ValueError(f"A lot's name is made of letters, digits, '-' and '_'; saw {lote!r}.")
        return self.folder / f"{lote}.json"


@contextmanager
def _arriving(folder: Path) -> Iterator[IO[bytes]]:
    """Open a file beside the others that goes away again unless it is kept."""
    with NamedTemporaryFile(dir=folder, prefix=_ARRIVING, delete=False) as file:
        try:
            yield file
        finally:
            Path(file.name).unlink(missing_ok=True)


def _keep(file: IO[bytes], path: Path) -> None:
    """Give a written file its name, on disk for good."""
    file.flush()
    os.fsync(file.fileno())
    Path(file.name).replace(path)


def _decompressed(file: IO[bytes], landed: LandedLote) -> Iterator[bytes]:
    try:
        yield from zstandard.ZstdDecompressor().read_to_iter(file, write_size=_CHUNK_BYTES)
    except zstandard.ZstdError as error:
        raise _damaged(landed, error) from error


def _damaged(landed: LandedLote, error: Exception) -> DamagedFileError:
    return DamagedFileError(
        f"{landed.lote}: its landed file {landed.file_name} is gone or damaged ({error}). "
        "Materialize the asset that landed it: it fetches the lot again."
    )
