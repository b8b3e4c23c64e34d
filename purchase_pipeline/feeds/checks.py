"""Asset checks of the loaded partitions, evaluated in PostgreSQL.

One step evaluates all four: a step of its own would cost each check more than its query.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.feeds.declaration import FeedDeclaration
from purchase_pipeline.ingest.ledger import Ledger, totals
from purchase_pipeline.ingest.printable import quantity
from purchase_pipeline.postgres.dagster_internals import RawMetadataValue
from purchase_pipeline.postgres.failures import expected_failures
from purchase_pipeline.postgres.markdown import in_markdown

_Keys = Sequence[str] | None
"""The partitions to check; None means all."""


def every_row_is_loaded_or_rejected(ledger: Ledger, keys: _Keys) -> dg.AssetCheckResult:
    """In every partition, rows received = rows loaded + rows rejected."""
    counts = ledger.counted(keys).values()
    lost = [one.key for one in counts if not one.balanced]
    rows = totals(counts)
    summary = f"{quantity(len(counts), 'batch')}: {rows.received:,} rows received, "
    summary += f"{rows.loaded:,} loaded + {rows.rejected:,} rejected."
    if lost:
        summary += f" Not balanced: {', '.join(map(in_markdown, lost))}."
    return dg.AssetCheckResult(
        passed=bool(counts) and not lost,
        description=summary,
        metadata={
            "partitions": len(counts),
            "unbalanced": len(lost),
            **rows._asdict(),
            **_if_any("unbalanced_partitions", lost),
        },
    )


def row_numbers_are_gap_free(ledger: Ledger, keys: _Keys) -> dg.AssetCheckResult:
    """In every partition, the row numbers of both tables together are 1, 2, 3, ...: no gaps or duplicates."""
    wrong = ledger.gaps_and_duplicates(keys)
    found = [f"{key}: gaps={gaps}, duplicates={duplicates}" for key, gaps, duplicates in wrong]
    return dg.AssetCheckResult(
        passed=not found,
        description="; ".join(map(in_markdown, found)) or "No gaps or duplicates.",
        metadata={
            "gaps": sum(gaps for _, gaps, _ in wrong),
            "duplicates": sum(duplicates for _, _, duplicates in wrong),
            **_if_any("partitions_with_gaps_or_duplicates", found),
        },
    )


def tables_match_the_contract(ledger: Ledger, keys: _Keys) -> dg.AssetCheckResult:  # noqa: ARG001
    """The columns of both tables have the names, types and NOT NULLs of the contract."""
    differences = ledger.differences_from_contract()
    return dg.AssetCheckResult(
        passed=not differences,
        description="; ".join(map(in_markdown, differences)) or "No differences.",
        metadata={"columns_that_differ": len(differences), **_if_any("differences", differences)},
    )


def rejected_rate_is_low(ledger: Ledger, keys: _Keys, max_rejected_ratio: float) -> dg.AssetCheckResult:
    """The ratio of rejected rows is below half of `max_rejected_ratio`, which would fail the partition."""
    received, _, rejected = totals(ledger.loaded(keys).values())
    warn_at = max_rejected_ratio / 2
    rate = rejected / received if received else 0.0
    return dg.AssetCheckResult(
        passed=rate < warn_at,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{rejected:,} of {received:,} rows rejected ({rate:.2%}); the check warns at {warn_at:.2%}.",
        metadata={"rejected": rejected, "received": received, "rejected_rate": rate, "warn_at": warn_at},
    )


def table_checks(feed: FeedDeclaration) -> dg.AssetChecksDefinition:
    """Return the checks of both tables as one step."""
    accepted, rejected = feed.tables.both
    no_gaps = f"{feed.tables.row_number}s_are_gap_free"
    low = partial(rejected_rate_is_low, max_rejected_ratio=feed.max_rejected_ratio)
    checks: list[tuple[dg.AssetCheckSpec, Callable[[Ledger, _Keys], dg.AssetCheckResult]]] = [
        (_spec(every_row_is_loaded_or_rejected, accepted), every_row_is_loaded_or_rejected),
        # Rows that are upserted or inserted may be those of another partition by now.
        *(
            []
            if feed.write.merges
            else [(_spec(row_numbers_are_gap_free, accepted, no_gaps), row_numbers_are_gap_free)]
        ),
        (_spec(tables_match_the_contract, accepted), tables_match_the_contract),
        (_spec(rejected_rate_is_low, rejected), low),
    ]

    @dg.multi_asset_check(
        name=f"loaded_{feed.name}",
        specs=[spec for spec, _ in checks],
        can_subset=True,
        required_resource_keys={feed.ledger_key},
    )
    def evaluate(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        """Evaluate the selected checks."""
        keys, ledger = _keys(context, feed.partitions), getattr(context.resources, feed.ledger_key)
        with expected_failures():
            for spec, check in checks:
                if spec.key in context.selected_asset_check_keys:
                    yield check(ledger, keys)._replace(asset_key=spec.asset_key, check_name=spec.name)

    return evaluate


def _spec(
    check: Callable[..., dg.AssetCheckResult], table: sa.Table, name: str | None = None
) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(name or check.__name__, asset=table.name, description=check.__doc__)


def _if_any(name: str, found: Sequence[str]) -> dict[str, RawMetadataValue]:
    return {name: list(found)} if found else {}


def _keys(context: dg.AssetCheckExecutionContext, partitions: dg.PartitionsDefinition[str] | None) -> _Keys:
    """Return the run's partitions; None for a check that is run by itself, which covers all."""
    if context.has_partition_key:
        return [context.partition_key]
    if partitions is not None and context.has_partition_key_range:
        return partitions.get_partition_keys_in_range(context.partition_key_range)
    return None
