"""A landed lot as slices of both tables: the accepted rows of one, the rejected rows of the other."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa

from purchase_pipeline.ingest.landing.manifest import LandedLote
from purchase_pipeline.ingest.landing.store import Landing
from purchase_pipeline.ingest.ledger import first_seen
from purchase_pipeline.ingest.tables import COMPRAS_REJEITADAS, TABELA_COMPRAS
from purchase_pipeline.ingest.validation import LoteValidation, TooManyRejectsError
from purchase_pipeline.postgres import RowStream, Together
from purchase_pipeline.postgres.frames.rows import Row


class LandedSlices:
    """One lot on its way into both tables; each row is validated once, as the first table asks for it."""

    def __init__(
        self,
        landed: LandedLote,
        landing: Landing,
        *,
        max_rejected_ratio: float,
        run_id: str,
    ) -> None:
        self.landed = landed
        self._landing = landing
        self._run_id = run_id
        self._judged_at = datetime.now(UTC)
        self.validation = LoteValidation(
            landed.lote,
            received=landed.rows,
            max_rejected_ratio=max_rejected_ratio,
            today=landed.received_on,
        )

    @property
    def lote(self) -> str:
        """The lot's name."""
        return self.landed.lote

    def slices(self) -> Together:
        """Return both slices, to be replaced in one transaction.

        Raises:
            TooManyRejectsError: while they are read; the landed lot is noted as refused.
            DamagedFileError, DamagedLotError, LandedAgainError: while they are read.
        """
        return Together(
            _stream(TABELA_COMPRAS, self._accepted()),
            {COMPRAS_REJEITADAS.name: self._rejected},
        )

    def _accepted(self) -> Iterator[Sequence[Row]]:
        with self._landing.open_rows(self.landed) as raw_rows:
            try:
                yield from self.validation.accepted(raw_rows)
                # The first rows are read before the slice is locked, and the last ones never: see there.
                self._landing.require_newest(self.landed)
            except TooManyRejectsError:
                deque(raw_rows, maxlen=0)  # to its end, where a file that was changed is found out
                self._landing.refuse(self.landed)
                raise

    def _rejected(self, connection: sa.Connection) -> RowStream:
        lote, rejected = self.lote, self.validation.rejected
        known = first_seen(connection, lote) if rejected else {}
        rows = [
            (lote, *row, known.get((row.linha, row.original_sha256), self._judged_at), self._run_id)
            for row in rejected
        ]
        return _stream(COMPRAS_REJEITADAS, [rows])


def _stream(table: sa.Table, batches: Iterable[Sequence[Row]]) -> RowStream:
    columns = [column.name for column in table.columns if column.identity is None]
    return RowStream(columns, batches, table)
