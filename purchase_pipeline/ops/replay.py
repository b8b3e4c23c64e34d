"""Revalidate landed batches after the contract has changed, and reload those that differ."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console

from purchase_pipeline.feeds.backlog import Backlog
from purchase_pipeline.ingest.landing.store import Landing, landing_at
from purchase_pipeline.ingest.ledger import LotCount
from purchase_pipeline.ingest.reconciliation import Verifier
from purchase_pipeline.ingest.tables import COMPRAS_REJEITADAS, TABELA_COMPRAS
from purchase_pipeline.ops.console import print_failure
from purchase_pipeline.ops.pipeline import Pipeline
from purchase_pipeline.ops.runs import StartRun, lot_runs
from purchase_pipeline.settings import Settings


def run_replay(settings: Settings, lots: Sequence[str], console: Console, *, dry_run: bool) -> bool:
    """Reload, from their landed files, the batches whose rows now validate differently; return whether all went well.

    The API is not called. Batches that have not landed are skipped; one that failed with too many rejects is retried.
    """
    landing = landing_at(settings.landing_location)
    with Pipeline.open(settings) as pipeline:
        with console.status("Validating landed batches against the current contract ..."):
            changed = _validated_differently(Verifier(pipeline.engine, landing), landing, lots)
        if not changed:
            console.print("All batches match the current contract; nothing to do.")
        elif dry_run:
            console.print(f"Would reload: {', '.join(changed)}", soft_wrap=True, highlight=False)
        else:
            with lot_runs(pipeline, [TABELA_COMPRAS.name, COMPRAS_REJEITADAS.name]) as run:
                return _replay(changed, run, pipeline.backlog, console)
    return True


def _validated_differently(verifier: Verifier, landing: Landing, lots: Sequence[str]) -> list[str]:
    loaded = set(verifier.lots())
    landed = filter(None, map(landing.find, lots))
    return [
        lot.partition
        for lot in landed
        if lot.partition not in loaded or not verifier.is_stored_as_validated(lot)
    ]


def _replay(lots: Sequence[str], run: StartRun, backlog: Backlog, console: Console) -> bool:
    succeeded = True
    for lote in lots:
        begun, before = datetime.now(UTC), backlog.loaded_lot(lote)
        if run([lote]).result():
            after = backlog.loaded_lot(lote)
            console.print(f"[green]✓[/] {lote}  {_shown(before)}, now {_shown(after)}", highlight=False)
        for record in backlog.failures(begun):
            succeeded = False
            print_failure(console, backlog.explain(record.dagster_run), "the rows loaded before are kept")
    return succeeded


def _shown(lot: LotCount | None) -> str:
    return "not loaded" if lot is None else f"{lot.loaded:,} loaded + {lot.rejected:,} rejected"
