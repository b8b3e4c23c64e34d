"""The sales assets: aggregates of each batch, the marts and the report."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGDialect

from purchase_pipeline.feeds.links import page
from purchase_pipeline.feeds.specs import table_spec
from purchase_pipeline.ingest.ledger import Ledger
from purchase_pipeline.postgres.failures import expected_failures
from purchase_pipeline.purchases import DATABASE_POOL, OWNERS, TABELA_COMPRAS, TAGS
from purchase_pipeline.sales import tables
from purchase_pipeline.sales.automation import GROUP, when_batch_loaded, when_updated
from purchase_pipeline.sales.checks import (
    SUMS_MATCH,
    evaluate_mart_checks,
    mart_checks,
    sums_match_the_purchases,
)
from purchase_pipeline.sales.descriptions import REPORT_DESCRIPTION, figures, table_description
from purchase_pipeline.sales.lineage import column_lineage
from purchase_pipeline.sales.marts import MARTS, Mart
from purchase_pipeline.sales.queries import sums_of_lots
from purchase_pipeline.sales.report.file import ReportFile
from purchase_pipeline.sales.totals import SalesTotals
from purchase_pipeline.settings import REPORT_PATH

_Result = dg.MaterializeResult[sa.SelectBase] | dg.AssetCheckResult
_POSTGRES = PGDialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
_DOCUMENTATION = "docs/sales.md"
_PURCHASES = dg.AssetKey(TABELA_COMPRAS.name)
_SUMS = dg.AssetKey(tables.SALES_BY_LOT.name)
# These runs need only the database, so a failure is probably transient.
_RETRIES = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL)


def _query_metadata(query: sa.SelectBase) -> dict[str, Any]:
    """Return the metadata of a query: its SQL and its column lineage."""
    text = query.compile(dialect=_POSTGRES, compile_kwargs={"literal_binds": True})
    return {
        "sql": dg.MetadataValue.md(f"```sql\n{text}\n```"),
        "dagster/column_lineage": column_lineage(query),
    }


def _spec(table: sa.Table, **more: Any) -> dg.AssetSpec:  # noqa: ANN401  (AssetSpec's types)
    kinds = {"postgres", "sql"}
    description, links = table_description(table, more["deps"]), page(_DOCUMENTATION)
    spec = table_spec(
        table, description, links, group_name=GROUP, kinds=kinds, owners=OWNERS, tags=TAGS, **more
    )
    return spec.with_io_manager_key("io_manager")


def sums(lotes: dg.PartitionsDefinition[str] | None) -> dg.AssetsDefinition:
    """Return the asset of the aggregates, partitioned by batch (lote)."""

    @dg.multi_asset(
        name="sums",
        specs=[
            _spec(
                tables.SALES_BY_LOT, deps=[_PURCHASES], automation_condition=when_batch_loaded()
            ).merge_attributes(metadata={"partition_expr": "lote"})
        ],
        check_specs=[SUMS_MATCH],
        partitions_def=lotes,
        pool=DATABASE_POOL,
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=_RETRIES,
    )
    def asset(
        context: dg.AssetExecutionContext, sales_totals: dg.ResourceParam[SalesTotals]
    ) -> Iterator[_Result]:
        """Aggregate the batches of the run in one statement, and check the sums."""
        of_some_lots = context.has_partition_key or context.has_partition_key_range
        lots = list(context.partition_keys) if of_some_lots else None
        if context.selected_asset_keys:
            query = sums_of_lots(lots or [])
            yield dg.MaterializeResult(value=query, metadata=_query_metadata(query))
        if context.selected_asset_check_keys:
            with expected_failures():
                yield sums_match_the_purchases(sales_totals, lots)

    return asset


def _mart_spec(mart: Mart) -> dg.AssetSpec:
    """Return the spec of a mart. It depends on the aggregates, so that all marts are updated in one run."""
    sources = {_SUMS, dg.AssetKey(mart.source.name)}
    return _spec(mart.table, deps=sources, automation_condition=when_updated(*sources - {_SUMS}))


@dg.multi_asset(
    specs=[_mart_spec(mart) for mart in MARTS],
    check_specs=mart_checks(),
    pool=DATABASE_POOL,
    can_subset=True,
    retry_policy=_RETRIES,
)
def sales_marts(
    context: dg.AssetExecutionContext, sales_totals: dg.ResourceParam[SalesTotals]
) -> Iterator[_Result]:
    """Update the selected marts, each in one statement and one transaction, and check their sums."""
    for mart in MARTS:
        key = dg.AssetKey(mart.table.name)
        if key in context.selected_asset_keys:
            query = mart.query()
            yield dg.MaterializeResult(asset_key=key, value=query, metadata=_query_metadata(query))
    with expected_failures():
        yield from evaluate_mart_checks(sales_totals, context.selected_asset_check_keys)


@dg.asset(
    deps=[mart.table.name for mart in MARTS],
    automation_condition=when_updated(),
    pool=DATABASE_POOL,
    retry_policy=_RETRIES,
    group_name=GROUP,
    owners=OWNERS,
    tags=TAGS,
    kinds={"html", "file"},
    description=REPORT_DESCRIPTION,
    metadata=page(_DOCUMENTATION),
)
def sales_report(
    report_file: dg.ResourceParam[ReportFile],
    sales_totals: dg.ResourceParam[SalesTotals],
    purchases_ledger: dg.ResourceParam[Ledger],
) -> dg.MaterializeResult[None]:
    """Write the report, and show its main figures."""
    with expected_failures():
        size, shown = report_file.write(), figures(sales_totals, purchases_ledger)
    links = {"report": dg.MetadataValue.url(REPORT_PATH), "file": dg.MetadataValue.path(report_file.path)}
    return dg.MaterializeResult(metadata={**links, **shown, "bytes": size})
