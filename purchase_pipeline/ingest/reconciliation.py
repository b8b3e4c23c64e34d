"""Row-by-row comparison of loaded partitions with their landed files and the ledger."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import chain, islice
from typing import Any, NamedTuple

import sqlalchemy as sa

from purchase_pipeline import PipelineError
from purchase_pipeline.ingest.landing.manifest import LandedPartition
from purchase_pipeline.ingest.landing.pages import DamagedFileError
from purchase_pipeline.ingest.landing.store import Landing
from purchase_pipeline.ingest.ledger import LEDGER, pruned_at, rows_written
from purchase_pipeline.ingest.merged_rows import merged_differences
from purchase_pipeline.ingest.printable import quantity
from purchase_pipeline.ingest.row_splitter import UnreadableResponseError
from purchase_pipeline.ingest.tables import FeedTables
from purchase_pipeline.ingest.validation import MissingRowsError, RejectedRow, RowValidation
from purchase_pipeline.postgres.slices.ledger_versions import ledger_version

_Entry = sa.Row[*tuple[Any, ...]]
_ENTRY_COLUMNS = (
    LEDGER.c.asset,
    LEDGER.c.rows,
    LEDGER.c.source_rows,
    LEDGER.c.digest,
)  # present in every version of the ledger
_PAGE_ROWS = 2_000
_PARTITIONS_A_SNAPSHOT = 100
_TABLES = 2
_SHOWN = 5
_REASONS = RejectedRow._fields.index("reasons")

Row = Sequence[Any]
_END: Row = (float("inf"),)


class MissingTableError(PipelineError):
    """Some tables of the pipeline exist, but not all."""


class VerifiedPartition(NamedTuple):
    """The result of verifying one partition; `differences` is empty if it is correct.

    Rows are not compared with a landed file that was pruned, but with the ledger by their number; nor are rejected rows
    that were pruned.

    Attributes:
        reworded: rejected rows whose reasons say the same in other words: those of an earlier version, of the contract
            or of pydantic.
    """

    key: str
    loaded: int
    rejected: int
    differences: list[str]
    reworded: int = 0
    file_pruned_at: datetime | None = None
    rejects_pruned_at: datetime | None = None


class _RowDifferences(NamedTuple):
    """The differences of a partition's rows, a sentence each, and the number of reworded ones."""

    differences: list[str]
    reworded: int = 0


