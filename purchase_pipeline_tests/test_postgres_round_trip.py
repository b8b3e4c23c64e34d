"""Generated frames of every kind of value: read back equal, or rejected with nothing lost."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import count, pairwise
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from purchase_pipeline.postgres import Batches, PostgresWriteError, UnstorableValueError
from purchase_pipeline_tests.direct_io import DirectIOManager, Place

STABLE = settings(derandomize=True, deadline=None, database=None, suppress_health_check=[*HealthCheck])
EPOCH = datetime(1970, 1, 1)
LONGEST = timedelta(days=106_751_990)
"""The range of 64 bits of microseconds, in days."""

Values = list[Any]


class Colour(Enum):
    """An enum, which has no column type."""

    RED = "red"


@dataclass(frozen=True)
class Kind:
    """A kind of column, and its types in each library.

    Attributes:
        values: what comes back equal.
        ordinary: one of these values.
        pandas, polars, arrow: each library's type; None where it has none.
        unstorable: values that are refused, wherever they stand.
        unstorable_objects: the same, of an object column of pandas: no other library can have them.
        meaning: of a value that is a count of time units, the time; such a column is made of integers.
        missing: whether the type has missing values.
    """

    values: st.SearchStrategy[Any]
    ordinary: Any
    pandas: str = "object"
    polars: Any = None
    arrow: Any = None
    unstorable: Sequence[Any] = ()
    unstorable_objects: Sequence[Any] = ()
    meaning: Callable[[Any], Any] | None = None
    missing: bool = True


@dataclass(frozen=True)
class Column:
    """A column to generate: its kind and values."""

    kind: Kind
    values: Values

    @property
    def meant(self) -> Values:
        """The expected values."""
        meaning = self.kind.meaning
        return [value if value is None or meaning is None else meaning(value) for value in self.values]


Table = dict[str, Column]

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
texts |= st.sampled_from(
    ["", "NULL", "None", "nan", "\\N", "\\.", "a\tb\nc\rd", "'\"\\", "🍎", "{}", "{1,2}"]
)
integers = st.integers(-(2**63), 2**63 - 1)
finite = st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0)  # JSON has no -0.0
scalars = st.none() | st.booleans() | integers | st.integers() | finite
nested = st.recursive(
    scalars | texts, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2)
)
decimals = st.builds(
    lambda digits, scale: Decimal(digits).scaleb(-scale), st.integers(-(10**20), 10**20), st.integers(0, 12)
) | st.sampled_from([Decimal("1E+10"), Decimal("0.00")])
naive = st.datetimes()
zoned = st.datetimes(
    datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.timezones(), allow_imaginary=False
)
durations = st.timedeltas(-LONGEST, LONGEST)


def lists(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.none() | values, max_size=3)


KINDS = {
    "integer": Kind(integers, 1, "Int64", pl.Int64, pa.int64()),
    "plain integer": Kind(integers, 1, "int64", pl.Int64, pa.int64(), missing=False),
    "small integer": Kind(st.integers(-128, 127), 1, "Int8", pl.Int8, pa.int8()),
    "unsigned integer": Kind(st.integers(0, 2**64 - 1), 2**63, "UInt64", pl.UInt64, pa.uint64()),
    "large integer": Kind(st.integers(-(2**126), 2**126), 2**70, "object", pl.Int128),
    "float": Kind(st.floats(), 1.5, "float64", pl.Float64, pa.float64()),
    "single": Kind(st.floats(width=32), 1.5, "float32", pl.Float32, pa.float32()),
    "number": Kind(st.integers(-(2**53), 2**53) | st.floats(), 1.5),
    "boolean": Kind(st.booleans(), True, "boolean", pl.Boolean, pa.bool_()),  # noqa: FBT003
    "plain boolean": Kind(st.booleans(), True, "bool", pl.Boolean, pa.bool_(), missing=False),  # noqa: FBT003
    "text": Kind(texts, "apple", "object", pl.String, pa.string(), ["a\0b"], ["\ud800", "a\udfff"]),
    "plain text": Kind(texts, "apple", "str", pl.String, pa.large_string(), ["\0"]),
    "category": Kind(texts, "a", "category", pl.Categorical, pa.dictionary(pa.int32(), pa.string()), ["\0"]),
    "decimal": Kind(
        decimals,
        Decimal("1.50"),
        "object",
        pl.Decimal(38, 12),
        pa.decimal128(38, 12),
        (),
        [Decimal("1E+200000")],
    ),
    "date": Kind(st.dates(), date(2024, 1, 31), "object", pl.Date, pa.date32()),
    "time": Kind(st.times(), time(12, 30), "object", pl.Time, pa.time64("us"), (), [time(1, tzinfo=UTC)]),
    "naive": Kind(naive, EPOCH, "datetime64[us]", pl.Datetime("us"), pa.timestamp("us")),
    "zoned": Kind(
        zoned,
        EPOCH.replace(tzinfo=UTC),
        "object",
        pl.Datetime("us", "UTC"),
        pa.timestamp("us", "America/Sao_Paulo"),
        (),
        [datetime.fromisoformat("9999-12-31T23:00-03:00"), datetime.fromisoformat("0001-01-01T01:00+03:00")],
    ),
    "zoned column": Kind(
        zoned,
        EPOCH.replace(tzinfo=UTC),
        "datetime64[us, Asia/Tokyo]",
        pl.Datetime("us", "Asia/Tokyo"),
        pa.timestamp("us", "+03:00"),
    ),
    "milliseconds": Kind(
        st.integers(-62_135_596_800_000, 253_402_300_799_999),
        1,
        "datetime64[ms]",
        pl.Datetime("ms"),
        pa.timestamp("ms"),
        [-62_135_596_800_001, 253_402_300_800_000, 2**62],
        meaning=lambda number: EPOCH + timedelta(milliseconds=number),
    ),
    "nanoseconds": Kind(
        st.integers(-(2**53), 2**53).map(lambda number: number * 1000),
        1000,
        "datetime64[ns]",
        pl.Datetime("ns"),
        pa.timestamp("ns"),
        [1, -999, 2**62 + 1],
        meaning=lambda number: EPOCH + timedelta(microseconds=number // 1000),
    ),
    "long": Kind(
        st.integers(-(2**53), 2**53),
        1,
        "timedelta64[ms]",
        pl.Duration("ms"),
        pa.duration("ms"),
        [2**62, -(2**62)],
        meaning=lambda number: timedelta(milliseconds=number),
    ),
    "duration": Kind(
        durations, timedelta(1), "object", pl.Duration("us"), pa.duration("us"), (), [timedelta.max]
    ),
    "bytes": Kind(st.binary(max_size=8), b"\0\xff", "object", pl.Binary, pa.binary()),
    "identifier": Kind(st.uuids(), UUID(int=1), unstorable=[1j, Colour.RED, {1}]),
    "json": Kind(
        st.dictionaries(texts, nested, max_size=3),
        {"a": 1},
        unstorable=[
            *(
                {"a": value}
                for value in (math.nan, math.inf, "\0", "\ud800", date(1, 1, 1), b"", Decimal(1), 1j)
            ),
            *({key: 1} for key in ("\0", "\ud800", 1, None, (1, 2))),
        ],
    ),
    "structs": Kind(
        st.fixed_dictionaries({"a": st.none() | integers, "b": st.none() | texts, "c": lists(texts)}),
        {"a": 1, "b": "x", "c": ["y"]},
        "object",
        pl.Struct({"a": pl.Int64, "b": pl.String, "c": pl.List(pl.String)}),
        pa.struct({"a": pa.int64(), "b": pa.string(), "c": pa.list_(pa.string())}),
        [{"a": 1, "b": "\0", "c": []}, {"a": 1, "b": "", "c": ["", "\0"]}],
    ),
    "integers": Kind(lists(integers), [1], "object", pl.List(pl.Int64), pa.list_(pa.int64())),
    "floats": Kind(lists(st.floats()), [1.5], "object", pl.List(pl.Float64), pa.list_(pa.float64())),
    "texts": Kind(lists(texts), ["a"], "object", pl.List(pl.String), pa.list_(pa.string()), [["a", "\0"]]),
    "decimals": Kind(
        lists(decimals),
        [Decimal("0.5")],
        "object",
        pl.List(pl.Decimal(38, 12)),
        pa.list_(pa.decimal128(38, 12)),
    ),
    "moments": Kind(
        lists(zoned),
        [EPOCH.replace(tzinfo=UTC)],
        "object",
        pl.List(pl.Datetime("us", "UTC")),
        pa.list_(pa.timestamp("us", "UTC")),
    ),
    "lists": Kind(
        lists(lists(st.booleans())),
        [[True]],
        "object",
        pl.List(pl.List(pl.Boolean)),
        pa.list_(pa.list_(pa.bool_())),
    ),
}


def rows_of(kinds: Sequence[Kind], *, least: int = 0) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """Return rows of values of these kinds, some of them missing."""
    cells = (
        st.one_of(kind.values, kind.values, st.none()) if kind.missing else kind.values for kind in kinds
    )
    return st.lists(st.tuples(*cells), min_size=least, max_size=6)


def table_of(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Table:
    columns = {
        f"{place} {name}": Column(KINDS[name], [row[place] for row in rows])
        for place, name in enumerate(names)
    }
    return columns | {"row": Column(KINDS["plain integer"], list(range(len(rows))))}


@dataclass(frozen=True)
class Library:
    """A frame library: its kinds of columns, how to build and read frames, and how it represents values."""

    has: Callable[[Kind], bool]
    make: Callable[[Table], Any]
    read: Callable[[Any], Mapping[str, Values]]
    meant: Callable[[Any], Any] = lambda value: value

    def names(self, *, unstorable: bool = False) -> list[str]:
        """Return the names of its kinds, optionally only those with rejected values."""
        return [
            name
            for name, kind in KINDS.items()
            if self.has(kind) and (self.unstorable(kind) or not unstorable)
        ]

    def unstorable(self, kind: Kind) -> Sequence[Any]:
        """Return the rejected values of a kind."""
        return [*kind.unstorable, *(kind.unstorable_objects if self is PANDAS else ())]

    def tables(self) -> st.SearchStrategy[Table]:
        """Return tables whose values can all be stored."""
        return st.lists(st.sampled_from(self.names()), min_size=1, max_size=4).flatmap(
            lambda names: rows_of([KINDS[name] for name in names]).map(lambda rows: table_of(names, rows))
        )

    def poisoned_tables(self) -> st.SearchStrategy[tuple[Table, str, int]]:
        """Return tables with one value that cannot be stored, its column and its row."""

        @st.composite
        def poisoned(draw: st.DrawFn) -> tuple[Table, str, int]:
            bad = draw(st.sampled_from(self.names(unstorable=True)))
            names = [*draw(st.lists(st.sampled_from(self.names()), max_size=2)), bad]
            table = table_of(names, draw(rows_of([KINDS[name] for name in names], least=1)))
            column = f"{len(names) - 1} {bad}"
            place = draw(st.integers(0, len(table[column].values) - 1))
            table[column].values[place] = draw(st.sampled_from(self.unstorable(KINDS[bad])))
            return table, column, place

        return poisoned()


def pandas_frame(table: Table) -> pd.DataFrame:
    return pd.DataFrame({name: pandas_series(column.kind, column.values) for name, column in table.items()})


def pandas_series(kind: Kind, values: Values) -> "pd.Series[Any]":
    if kind.meaning:
        counts = [np.iinfo(np.int64).min if value is None else value for value in values]
        return pd.Series(np.array(counts, dtype=np.int64).view(kind.pandas))
    return pd.Series(values if kind.pandas == "object" else list(map(in_utc, values)), dtype=kind.pandas)


def polars_frame(table: Table) -> pl.DataFrame:
    return pl.DataFrame([polars_series(name, column.kind, column.values) for name, column in table.items()])


def polars_series(name: str, kind: Kind, values: Values) -> pl.Series:
    if kind.meaning:
        return pl.Series(name, values, dtype=pl.Int64).cast(kind.polars)
    return pl.Series(name, list(map(in_utc, values)), dtype=kind.polars)


def arrow_table(table: Table) -> pa.Table:
    return pa.table({name: arrow_array(column.kind, column.values) for name, column in table.items()})


def arrow_array(kind: Kind, values: Values) -> Any:  # noqa: ANN401
    if kind.meaning:
        return pa.array(values, pa.int64()).cast(kind.arrow)
    return pa.array(list(map(in_utc, values)), kind.arrow)


def in_utc(value: Any) -> Any:  # noqa: ANN401
    """Return a datetime in UTC: the libraries' time zone histories differ from Python's."""
    if isinstance(value, list):
        return list(map(in_utc, value))
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value


def rows_of_pandas(frame: pd.DataFrame) -> dict[str, Values]:
    return {str(name): [without_pandas(value) for value in frame[name]] for name in frame.columns}


def without_pandas(value: Any) -> Any:  # noqa: ANN401
    """Return a value as Python has it: None, NaN, NaT and NA are all missing values in pandas."""
    if value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    if isinstance(value, pd.Timedelta):
        return value.to_pytimedelta()
    return value.item() if isinstance(value, np.generic) else value


def same(one: Any, other: Any) -> bool:  # noqa: ANN401
    """Return whether two values are identical, including the sign of zero."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    if isinstance(one, datetime) and one.tzinfo is not None:  # times of two zones are not compared in a fold
        return same(one.astimezone(UTC).replace(tzinfo=None), other.astimezone(UTC).replace(tzinfo=None))
    return bool(one == other) and isinstance(other, bool) == isinstance(one, bool)


