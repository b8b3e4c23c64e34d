"""A landed partition as slices of both tables: accepted rows and rejected rows."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from datetime import UTC, datetime

import sqlalchemy as sa

from purchase_pipeline.ingest.landing.manifest import LandedPartition
from purchase_pipeline.ingest.landing.store import Landing
from purchase_pipeline.ingest.ledger import first_seen
from purchase_pipeline.ingest.tables import FeedTables
from purchase_pipeline.ingest.validation import BATCH_ROWS, RowValidation, TooManyRejectsError
from purchase_pipeline.postgres import CopyText, RowStream, Together
from purchase_pipeline.postgres.frames.rows import Row

_Batch = Sequence[Row] | CopyText


class LandedSlices:
    """The slices of one partition. Each row is validated once, while the accepted rows are read."""

    def __init__(  # noqa: PLR0913  (one for each setting)
        self,
        landed: LandedPartition,
        landing: Landing,
        tables: FeedTables,
        *,
        max_rejected_ratio: float,
        min_rejected_rows: int = 0,
        run_id: str,
    ) -> None:
        self.landed = landed
        self._landing = landing
        self._tables = tables
        self._run_id = run_id
        self._validated_at = datetime.now(UTC)
        self.validation = RowValidation(
            landed.partition,
            contract=tables.contract,
            received=landed.rows,
            max_rejected_ratio=max_rejected_ratio,
            min_rejected_rows=min_rejected_rows,
            today=landed.received_on,
        )

    def slices(self) -> Together:
        """Return both slices, to be replaced in one transaction.

        Raises:
            TooManyRejectsError: during reading; the landed partition is marked as refused.
            DamagedFileError, MissingRowsError, LandedAgainError: during reading.
        """
        return Together(
            _stream(self._tables.accepted, self._accepted()),
            {self._tables.rejected.name: self._rejected},
            write_modes={self._tables.rejected.name: "replace"},
        )

    def _accepted(self) -> Iterator[_Batch]:
        with self._landing.open_rows(self.landed) as raw_rows:
            try:
                yield from _read_ahead(self.validation.accepted(raw_rows, in_bulk=True))
                # Checked last, as the slice is not locked yet when the first rows are read.
                self._landing.require_newest(self.landed)
            except TooManyRejectsError:
                deque(raw_rows, maxlen=0)  # read to the end, which verifies the file
                self._landing.refuse(self.landed)
                raise

    def _rejected(self, connection: sa.Connection) -> RowStream:
        key, rejected = self.landed.partition, self.validation.rejected
        known = first_seen(connection, self._tables, key) if rejected else {}
        batches = (
            [
                (
                    key,
                    *row,
                    known.get((row.row_number, row.original_sha256), self._validated_at),
                    self._run_id,
                )
                for row in rejected[first : first + BATCH_ROWS]
            ]
            for first in range(0, max(1, len(rejected)), BATCH_ROWS)
        )
        return _stream(self._tables.rejected, batches)


def _read_ahead(batches: Generator[_Batch]) -> Iterator[_Batch]:
    """Yield batches, each validated by another thread while PostgreSQL reads the one before."""
    context = copy_context()  # of which the precision of decimals is a part

    def following() -> _Batch | None:
        return context.run(lambda: next(batches, None))

    with closing(batches), ThreadPoolExecutor(max_workers=1) as worker:
        pending = worker.submit(following)
        while (batch := pending.result()) is not None:
            pending = worker.submit(following)
            yield batch


def _stream(table: sa.Table, batches: Iterable[_Batch]) -> RowStream:
    columns = [column.name for column in table.columns if column.identity is None]
    return RowStream(columns, batches, table)
