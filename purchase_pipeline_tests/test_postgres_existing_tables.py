"""Columns of every type that DDL can make, filled with generated values: each stored as it is, or refused with nothing lost.

Equal means: PostgreSQL writes the stored value as it writes the one handed over in the type without its bounds (NUMERIC
for NUMERIC(5, 2)); numbers are compared as numbers. Read back, a value is what psycopg reads of it.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from purchase_pipeline.postgres import PostgresWriteError, RowStream, SchemaDriftError, UnstorableValueError
from purchase_pipeline_tests.direct_io import DirectIOManager, Place
from purchase_pipeline_tests.test_postgres_round_trip import same, without_pandas

STABLE = settings(derandomize=True, deadline=None, database=None, suppress_health_check=[*HealthCheck])
ROUTES = ["pandas", "polars", "pyarrow", "query"]
EXAMPLES = 1
"""Frames of distinct values, of each column type, kind of data and route."""

PREPARATION = """
    CREATE EXTENSION vector;
    CREATE COLLATION plain (provider = libc, locale = 'C');
    CREATE TYPE colour AS ENUM ('red', 'green', 'a, "b"');
    CREATE TYPE pair AS (left_one integer, right_one text);
    CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
    CREATE DOMAIN small_positive AS positive CHECK (VALUE < 100);
    CREATE DOMAIN price AS numeric(6, 2) CHECK (VALUE >= 0);
    CREATE DOMAIN low_price AS price CHECK (VALUE < 100);
    CREATE DOMAIN code AS varchar(5);
    CREATE DOMAIN fixed_code AS char(3);
    CREATE DOMAIN moment AS timestamptz(0);
    CREATE DOMAIN numbers AS integer[] CHECK (cardinality(VALUE) < 3);
    CREATE DOMAIN codes AS varchar(3)[];
    CREATE DOMAIN shade AS colour;
    CREATE DOMAIN document AS jsonb CHECK (jsonb_typeof(VALUE) = 'object');
