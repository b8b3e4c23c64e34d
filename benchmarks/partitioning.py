"""A plain table beside partitioned ones: a lot replaced, counted, read; all lots summed up; VACUUM; indexes."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from statistics import median
from time import perf_counter
from types import MappingProxyType

import psycopg
from psycopg import sql

from benchmarks.bench import Bench, a_bench
from benchmarks.big_tables import LOT_ROWS, settle
from benchmarks.figures import Figure, Measured, Ratio
from benchmarks.ours import our_path
from benchmarks.same_table import COLUMNS, FIELDS, make_tables

_RANGE_LOTS = 50
_LOTS_A_ROUND = 5
_STRIDE = 37  # from one lot that is replaced to the next; shares no factor with the numbers of lots
_MIB = 1 << 20
_PLAIN = "plain"

_NOTES = (
    "Tables of one server; in each round all do the same, another one first each time.",
    "`hash 64` is HASH (lote) in 64 parts, `range` RANGE (lote) of 50 lots a part, `list` LIST (lote) of one.",
    "A round replaces five lots (DELETE and COPY in one transaction), counts and reads them: medians of the five.",
    "Then it sums up all lots, and vacuums 50,000 dead rows away, out of the index too (INDEX_CLEANUP).",
    "Autovacuum is off for them. The index is of the primary key, `(lote, linha)`; it is new, without bloat.",
)


def name_of(number: int) -> str:
    """Return a lot's name."""
    return f"lote-{number:04d}"


def _hash_parts(parts: int, _: int) -> list[tuple[str, str]]:
    return [(f"p{part:03d}", f"FOR VALUES WITH (MODULUS {parts}, REMAINDER {part})") for part in range(parts)]


def _range_parts(_: int, lots: int) -> list[tuple[str, str]]:
    return [
        (f"p{first:05d}", f"FOR VALUES FROM ('{name_of(first)}') TO ('{name_of(first + _RANGE_LOTS)}')")
        for first in range(1, lots + 1, _RANGE_LOTS)
    ]


def _list_parts(_: int, lots: int) -> list[tuple[str, str]]:
    return [(f"p{number:05d}", f"FOR VALUES IN ('{name_of(number)}')") for number in range(1, lots + 1)]


_Parts = Callable[[int, int], list[tuple[str, str]]]
SCHEMES: dict[str, tuple[str, int, _Parts | None]] = {
    _PLAIN: ("", 0, None),
    "hash 16": ("HASH", 16, _hash_parts),
    "hash 64": ("HASH", 64, _hash_parts),
    "range": ("RANGE", 0, _range_parts),
    "list": ("LIST", 0, _list_parts),
}


SIZES: dict[int, Sequence[str]] = {100: list(SCHEMES), 700: (_PLAIN, "hash 16", "hash 64")}
"""Lots of 10,000 rows that the tables have, and which tables there are of that size."""


class _Table:
    """One table of so many lots, in a schema of its own."""

    def __init__(self, database_url: str, scheme: str, lots: int, fields_of_lot: Sequence[bytes]) -> None:
        self.name = scheme
        self._lots = lots
        self._fields = fields_of_lot
        self._connection = psycopg.connect(database_url, autocommit=True)
        schema = f"{scheme}_{lots}".replace(" ", "_")
        self._run("CREATE SCHEMA {}", schema)
        self._connection.execute("SELECT set_config('search_path', quote_ident(%s), false)", [schema])
        self._make(scheme)
        self._run(
            "INSERT INTO tabela_compras (lote, linha, {fields}) SELECT 'lote-' || lpad(number::text, 4, '0'), linha, "
            "{fields} FROM generate_series(1, %s) AS number, public.tabela_compras ORDER BY number, linha",
            values=[lots],
        )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def replace(self, number: int) -> None:
        """Put a lot in its own place, as the IO manager does."""
        lote = name_of(number)
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute("DELETE FROM tabela_compras WHERE lote IN (%s)", [lote])
            copying = sql.SQL("COPY tabela_compras ({}) FROM STDIN").format(
                sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
            )
            with cursor.copy(copying) as copy:
                for start in range(0, len(self._fields), 200):
                    copy.write(
                        b"".join(lote.encode() + b"\t" + line for line in self._fields[start : start + 200])
                    )

    def count(self, number: int) -> None:
        """Count a lot."""
        self._run("SELECT count(*) FROM tabela_compras WHERE lote = %s", values=[name_of(number)])

    def read(self, number: int) -> None:
        """Read a lot's rows, in order."""
        self._run("SELECT * FROM tabela_compras WHERE lote = %s ORDER BY linha", values=[name_of(number)])

    def sum_all(self) -> None:
        """Sum up each lot."""
        self._run("SELECT lote, count(*), sum(price) FROM tabela_compras GROUP BY lote")

    def vacuum(self) -> None:
        """Clear away the dead rows, out of the index too: of so few, VACUUM on its own would leave them there."""
        self._run("VACUUM (INDEX_CLEANUP ON) tabela_compras")

    def index_mib(self) -> float:
        """Return the room that indexes take."""
        found = self._connection.execute(
            "SELECT sum(pg_indexes_size(oid)) FROM pg_class "
            "WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
        ).fetchone()
        return float((found or (0,))[0]) / _MIB

    def of_round(self, number: int) -> dict[str, float]:
        """Do all that is measured, and return the seconds."""
        lots = [(number * _LOTS_A_ROUND + each) * _STRIDE % self._lots + 1 for each in range(_LOTS_A_ROUND)]
        self._run("CHECKPOINT")
        each = {
            what: median(_seconds(partial(step, lot)) for lot in lots)
            for what, step in (("replace", self.replace), ("count", self.count), ("read", self.read))
        }
        return {**each, "sum": _seconds(self.sum_all), "vacuum": _seconds(self.vacuum)}

    def _make(self, scheme: str) -> None:
        kind, parts, parts_of = SCHEMES[scheme]
        off = "WITH (autovacuum_enabled = off)"
        like = "CREATE TABLE tabela_compras (LIKE public.tabela_compras INCLUDING ALL) "
        if parts_of is None:
            self._run(like + off)
            return
        self._run(f"{like} PARTITION BY {kind} (lote)")
        for name, bounds in parts_of(parts, self._lots):
            self._run(f"CREATE TABLE {name} PARTITION OF tabela_compras {bounds} {off}")

    def _run(self, statement: str, *names: str, values: Sequence[object] = ()) -> None:
        fields = sql.SQL(", ").join(map(sql.Identifier, FIELDS))
        composed = sql.SQL(statement).format(*map(sql.Identifier, names), fields=fields)
        with self._connection.cursor() as cursor:
            cursor.execute(composed, values or None)
            if cursor.description:
                cursor.fetchall()


