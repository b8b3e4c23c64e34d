"""The purchase API as a source: one route, a batch of a stated number of rows.

It uses the mock API's extensions where available. A server that ignores `lote` and `Accept`, and sends a plain JSON
array, works too.
"""

from purchase_pipeline.ingest.formats import JSON_ARRAY, NDJSON
from purchase_pipeline.ingest.sources.http import HttpSource
from purchase_pipeline.ingest.sources.request import AddPage, PartitionRequest
from purchase_pipeline.ingest.sources.variables import Deferred


def purchase_source(url: str | Deferred, **settings: object) -> HttpSource:
    """Return the source of purchases; a request needs the variable `rows`."""
    return HttpSource(
        url,
        path="/gerar_compra/{rows}",
        params={"lote": "{partition_key}"},
        headers={"Accept": f"{NDJSON.media_type}, {JSON_ARRAY.media_type};q=0.9"},
        expect_rows="{rows}",
        **settings,  # type: ignore[arg-type]
    )


class PurchaseApi:
    """Fetches raw batches; the resource of `raw_purchases`."""

    def __init__(self, source: HttpSource) -> None:
        self._source = source

    def fetch_lote(self, lote: str, rows: int, add_page: AddPage) -> None:
        """Fetch a batch of `rows` rows."""
        self._source.fetch(PartitionRequest(lote, {"rows": rows}), add_page)