PANDAS = Library(lambda _: True, pandas_frame, rows_of_pandas, without_pandas)
POLARS = Library(
    lambda kind: kind.polars is not None, polars_frame, lambda frame: frame.to_dict(as_series=False)
)
ARROW = Library(lambda kind: kind.arrow is not None, arrow_table, lambda table: table.to_pydict())
LIBRARIES = {"pandas": PANDAS, "polars": POLARS, "pyarrow": ARROW}
PLACES = (Place([f"frame_{number}"]) for number in count())


@pytest.fixture
def manager(database_url: str) -> DirectIOManager:
    """The IO manager of an empty database."""
    return DirectIOManager(database_url)


def ordinary(table: Table) -> Table:
    """Return a table of the same columns with one valid row."""
    return {name: Column(column.kind, [column.kind.ordinary]) for name, column in table.items()}


def assert_stored(manager: DirectIOManager, place: Place, library: Library, table: Table) -> None:
    found = library.read(manager.read_as(type(library.make(ordinary(table))), place))
    order = np.argsort(found["row"])
    assert list(found) == list(table)
    for name, column in table.items():
        meant, read = list(map(library.meant, column.meant)), [found[name][at] for at in order]
        assert len(read) == len(meant)
        assert all(map(same, meant, read)), (name, meant, read)