def run(rounds: int, sizes: Mapping[int, Sequence[str]] = MappingProxyType(SIZES)) -> Measured:
    """Fill the tables, which takes minutes and 6 GB, then let them take turns."""
    figures, ratios = list[Figure](), list[Ratio]()
    with a_bench() as bench:
        database_url, fields_of_lot = _first_lot(bench)
        for number, schemes in sizes.items():
            with ExitStack() as stack:
                tables = [_Table(database_url, scheme, number, fields_of_lot) for scheme in schemes]
                for table in tables:
                    stack.callback(table.close)
                settle(database_url)
                of_size = _figures(tables, number, rounds)
            figures += of_size.values()
            ratios += [
                Ratio(f"{what}, {scheme} / plain, {number * LOT_ROWS:,} rows", figure, of_size[what, _PLAIN])
                for (what, scheme), figure in of_size.items()
                if scheme != _PLAIN
            ]
    return Measured("partitioning", figures, ratios, _NOTES)


def _figures(tables: Sequence[_Table], lots: int, rounds: int) -> dict[tuple[str, str], Figure]:
    seconds = defaultdict[tuple[str, str], list[float]](list)
    index_mib = {table.name: table.index_mib() for table in tables}
    for number in range(rounds + 1):  # the first is not counted
        first = number % len(tables)
        for table in (*tables[first:], *tables[:first]):
            for what, value in table.of_round(number).items():
                seconds[what, table.name] += [value] if number else []
    names = {
        "replace": "one lot replaced",
        "count": "one lot counted",
        "read": "one lot read",
        "sum": "all lots summed up",
        "vacuum": "VACUUM",
    }
    figures = {
        (names[what], table.name): Figure(
            f"{names[what]}, {table.name}, {lots * LOT_ROWS:,} rows", "s", seconds[what, table.name]
        )
        for what in names
        for table in tables
    }
    return figures | {
        ("index", table.name): Figure(
            f"index, {table.name}, {lots * LOT_ROWS:,} rows", "MiB", [index_mib[table.name]] * rounds
        )
        for table in tables
    }


def _first_lot(bench: Bench) -> tuple[str, list[bytes]]:
    """Load one real lot, and return the database's URL and the lot's lines as COPY writes them, without its name."""
    database_url = bench.database("partitioning")
    make_tables(database_url)
    with our_path(bench.api_url, bench.folder / "landing", database_url) as path:
        path.load("lote-0001", LOT_ROWS)
    names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS[1:]))
    reading = sql.SQL("COPY (SELECT {} FROM tabela_compras ORDER BY linha) TO STDOUT").format(names)
    with (
        psycopg.connect(database_url) as connection,
        connection.cursor() as cursor,
        cursor.copy(reading) as copy,
    ):
        return database_url, b"".join(copy).splitlines(keepends=True)


def _seconds(step: Callable[[], object]) -> float:
    started = perf_counter()
    step()
    return perf_counter() - started
