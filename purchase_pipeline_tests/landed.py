"""Lots that a test lands, and reads back."""

from purchase_pipeline.landing import LandedLote, Landing
from purchase_pipeline.raw_rows import RawFormat


def land_lines(landing: Landing, lote: str, *rows: bytes) -> LandedLote:
    """Land these rows, a line each."""
    return landing.land(lote, RawFormat.NDJSON, [row + b"\n" for row in rows], rows=len(rows))


def rows_of(landing: Landing, landed: LandedLote | None) -> list[bytes]:
    """Return a landed lot's rows; fail where it has not landed."""
    assert landed is not None
    with landing.open_rows(landed) as rows:
        return list(rows)
