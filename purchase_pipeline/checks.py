"""Statements about the loaded lots that are true, or somebody must look.

Each asks PostgreSQL, for the run's lots. One step makes them all: of four, each would cost a run as much as its query.
"""

from collections.abc import Callable, Iterator, Sequence

import dagster as dg
from dagster._core.definitions.metadata import RawMetadataValue

from purchase_pipeline.lot_ledger import LotLedger, totals
from purchase_pipeline.lots import lotes
from purchase_pipeline.postgres.markdown import in_markdown
from purchase_pipeline.settings import current_settings
from purchase_pipeline.tables import COMPRAS_REJEITADAS, TABELA_COMPRAS

_Lots = Sequence[str] | None
"""The lots that are looked at; None: all."""


def every_row_is_accounted_for(ledger: LotLedger, lots: _Lots) -> dg.AssetCheckResult:
    """Every row received was either loaded or rejected: received = loaded + rejected, lot by lot."""
    counts = ledger.counted_lots(lots).values()
    lost = [lot.lote for lot in counts if not lot.conserved]
    rows = totals(counts)
    said = f"{len(counts)} lot{'' if len(counts) == 1 else 's'}: {rows.received:,} rows received, "
    said += f"{rows.loaded:,} loaded + {rows.rejected:,} rejected."
    if lost:
        said += f" These do not add up: {', '.join(map(in_markdown, lost))}."
    return dg.AssetCheckResult(
        passed=bool(counts) and not lost,
        description=said,
        metadata={**rows._asdict(), **_if_any("lots_that_do_not_add_up", lost)},
    )


def linhas_are_gap_free(ledger: LotLedger, lots: _Lots) -> dg.AssetCheckResult:
    """Over both tables, a lot's positions are 1, 2, 3, ... without a gap or a double."""
    found = [f"{lote}: {gaps} gaps, {twice} doubles" for lote, gaps, twice in ledger.gaps_and_doubles(lots)]
    return dg.AssetCheckResult(
        passed=not found,
        description="; ".join(map(in_markdown, found)) or "No gap and no double.",
        metadata=_if_any("lots_with_gaps_or_doubles", found),
    )


def tables_match_the_contract(ledger: LotLedger, lots: _Lots) -> dg.AssetCheckResult:  # noqa: ARG001
    """The tables have the columns, types and NOT NULLs that the contract says."""
    differences = ledger.differences_from_contract()
    return dg.AssetCheckResult(
        passed=not differences,
        description="; ".join(map(in_markdown, differences)) or "No difference.",
        metadata=_if_any("differences", differences),
    )


def rejected_share_is_small(ledger: LotLedger, lots: _Lots) -> dg.AssetCheckResult:
    """The share of rejected rows is below half of what would fail the lot: an early warning."""
    received, _, rejected = totals(ledger.loaded_lots(lots).values())
    warn_at = current_settings().max_rejected_ratio / 2
    share = rejected / received if received else 0.0
    return dg.AssetCheckResult(
        passed=share < warn_at,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{rejected:,} of {received:,} rows, {share:.2%}, are rejected; {warn_at:.2%} would be a warning.",
        metadata={"rejected": rejected, "received": received, "share": share, "warn_at": warn_at},
    )


_ASSETS: dict[Callable[[LotLedger, _Lots], dg.AssetCheckResult], str] = {
    every_row_is_accounted_for: TABELA_COMPRAS.name,
    linhas_are_gap_free: TABELA_COMPRAS.name,
    tables_match_the_contract: TABELA_COMPRAS.name,
    rejected_share_is_small: COMPRAS_REJEITADAS.name,
}


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(check.__name__, asset=asset, description=check.__doc__)
        for check, asset in _ASSETS.items()
    ],
    can_subset=True,
)
def loaded_lots(
    context: dg.AssetCheckExecutionContext, lot_ledger: dg.ResourceParam[LotLedger]
) -> Iterator[dg.AssetCheckResult]:
    """Make the checks that are asked for."""
    lots = _lots(context)
    for check, asset in _ASSETS.items():
        key = dg.AssetCheckKey(dg.AssetKey(asset), check.__name__)
        if key in context.selected_asset_check_keys:
            yield check(lot_ledger, lots)._replace(asset_key=key.asset_key, check_name=key.name)


def _if_any(name: str, found: Sequence[str]) -> dict[str, RawMetadataValue]:
    return {name: list(found)} if found else {}


def _lots(context: dg.AssetCheckExecutionContext) -> _Lots:
    """Return the run's lots, or None: a check started by itself looks at them all."""
    if context.has_partition_key:
        return [context.partition_key]
    if context.has_partition_key_range:
        return lotes.get_partition_keys_in_range(context.partition_key_range)
    return None
