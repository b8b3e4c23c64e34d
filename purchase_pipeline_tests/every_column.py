"""Column types in DDL, and generated data for them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
from hypothesis import strategies as st

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
    """A kind of data: its values, their types in PostgreSQL and the libraries, and the number of distinct ones."""

    values: st.SearchStrategy[Any]
    sql: str
    arrow: Any = None
    polars: Any = None
    rows: int = 12


def texts_of(*texts: str) -> Data:
    """Return strings that a type accepts or rejects, and a few that no type accepts."""
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
    """Return moments in microseconds after the first, some of them whole seconds or tenths."""
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
        ddl: the type in DDL.
        wide: the type without bounds and domains, which defines a value's exact text.
        data: kinds of data to write.
        read: SQL to select the column with psycopg, as documented.
    """

    ddl: str
    wide: str
    data: Sequence[Data]
    read: str = "{}"

    @property
    def whole(self) -> bool:
        """Whether it stores integers. Floats then have all their digits; as NUMERIC, only as many as needed."""
        return any(name in self.ddl for name in ("int", "positive", "numbers", "oid"))


_numbers, _as_text = (INTEGERS, FLOATS, DECIMALS), "{}::text"
COLUMNS = [
    *(Column(ddl, "numeric", _numbers) for ddl in ("smallint", "integer", "bigint", "numeric", "positive")),
    *(
        Column(f"numeric({p})", "numeric", _numbers)
        for p in ("3", "6, 2", "3, 5", "5, -2", "38, 12", "50, 20")
    ),
    *(Column(ddl, "numeric", _numbers) for ddl in ("small_positive", "price", "low_price")),
    *(Column(ddl, "float8", _numbers, "{}::float8") for ddl in ("real", "double precision")),
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
    Column("inet", "inet", (INET_TEXTS,), "CASE WHEN {0} IS NOT NULL THEN concat({0}) END"),
    Column("cidr", "cidr", (INET_TEXTS,), _as_text),
    *(Column(name, name, (MAC_TEXTS,), _as_text) for name in ("macaddr", "macaddr8")),
    *(Column(name, "jsonb", (DOCUMENTS, JSON_TEXTS), _as_text) for name in ("json", "jsonb", "document")),
    Column("uuid", "uuid", (IDENTIFIERS, UUID_TEXTS)),
    Column("xml", "xml", (XML_TEXTS,), _as_text),
    *(Column(name, name, (POINT_TEXTS,), _as_text) for name in ("point",)),
    *(Column(name, name, (RANGE_TEXTS,), _as_text) for name in ("int4range", "numrange", "int8multirange")),
    Column("pair", "pair", (PAIR_TEXTS,), _as_text),
    Column("vector(3)", "vector", (VECTOR_TEXTS, FLOAT_LISTS), _as_text),
    *(
        Column(f"{name}[]", "numeric[]", tuple(map(lists_of, _numbers)), "{}::numeric[]")
        for name in ("smallint", "bigint", "numeric")
    ),
    *(
        Column(f"{name}[]", "numeric[]", tuple(map(lists_of, _numbers)), "{}::numeric[]")
        for name in ("numeric(6, 2)", "positive", "price")
    ),
    *(
        Column(f"{name}[]", "float8[]", tuple(map(lists_of, _numbers)), "{}::float8[]")
        for name in ("real", "double precision")
    ),
    Column("numbers", "numeric[]", (lists_of(INTEGERS),), "{}::integer[]"),
    *(
        Column(f"{name}[]", "text[]", (lists_of(TEXTS),), "{}::text::text[]")
        for name in ("text", "varchar(3)", "char(3)", "code")
    ),
    *(Column(f"{name}[]", "text[]", (lists_of(TEXTS),), "{}::text[]") for name in ("name", '"char"')),
    Column("codes", "text[]", (lists_of(TEXTS),), "{}::text[]"),
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
        Column(f"{name}[]", "timestamptz[]", (lists_of(INSTANTS),), "{}::timestamptz[]")
        for name in ("timestamptz", "timestamptz(0)", "moment")
    ),
    Column("uuid[]", "uuid[]", (lists_of(IDENTIFIERS), lists_of(UUID_TEXTS))),
    Column("inet[]", "inet[]", (lists_of(INET_TEXTS),), "{}::text::text[]"),
    Column("pair[]", "pair[]", (lists_of(PAIR_TEXTS),), "{}::text[]"),
    Column("interval[]", "interval[]", (lists_of(DURATIONS),)),
    Column("interval(0)[]", "interval[]", (lists_of(DURATIONS),)),
    Column("interval", "interval", (INTERVAL_TEXTS,)),
    Column("jsonb[]", "jsonb[]", (lists_of(JSON_TEXTS),), "{}::text[]"),
]
