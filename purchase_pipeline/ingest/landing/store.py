"""Raw lots as files: as received, compressed, whole or absent."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import zstandard

from purchase_pipeline.errors import PipelineError
from purchase_pipeline.ingest.landing.backend import BUCKET_SCHEME, Backend, LandingUnavailableError
from purchase_pipeline.ingest.landing.local import LocalBackend
from purchase_pipeline.ingest.landing.manifest import LandedLote, file_name_of, landed_by, manifest_of
from purchase_pipeline.ingest.row_splitter import RawFormat, split_rows

_CHUNK_BYTES = 1 << 18
_FAST = 1  # zstd's level: a lot is written once and read once or twice, beside a network and a database


class DamagedFileError(PipelineError):
    """A landed file does not hold what it held when it landed. To fetch the lot again mends it."""


class LandedAgainError(PipelineError):
    """The lot has landed again, so what was found of it before must not be loaded. Worth another try."""

    transient = True


class Landing:
    """Raw lots in a folder, or in a bucket: for each, a file with its bytes and a manifest that makes it count.

    The manifest is replaced last, in one step, and names the file; so a reader sees the old lot or the new one, and a
    stop at any moment leaves at worst a file that no manifest names, cleared when the lot, or an hour later any, lands.
    """

    def __init__(self, place: Backend) -> None:
        self.place = place

    def find(self, lote: str) -> LandedLote | None:
        """Return the lot's manifest, or None if it has not landed, or its manifest is damaged."""
        _check_name(lote)
        with suppress(FileNotFoundError), self.place.looking():  # there may be no folder yet
            return self._read(lote)
        return None

    def require_newest(self, landed: LandedLote) -> None:
        """Make sure that nothing else has landed for the lot since.

        Whoever asks under the lock of the lot's slice, and loads under it, never loads over what landed later: the
        later one's load waits for the lock, or this finds its manifest.

        Raises:
            LandedAgainError: something else has.
        """
        newest = self.find(landed.lote)
        if newest is not None and newest.digest != landed.digest:
            raise LandedAgainError(
                f"{landed.lote}: {newest.digest} has landed since {landed.digest} was to be loaded, which was left. "
                "The newer one is loaded by the run that fetched it, or by materializing this asset again."
            )

    def land(self, lote: str, raw_format: RawFormat, chunks: Iterable[bytes], rows: int) -> LandedLote:
        """Keep a lot that arrives in chunks. An error while it arrives leaves what was there before."""
        _check_name(lote)  # before anything arrives
        digest, raw_bytes = hashlib.sha256(), 0
        with self.place.arriving() as file:
            # A thread of zstd's own, so that nobody waits for it while bytes arrive.
            compressor = zstandard.ZstdCompressor(level=_FAST, write_checksum=True, threads=1)
            with compressor.stream_writer(file, closefd=False) as compressed:
                for chunk in chunks:
                    digest.update(chunk)
                    raw_bytes += len(chunk)
                    compressed.write(chunk)
            shown = f"sha256:{digest.hexdigest()}"
            landed = LandedLote(
                lote=lote,
                rows=rows,
                raw_format=raw_format,
                digest=shown,
                raw_bytes=raw_bytes,
                file_name=file_name_of(lote, shown),
                received_at=datetime.now(UTC),
            )
            with self.place.changing():
                self.place.keep(file, landed.file_name)
                self._write_manifest(landed)
                self.place.clear(f"{lote}.", Path(landed.file_name).suffix, but=landed.file_name)
        return landed

    def refuse(self, landed: LandedLote) -> None:
        """Note that a lot is not worth loading as it is, unless it has landed anew meanwhile."""
        with self.place.changing():
            if self._read(landed.lote) == landed:
                self._write_manifest(landed.model_copy(update={"refused": True}))

    def is_whole(self, landed: LandedLote) -> bool:
        """Tell whether the file still holds the bytes that arrived. Reads it through."""
        try:
            with self._open(landed) as chunks:
                for _ in chunks:
                    pass
        except DamagedFileError:
            return False
        return True

    @contextmanager
    def open_rows(self, landed: LandedLote) -> Iterator[Iterator[bytes]]:
        """Open a landed lot: its rows' texts, in order, a chunk at a time.

        They are known to be those that arrived once the last was read: use none of them for good before.

        Raises:
            DamagedFileError: now or while it is read, at the latest at its end: the file is gone, broken or changed.
        """
        with self._open(landed) as chunks:
            yield split_rows(landed.raw_format, chunks)

    @contextmanager
    def _open(self, landed: LandedLote) -> Iterator[Iterator[bytes]]:
        try:
            file = self.place.open(landed.file_name)
        except FileNotFoundError as error:
            raise _damaged(landed, str(error)) from error
        with file:
            yield _verified(_decompressed(file, landed), landed)

    def _read(self, lote: str) -> LandedLote | None:
        try:
            landed = landed_by(self.place.read(_manifest(lote)), lote)
        except FileNotFoundError:
            return None
        return landed if landed is not None and self.place.has(landed.file_name) else None

    def _write_manifest(self, landed: LandedLote) -> None:
        with self.place.arriving() as file:
            file.write(manifest_of(landed))
            self.place.keep(file, _manifest(landed.lote))


def landing_at(address: str) -> Landing:
    """Return the landing of a folder's path, or of a bucket: `s3://bucket/prefix`.

    Raises:
        LandingUnavailableError: a file stands where the folder is to be; or what speaks to a bucket is not installed.
    """
    if not address.startswith(BUCKET_SCHEME):
        return Landing(LocalBackend(_folder_at(Path(address))))
    try:
        # Imported where there is a bucket: it takes a second.
        from purchase_pipeline.ingest.landing.s3 import S3Backend  # noqa: PLC0415
    except ImportError as error:
        raise LandingUnavailableError(
            f"{address} needs s3fs: pip install 's3fs>=2026.3' ({error})"
        ) from error
    return Landing(S3Backend(address))


def _folder_at(path: Path) -> Path:
    found = next(one for one in (path, *path.parents) if one.exists())
    if not found.is_dir():
        raise LandingUnavailableError(
            f"{found} is a file, so the landing folder {path} cannot be made. "
            "PURCHASE_HOME chooses the folder of all local state, PURCHASE_LANDING that of raw lots."
        )
    return path


def _check_name(lote: str) -> None:
    if not re.fullmatch(r"[\w-]{1,100}", lote):
        raise ValueError(f"A lot's name is made of letters, digits, '-' and '_'; saw {lote!r}.")


def _manifest(lote: str) -> str:
    return f"{lote}.json"


def _decompressed(file: IO[bytes], landed: LandedLote) -> Iterator[bytes]:
    try:
        yield from zstandard.ZstdDecompressor().read_to_iter(file, write_size=_CHUNK_BYTES)
    except zstandard.ZstdError as error:
        raise _damaged(landed, str(error)) from error


def _verified(chunks: Iterable[bytes], landed: LandedLote) -> Iterator[bytes]:
    """Pass the chunks on, and compare their digest at the end: zstd's own checksum tells no deliberate change."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
    if landed.digest != f"sha256:{digest.hexdigest()}":
        raise _damaged(landed, "it does not hold the bytes that arrived")


def _damaged(landed: LandedLote, seen: str) -> DamagedFileError:
    return DamagedFileError(
        f"{landed.lote}: its landed file {landed.file_name} is gone or damaged ({seen}). "
        "Materialize the asset that landed it: it fetches the lot again."
    )
