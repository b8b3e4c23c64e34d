"""Asset checks of the marts: nothing that was sold is missing or counted twice.

The steps that write the tables evaluate them. No check blocks: what it would hold back is updated in other runs, and a
report of marts that differ is better than an old one.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

import dagster as dg

from purchase_pipeline.ingest.printable import quantity
from purchase_pipeline.purchases import TABELA_COMPRAS
from purchase_pipeline.sales.marts import MARTS, Mart
from purchase_pipeline.sales.tables import CUSTOMERS_BY_AGE_BAND, SALES_BY_LOT
from purchase_pipeline.sales.totals import SalesTotals, Totals

_SUMS_AGREE = "sums_agree_with_the_source"
_NOTHING = Totals(0, Decimal(0))
_SUMMED = [mart for mart in MARTS if "rank" not in mart.table.c]
"""The marts that have every purchase; a ranking ends."""

SUMS_MATCH = dg.AssetCheckSpec(
    "sums_match_the_purchases",
    asset=SALES_BY_LOT.name,
    description="In each batch, every cut has the number and the revenue of the batch's purchases in `tabela_compras`.",
)
EVERY_CUSTOMER_HAS_A_BAND = dg.AssetCheckSpec(
    "every_customer_is_in_one_band",
    asset=CUSTOMERS_BY_AGE_BAND.name,
    description="All bands together have as many customers as the purchases in `tabela_compras`, unless that has been "
    "written since.",
)


def mart_checks() -> list[dg.AssetCheckSpec]:
    """Return the checks of the marts."""
    return [*map(_spec, _SUMMED), EVERY_CUSTOMER_HAS_A_BAND]


def evaluate_mart_checks(
    totals: SalesTotals, selected: Iterable[dg.AssetCheckKey]
) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the selected checks of the marts."""
    keys = set(selected)
    marts = [mart for mart in _SUMMED if _spec(mart).key in keys]
    found = totals.of_tables(table for mart in marts for table in (mart.table, mart.source))
    for mart in marts:
        yield _sums_agree(mart, found[mart.table.name], found[mart.source.name], totals)
    if EVERY_CUSTOMER_HAS_A_BAND.key in keys:
        yield _every_customer_has_a_band(totals)


def sums_match_the_purchases(totals: SalesTotals, lots: Sequence[str] | None) -> dg.AssetCheckResult:
    """Compare the aggregates of batches with their purchases."""
    found = totals.of_lots(lots)
    purchases, revenue = sum(lot.purchases for lot in found), sum(lot.revenue for lot in found)
    different = [lot.lote for lot in found if not lot.agrees]
    summary = f"{quantity(len(found), 'batch')}: {quantity(purchases, 'purchase')}, R$ {revenue:,.2f}."
    if different:
        summary += f" Different sums: {', '.join(different)}. Materialize sales_by_lot for them again."
    return dg.AssetCheckResult(
        passed=not different,
        asset_key=SALES_BY_LOT.name,
        check_name=SUMS_MATCH.name,
        description=summary,
        metadata={
            "batches": len(found),
            "batches_that_differ": len(different),
            "purchases": purchases,
            "revenue": float(revenue),
        },
    )


def _spec(mart: Mart) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        _SUMS_AGREE,
        asset=mart.table.name,
        description=f"All rows together have as many purchases and as much revenue as `{mart.source.name}`, "
        "unless that has been written since.",
    )


def _sums_agree(
    mart: Mart, found: set[Totals], expected: set[Totals], totals: SalesTotals
) -> dg.AssetCheckResult:
    agree = len(found | expected) <= 1  # an empty source has no totals
    superseded = not agree and totals.is_superseded(mart.table, mart.source)
    has, should_have = (max(each, default=_NOTHING) for each in (found, expected))
    summary = f"{quantity(has.purchases, 'purchase')}, R$ {has.revenue:,.2f}."
    if not agree:
        summary += f" {mart.source.name}: {quantity(should_have.purchases, 'purchase')}, "
        summary += f"R$ {should_have.revenue:,.2f}. "
        summary += (
            "It has been written since: the next update follows." if superseded else "Materialize it again."
        )
    return dg.AssetCheckResult(
        passed=agree or superseded,
        asset_key=mart.table.name,
        check_name=_SUMS_AGREE,
        description=summary,
        metadata={
            "purchases": int(has.purchases),
            "purchases_missing": int(should_have.purchases - has.purchases),
            "revenue": float(has.revenue),
            "revenue_missing": float(should_have.revenue - has.revenue),
        },
    )


def _every_customer_has_a_band(totals: SalesTotals) -> dg.AssetCheckResult:
    counted, there = totals.customers_in_bands(), totals.customers()
    return dg.AssetCheckResult(
        passed=counted == there or totals.is_superseded(CUSTOMERS_BY_AGE_BAND, TABELA_COMPRAS),
        asset_key=CUSTOMERS_BY_AGE_BAND.name,
        check_name=EVERY_CUSTOMER_HAS_A_BAND.name,
        description=f"{counted:,} customers in the bands, {there:,} among the purchases.",
        metadata={"customers": counted, "customers_missing": there - counted},
    )