"""


@dataclass(frozen=True)
class Data:
    """A kind of data: its values, and what each library and PostgreSQL have it as; `rows` is how many are distinct."""

    values: st.SearchStrategy[Any]
    sql: str
    arrow: Any = None
    polars: Any = None
    rows: int = 12


def texts_of(*texts: str) -> Data:
    """Return texts that a type reads, or does not, with a few that no type does."""
    return Data(
        st.sampled_from([*texts, "", "no such value"]), "text", pa.string(), pl.String, len(texts) + 2
    )


def lists_of(data: Data) -> Data:
    return Data(
        st.lists(st.none() | data.values, max_size=3),
        f"{data.sql}[]",
        data.arrow and pa.list_(data.arrow),
        data.polars and pl.List(data.polars),
    )


_letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
INTEGERS = Data(
    st.integers(-(2**63), 2**63 - 1)
    | st.integers(-200, 200)
    | st.sampled_from([s * 2**b + d for s in (1, -1) for b in (15, 24, 31, 53) for d in (-1, 0, 1)]),
    "bigint",
    pa.int64(),
    pl.Int64,
)
FLOATS = Data(
    st.floats()
    | st.floats(width=32)
    | st.integers(-500, 500).map(lambda number: number / 4)
    | st.sampled_from([0.1, 1e15, 1e23, -0.0, math.inf, -math.inf, math.nan, 5e-324, 33554433.0]),
    "double precision",
    pa.float64(),
    pl.Float64,
)
DECIMALS = Data(
    st.builds(
        lambda digits, scale: Decimal(digits).scaleb(-scale), st.integers(-(10**6), 10**6), st.integers(0, 8)
    )
    | st.builds(lambda digits: Decimal(digits).scaleb(-9), st.integers(-(10**25), 10**25)),
    "numeric",
    pa.decimal128(38, 12),
    pl.Decimal(38, 12),
)
TEXTS = Data(
    st.text(_letters, max_size=7)
    | st.sampled_from(
        ["abc", "abc ", "  ", "ABC", "a" * 64, "é" * 32, "x", "é", "NULL", "{1,2}", "\\x", "a\tb\n"]
    ),
    "text",
    pa.string(),
    pl.String,
)
BOOLEANS = Data(st.booleans(), "boolean", pa.bool_(), pl.Boolean, 2)
BYTES = Data(st.binary(max_size=8), "bytea", pa.binary(), pl.Binary)
DATES = Data(st.dates(), "date", pa.date32(), pl.Date)


def _of_steps(kind: Callable[[int], Any], most: int) -> st.SearchStrategy[Any]:
    """Return moments so many microseconds after the first, some of them whole seconds or tenths."""
    steps = st.sampled_from([1, 10**3, 10**4, 10**5, 10**6, 3_600 * 10**6])
    return st.builds(lambda number, step: kind(number // step * step), st.integers(0, most), steps)


_FIRST = datetime(1, 1, 1)
_moments = _of_steps(lambda micros: _FIRST + timedelta(microseconds=micros), 9998 * 365 * 86_400 * 10**6)
TIMES = Data(
    _of_steps(lambda micros: (_FIRST + timedelta(microseconds=micros)).time(), 86_400 * 10**6 - 1),
    "time",
    pa.time64("us"),
    pl.Time,
)
MOMENTS = Data(_moments, "timestamp", pa.timestamp("us"), pl.Datetime("us"))
INSTANTS = Data(
    _moments.map(lambda moment: moment.replace(tzinfo=UTC)),
    "timestamptz",
    pa.timestamp("us", "UTC"),
    pl.Datetime("us", "UTC"),
)
DURATIONS = Data(
    _of_steps(lambda micros: timedelta(microseconds=micros - 10**14), 2 * 10**14),
    "interval",
    pa.duration("us"),
    pl.Duration("us"),
)
IDENTIFIERS = Data(st.uuids(), "uuid")
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(-1e9, 1e9)
    | st.text(_letters, max_size=4)
)
DOCUMENTS = Data(
    st.dictionaries(st.text(_letters, max_size=3), _scalars | st.lists(_scalars, max_size=2), max_size=3),
    "jsonb",
)
JSON_TEXTS = texts_of(
    '{"a": 1}', '{"b":1,"a":2}', '{"a":1,"a":2}', "null", "1", '"a"', "[1, [2]]", "1e400", "{", "0.10"
)
FLOAT_LISTS = Data(
    st.lists(st.floats(width=16, allow_nan=False) | st.just(0.1) | st.just(1e30), min_size=3, max_size=3),
    "double precision[]",
    pa.list_(pa.float64()),
    pl.List(pl.Float64),
)

UUID_TEXTS = texts_of(
    "12345678-1234-5678-1234-567812345678",
    "{12345678123456781234567812345678}",
    "ABCDEF01-1234-5678-1234-567812345678",
)
INET_TEXTS = texts_of(
    "1.2.3.4", "1.2.3.4/24", "1.2.3.0/24", "::1", "2001:DB8::1/64", "10.0.0.0/8", "1.2.3.4/33"
)
MAC_TEXTS = texts_of("08:00:2b:01:02:03", "08-00-2B-01-02-03", "08002b010203", "08:00:2b")
BIT_TEXTS = texts_of("1", "101", "0000", "11111", "102")
TIMETZ_TEXTS = texts_of(
    "12:30:00+00", "12:30:00.123456+03", "23:59:59.999999-03:30", "24:00:00+00", "1:2:3+00"
)
INTERVAL_TEXTS = texts_of(
    "1 day", "1 mon", "1 year 2 mons 3 days", "00:00:01.5", "01:02:03", "-1 days", "00:00:00.123456"
)
XML_TEXTS = texts_of("<a/>", "<a>1</a>", "text", "<a", "<a  b='1'/>")
POINT_TEXTS = texts_of("(1,2)", "(0.1,-5)", "(1e300,0)", "1,2", "(1,2", "(NaN,Infinity)")
RANGE_TEXTS = texts_of("[1,5)", "[1,5]", "(,3)", "empty", "[5,1]", "[ 1 , 5 )")
COLOUR_TEXTS = texts_of("red", "green", 'a, "b"', "Red", "red ")
PAIR_TEXTS = texts_of("(1,a)", "(,)", '(1,"a b")', "(x,a)", "(1)", '(1,"")', '("1",a)')
VECTOR_TEXTS = texts_of("[1,2,3]", "[1.5,2,3]", "[0.1,2,3]", "[1,2]", "[1, 2, 3]", "[]")


@dataclass(frozen=True)
class Column:
    """A column type.

    Attributes:
        ddl: the type as a table has it.
        wide: the same without bounds and domains: what says what a value's exact text is.
        data: what is handed over.
        read: what psycopg is asked for, so that it reads what the documents promise.
    """

    ddl: str
    wide: str
    data: Sequence[Data]
    read: str = "{}"


_numbers, _as_text = (INTEGERS, FLOATS, DECIMALS), "{}::text"
COLUMNS = [
    *(Column(ddl, "numeric", _numbers) for ddl in ("smallint", "integer", "bigint", "numeric", "positive")),
    *(
        Column(f"numeric({p})", "numeric", _numbers)
        for p in ("3", "6, 2", "3, 5", "5, -2", "38, 12", "50, 20")
    ),
    *(Column(ddl, "numeric", _numbers) for ddl in ("small_positive", "price", "low_price")),
    *(Column(ddl, "float8", _numbers) for ddl in ("real", "double precision")),
    Column("money", "numeric", (INTEGERS, DECIMALS), "{}::numeric"),
    Column("oid", "numeric", (INTEGERS,), "{}::bigint"),
    Column("boolean", "boolean", (BOOLEANS,)),
    *(
        Column(ddl, "text", (TEXTS,))
        for ddl in ("text", "text COLLATE plain", "varchar", "varchar(3)", "code")
    ),
    *(Column(ddl, "text", (TEXTS,)) for ddl in ("char(3)", "fixed_code", "bpchar", 'varchar(3) COLLATE "C"')),
    *(Column(ddl, "text", (TEXTS,), _as_text) for ddl in ("name", '"char"')),
    *(Column(ddl, "colour", (COLOUR_TEXTS,)) for ddl in ("colour", "shade")),
    Column("bytea", "bytea", (BYTES,)),
    Column("date", "date", (DATES,)),
    *(Column(f"time({p})", "time", (TIMES,)) for p in (0, 3, 6)),
    *(Column(f"timetz({p})", "timetz", (TIMETZ_TEXTS,), _as_text) for p in (0, 6)),
    *(Column(f"timestamp({p})", "timestamp", (MOMENTS, DATES)) for p in (0, 1, 3, 5, 6)),
    *(Column(f"timestamptz({p})", "timestamptz", (INSTANTS,)) for p in (0, 2, 6)),
    Column("moment", "timestamptz", (INSTANTS,)),
    *(
        Column(f"interval{p}", "interval", (DURATIONS,))
        for p in ("", "(0)", "(3)", " day", " day to hour", " hour to second(2)")
    ),
    *(Column(f"bit({n})", "varbit", (BIT_TEXTS,), _as_text) for n in (1, 3)),
    *(Column(f"{name}", "varbit", (BIT_TEXTS,), _as_text) for name in ("varbit", "varbit(4)")),
    *(Column(name, name, (INET_TEXTS,), _as_text) for name in ("inet", "cidr")),
    *(Column(name, name, (MAC_TEXTS,), _as_text) for name in ("macaddr", "macaddr8")),
    *(Column(name, "jsonb", (DOCUMENTS, JSON_TEXTS), _as_text) for name in ("json", "jsonb", "document")),
    Column("uuid", "uuid", (IDENTIFIERS, UUID_TEXTS)),
    Column("xml", "xml", (XML_TEXTS,), _as_text),
    *(Column(name, name, (POINT_TEXTS,), _as_text) for name in ("point",)),
    *(Column(name, name, (RANGE_TEXTS,), _as_text) for name in ("int4range", "numrange", "int8multirange")),
    Column("pair", "pair", (PAIR_TEXTS,), _as_text),
    Column("vector(3)", "vector", (VECTOR_TEXTS, FLOAT_LISTS), _as_text),
    *(
        Column(f"{name}[]", "numeric[]", tuple(map(lists_of, _numbers)))
        for name in ("smallint", "bigint", "numeric")
    ),
    *(
        Column(f"{name}[]", "numeric[]", tuple(map(lists_of, _numbers)))
        for name in ("numeric(6, 2)", "positive", "price")
    ),
    *(
        Column(f"{name}[]", "float8[]", tuple(map(lists_of, _numbers)))
        for name in ("real", "double precision")
    ),
    Column("numbers", "numeric[]", (lists_of(INTEGERS),)),
    *(
        Column(f"{name}[]", "text[]", (lists_of(TEXTS),))
        for name in ("text", "varchar(3)", "char(3)", "code")
    ),
    *(Column(f"{name}[]", "text[]", (lists_of(TEXTS),), "{}::text[]") for name in ("name", '"char"')),
    Column("codes", "text[]", (lists_of(TEXTS),)),
    *(
        Column(f"{name}[]", "colour[]", (lists_of(COLOUR_TEXTS),), "{}::text[]")
        for name in ("colour", "shade")
    ),
    Column("boolean[]", "boolean[]", (lists_of(BOOLEANS),)),
    Column("bytea[]", "bytea[]", (lists_of(BYTES),)),
    Column("date[]", "date[]", (lists_of(DATES),)),
    Column("time(3)[]", "time[]", (lists_of(TIMES),)),
    *(Column(f"timestamp{p}[]", "timestamp[]", (lists_of(MOMENTS),)) for p in ("", "(3)")),
    *(
        Column(f"{name}[]", "timestamptz[]", (lists_of(INSTANTS),))
        for name in ("timestamptz", "timestamptz(0)", "moment")
    ),
    Column("uuid[]", "uuid[]", (lists_of(IDENTIFIERS), lists_of(UUID_TEXTS))),
    Column("inet[]", "inet[]", (lists_of(INET_TEXTS),), "{}::text[]"),
    Column("pair[]", "pair[]", (lists_of(PAIR_TEXTS),), "{}::text[]"),
    Column("interval[]", "interval[]", (lists_of(DURATIONS),)),
    Column("interval(0)[]", "interval[]", (lists_of(DURATIONS),)),
    Column("interval", "interval", (INTERVAL_TEXTS,)),
    Column("jsonb[]", "jsonb[]", (lists_of(JSON_TEXTS),), "{}::text[]"),
]
NUMBERS = count()


def literal(value: Any) -> Any:  # noqa: ANN401
    """Return the text that PostgreSQL reads a value's exact form of."""
    if isinstance(value, list):
        return list(map(literal, value))
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, timedelta):
        return f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None else str(value)


