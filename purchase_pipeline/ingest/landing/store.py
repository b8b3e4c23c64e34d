"""The landing: raw partitions as compressed files, stored atomically."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from purchase_pipeline import PipelineError, needs_extra
from purchase_pipeline.ingest.landing.backend import BUCKET_SCHEME, Backend, LandingUnavailableError
from purchase_pipeline.ingest.landing.local import LocalBackend
from purchase_pipeline.ingest.landing.manifest import (
    FILE_SUFFIX,
    LandedPartition,
    landed_by,
    manifest_of,
    name_of,
)
from purchase_pipeline.ingest.landing.pages import (
    DamagedFileError,
    LandedContent,
    LandedRows,
    StagedPages,
    damaged,
)
from purchase_pipeline.ingest.printable import labelled
from purchase_pipeline.ingest.sources.request import AddPage

_MANIFEST = ".json"


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

    def find_pruned(self, partition: str) -> LandedPartition | None:
        """Return the manifest of a partition whose file was pruned, or None."""
        with suppress(FileNotFoundError), self.backend.shared_lock():
            landed = self._manifest(partition)
            return landed if landed is not None and landed.pruned_at is not None else None
        return None

    def newest(self) -> LandedPartition | None:
        """Return the partition whose key sorts last, among those whose files have the key as their name."""
        keys = (name.removesuffix(_MANIFEST) for name in self.backend.names(_MANIFEST))
        return next(filter(None, map(self.find, sorted(keys, reverse=True))), None)

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
                labelled(
                    landed.partition,
                    f"{landed.digest} was not loaded, because {newest.digest} has landed since.",
                ),
                hint="The run that fetched the newer file loads it; or materialize this asset again.",
            )

    def land(self, partition: str, fetch: Callable[[AddPage], object]) -> LandedPartition:
        """Store the pages that `fetch` adds. If it raises an error, the previous content is kept."""
        with self.backend.staged_file() as file:
            staged = StagedPages(file)
            fetch(staged.add)
            landed = staged.landed(partition)
            with self.backend.exclusive_lock():
                self.backend.publish(file, landed.file_name)
                self._write_manifest(landed)
                self.backend.remove_superseded(
                    f"{name_of(partition)}.", Path(landed.file_name).suffix, keep=landed.file_name
                )
        return landed

    def refuse(self, landed: LandedPartition) -> None:
        """Mark a partition as refused, unless it has landed again meanwhile."""
        with self.backend.exclusive_lock():
            if self._read(landed.partition) == landed:
                self._write_manifest(landed.model_copy(update={"refused": True}))

    def sizes(self) -> dict[str, int]:
        """Return the sizes in bytes of the landed files, by name."""
        return self.backend.sizes(FILE_SUFFIX)

    def can_be_pruned(self, partition: str, digest: str, before: datetime) -> bool:
        """Return whether a partition's content has this digest and was received before a moment."""
        with self.backend.shared_lock():
            return self._prunable(partition, digest, before) is not None

    def prune(self, partition: str, digest: str, before: datetime) -> bool:
        """Delete a partition's file if it can be pruned, and return whether it could; the manifest stays.

        The manifest is replaced first: if the process is killed in between, the next call deletes the file.
        """
        with self.backend.exclusive_lock():
            landed = self._prunable(partition, digest, before)
            if landed is None:
                return False
            if landed.pruned_at is None:
                self._write_manifest(landed.model_copy(update={"pruned_at": datetime.now(UTC)}))
            self.backend.remove(landed.file_name)
        return True

    def is_whole(self, landed: LandedPartition) -> bool:
        """Return whether the file has the content that was received; reads all of it."""
        try:
            with self._open(landed) as content:
                for page in landed.pages:
                    for _ in content.chunks_of(page):
                        pass
                content.close()
        except DamagedFileError:
            return False
        return True

    @contextmanager
    def open_rows(self, landed: LandedPartition) -> Iterator[LandedRows]:
        """Open a landed partition, and yield an iterator of its raw rows, which also gives them page by page.

        The file is verified at its end: commit nothing before the iterator is exhausted.

        Raises:
            DamagedFileError: at once or during iteration: the file is missing, damaged or changed.
        """
        with self._open(landed) as content:
            yield LandedRows(landed, content)

    @contextmanager
    def _open(self, landed: LandedPartition) -> Iterator[LandedContent]:
        try:
            file = self.backend.open(landed.file_name)
        except FileNotFoundError as error:
            raise damaged(landed, str(error)) from error
        with file:
            yield LandedContent(file, landed)

    def _read(self, partition: str) -> LandedPartition | None:
        landed = self._manifest(partition)
        if landed is None or landed.pruned_at is not None or not self.backend.exists(landed.file_name):
            return None
        return landed

    def _prunable(self, partition: str, digest: str, before: datetime) -> LandedPartition | None:
        landed = self._manifest(partition)
        if landed is None or landed.refused or landed.digest != digest:
            return None
        return landed if landed.received_at < before else None

    def _manifest(self, partition: str) -> LandedPartition | None:
        try:
            return landed_by(self.backend.read(_manifest(partition)), partition)
        except FileNotFoundError:
            return None

    def _write_manifest(self, landed: LandedPartition) -> None:
        with self.backend.staged_file() as file:
            file.write(manifest_of(landed))
            self.backend.publish(file, _manifest(landed.partition))


def landing_at(address: str) -> Landing:
    """Return the landing in a folder, or in a bucket: `s3://bucket/prefix`.

    Raises:
        LandingUnavailableError: the folder's path is a file.
        MissingExtraError: s3fs is not installed.
    """
    if not address.startswith(BUCKET_SCHEME):
        return Landing(LocalBackend(_folder_at(Path(address))))
    with needs_extra("s3", f"The landing {address}"):
        # Imported on demand: it takes a second.
        from purchase_pipeline.ingest.landing.s3 import S3Backend  # noqa: PLC0415
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
    return f"{name_of(partition)}{_MANIFEST}"