@pytest.mark.proof
@pytest.mark.parametrize("name", LIBRARIES)
def test_a_frame_comes_back_equal(name: str, manager: DirectIOManager) -> None:
    library, outcomes = LIBRARIES[name], Counter[str]()

    @settings(STABLE, max_examples=260)
    @given(library.tables(), st.booleans())
    def each(table: Table, over_another: bool) -> None:  # noqa: FBT001
        place = next(PLACES)
        if over_another:
            manager.write(place, library.make(ordinary(table)))
        manager.write(place, library.make(table))
        assert_stored(manager, place, library, table)
        outcomes["equal"] += 1

    each()

    print(f"\n{name}: {dict(outcomes)}")
    assert outcomes["equal"] >= 260


@pytest.mark.proof
@pytest.mark.parametrize("name", LIBRARIES)
def test_a_frame_with_one_unstorable_value_is_refused_by_column_and_row_and_nothing_is_lost(
    name: str, manager: DirectIOManager
) -> None:
    library, outcomes = LIBRARIES[name], Counter[str]()

    @settings(STABLE, max_examples=80)
    @given(library.poisoned_tables(), st.booleans())
    def each(poisoned: tuple[Table, str, int], over_another: bool) -> None:  # noqa: FBT001
        (table, column, at), place = poisoned, next(PLACES)
        if over_another:
            manager.write(place, library.make(ordinary(table)))

        with pytest.raises(UnstorableValueError) as caught:
            manager.write(place, library.make(table))

        assert (caught.value.column, caught.value.row) == (column, at + 1)
        if over_another:
            assert_stored(manager, place, library, ordinary(table))
        else:
            with pytest.raises(LookupError):
                manager.read_as(pd.DataFrame, place)
        outcomes["refused, nothing lost"] += 1

    each()

    print(f"\n{name}: {dict(outcomes)}")
    assert outcomes["refused, nothing lost"] >= 80