def number(value: Any) -> Any:  # noqa: ANN401
    """Return a number, or a list of them, in a form that is equal where the numbers are."""
    if isinstance(value, list):
        return list(map(number, value))
    if value is None:
        return None
    exact = Decimal(value)
    return "NaN" if exact.is_nan() else exact


@dataclass(frozen=True)
class Trial:
    """A table with one column of a type, and an old row, that data of one kind go into by one route."""

    connection: psycopg.Connection[Any]
    manager: DirectIOManager
    column: Column
    data: Data
    route: str
    name: str

    @property
    def place(self) -> Place:
        return Place([self.name])

    def make_table(self) -> None:
        for statement in (
            f'CREATE TABLE "{self.name}" (row bigint, value {self.column.ddl})',
            f'INSERT INTO "{self.name}" VALUES (-1, NULL)',
        ):
            self.connection.execute(statement)

    def handed(self, values: Sequence[Any]) -> Any:  # noqa: ANN401
        """Return what is handed over for rows of these values."""
        rows = list(range(len(values)))
        if self.route == "pandas":
            return pd.DataFrame({"row": rows, "value": pd.Series(values, dtype="object")})
        if self.route == "polars":
            series = pl.Series("value", values, self.data.polars or pl.Object)
            return pl.DataFrame([pl.Series("row", rows), series])
        if self.route == "pyarrow":
            return pa.table({"row": rows, "value": arrow_array(self.data, values)})
        source = f"source_{next(NUMBERS)}"
        self.connection.execute(f"CREATE TABLE {source} (row bigint, value {self.data.sql})")
        cast = "::text[]" if self.data.sql.endswith("[]") else "::text"
        with self.connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {source} VALUES (%s, %s{cast}::{self.data.sql})",
                [(row, literal(value)) for row, value in zip(rows, values, strict=True)],
            )
        return (
            sa.select(sa.column("row"), sa.column("value"))
            .select_from(sa.table(source))
            .order_by(sa.column("row"))
        )

    def attempt(self, values: Sequence[Any]) -> PostgresWriteError | None:
        try:
            self.manager.write(self.place, self.handed(values))
        except PostgresWriteError as error:
            return error
        return None

    def column_refused(self, error: PostgresWriteError) -> bool:
        """Return whether the whole column was refused, which is named; the old row is there still."""
        old = self.connection.execute(f'SELECT row, value FROM "{self.name}"').fetchall()
        assert old == [(-1, None)], error
        if isinstance(error, SchemaDriftError):
            assert "column 'value'" in str(error)
            return True
        assert isinstance(error, UnstorableValueError)
        assert error.column == "value", error
        assert error.row is not None, error
        return False

    def faults(self, values: Sequence[Any]) -> Iterator[str]:
        """Yield what is stored otherwise than it was handed over, or read otherwise than it is stored."""
        array = "::text[]" if isinstance(next((v for v in values if v is not None), None), list) else "::text"
        numeric = self.column.wide.removesuffix("[]") in ("numeric", "float8")
        exact = self.column.wide
        read = self.column.read.format("value")
        stored = self.connection.execute(
            f'SELECT row, {read}, CASE WHEN value IS NOT NULL THEN concat(value) END FROM "{self.name}" ORDER BY row'
        ).fetchall()
        if [row for row, *_ in stored] != list(range(len(values))):
            yield f"rows {stored}"
            return
        for handed, (row, found, text) in zip(values, stored, strict=True):
            if numeric:
                meant = (
                    [self.meant(one) for one in handed] if isinstance(handed, list) else self.meant(handed)
                )
                if number(found) != number(meant):
                    yield f"{handed!r} is stored as {found!r}"
                continue
            value = literal(handed)
            if self.column.wide.startswith("interval") and "text" not in self.data.sql:
                if found != handed:
                    yield f"{handed!r} is stored as {found!r}"
                continue
            (wanted,) = self.connection.execute(
                f"SELECT CASE WHEN %(v)s{array} IS NOT NULL THEN concat(%(v)s{array}::{exact}) END",
                {"v": value},
            ).fetchone()
            (normal,) = (
                self.connection.execute(
                    f"SELECT CASE WHEN %(v)s::text IS NOT NULL THEN concat(%(v)s::{exact}) END", {"v": text}
                ).fetchone()
                if exact == "jsonb"
                else (text,)
            )
            if normal != wanted:
                yield f"{handed!r} is stored as {text!r}, not {wanted!r}"
            if exact == "jsonb" and isinstance(handed, str) and self.column.ddl == "json" and text != handed:
                yield f"{handed!r} is stored as {text!r}"
        yield from self.reading_faults([found for _, found, _ in stored])

    def meant(self, value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, float):
            if self.route == "pandas" and math.isnan(value):
                return None
            if self.column.wide.startswith("numeric"):
                return Decimal(repr(value))
        return value

    def reading_faults(self, stored: Sequence[Any]) -> Iterator[str]:
        for library, kind in (
            ("pandas", pd.DataFrame),
            ("polars", pl.DataFrame),
            ("pyarrow", pa.Table),
            ("rows", RowStream),
        ):
            frame = self.manager.read_as(kind, self.place)
            for found, value in zip(column_of(library, frame), stored, strict=True):
                if not equal(
                    found, value, json_text="json" in self.column.ddl or self.column.ddl == "document"
                ):
                    yield f"{value!r} is read by {library} as {found!r}"


