"""Holds every lot in the database against the file that it was made from, and against the ledger, row by row."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import sqlalchemy as sa

from purchase_pipeline.contracts import CompraSchema
from purchase_pipeline.errors import PipelineError
from purchase_pipeline.ingest.landing.manifest import LandedLote
from purchase_pipeline.ingest.landing.store import DamagedFileError, Landing
from purchase_pipeline.ingest.ledger import LEDGER
from purchase_pipeline.ingest.row_splitter import UnreadableLotError
from purchase_pipeline.ingest.tables import COMPRAS_REJEITADAS, TABELA_COMPRAS
from purchase_pipeline.ingest.validation import DamagedLotError, LoteValidation, RejectedRow

_TABLES = (TABELA_COMPRAS, COMPRAS_REJEITADAS)
_Entry = sa.Row[*tuple[Any, ...]]
_NOTED = (LEDGER.c.asset, LEDGER.c.rows, LEDGER.c.source_rows, LEDGER.c.digest)  # of a ledger of any version
_OF_LOTS = LEDGER.c.asset.in_([table.name for table in _TABLES])
_NUMBERS = [
    (place, TABELA_COMPRAS.columns[name].type.python_type)
    for place, name in enumerate(("linha", *CompraSchema.model_fields))
    if isinstance(TABELA_COMPRAS.columns[name].type, sa.Integer | sa.Numeric)
]
_PAGE_ROWS = 2_000
_SHOWN = 5

Row = Sequence[Any]
_END: Row = (float("inf"),)


class MissingTableError(PipelineError):
    """A table that the ledger has rows of does not exist."""


class VerifiedLot(NamedTuple):
    """What was found of one lot. `differences` are sentences; none: all is as it should be."""

    lote: str
    loaded: int
    rejected: int
    differences: list[str]


class Verifier:
    """Compares the lots of a database with a landing. Reads only, and each lot at one moment."""

    def __init__(self, engine: sa.Engine, landing: Landing) -> None:
        self._engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._landing = landing

    def lots(self) -> list[str]:
        """Return the lots that the ledger or a table knows, in order.

        Raises:
            MissingTableError: somebody dropped a table.
        """
        with self._engine.connect() as connection:
            has_table = sa.inspect(connection).has_table
            missing = [table.name for table in (LEDGER, *_TABLES) if not has_table(table.name)]
            if len(missing) == len((LEDGER, *_TABLES)):
                return []
            if missing:
                raise MissingTableError(
                    f"{', '.join(missing)} is gone, and the other tables are not. Load the lots again: "
                    "`purchase-pipeline ingest`."
                )
            known = sa.union(
                sa.select(LEDGER.c.partition.label("lote")).where(_OF_LOTS),
                *(sa.select(table.c.lote) for table in _TABLES),
            ).subquery()
            return list(connection.scalars(sa.select(known.c.lote).order_by(known.c.lote)))

    def verify(self, lote: str) -> VerifiedLot:
        """Compare one lot: the ledger with the tables and with the file, and every row with what the file says."""
        with self._engine.connect() as connection:
            entries = {
                entry.asset: entry
                for entry in connection.execute(
                    sa.select(*_NOTED).where(_OF_LOTS, LEDGER.c.partition == lote)
                )
            }
            counts = {table.name: _count(connection, table, lote) for table in _TABLES}
            differences = list(_in_the_ledger(entries, counts))
            landed = self._landing.find(lote)
            if landed is None:
                differences.append(
                    f"there is no landed file of it in {self._landing.place}, or its manifest {lote}.json is damaged"
                )
            else:
                differences += self._in_the_file(landed, entries)
                differences += self._in_the_rows(connection, landed)
        return VerifiedLot(lote, counts[TABELA_COMPRAS.name], counts[COMPRAS_REJEITADAS.name], differences)

    def is_stored_as_validated(self, landed: LandedLote) -> bool:
        """Tell whether the contract, as it is now, would put each row of a landed lot where it is, for its reasons."""
        with self._engine.connect() as connection:
            return not self._in_the_rows(connection, landed)

    def _in_the_file(self, landed: LandedLote, entries: Mapping[str, _Entry]) -> Iterator[str]:
        for asset, entry in entries.items():
            if entry.digest != landed.digest:
                yield f"{asset} was made from {entry.digest}, and {landed.digest} has landed since"
            if entry.source_rows != landed.rows:
                yield f"{asset} was made from {entry.source_rows} rows, and {landed.rows} have landed"

    def _in_the_rows(self, connection: sa.Connection, landed: LandedLote) -> list[str]:
        """Say where the rows of a landed lot, validated again, are not those in the tables."""
        validation = LoteValidation(
            landed.lote, received=landed.rows, max_rejected_ratio=float("inf"), today=landed.received_on
        )
        try:
            with self._landing.open_rows(landed) as raw_rows:
                accepted = map(_with_numbers, chain.from_iterable(validation.accepted(raw_rows)))
                with _stored(connection, TABELA_COMPRAS, landed.lote, CompraSchema.model_fields) as loaded:
                    found = list(_between(accepted, iter(loaded), TABELA_COMPRAS.name))
        except (DamagedFileError, DamagedLotError, UnreadableLotError) as error:
            return [str(error)]
        said = RejectedRow._fields[1:]
        with _stored(connection, COMPRAS_REJEITADAS, landed.lote, said) as kept:
            return [*found, *_between(iter(validation.rejected), iter(kept), COMPRAS_REJEITADAS.name)]


def _count(connection: sa.Connection, table: sa.Table, lote: str) -> int:
    query = sa.select(sa.func.count()).select_from(table).where(table.c.lote == lote)
    return connection.execute(query).scalar_one()


def _stored(
    connection: sa.Connection, table: sa.Table, lote: str, columns: Iterable[str]
) -> sa.CursorResult[Any]:
    query = sa.select(table.c.linha, *(_as_judged(table.c[name]) for name in columns))
    ordered = query.where(table.c.lote == lote).order_by(table.c.linha)
    return connection.execution_options(yield_per=_PAGE_ROWS).execute(ordered)


def _with_numbers(accepted: Row) -> Row:
    """Return linha and fields of an accepted row as the database gives them: `3.5` and `3.50` are one number."""
    values = list(accepted[1:])
    for place, number in _NUMBERS:
        if isinstance(values[place], str):
            values[place] = number(values[place])
    return values


def _as_judged(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """Return the column as the validation has it: a day as a text, with its era, which Python's own days lack."""
    return sa.cast(column, sa.Text) if isinstance(column.type, sa.Date) else column


