"""Raw lots as files: as received, compressed, whole or absent."""

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
from pydantic import AwareDatetime, BaseModel

from purchase_pipeline.raw_rows import RawFormat, split_rows

_CHUNK_BYTES = 1 << 18
_ARRIVING = ".arriving-"
_ABANDONED_SECONDS = 3600.0
_FAST = 1  # zstd's level: a lot is written once and read once or twice, beside a network and a database


class LandedLote(BaseModel, frozen=True):
    """What is known of a lot that has landed."""

    lote: str
    rows: int
    raw_format: RawFormat
    digest: str
    raw_bytes: int
    file_name: str
    received_at: AwareDatetime


class Landing:
    """A folder of raw lots: for each, a file with its bytes and a manifest that makes it count.

    The manifest is replaced last, in one step, and names the file; so a reader sees the old lot or the new one, and a
    stop at any moment leaves at worst a file that no manifest names, cleared when the lot, or an hour later any, lands.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, lote: str) -> LandedLote | None:
        """Return the lot's manifest, or None if it has not landed."""
        try:
            manifest = self._manifest(lote).read_bytes()
        except FileNotFoundError:
            return None
        landed = LandedLote.model_validate_json(manifest)
        return landed if (self.folder / landed.file_name).exists() else None

    def land(self, lote: str, raw_format: RawFormat, chunks: Iterable[bytes], rows: int) -> LandedLote:
        """Keep a lot that arrives in chunks. An error while it arrives leaves what was there before."""
        manifest = self._manifest(lote)
        self.folder.mkdir(parents=True, exist_ok=True)
        digest, raw_bytes = hashlib.sha256(), 0
        with _arriving(self.folder) as file:
            with zstandard.ZstdCompressor(level=_FAST).stream_writer(file, closefd=False) as compressed:
                for chunk in chunks:
                    digest.update(chunk)
                    raw_bytes += len(chunk)
                    compressed.write(chunk)
            data = self.folder / f"{lote}.{digest.hexdigest()[:16]}.zst"
            _keep(file, data)
        landed = LandedLote(
            lote=lote,
            rows=rows,
            raw_format=raw_format,
            digest=f"sha256:{digest.hexdigest()}",
            raw_bytes=raw_bytes,
            file_name=data.name,
            received_at=datetime.now(UTC),
        )
        with _arriving(self.folder) as file:
            file.write(landed.model_dump_json(indent=2).encode())
            _keep(file, manifest)
        for stale in self.folder.glob(f"{lote}.*.zst"):
            if stale != data:
                stale.unlink()
        self._clear_abandoned()
        return landed

    def _clear_abandoned(self) -> None:
        """Remove what killed processes were writing; what living ones write is younger."""
        for arriving in self.folder.glob(f"{_ARRIVING}*"):
            with suppress(FileNotFoundError):
                if time() - arriving.stat().st_mtime > _ABANDONED_SECONDS:
                    arriving.unlink()

    @contextmanager
    def open_rows(self, landed: LandedLote) -> Iterator[Iterator[bytes]]:
        """Open a landed lot: its rows' texts, in order, a chunk at a time."""
        with (self.folder / landed.file_name).open("rb") as file:
            reader = zstandard.ZstdDecompressor().read_to_iter(file, write_size=_CHUNK_BYTES)
            yield split_rows(landed.raw_format, reader)

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
