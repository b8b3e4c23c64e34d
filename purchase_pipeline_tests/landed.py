"""Lots that a test lands, changes behind the landing's back, and reads back."""

from pathlib import Path

import zstandard

from purchase_pipeline.ingest.formats import NDJSON
from purchase_pipeline.ingest.landing.manifest import LandedPartition
from purchase_pipeline.ingest.landing.store import Landing
from purchase_pipeline.ingest.sources.request import AddPage, Page


def land_lines(landing: Landing, lote: str, *rows: bytes) -> LandedPartition:
    """Land these rows, a line each."""
    return land_page(landing, lote, Page(NDJSON, [row + b"\n" for row in rows]))


def land_page(landing: Landing, partition: str, *pages: Page) -> LandedPartition:
    """Land a partition of these pages."""

    def fetch(add_page: AddPage) -> None:
        for page in pages:
            add_page(page)

    return landing.land(partition, fetch)


def rows_of(landing: Landing, landed: LandedPartition | None) -> list[bytes]:
    """Return a landed lot's rows; fail where it has not landed."""
    assert landed is not None
    with landing.open_rows(landed) as rows:
        return list(rows)


def rewrite(file: Path, old: bytes, new: bytes) -> None:
    """Change a landed file's bytes, once, as somebody would who knows zstd: its own checksum is right again."""
    raw = zstandard.ZstdDecompressor().stream_reader(file.read_bytes()).read()
    assert old in raw
    file.write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(raw.replace(old, new, 1)))