class Verifier:
    """Compares the partitions of a feed with their landed files, in read-only snapshots."""

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
            LedgerVersionError: a newer program wrote the ledger.
        """
        tables = (LEDGER, *self._tables.both)
        with self._engine.connect() as connection:
            ledger_version(connection)
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
        (verified,) = self.verify_each([partition])
        return verified

    def verify_each(self, partitions: Sequence[str]) -> Iterator[VerifiedPartition]:
        """Compare partitions one after the other; what differs is compared again in a snapshot of its own."""
        remaining = iter(partitions)
        while keys := list(islice(remaining, _PARTITIONS_A_SNAPSHOT)):
            with self._engine.connect() as connection:
                snapshot = _Snapshot(connection, self._tables, keys)
                for key in keys:
                    verified = self._verified(snapshot, key)
                    # Its file may be newer than the snapshot.
                    yield self.verify(key) if verified.differences and len(keys) > 1 else verified

    def _verified(self, snapshot: "_Snapshot", partition: str) -> VerifiedPartition:
        entries = snapshot.entries.get(partition, {})
        counts = {table.name: snapshot.counts[table.name].get(partition, 0) for table in self._tables.both}
        recorded = {name: entry.rows for name, entry in entries.items()}
        if self._tables.write.merges and (name := self._tables.accepted.name) in recorded:
            # Rows may be those of another partition by now; each is compared below.
            counts[name] = recorded[name] = entries[name].written
        rejects_pruned_at = snapshot.rejects_pruned_at(partition)
        if rejects_pruned_at is not None:
            counts[self._tables.rejected.name] += recorded[self._tables.rejected.name]
        differences = [
            *_ledger_differences(recorded, counts),
            *_received_differences(entries, sum(counts.values())),
        ]
        loaded, rejected = counts.values()
        landed = self._landing.find(partition) or self._landing.find_pruned(partition)
        if landed is None:
            differences.append(
                f"no landed file in {self._landing.backend}, or a damaged manifest {partition}.json"
            )
            return VerifiedPartition(
                partition, loaded, rejected, differences, rejects_pruned_at=rejects_pruned_at
            )
        rows = _RowDifferences([]) if landed.pruned_at else self._row_differences(snapshot, landed)
        differences += [*_file_differences(landed, entries), *rows.differences]
        return VerifiedPartition(
            partition, loaded, rejected, differences, rows.reworded, landed.pruned_at, rejects_pruned_at
        )

    def is_stored_as_validated(self, landed: LandedPartition) -> bool:
        """Return whether validating a landed partition again gives the stored rows, rejects and reasons."""
        with self._engine.connect() as connection:
            found = self._row_differences(_Snapshot(connection, self._tables, [landed.partition]), landed)
            return found == _RowDifferences([])

    def _row_differences(self, snapshot: "_Snapshot", landed: LandedPartition) -> _RowDifferences:
        """Validate a landed partition again, and return the differences from the tables."""
        tables = self._tables
        if snapshot.missing_columns:
            return _RowDifferences(snapshot.missing_columns)
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
                    numbers = merged_differences(snapshot.connection, tables, accepted)
                    found = [
                        text for one in numbers.items() for text in self._difference(tables.accepted, *one)
                    ]
                else:
                    loaded = snapshot.rows(tables.accepted, tables.contract.model_fields, landed.partition)
                    found = list(self._compare(map(self._with_numbers, accepted), loaded, tables.accepted))
        except (DamagedFileError, MissingRowsError, UnreadableResponseError) as error:
            return _RowDifferences([str(error)])
        if snapshot.rejects_pruned_at(landed.partition) is not None:
            return _RowDifferences(found)
        kept = snapshot.rows(tables.rejected, RejectedRow._fields[1:], landed.partition)
        reworded = list[int]()
        compared = self._compare(iter(validation.rejected), kept, tables.rejected, reworded)
        return _RowDifferences([*found, *compared], len(reworded))

    def _with_numbers(self, accepted: Row) -> Row:
        """Return row number and fields of an accepted row with numbers parsed, as `3.5` equals `3.50`."""
        values = list(accepted[1:])
        for index, number in self._numbers:
            if isinstance(values[index], str):
                values[index] = number(values[index])
        return values

    def _compare(
        self,
        expected: Iterator[Row],
        stored: Iterator[Row],
        table: sa.Table,
        reworded: list[int] | None = None,
    ) -> Iterator[str]:
        """Merge two iterators of rows, ordered by row number, and yield the differences.

        Numbers of rejected rows that differ only in the words of their reasons are appended to `reworded` instead.
        """
        missing, surplus, changed = list[int](), list[int](), list[int]()
        left, right = next(expected, _END), next(stored, _END)
        while (left, right) != (_END, _END):
            if left[0] < right[0]:
                missing.append(left[0])
            elif right[0] < left[0]:
                surplus.append(right[0])
            elif tuple(left) != tuple(right):
                if reworded is not None and _are_reworded(left, right):
                    reworded.append(right[0])
                else:
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


class _Snapshot:
    """What the ledger and the tables have of some partitions, in one transaction."""

    def __init__(self, connection: sa.Connection, tables: FeedTables, partitions: Sequence[str]) -> None:
        self.connection, self._tables, self._partitions = connection, tables, partitions
        self.entries = self._entries()
        self.counts = {table.name: self._counts(table) for table in tables.both}

    @cached_property
    def missing_columns(self) -> list[str]:
        """The columns that the contract has gained since the tables were created, a sentence each."""
        inspector = sa.inspect(self.connection)
        known = {
            table: {column["name"] for column in inspector.get_columns(table.name)}
            for table in self._tables.both
        }
        return [
            f"{table.name} has no column {column.name}: the contract has gained it"
            for table in self._tables.both
            for column in table.columns
            if column.name not in known[table]
        ]

    def rows(self, table: sa.Table, columns: Iterable[str], partition: str) -> Iterator[Row]:
        """Yield a partition's rows in a table: row number, and columns as validation gives them."""
        if count := self.counts[table.name].get(partition):
            key, number = self._tables.partition_of(table), self._tables.row_number_of(table)
            query = sa.select(number, *(_as_validated(table.c[name]) for name in columns))
            ordered = query.where(key == partition).order_by(number)
            paged = {"yield_per": _PAGE_ROWS} if count > _PAGE_ROWS else {}
            with self.connection.execute(ordered, execution_options=paged) as stored:
                yield from stored

    def rejects_pruned_at(self, partition: str) -> datetime | None:
        """Return when the partition's rejected rows were pruned, or None."""
        entry = self.entries.get(partition, {}).get(self._tables.rejected.name)
        return None if entry is None else entry.pruned_at

    def _entries(self) -> dict[str, dict[str, _Entry]]:
        names = [table.name for table in self._tables.both]
        query = sa.select(LEDGER.c.partition, *_ENTRY_COLUMNS, pruned_at(LEDGER).label("pruned_at"))
        if self._tables.write.merges:
            query = query.add_columns(rows_written(LEDGER).label("written"))
        found = defaultdict[str, dict[str, _Entry]](dict)
        for entry in self.connection.execute(
            query.where(LEDGER.c.asset.in_(names), LEDGER.c.partition.in_(self._partitions))
        ):
            found[entry.partition][entry.asset] = entry
        return found

    def _counts(self, table: sa.Table) -> dict[str, int]:
        key = self._tables.partition_of(table)
        query = sa.select(key, sa.func.count()).where(key.in_(self._partitions)).group_by(key)
        return dict(self.connection.execute(query).all())


def _are_reworded(rejected: Row, stored: Row) -> bool:
    """Return whether two rejected rows differ only in the words of their reasons."""
    one, other = list(rejected), list(stored)
    return len(one.pop(_REASONS)) == len(other.pop(_REASONS)) and one == other


def _as_validated(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """Return the column as validation produces it: a date as text, as Python's dates have no era."""
    return sa.cast(column, sa.Text) if isinstance(column.type, sa.Date) else column


def _file_differences(landed: LandedPartition, entries: Mapping[str, _Entry]) -> Iterator[str]:
    for asset, entry in entries.items():
        if entry.digest != landed.digest:
            yield f"{asset} was loaded from {entry.digest}, but the landed file is {landed.digest}"
        if entry.source_rows != landed.rows:
            yield f"{asset} was loaded from {quantity(entry.source_rows, 'row')}, but the landed file has {landed.rows}"


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
