"""Increments: the loads of a feed without partitions whose rows are added to its table. Each is a batch of its own.

An increment lands under the moment of its request, so that its rows, its rejects and its file are kept next to those of
others. One that has landed is loaded before the next is requested.
"""

from datetime import UTC, datetime

from purchase_pipeline.ingest.landing.manifest import LandedPartition
from purchase_pipeline.ingest.landing.store import Landing
from purchase_pipeline.ingest.ledger import Ledger


def new_increment() -> str:
    """Return the key of an increment requested now; keys sort by time."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S-%f}"[:-3] + "Z"


def pending_increment(landing: Landing, ledger: Ledger) -> LandedPartition | None:
    """Return the increment that has landed but is not loaded, unless it had too many rejected rows."""
    landed = landing.newest()
    if landed is None or landed.refused or not landing.is_whole(landed):
        return None
    return None if ledger.has_entry(landed.partition, landed.digest) else landed
