"""Sales for tests of the report: in `tabela_compras`, the ledger and the marts."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from purchase_pipeline.postgres.slices.ledger import record_slices
from purchase_pipeline.postgres.slices.ledger_versions import prepare_ledger
from purchase_pipeline.purchases import COMPRAS_REJEITADAS, TABELA_COMPRAS
from purchase_pipeline.sales import tables
from purchase_pipeline.sales.marts import MARTS
from purchase_pipeline.sales.queries import sums_of_lots
from purchase_pipeline.sales.report.brazil import TILES
from purchase_pipeline_tests.builders import FIELDS, stored_values

Sale = dict[str, Any]
FIRST_DAY = date(2025, 1, 20)
LOTS = ("lote-0001", "lote-0002")
REASON = "price: Input should be greater than 0"


def a_sale(number: int, **changes: object) -> Sale:
    """Return one stored purchase; `number` determines its day, state, store, product and customer."""
    turning = {
        "date_purchase": FIRST_DAY + timedelta(days=number % 180),
        "state": TILES[number % len(TILES)].name,
        "store": number % 3 + 1,
        "payment_type": ("PIX", "Boleto")[number % 2],
        "category": ("Casa", "Moda")[number % 2],
        "product": f"Produto {number % 14}",
        "brand": f"Marca {number % 7}",
        "price": Decimal("100.50") + number % 5,
        "client_name": f"Cliente {number % 120}",
        "birthday_client": date(1950 + number % 120 // 2, 5, 1),
    }
    return dict(zip(FIELDS, stored_values(**(turning | changes)), strict=True))


def some_sales(**changes: object) -> list[Sale]:
    """Return 360 purchases of 180 days, with the given changes."""
    return [a_sale(number, **changes) for number in range(360)]


def fill(engine: sa.Engine, sales: Sequence[Sale]) -> None:
    """Store sales as two batches, the second with one rejected row, and fill the marts."""
    half = len(sales) // 2
    with engine.begin() as connection:
        for table in (TABELA_COMPRAS, COMPRAS_REJEITADAS):
            table.create(connection)
        for lote, rows, rejected in ((LOTS[0], sales[:half], 0), (LOTS[1], sales[half:], 1)):
            _fill_lot(connection, lote, rows, rejected)
        _fill_marts(connection)


def _fill_lot(connection: sa.Connection, lote: str, rows: Sequence[Sale], rejected: int) -> None:
    stored = [row | {"lote": lote, "linha": linha} for linha, row in enumerate(rows, start=1)]
    if stored:
        connection.execute(TABELA_COMPRAS.insert(), stored)
    if rejected:
        connection.execute(COMPRAS_REJEITADAS.insert(), _a_reject(lote, len(rows) + 1))
    entry = {
        "partition": lote,
        "run_id": "a run",
        "source_rows": len(rows) + rejected,
        "digest": f"digest of {lote}",
    }
    counts = ((TABELA_COMPRAS.name, len(rows)), (COMPRAS_REJEITADAS.name, rejected))
    prepare_ledger(connection, "public")
    record_slices(connection, "public", [entry | {"asset": asset, "rows": count} for asset, count in counts])


def _a_reject(lote: str, linha: int) -> dict[str, object]:
    return {
        "lote": lote,
        "linha": linha,
        "fields": ["price"],
        "reasons": [f"{REASON} (saw -1.0)"],
        "original": "{}",
        "original_sha256": "44136f",
        "first_seen": datetime(2026, 11, 24, 12, tzinfo=UTC),
        "run_id": "a run",
    }


def _fill_marts(connection: sa.Connection) -> None:
    """Fill the aggregates and the marts by their own queries."""
    filled = [(tables.SALES_BY_LOT, sums_of_lots(LOTS)), *((mart.table, mart.query()) for mart in MARTS)]
    for table, query in filled:
        table.create(connection)
        names = [column.name for column in query.selected_columns]
        connection.execute(table.insert().from_select(names, query))
