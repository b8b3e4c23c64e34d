"""Pages in a landed file, each a zstd frame: writing, and verified reading."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import IO, NamedTuple

import zstandard

from purchase_pipeline import PipelineError
from purchase_pipeline.ingest.formats import NDJSON
from purchase_pipeline.ingest.landing.manifest import LandedPage, LandedPartition, file_name_of
from purchase_pipeline.ingest.printable import labelled
from purchase_pipeline.ingest.response_body import CompleteRows
from purchase_pipeline.ingest.row_splitter import RowSplitter
from purchase_pipeline.ingest.sources.request import Page

_CHUNK_BYTES = 1 << 16
_COMPRESSION = zstandard.ZstdCompressionParameters.from_level(
    1,  # the fastest: network and database dominate anyway
    write_checksum=True,
    threads=1,  # of zstd's own, in parallel with the download
    job_size=1 << 19,  # the default holds 8 MiB more
)


class DamagedFileError(PipelineError):
    """A landed file is missing, or does not have the content that was received."""


def damaged(landed: LandedPartition, seen: str) -> DamagedFileError:
    """Return the error for a file that does not have its content."""
    return DamagedFileError(
        labelled(landed.partition, f"the landed file {landed.file_name} is missing or damaged ({seen})."),
        hint="Materialize the raw asset: it fetches the partition again.",
    )


class StagedPages:
    """The pages of a partition that is being landed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._pages: list[LandedPage] = []

    def add(self, page: Page) -> LandedPage:
        """Store a page; if its chunks raise an error, nothing of it is kept."""
        begin, digest, raw_bytes = self._file.tell(), self._digest.copy(), 0
        rows = CompleteRows(page)
        try:
            compressor = zstandard.ZstdCompressor(compression_params=_COMPRESSION)
            with compressor.stream_writer(self._file, closefd=False) as compressed:
                for chunk in rows:
                    digest.update(chunk)
                    raw_bytes += len(chunk)
                    compressed.write(chunk)
        except BaseException:
            self._file.seek(begin)
            self._file.truncate()
            raise
        self._digest = digest
        landed = LandedPage(
            format=page.format, rows=rows.rows, raw_bytes=raw_bytes, variables=dict(page.variables)
        )
        self._pages.append(landed)
        return landed.model_copy(update={"envelope": rows.envelope})

    def landed(self, partition: str) -> LandedPartition:
        """Return the partition with all its pages."""
        digest = f"sha256:{self._digest.hexdigest()}"
        return LandedPartition(
            partition=partition,
            rows=sum(page.rows for page in self._pages),
            pages=tuple(self._pages),
            digest=digest,
            raw_bytes=sum(page.raw_bytes for page in self._pages),
            file_name=file_name_of(partition, digest),
            received_at=datetime.now(UTC),
        )


class LandedContent:
    """The content of a landed file, read page by page and verified; zstd's checksum misses deliberate changes."""

    def __init__(self, file: IO[bytes], landed: LandedPartition) -> None:
        self._stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        self._landed = landed
        self._digest = hashlib.sha256()

    def chunks_of(self, page: LandedPage) -> Iterator[bytes]:
        """Yield the next page.

        Raises:
            DamagedFileError: it is damaged or too short.
        """
        left = page.raw_bytes
        while left:
            chunk = self._read(min(left, _CHUNK_BYTES))
            if not chunk:
                raise damaged(self._landed, "it is too short")
            left -= len(chunk)
            self._digest.update(chunk)
            yield chunk

    def close(self) -> None:
        """Verify the content after its last page.

        Raises:
            DamagedFileError: the file has more, or other content than was received.
        """
        if self._read(1) or self._landed.digest != f"sha256:{self._digest.hexdigest()}":
            raise damaged(self._landed, "its content has changed")

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except zstandard.ZstdError as error:
            raise damaged(self._landed, str(error)) from error


class PageRows(NamedTuple):
    """The raw rows of one page; `splitter.header` is known with the first row."""

    page: LandedPage
    splitter: RowSplitter
    rows: Iterator[bytes]


def page_of(raw_rows: Iterable[bytes]) -> PageRows:
    """Return rows of JSON that are not those of a landed file as a page."""
    page = LandedPage(format=NDJSON, rows=0, raw_bytes=0)
    return PageRows(page, NDJSON.splitter(), iter(raw_rows))


class LandedRows:
    """The raw rows of a landed partition, iterated once: all of them, or page by page, or the rest after that."""

    def __init__(self, landed: LandedPartition, content: LandedContent) -> None:
        self._pages = self._opened(landed, content)
        self._current: Iterator[bytes] = iter(())
        self._rows = self._remaining()

    def __iter__(self) -> Iterator[bytes]:
        """Return itself."""
        return self

    def __next__(self) -> bytes:
        """Return the next of the rows that remain."""
        return next(self._rows)

    def pages(self) -> Iterator[PageRows]:
        """Yield the pages that remain."""
        for page in self._pages:
            self._current = page.rows
            yield page

    def _remaining(self) -> Iterator[bytes]:
        yield from self._current
        for page in self._pages:
            yield from page.rows

    @staticmethod
    def _opened(landed: LandedPartition, content: LandedContent) -> Iterator[PageRows]:
        for page in landed.pages:
            splitter = page.format.splitter()
            rows = _split(splitter, content.chunks_of(page))
            yield PageRows(page, splitter, rows)
            for _ in rows:  # read to its end also if the reader did not
                pass
        content.close()


def _split(splitter: RowSplitter, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        yield from splitter.feed(chunk)
    yield from splitter.close()