@pytest.mark.proof
def test_objects_of_any_classes_in_one_column_come_back_equal_or_are_refused(
    manager: DirectIOManager,
) -> None:
    outcomes = Counter[str]()
    anything = st.one_of(
        st.sampled_from([None, math.nan, pd.NA, pd.NaT, 1j, Colour.RED]),
        *(kind.values for kind in KINDS.values() if kind.pandas == "object"),
    )

    @settings(STABLE, max_examples=80)
    @given(st.lists(anything, min_size=1, max_size=3))
    def each(values: Values) -> None:
        place, table = next(PLACES), table_of(["number"], [(value,) for value in values])
        refusal = ""
        try:
            manager.write(place, PANDAS.make(table))
        except PostgresWriteError as error:
            refusal = str(error)
        if refusal:
            assert re.search(r", row \d+, column '0 number': ", refusal)
        else:
            assert_stored(manager, place, PANDAS, table)
        outcomes["refused" if refusal else "equal"] += 1

    each()

    print(f"\n{dict(outcomes)}")
    assert outcomes["equal"] >= 10
    assert outcomes["refused"] >= 10


@pytest.mark.proof
@pytest.mark.parametrize("name", LIBRARIES)
def test_a_frame_cut_anywhere_into_batches_comes_back_as_the_whole_does(
    name: str, manager: DirectIOManager
) -> None:
    library = LIBRARIES[name]
    names = ["integer", "plain text", "float"]

    @settings(STABLE, max_examples=30)
    @given(rows_of([KINDS[one] for one in names]), st.lists(st.integers(0, 6), max_size=3))
    def each(rows: list[tuple[Any, ...]], cuts: list[int]) -> None:
        place, table = next(PLACES), table_of(names, rows)
        whole = library.make(table)
        bounds = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
        pieces = [whole[start:end] for start, end in pairwise(bounds)]

        manager.write(place, Batches(pieces))

        assert_stored(manager, place, library, table)

    each()


def test_decimals_keep_their_scale(manager: DirectIOManager) -> None:
    place, written = next(PLACES), ["1.50", "0.000", "-12345678901234567890.0123456789", "1", "0.1"]
    manager.write(place, pd.DataFrame({"value": list(map(Decimal, written))}))

    read = manager.read_as(pd.DataFrame, place)["value"]

    assert sorted(map(str, read)) == sorted(written)
