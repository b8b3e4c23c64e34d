"""Statements about the loaded lots that are true, or somebody must look. Each asks PostgreSQL, for the run's lots."""

from collections.abc import Sequence

import dagster as dg

from purchase_pipeline.lot_ledger import LotLedger
from purchase_pipeline.lots import lotes
from purchase_pipeline.settings import current_settings
from purchase_pipeline.tables import TABELA_COMPRAS


def _lots(context: dg.AssetCheckExecutionContext) -> Sequence[str] | None:
    """Return the run's lots, or None: a check started by itself looks at them all."""
    if context.has_partition_key:
        return [context.partition_key]
    if context.has_partition_key_range:
        return lotes.get_partition_keys_in_range(context.partition_key_range)
    return None


@dg.asset_check(asset=TABELA_COMPRAS.name)
def every_row_is_accounted_for(
    context: dg.AssetCheckExecutionContext, lot_ledger: dg.ResourceParam[LotLedger]
) -> dg.AssetCheckResult:
    """Every row received was either loaded or rejected: received = loaded + rejected, lot by lot."""
    lots = lot_ledger.counted_lots(_lots(context)).values()
    lost = [lot.lote for lot in lots if not lot.conserved]
    return dg.AssetCheckResult(
        passed=bool(lots) and not lost,
        metadata={
            "received": sum(lot.received for lot in lots),
            "loaded": sum(lot.loaded for lot in lots),
            "rejected": sum(lot.rejected for lot in lots),
            "lots_that_do_not_add_up": lost,
        },
    )


@dg.asset_check(asset=TABELA_COMPRAS.name)
def linhas_are_gap_free(
    context: dg.AssetCheckExecutionContext, lot_ledger: dg.ResourceParam[LotLedger]
) -> dg.AssetCheckResult:
    """Over both tables, a lot's positions are 1, 2, 3, ... without a gap or a double."""
    found = lot_ledger.gaps_and_doubles(_lots(context))
    return dg.AssetCheckResult(
        passed=not found,
        metadata={
            "lots_with_gaps_or_doubles": [
                f"{lote}: {gaps} gaps, {twice} doubles" for lote, gaps, twice in found
            ]
        },
    )


@dg.asset_check(asset=TABELA_COMPRAS.name)
def tables_match_the_contract(lot_ledger: dg.ResourceParam[LotLedger]) -> dg.AssetCheckResult:
    """The tables have the columns, types and NOT NULLs that the contract says."""
    differences = lot_ledger.differences_from_contract()
    return dg.AssetCheckResult(passed=not differences, metadata={"differences": differences})


@dg.asset_check(asset="compras_rejeitadas")
def rejected_share_is_small(
    context: dg.AssetCheckExecutionContext, lot_ledger: dg.ResourceParam[LotLedger]
) -> dg.AssetCheckResult:
    """The share of rejected rows is below half of what would fail the lot: an early warning."""
    lots = lot_ledger.counted_lots(_lots(context)).values()
    received, rejected = sum(lot.received for lot in lots), sum(lot.rejected for lot in lots)
    warn_at = current_settings().max_rejected_ratio / 2
    share = rejected / received if received else 0.0
    return dg.AssetCheckResult(
        passed=share < warn_at,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"rejected": rejected, "received": received, "share": share, "warn_at": warn_at},
    )
