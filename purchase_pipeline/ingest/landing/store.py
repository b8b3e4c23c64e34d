"""The landing: raw partitions as compressed files, stored atomically."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import zstandard

from purchase_pipeline.errors import PipelineError
from purchase_pipeline.ingest.landing.backend import BUCKET_SCHEME, Backend, LandingUnavailableError
from purchase_pipeline.ingest.landing.local import LocalBackend
from purchase_pipeline.ingest.landing.manifest import (
    LandedPartition,
    file_name_of,
    landed_by,
    manifest_of,
    name_of,
)
from purchase_pipeline.ingest.row_splitter import RawFormat, split_rows

_CHUNK_BYTES = 1 << 18
_FAST = 1  # zstd's level; network and database dominate anyway


class DamagedFileError(PipelineError):
    """A landed file is missing, or does not have the content that was received."""


class LandedAgainError(PipelineError):
    """The partition landed again while an older file was being loaded."""

    transient = True


class Landing:
    """Raw partitions in a folder or bucket, each as a file and a manifest that names it.

    The manifest is replaced last and atomically, so a reader sees the old content or the new. A crash leaves at worst
    an unreferenced file, which is removed when the partition lands again, or after an hour when any partition lands.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def find(self, partition: str) -> LandedPartition | None:
        """Return the partition's manifest, or None if it has not landed or the manifest is damaged."""
        with suppress(FileNotFoundError), self.backend.shared_lock():  # the folder may not exist yet
            return self._read(partition)
        return None

    def require_newest(self, landed: LandedPartition) -> None:
        """Raise if the partition has landed again since.

        A caller that holds the lock of the slice never overwrites a newer load: that one waits for the lock, or its
        manifest is found here.

        Raises:
            LandedAgainError: a newer file has landed.
        """
        newest = self.find(landed.partition)
        if newest is not None and newest.digest != landed.digest:
            raise LandedAgainError(
                f"{landed.partition}: {landed.digest} was not loaded, because {newest.digest} has landed since.",
                hint="The run that fetched the newer file loads it; or materialize this asset again.",
            )

    def land(
        self, partition: str, raw_format: RawFormat, chunks: Iterable[bytes], rows: int
    ) -> LandedPartition:
        """Store a partition. If the chunks raise an error, the previous file is kept."""
        digest, raw_bytes = hashlib.sha256(), 0
        with self.backend.staged_file() as file:
            # In a thread of zstd's, in parallel with the download.
            compressor = zstandard.ZstdCompressor(level=_FAST, write_checksum=True, threads=1)
            with compressor.stream_writer(file, closefd=False) as compressed:
                for chunk in chunks:
                    digest.update(chunk)
                    raw_bytes += len(chunk)
                    compressed.write(chunk)
            shown = f"sha256:{digest.hexdigest()}"
            landed = LandedPartition(
                partition=partition,
                rows=rows,
                raw_format=raw_format,
                digest=shown,
                raw_bytes=raw_bytes,
                file_name=file_name_of(partition, shown),
                received_at=datetime.now(UTC),
            )
            with self.backend.exclusive_lock():
                self.backend.publish(file, landed.file_name)
                self._write_manifest(landed)
                self.backend.prune(
                    f"{name_of(partition)}.", Path(landed.file_name).suffix, keep=landed.file_name
                )
        return landed

    def refuse(self, landed: LandedPartition) -> None:
        """Mark a partition as refused, unless it has landed again meanwhile."""
        with self.backend.exclusive_lock():
            if self._read(landed.partition) == landed:
                self._write_manifest(landed.model_copy(update={"refused": True}))

    def is_whole(self, landed: LandedPartition) -> bool:
        """Return whether the file has the content that was received; reads all of it."""
        try:
            with self._open(landed) as chunks:
                for _ in chunks:
                    pass
        except DamagedFileError:
            return False
        return True

    @contextmanager
    def open_rows(self, landed: LandedPartition) -> Iterator[Iterator[bytes]]:
        """Open a landed partition, and yield an iterator of its raw rows.

        The file is verified at its end: commit nothing before the iterator is exhausted.

        Raises:
            DamagedFileError: at once or during iteration: the file is missing, damaged or changed.
        """
        with self._open(landed) as chunks:
            yield split_rows(landed.raw_format, chunks)

    @contextmanager
    def _open(self, landed: LandedPartition) -> Iterator[Iterator[bytes]]:
        try:
            file = self.backend.open(landed.file_name)
        except FileNotFoundError as error:
            raise _damaged(landed, str(error)) from error
        with file:
            yield _verified(_decompressed(file, landed), landed)

    def _read(self, partition: str) -> LandedPartition | None:
        try:
            landed = landed_by(self.backend.read(_manifest(partition)), partition)
        except FileNotFoundError:
            return None
        return landed if landed is not None and self.backend.exists(landed.file_name) else None

    def _write_manifest(self, landed: LandedPartition) -> None:
        with self.backend.staged_file() as file:
            file.write(manifest_of(landed))
            self.backend.publish(file, _manifest(landed.partition))


def landing_at(address: str) -> Landing:
    """Return the landing in a folder, or in a bucket: `s3://bucket/prefix`.

    Raises:
        LandingUnavailableError: the folder's path is a file, or s3fs is not installed.
    """
    if not address.startswith(BUCKET_SCHEME):
        return Landing(LocalBackend(_folder_at(Path(address))))
    try:
        # Imported on demand: it takes a second.
        from purchase_pipeline.ingest.landing.s3 import S3Backend  # noqa: PLC0415
    except ImportError as error:
        raise LandingUnavailableError(
            f"{address} needs s3fs ({error}).", hint="pip install 's3fs>=2026.3'", transient=False
        ) from error
    return Landing(S3Backend(address))


def _folder_at(path: Path) -> Path:
    found = next(each for each in (path, *path.parents) if each.exists())
    if not found.is_dir():
        raise LandingUnavailableError(
            f"Cannot create the landing folder {path}: {found} is a file.",
            hint="Choose another folder with PURCHASE_LANDING, or PURCHASE_HOME for all local state.",
            transient=False,
        )
    return path


def _manifest(partition: str) -> str:
    return f"{name_of(partition)}.json"


def _decompressed(file: IO[bytes], landed: LandedPartition) -> Iterator[bytes]:
    try:
        yield from zstandard.ZstdDecompressor().read_to_iter(file, write_size=_CHUNK_BYTES)
    except zstandard.ZstdError as error:
        raise _damaged(landed, str(error)) from error


def _verified(chunks: Iterable[bytes], landed: LandedPartition) -> Iterator[bytes]:
    """Yield the chunks, and verify their digest at the end; zstd's checksum does not detect deliberate changes."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
    if landed.digest != f"sha256:{digest.hexdigest()}":
        raise _damaged(landed, "its content has changed")


def _damaged(landed: LandedPartition, seen: str) -> DamagedFileError:
    return DamagedFileError(
        f"{landed.partition}: the landed file {landed.file_name} is missing or damaged ({seen}).",
        hint="Materialize the raw asset: it fetches the partition again.",
    )
