"""Asset checks of the loaded batches, evaluated in PostgreSQL.

One step evaluates all four: a step of its own would cost each check more than its query.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.ingest.ledger import LotLedger, totals
from purchase_pipeline.ingest.tables import COMPRAS_REJEITADAS, TABELA_COMPRAS
from purchase_pipeline.postgres.dagster_internals import RawMetadataValue
from purchase_pipeline.postgres.markdown import in_markdown
from purchase_pipeline.settings import Settings

_Lots = Sequence[str] | None
"""The batches to check; None means all."""


def every_row_is_loaded_or_rejected(ledger: LotLedger, lots: _Lots) -> dg.AssetCheckResult:
    """In every batch, rows received = rows loaded + rows rejected."""
    counts = ledger.counted_lots(lots).values()
    lost = [lot.lote for lot in counts if not lot.conserved]
    rows = totals(counts)
    summary = f"{len(counts)} batch{'' if len(counts) == 1 else 'es'}: {rows.received:,} rows received, "
    summary += f"{rows.loaded:,} loaded + {rows.rejected:,} rejected."
    if lost:
        summary += f" Not balanced: {', '.join(map(in_markdown, lost))}."
    return dg.AssetCheckResult(
        passed=bool(counts) and not lost,
        description=summary,
        metadata={**rows._asdict(), **_if_any("unbalanced_lots", lost)},
    )


def linhas_are_gap_free(ledger: LotLedger, lots: _Lots) -> dg.AssetCheckResult:
    """In every batch, the row numbers of both tables together are 1, 2, 3, ...: no gaps or duplicates."""
    found = [
        f"{lote}: gaps={gaps}, duplicates={duplicates}"
        for lote, gaps, duplicates in ledger.gaps_and_duplicates(lots)
    ]
    return dg.AssetCheckResult(
        passed=not found,
        description="; ".join(map(in_markdown, found)) or "No gaps or duplicates.",
        metadata=_if_any("lots_with_gaps_or_duplicates", found),
    )


def tables_match_the_contract(ledger: LotLedger, lots: _Lots) -> dg.AssetCheckResult:  # noqa: ARG001
    """The columns of both tables have the names, types and NOT NULLs of the contract."""
    differences = ledger.differences_from_contract()
    return dg.AssetCheckResult(
        passed=not differences,
        description="; ".join(map(in_markdown, differences)) or "No differences.",
        metadata=_if_any("differences", differences),
    )


def rejected_rate_is_low(ledger: LotLedger, lots: _Lots, max_rejected_ratio: float) -> dg.AssetCheckResult:
    """The ratio of rejected rows is below half of `max_rejected_ratio`, which would fail the batch."""
    received, _, rejected = totals(ledger.loaded_lots(lots).values())
    warn_at = max_rejected_ratio / 2
    rate = rejected / received if received else 0.0
    return dg.AssetCheckResult(
        passed=rate < warn_at,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{rejected:,} of {received:,} rows rejected ({rate:.2%}); the check warns at {warn_at:.2%}.",
        metadata={"rejected": rejected, "received": received, "rejected_rate": rate, "warn_at": warn_at},
    )


def loaded_lots(settings: Settings, lotes: dg.PartitionsDefinition[str]) -> dg.AssetChecksDefinition:
    """Return the checks of both tables as one step."""
    low = partial(rejected_rate_is_low, max_rejected_ratio=settings.max_rejected_ratio)
    checks: list[tuple[dg.AssetCheckSpec, Callable[[LotLedger, _Lots], dg.AssetCheckResult]]] = [
        (_spec(every_row_is_loaded_or_rejected, TABELA_COMPRAS), every_row_is_loaded_or_rejected),
        (_spec(linhas_are_gap_free, TABELA_COMPRAS), linhas_are_gap_free),
        (_spec(tables_match_the_contract, TABELA_COMPRAS), tables_match_the_contract),
        (_spec(rejected_rate_is_low, COMPRAS_REJEITADAS), low),
    ]

    @dg.multi_asset_check(name="loaded_lots", specs=[spec for spec, _ in checks], can_subset=True)
    def evaluate(
        context: dg.AssetCheckExecutionContext, lot_ledger: dg.ResourceParam[LotLedger]
    ) -> Iterator[dg.AssetCheckResult]:
        """Evaluate the selected checks."""
        lots = _lots(context, lotes)
        for spec, check in checks:
            if spec.key in context.selected_asset_check_keys:
                yield check(lot_ledger, lots)._replace(asset_key=spec.asset_key, check_name=spec.name)

    return evaluate


def _spec(check: Callable[..., dg.AssetCheckResult], table: sa.Table) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(check.__name__, asset=table.name, description=check.__doc__)


def _if_any(name: str, found: Sequence[str]) -> dict[str, RawMetadataValue]:
    return {name: list(found)} if found else {}


def _lots(context: dg.AssetCheckExecutionContext, lotes: dg.PartitionsDefinition[str]) -> _Lots:
    """Return the run's batches; None for a check that is run by itself, which covers all."""
    if context.has_partition_key:
        return [context.partition_key]
    if context.has_partition_key_range:
        return lotes.get_partition_keys_in_range(context.partition_key_range)
    return None