def _in_the_ledger(entries: Mapping[str, _Entry], counts: dict[str, int]) -> Iterator[str]:
    for name, count in counts.items():
        if name not in entries:
            yield f"the ledger has no entry of it for {name}, which has {count} rows"
        elif entries[name].rows != count:
            yield f"{name} has {count} rows, and {entries[name].rows} in the ledger"
    received = {entry.source_rows for entry in entries.values()}
    if len(entries) == len(counts) and received != {sum(counts.values())}:
        yield f"{sum(counts.values())} rows are loaded or rejected, and {min(received)} were received"


def _between(expected: Iterator[Row], stored: Iterator[Row], name: str) -> Iterator[str]:
    """Merge two runs of rows, ordered by their first value, and say where one is not the other."""
    missing, surplus, changed = list[int](), list[int](), list[int]()
    wanted, found = next(expected, _END), next(stored, _END)
    while (wanted, found) != (_END, _END):
        if wanted[0] < found[0]:
            missing.append(wanted[0])
        elif found[0] < wanted[0]:
            surplus.append(found[0])
        elif tuple(wanted) != tuple(found):
            changed.append(found[0])
        behind = min(wanted[0], found[0])
        wanted = next(expected, _END) if wanted[0] == behind else wanted
        found = next(stored, _END) if found[0] == behind else found
    yield from _told(name, "of the file are missing", missing)
    yield from _told(name, "are doubled, or not of the file", surplus)
    yield from _told(name, "differ from the file", changed)


def _told(name: str, fault: str, linhas: Sequence[int]) -> Iterator[str]:
    if linhas:
        more = ", ..." if len(linhas) > _SHOWN else ""
        yield f"{name}: {len(linhas)} rows {fault} (linha {', '.join(map(str, linhas[:_SHOWN]))}{more})"
