"""What Dagster's UI says about the sales: what a table is, what its rows are, and the main figures of the report."""

from collections.abc import Collection

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.feeds.descriptions import described, names
from purchase_pipeline.ingest.ledger import Ledger, totals
from purchase_pipeline.postgres.dagster_internals import RawMetadataValue
from purchase_pipeline.sales.tables import REVENUE_BY_DAY
from purchase_pipeline.sales.totals import SalesTotals

_MEASURES = frozenset({"purchases", "revenue", "customers", "squares", "from_age"})
_UPDATED = "by the sensor `stale_sales`, within a minute after batches are loaded"

REPORT_DESCRIPTION = described(
    "The page of charts of what was sold, in Portuguese and English: one HTML file that needs no network",
    {
        "Open it": "by the link `report` in its metadata, or with `purchase-pipeline report`",
        "Source": "the marts, the ledger and the quarantine",
        "Updated": _UPDATED,
    },
)


def table_description(table: sa.Table, sources: Collection[dg.AssetKey]) -> str:
    """Describe a mart, or the aggregates that marts are computed from."""
    key = _key(table)
    unset = ", and the columns that the cut sets" if "cut" in key else ""
    return described(
        table.comment or table.name,
        {
            "Source": names(sorted(source.to_user_string() for source in sources)),
            "Grain": f"one row for each {names(key)}{unset}",
            "Key": f"{names(key)}{unset}",
            "Updated": _UPDATED,
        },
    )


def _key(table: sa.Table) -> list[str]:
    if "rank" in table.columns:
        return ["rank"]
    return [column.name for column in table.columns if column.name not in _MEASURES and not column.nullable]


def figures(sales: SalesTotals, ledger: Ledger) -> dict[str, RawMetadataValue]:
    """Return the main figures of the report."""
    (sold,) = sales.of_tables([REVENUE_BY_DAY])[REVENUE_BY_DAY.name]
    batches = ledger.counted().values()
    rows = totals(batches)
    return {
        "revenue": float(sold.revenue),
        "purchases": int(sold.purchases),
        "customers": sales.customers_in_bands(),
        "batches": len(batches),
        "rows_received": rows.received,
        "rows_rejected": rows.rejected,
        "reconciled": all(batch.balanced for batch in batches),
    }
