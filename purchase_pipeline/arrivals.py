"""Lots as they arrive: each is told of once, in the order of the commits."""

from collections.abc import Iterator, KeysView, Mapping

from purchase_pipeline.campaign import Campaign
from purchase_pipeline.lot_ledger import LotCount


class Arrivals:
    """The wanted lots that are still missing, and each that is not any more.

    A look asks for what may have been committed since the newest commit it knows: it costs the same, however many lots
    are known already.
    """

    def __init__(self, campaign: Campaign, known: Mapping[str, LotCount]) -> None:
        self._campaign = campaign
        self._missing = dict.fromkeys(lote for lote in campaign.lots if lote not in known)
        self._newest = max((lot.committed_at for lot in known.values()), default=None)

    @property
    def missing(self) -> KeysView[str]:
        """The lots that have not arrived, in the campaign's order."""
        return self._missing.keys()

    @property
    def arrived(self) -> int:
        """How many lots have, with those that were known at first."""
        return len(self._campaign.lots) - len(self._missing)

    def look(self) -> Iterator[LotCount]:
        """Yield the lots that have arrived; one that is not taken is yielded by the next look."""
        for lot in self._campaign.loaded_since(self._newest):
            if lot.lote in self._missing:
                del self._missing[lot.lote]
                self._newest = lot.committed_at
                yield lot
