"""Row-by-row comparison of loaded partitions with their landed files and the ledger."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import sqlalchemy as sa

from purchase_pipeline.errors import PipelineError
from purchase_pipeline.ingest.landing.manifest import LandedPartition
from purchase_pipeline.ingest.landing.pages import DamagedFileError
from purchase_pipeline.ingest.landing.store import Landing
from purchase_pipeline.ingest.ledger import LEDGER, rows_written
from purchase_pipeline.ingest.merged_rows import merged_differences
from purchase_pipeline.ingest.printable import quantity
from purchase_pipeline.ingest.row_splitter import UnreadableResponseError
from purchase_pipeline.ingest.tables import FeedTables
from purchase_pipeline.ingest.validation import MissingRowsError, RejectedRow, RowValidation

_Entry = sa.Row[*tuple[Any, ...]]
_ENTRY_COLUMNS = (
    LEDGER.c.asset,
    LEDGER.c.rows,
    LEDGER.c.source_rows,
    LEDGER.c.digest,
)  # present in every version of the ledger
_PAGE_ROWS = 2_000
_TABLES = 2
_SHOWN = 5

Row = Sequence[Any]
_END: Row = (float("inf"),)


class MissingTableError(PipelineError):
    """Some tables of the pipeline exist, but not all."""


class VerifiedPartition(NamedTuple):
    """The result of verifying one partition; `differences` is empty if it is correct."""

    key: str
    loaded: int
    rejected: int
    differences: list[str]


class Verifier:
    """Compares the partitions of a feed with their landed files, each in one read-only snapshot."""

    def __init__(self, engine: sa.Engine, tables: FeedTables, landing: Landing) -> None:
        # Rows that are matched by keys are staged in a temporary table.
        self._engine = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=not tables.write.merges
        )
        self._tables = tables
        self._landing = landing
        self._of_the_feed = LEDGER.c.asset.in_([table.name for table in tables.both])
        self._numbers = [
            (index, tables.accepted.columns[name].type.python_type)
            for index, name in enumerate((tables.row_number, *tables.contract.model_fields))
            if isinstance(tables.accepted.columns[name].type, sa.Integer | sa.Numeric)
        ]

    def partitions(self) -> list[str]:
        """Return the partitions in the ledger or a table, in order.

        Raises:
            MissingTableError: a table was dropped.
        """
        tables = (LEDGER, *self._tables.both)
        with self._engine.connect() as connection:
            has_table = sa.inspect(connection).has_table
            missing = [table.name for table in tables if not has_table(table.name)]
            if len(missing) == len(tables):
                return []
            if missing:
                raise MissingTableError(
                    f"Missing tables: {', '.join(missing)}.",
                    hint="Load the batches again with `purchase-pipeline ingest`.",
                )
            known = sa.union(
                sa.select(LEDGER.c.partition.label("key")).where(self._of_the_feed),
                *(sa.select(self._tables.partition_of(table)) for table in self._tables.both),
            ).subquery()
            return list(connection.scalars(sa.select(known.c.key).order_by(known.c.key)))

    def verify(self, partition: str) -> VerifiedPartition:
        """Compare a partition: the ledger with the tables and the file, and every row with the file."""
        with self._engine.connect() as connection:
            ledger = sa.select(*_ENTRY_COLUMNS).where(self._of_the_feed, LEDGER.c.partition == partition)
            entries = {entry.asset: entry for entry in connection.execute(ledger)}
            counts = {table.name: self._count(connection, table, partition) for table in self._tables.both}
            recorded = {name: entry.rows for name, entry in entries.items()}
            if self._tables.write.merges and (name := self._tables.accepted.name) in recorded:
                # Rows may be those of another partition by now; each is compared below.
                counts[name] = recorded[name] = self._merged(connection, partition)
            differences = [
                *_ledger_differences(recorded, counts),
                *_received_differences(entries, sum(counts.values())),
            ]
            landed = self._landing.find(partition)
            if landed is None:
                differences.append(
                    f"no landed file in {self._landing.backend}, or a damaged manifest {partition}.json"
                )
            else:
                differences += _file_differences(landed, entries)
                differences += self._row_differences(connection, landed)
        loaded, rejected = counts.values()
        return VerifiedPartition(partition, loaded, rejected, differences)

    def is_stored_as_validated(self, landed: LandedPartition) -> bool:
        """Return whether validating a landed partition again gives the stored rows, rejects and reasons."""
        with self._engine.connect() as connection:
            return not self._row_differences(connection, landed)

    def _row_differences(self, connection: sa.Connection, landed: LandedPartition) -> list[str]:
        """Validate a landed partition again, and return the differences from the tables."""
        tables = self._tables
        if missing := [text for table in tables.both for text in _missing_columns(connection, table)]:
            return missing
        validation = RowValidation(
            landed.partition,
            received=landed.rows,
            max_rejected_ratio=float("inf"),
            today=landed.received_on,
            contract=tables.contract,
        )
        try:
            with self._landing.open_rows(landed) as raw_rows:
                accepted = chain.from_iterable(validation.accepted(raw_rows))
                if tables.write.merges:
                    numbers = merged_differences(connection, tables, accepted)
                    found = [
                        text for one in numbers.items() for text in self._difference(tables.accepted, *one)
                    ]
                else:
                    rows, fields = map(self._with_numbers, accepted), tables.contract.model_fields
                    with self._stored(connection, tables.accepted, landed.partition, fields) as loaded:
                        found = list(self._compare(rows, iter(loaded), tables.accepted))
        except (DamagedFileError, MissingRowsError, UnreadableResponseError) as error:
            return [str(error)]
        columns = RejectedRow._fields[1:]
        with self._stored(connection, tables.rejected, landed.partition, columns) as kept:
            return [*found, *self._compare(iter(validation.rejected), iter(kept), tables.rejected)]

    def _merged(self, connection: sa.Connection, partition: str) -> int:
        """Return the rows of a partition that were merged into the table, as counted then."""
        of_it = (LEDGER.c.asset == self._tables.accepted.name, LEDGER.c.partition == partition)
        return connection.scalar(sa.select(rows_written(LEDGER)).where(*of_it)) or 0

    def _count(self, connection: sa.Connection, table: sa.Table, partition: str) -> int:
        key = self._tables.partition_of(table)
        query = sa.select(sa.func.count()).select_from(table).where(key == partition)
        return connection.execute(query).scalar_one()

    def _stored(
        self, connection: sa.Connection, table: sa.Table, partition: str, columns: Iterable[str]
    ) -> sa.CursorResult[Any]:
        key, number = self._tables.partition_of(table), self._tables.row_number_of(table)
        query = sa.select(number, *(_as_validated(table.c[name]) for name in columns))
        ordered = query.where(key == partition).order_by(number)
        return connection.execution_options(yield_per=_PAGE_ROWS).execute(ordered)

    def _with_numbers(self, accepted: Row) -> Row:
        """Return row number and fields of an accepted row with numbers parsed, as `3.5` equals `3.50`."""
        values = list(accepted[1:])
        for index, number in self._numbers:
            if isinstance(values[index], str):
                values[index] = number(values[index])
        return values

    def _compare(self, expected: Iterator[Row], stored: Iterator[Row], table: sa.Table) -> Iterator[str]:
        """Merge two iterators of rows, ordered by row number, and yield the differences."""
        missing, surplus, changed = list[int](), list[int](), list[int]()
        left, right = next(expected, _END), next(stored, _END)
        while (left, right) != (_END, _END):
            if left[0] < right[0]:
                missing.append(left[0])
            elif right[0] < left[0]:
                surplus.append(right[0])
            elif tuple(left) != tuple(right):
                changed.append(right[0])
            behind = min(left[0], right[0])
            left = next(expected, _END) if left[0] == behind else left
            right = next(stored, _END) if right[0] == behind else right
        yield from self._difference(table, "missing", missing)
        yield from self._difference(table, "duplicated or not in the file", surplus)
        yield from self._difference(table, "different from the file", changed)

    def _difference(self, table: sa.Table, problem: str, numbers: Sequence[int]) -> Iterator[str]:
        if numbers:
            shown = ", ".join(map(str, numbers[:_SHOWN])) + (", ..." if len(numbers) > _SHOWN else "")
            yield f"{table.name}: {quantity(len(numbers), 'row')} {problem} ({self._tables.row_number} {shown})"


def _missing_columns(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    """Yield the columns that the contract has gained since the table was made."""
    known = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
    for column in table.columns:
        if column.name not in known:
            yield f"{table.name} has no column {column.name}: the contract has gained it"


def _file_differences(landed: LandedPartition, entries: Mapping[str, _Entry]) -> Iterator[str]:
    for asset, entry in entries.items():
        if entry.digest != landed.digest:
            yield f"{asset} was loaded from {entry.digest}, but the landed file is {landed.digest}"
        if entry.source_rows != landed.rows:
            yield f"{asset} was loaded from {quantity(entry.source_rows, 'row')}, but the landed file has {landed.rows}"


def _as_validated(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """Return the column as validation produces it: a date as text, as Python's dates have no era."""
    return sa.cast(column, sa.Text) if isinstance(column.type, sa.Date) else column


def _ledger_differences(recorded: Mapping[str, int], counts: Mapping[str, int]) -> Iterator[str]:
    for name, count in counts.items():
        if name not in recorded:
            yield f"{name} has {quantity(count, 'row')}, but no entry in the ledger"
        elif recorded[name] != count:
            yield f"{name} has {quantity(count, 'row')}, but {recorded[name]} in the ledger"


def _received_differences(entries: Mapping[str, _Entry], found: int) -> Iterator[str]:
    received = {entry.source_rows for entry in entries.values()}
    if len(entries) == _TABLES and received != {found}:
        yield f"{quantity(found, 'row')} loaded or rejected, but {min(received)} received"