def arrow_array(data: Data, values: Sequence[Any]) -> Any:  # noqa: ANN401
    if data is IDENTIFIERS:
        return pa.array([value.bytes for value in values], pa.binary(16)).cast(pa.uuid())
    return pa.array(values, data.arrow)


def column_of(library: str, frame: Any) -> list[Any]:  # noqa: ANN401
    """Return the values in the order of the rows."""
    if library == "rows":
        pairs = [tuple(row) for batch in frame.batches for row in batch]
    elif library == "pandas":
        pairs = [
            (int(row), without_pandas(value)) for row, value in zip(frame["row"], frame["value"], strict=True)
        ]
    elif library == "polars":
        pairs = list(zip(*frame.to_dict(as_series=False).values(), strict=True))
    else:
        pairs = list(zip(*frame.to_pydict().values(), strict=True))
    return [value for _, value in sorted(pairs, key=lambda pair: pair[0])]


def equal(found: Any, stored: Any, *, json_text: bool) -> bool:  # noqa: ANN401
    if json_text and stored is not None:
        wanted = json.loads(stored) if isinstance(stored, str) else list(stored)
        if isinstance(found, str):
            found = json.loads(found)
        return bool(found == wanted)
    if isinstance(found, list) and isinstance(stored, list):
        return len(found) == len(stored) and all(
            equal(one, other, json_text=False) for one, other in zip(found, stored, strict=True)
        )
    if isinstance(stored, Decimal) and found is not None:
        return bool(number(found) == number(stored)) or (
            isinstance(found, float) and math.isnan(found) and stored.is_nan()
        )
    if isinstance(stored, float) and math.isnan(stored) and found is None:
        return True  # pandas
    return same(found, stored) or (
        not isinstance(stored, str | list) and stored is not None and str(found) == str(stored)
    )


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with closing(psycopg.connect(database_url, autocommit=True)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(PREPARATION)
        yield connection


@pytest.mark.proof
@pytest.mark.timeout(900)
@pytest.mark.parametrize("route", ROUTES)
def test_what_goes_into_an_existing_column_is_stored_as_it_is_or_refused_and_nothing_is_lost(
    route: str, database_url: str, connection: psycopg.Connection[Any]
) -> None:
    outcomes, wrong, manager = Counter[str](), list[str](), DirectIOManager(database_url)

    def fill(column: Column, data: Data, values: list[Any]) -> None:
        trial = Trial(connection, manager, column, data, route, f"trial_{next(NUMBERS)}")
        trial.make_table()
        while values and (error := trial.attempt(values)):
            if trial.column_refused(error):
                outcomes["refused, the column"] += len(values)
                columns.add(f"{column.ddl} <- {data.sql}: {str(error).splitlines()[-2]}")
                return
            values.pop(error.row - 1)
            outcomes["refused by row"] += 1
        if values:
            wrong.extend(f"{column.ddl} <- {data.sql}: {fault}" for fault in trial.faults(values))
            outcomes["equal"] += len(values)

    columns = set()
    for column in COLUMNS:
        for data in column.data:
            fill_column = partial(fill, column, data)

            @settings(STABLE, max_examples=EXAMPLES)
            @given(st.lists(data.values, min_size=data.rows, max_size=data.rows, unique_by=repr))
            def each(values: list[Any]) -> None:
                try:
                    fill_column(values)  # noqa: B023  # called before the next is made
                except Exception as error:
                    wrong.append(
                        f"{column.ddl} <- {data.sql}: RAISED {type(error).__name__} {str(error)[:300]}"
                    )

            each()
    print(*columns, sep="\nCOL ")

    print(f"\n{route}: {len({one.ddl for one in COLUMNS})} column types, {dict(outcomes)}")
    assert not wrong, "\n".join(wrong)
