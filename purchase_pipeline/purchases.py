"""The purchases feed: the mock API's batches (lotes), in `tabela_compras` and `compras_rejeitadas`."""

from purchase_pipeline.contracts import CompraSchema
from purchase_pipeline.ingest.tables import feed_tables

PURCHASES = feed_tables(
    CompraSchema,
    "tabela_compras",
    "compras_rejeitadas",
    partition="lote",
    row_number="linha",
    row_id="id",
    comment="Valid purchases, one row each",
)
