"""Row-by-row comparison of loaded batches with their landed files and the ledger."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import sqlalchemy as sa

from purchase_pipeline.contracts import CompraSchema
from purchase_pipeline.errors import PipelineError
from purchase_pipeline.ingest.landing.manifest import LandedPartition
from purchase_pipeline.ingest.landing.pages import DamagedFileError
from purchase_pipeline.ingest.landing.store import Landing
from purchase_pipeline.ingest.ledger import LEDGER
from purchase_pipeline.ingest.row_splitter import UnreadableResponseError
from purchase_pipeline.ingest.tables import COMPRAS_REJEITADAS, TABELA_COMPRAS
from purchase_pipeline.ingest.validation import MissingRowsError, RejectedRow, RowValidation

_TABLES = (TABELA_COMPRAS, COMPRAS_REJEITADAS)
_Entry = sa.Row[*tuple[Any, ...]]
_ENTRY_COLUMNS = (
    LEDGER.c.asset,
    LEDGER.c.rows,
    LEDGER.c.source_rows,
    LEDGER.c.digest,
)  # present in every version of the ledger
_OF_LOTS = LEDGER.c.asset.in_([table.name for table in _TABLES])
_NUMBERS = [
    (index, TABELA_COMPRAS.columns[name].type.python_type)
    for index, name in enumerate(("linha", *CompraSchema.model_fields))
    if isinstance(TABELA_COMPRAS.columns[name].type, sa.Integer | sa.Numeric)
]
_PAGE_ROWS = 2_000
_SHOWN = 5

Row = Sequence[Any]
_END: Row = (float("inf"),)


class MissingTableError(PipelineError):
    """Some tables of the pipeline exist, but not all."""


class VerifiedLot(NamedTuple):
    """The result of verifying one batch; `differences` is empty if it is correct."""

    lote: str
    loaded: int
    rejected: int
    differences: list[str]


class Verifier:
    """Compares the batches of a database with a landing, each in one read-only snapshot."""

    def __init__(self, engine: sa.Engine, landing: Landing) -> None:
        self._engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._landing = landing

    def lots(self) -> list[str]:
        """Return the batches in the ledger or a table, in order.

        Raises:
            MissingTableError: a table was dropped.
        """
        with self._engine.connect() as connection:
            has_table = sa.inspect(connection).has_table
            missing = [table.name for table in (LEDGER, *_TABLES) if not has_table(table.name)]
            if len(missing) == len((LEDGER, *_TABLES)):
                return []
            if missing:
                raise MissingTableError(
                    f"Missing tables: {', '.join(missing)}.",
                    hint="Load the batches again with `purchase-pipeline ingest`.",
                )
            known = sa.union(
                sa.select(LEDGER.c.partition.label("lote")).where(_OF_LOTS),
                *(sa.select(table.c.lote) for table in _TABLES),
            ).subquery()
            return list(connection.scalars(sa.select(known.c.lote).order_by(known.c.lote)))

    def verify(self, lote: str) -> VerifiedLot:
        """Compare a batch: the ledger with the tables and the file, and every row with the file."""
        with self._engine.connect() as connection:
            entries = {
                entry.asset: entry
                for entry in connection.execute(
                    sa.select(*_ENTRY_COLUMNS).where(_OF_LOTS, LEDGER.c.partition == lote)
                )
            }
            counts = {table.name: _count(connection, table, lote) for table in _TABLES}
            differences = list(_ledger_differences(entries, counts))
            landed = self._landing.find(lote)
            if landed is None:
                differences.append(
                    f"no landed file in {self._landing.backend}, or a damaged manifest {lote}.json"
                )
            else:
                differences += self._file_differences(landed, entries)
                differences += self._row_differences(connection, landed)
        return VerifiedLot(lote, counts[TABELA_COMPRAS.name], counts[COMPRAS_REJEITADAS.name], differences)

    def is_stored_as_validated(self, landed: LandedPartition) -> bool:
        """Return whether validating a landed batch again gives the stored rows, rejects and reasons."""
        with self._engine.connect() as connection:
            return not self._row_differences(connection, landed)

    def _file_differences(self, landed: LandedPartition, entries: Mapping[str, _Entry]) -> Iterator[str]:
        for asset, entry in entries.items():
            if entry.digest != landed.digest:
                yield f"{asset} was loaded from {entry.digest}, but the landed file is {landed.digest}"
            if entry.source_rows != landed.rows:
                yield f"{asset} was loaded from {_rows(entry.source_rows)}, but the landed file has {landed.rows}"

    def _row_differences(self, connection: sa.Connection, landed: LandedPartition) -> list[str]:
        """Validate a landed batch again, and return the differences from the tables."""
        validation = RowValidation(
            landed.partition,
            contract=CompraSchema,
            received=landed.rows,
            max_rejected_ratio=float("inf"),
            today=landed.received_on,
        )
        try:
            with self._landing.open_rows(landed) as raw_rows:
                accepted = map(_with_numbers, chain.from_iterable(validation.accepted(raw_rows)))
                with _stored(
                    connection, TABELA_COMPRAS, landed.partition, CompraSchema.model_fields
                ) as loaded:
                    found = list(_compare(accepted, iter(loaded), TABELA_COMPRAS.name))
        except (DamagedFileError, MissingRowsError, UnreadableResponseError) as error:
            return [str(error)]
        columns = RejectedRow._fields[1:]
        with _stored(connection, COMPRAS_REJEITADAS, landed.partition, columns) as kept:
            return [*found, *_compare(iter(validation.rejected), iter(kept), COMPRAS_REJEITADAS.name)]


def _count(connection: sa.Connection, table: sa.Table, lote: str) -> int:
    query = sa.select(sa.func.count()).select_from(table).where(table.c.lote == lote)
    return connection.execute(query).scalar_one()


def _stored(
    connection: sa.Connection, table: sa.Table, lote: str, columns: Iterable[str]
) -> sa.CursorResult[Any]:
    query = sa.select(table.c.linha, *(_as_validated(table.c[name]) for name in columns))
    ordered = query.where(table.c.lote == lote).order_by(table.c.linha)
    return connection.execution_options(yield_per=_PAGE_ROWS).execute(ordered)


def _with_numbers(accepted: Row) -> Row:
    """Return linha and fields of an accepted row with numbers parsed, as `3.5` equals `3.50`."""
    values = list(accepted[1:])
    for index, number in _NUMBERS:
        if isinstance(values[index], str):
            values[index] = number(values[index])
    return values


def _as_validated(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """Return the column as validation produces it: a date as text, as Python's dates have no era."""
    return sa.cast(column, sa.Text) if isinstance(column.type, sa.Date) else column


def _ledger_differences(entries: Mapping[str, _Entry], counts: dict[str, int]) -> Iterator[str]:
    for name, count in counts.items():
        if name not in entries:
            yield f"{name} has {_rows(count)}, but no entry in the ledger"
        elif entries[name].rows != count:
            yield f"{name} has {_rows(count)}, but {entries[name].rows} in the ledger"
    received = {entry.source_rows for entry in entries.values()}
    if len(entries) == len(counts) and received != {sum(counts.values())}:
        yield f"{_rows(sum(counts.values()))} loaded or rejected, but {min(received)} received"


def _compare(expected: Iterator[Row], stored: Iterator[Row], name: str) -> Iterator[str]:
    """Merge two iterators of rows, ordered by their first value, and yield the differences."""
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
    yield from _difference(name, "missing", missing)
    yield from _difference(name, "duplicated or not in the file", surplus)
    yield from _difference(name, "different from the file", changed)


def _difference(name: str, problem: str, linhas: Sequence[int]) -> Iterator[str]:
    if linhas:
        more = ", ..." if len(linhas) > _SHOWN else ""
        yield f"{name}: {_rows(len(linhas))} {problem} (linha {', '.join(map(str, linhas[:_SHOWN]))}{more})"


def _rows(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"
