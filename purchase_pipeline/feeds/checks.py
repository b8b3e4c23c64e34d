"""Statements about the loaded lots that are true, or somebody must look.

Each asks PostgreSQL, for the run's lots. One step makes them all: of four, each would cost a run as much as its query.
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
"""The lots that are looked at; None: all."""


def every_row_is_loaded_or_rejected(ledger: LotLedger, lots: _Lots) -> dg.AssetCheckResult:
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
        metadata={**rows._asdict(), **_if_any("unbalanced_lots", lost)},
    )


def linhas_are_gap_free(ledger: LotLedger, lots: _Lots) -> dg.AssetCheckResult:
    """Over both tables, a lot's positions are 1, 2, 3, ... without a gap or a double."""
    found = [
        f"{lote}: {gaps} gaps, {twice} doubles" for lote, gaps, twice in ledger.gaps_and_duplicates(lots)
    ]
    return dg.AssetCheckResult(
        passed=not found,
        description="; ".join(map(in_markdown, found)) or "No gap and no double.",
        metadata=_if_any("lots_with_gaps_or_duplicates", found),
    )


def tables_match_the_contract(ledger: LotLedger, lots: _Lots) -> dg.AssetCheckResult:  # noqa: ARG001
    """The tables have the columns, types and NOT NULLs that the contract says."""
    differences = ledger.differences_from_contract()
    return dg.AssetCheckResult(
        passed=not differences,
        description="; ".join(map(in_markdown, differences)) or "No difference.",
        metadata=_if_any("differences", differences),
    )


def rejected_rate_is_low(ledger: LotLedger, lots: _Lots, max_rejected_ratio: float) -> dg.AssetCheckResult:
    """The share of rejected rows is below half of what would fail the lot: an early warning."""
    received, _, rejected = totals(ledger.loaded_lots(lots).values())
    warn_at = max_rejected_ratio / 2
    share = rejected / received if received else 0.0
    return dg.AssetCheckResult(
        passed=share < warn_at,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{rejected:,} of {received:,} rows, {share:.2%}, are rejected; {warn_at:.2%} would be a warning.",
        metadata={"rejected": rejected, "received": received, "share": share, "warn_at": warn_at},
    )


def loaded_lots(settings: Settings, lotes: dg.PartitionsDefinition[str]) -> dg.AssetChecksDefinition:
    """Return the checks of both tables, as one step."""
    small = partial(rejected_rate_is_low, max_rejected_ratio=settings.max_rejected_ratio)
    checks: list[tuple[dg.AssetCheckSpec, Callable[[LotLedger, _Lots], dg.AssetCheckResult]]] = [
        (_spec(every_row_is_loaded_or_rejected, TABELA_COMPRAS), every_row_is_loaded_or_rejected),
        (_spec(linhas_are_gap_free, TABELA_COMPRAS), linhas_are_gap_free),
        (_spec(tables_match_the_contract, TABELA_COMPRAS), tables_match_the_contract),
        (_spec(rejected_rate_is_low, COMPRAS_REJEITADAS), small),
    ]

    @dg.multi_asset_check(name="loaded_lots", specs=[spec for spec, _ in checks], can_subset=True)
    def make_checks(
        context: dg.AssetCheckExecutionContext, lot_ledger: dg.ResourceParam[LotLedger]
    ) -> Iterator[dg.AssetCheckResult]:
        """Make the checks that are asked for."""
        lots = _lots(context, lotes)
        for spec, check in checks:
            if spec.key in context.selected_asset_check_keys:
                yield check(lot_ledger, lots)._replace(asset_key=spec.asset_key, check_name=spec.name)

    return make_checks


def _spec(check: Callable[..., dg.AssetCheckResult], table: sa.Table) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(check.__name__, asset=table.name, description=check.__doc__)


def _if_any(name: str, found: Sequence[str]) -> dict[str, RawMetadataValue]:
    return {name: list(found)} if found else {}


def _lots(context: dg.AssetCheckExecutionContext, lotes: dg.PartitionsDefinition[str]) -> _Lots:
    """Return the run's lots, or None: a check started by itself looks at them all."""
    if context.has_partition_key:
        return [context.partition_key]
    if context.has_partition_key_range:
        return lotes.get_partition_keys_in_range(context.partition_key_range)
    return None
