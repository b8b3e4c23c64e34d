"""Lots that a test lands, changes behind the landing's back, and reads back."""

from pathlib import Path

import zstandard

from purchase_pipeline.ingest.landing.manifest import LandedPartition
from purchase_pipeline.ingest.landing.store import Landing
from purchase_pipeline.ingest.row_splitter import RawFormat


def land_lines(landing: Landing, lote: str, *rows: bytes) -> LandedPartition:
    """Land these rows, a line each."""
    return landing.land(lote, RawFormat.NDJSON, [row + b"\n" for row in rows], rows=len(rows))


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
