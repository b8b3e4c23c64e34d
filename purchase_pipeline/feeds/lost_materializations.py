"""Loaded lots that Dagster's catalog has lost, as events that tell it again.

The UI's Wipe button takes an asset's materializations away, and whoever deletes a run deletes those that it reported.
The ledger has the lots all the same: what the catalog lacks of it is put back.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple

import dagster as dg

from purchase_pipeline.feeds.backlog import LOADED_ASSETS, Backlog
from purchase_pipeline.ingest.ledger import LotCount
from purchase_pipeline.ingest.tables import COMPRAS_REJEITADAS, TABELA_COMPRAS
from purchase_pipeline.stack.dagster_internals import DATA_VERSION_TAG

# A look at 100,000 lots takes the database 4 s, so it comes once in ten minutes there; at 10,000, once a minute.
_BETWEEN_LOOKS = timedelta(seconds=20)
_BETWEEN_LOOKS_A_LOT = timedelta(milliseconds=6)
# The daemon writes each event through connections of its own, in 20 to 100 ms, and asks for no lot meanwhile.
_MOST_EVENTS_A_TICK = 30
_DESCRIPTION = (
    "Loaded earlier. Dagster had lost the materialization (wiped, or its run deleted); the ledger had it."
)


class Look(NamedTuple):
    """What a look at the catalog found to report, and when the next one is due, as text."""

    lost: list[dg.AssetMaterialization]
    next_look: str


def look_for_lost(
    backlog: Backlog,
    loaded: Collection[str],
    instance: dg.DagsterInstance,
    *,
    due: str | None,
    now: datetime,
) -> Look:
    """Compare the loaded lots with the catalog, where that is due by now.

    `loaded` were loaded, and no run for them was in progress, before this is called: a run reports its lots after their
    commit.
    """
    wait = max(_BETWEEN_LOOKS, len(backlog.lots) * _BETWEEN_LOOKS_A_LOT)
    if due and now < datetime.fromisoformat(due) <= now + wait:  # further ahead: the clock was set back
        return Look([], due)
    lost = _lost_materializations(backlog, loaded, instance)
    return Look(lost, (now if len(lost) == _MOST_EVENTS_A_TICK else now + wait).isoformat())


def _lost_materializations(
    backlog: Backlog, loaded: Collection[str], instance: dg.DagsterInstance
) -> list[dg.AssetMaterialization]:
    """Return what to report of the loaded lots that the catalog lacks; of many, the first."""
    lost = sorted(
        (lote, asset.to_user_string())
        for asset in LOADED_ASSETS
        for lote in set(loaded) - instance.get_materialized_partitions(asset)
    )[:_MOST_EVENTS_A_TICK]
    lots = backlog.loaded_among(sorted({lote for lote, _ in lost})) if lost else {}
    return [_materialization(asset, lots[lote]) for lote, asset in lost if lote in lots]


def _materialization(asset: str, lot: LotCount) -> dg.AssetMaterialization:
    rows = {TABELA_COMPRAS.name: lot.loaded, COMPRAS_REJEITADAS.name: lot.rejected}
    return dg.AssetMaterialization(
        asset,
        description=_DESCRIPTION,
        partition=lot.lote,
        metadata={
            "dagster/partition_row_count": rows.get(asset, lot.received),
            "rows_received": lot.received,
            "rows_rejected": lot.rejected,
            "committed_at": dg.MetadataValue.timestamp(lot.committed_at),
            "loaded_by": dg.MetadataValue.dagster_run(lot.run_id),
        },
        # The raw lot's version is its digest; a table's is Dagster's to derive.
        tags={} if asset in rows else {DATA_VERSION_TAG: lot.digest},
    )
