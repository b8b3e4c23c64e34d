"""Frames of every kind of value, generated: each comes back equal, or is refused with nothing lost."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from purchase_pipeline.postgres import PostgresWriteError, UnstorableValueError
from purchase_pipeline_tests.direct_io import DirectIOManager, Place

EXAMPLES = 350

Values = list[Any]
Table = dict[str, tuple["Kind", Values]]


@dataclass(frozen=True)
class Kind:
    """A kind of column: values that any library's frame may hold, an ordinary one, and each library's type."""

    values: st.SearchStrategy[Any]
    ordinary: Any
    pandas: str = "object"
    polars: Any = None
    arrow: Any = None


texts = st.text(st.characters(exclude_categories=()), max_size=8) | st.sampled_from(
    ["", "NULL", "\\N", "\\.", "a\tb\nc\rd", "'\"\\", "🍎", "{}", "a\0b", "\ud800"]
)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | texts
json_values = st.dictionaries(
    texts,
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2)
    ),
    max_size=3,
)
decimals = st.builds(
    lambda digits, scale: Decimal(digits).scaleb(-scale), st.integers(-(10**20), 10**20), st.integers(0, 12)
) | st.sampled_from([Decimal("1E+10"), Decimal("-0.00")])

KINDS = {
    "integer": Kind(st.integers(-(2**63), 2**63 - 1), 1, "Int64", pl.Int64, pa.int64()),
    "float": Kind(st.floats(), 1.5, "float64", pl.Float64, pa.float64()),
    "text": Kind(texts, "apple", "object", pl.String, pa.string()),
    "boolean": Kind(st.booleans(), True, "boolean", pl.Boolean, pa.bool_()),  # noqa: FBT003
    "decimal": Kind(decimals, Decimal("1.50"), "object", pl.Decimal(38, 12), pa.decimal128(38, 12)),
    "date": Kind(st.dates(), date(2024, 1, 31), "object", pl.Date, pa.date32()),
    "naive": Kind(
        st.datetimes(), datetime(2024, 1, 31), "datetime64[us]", pl.Datetime("us"), pa.timestamp("us")
    ),
    "zoned": Kind(
        st.datetimes(timezones=st.timezones(), allow_imaginary=False),
        datetime.fromisoformat("2024-01-31T12:00:00+02:00"),
        "object",
        pl.Datetime("us", "UTC"),
        pa.timestamp("us", "America/Sao_Paulo"),
    ),
    "time": Kind(st.times(), time(12, 30), "object", pl.Time, pa.time64("us")),
    "duration": Kind(st.timedeltas(), timedelta(1), "object", pl.Duration("us"), pa.duration("us")),
    "bytes": Kind(st.binary(max_size=8), b"\0\xff", "object", pl.Binary, pa.binary()),
    "json": Kind(json_values, {"a": 1}),
    "integers": Kind(
        st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=3),
        [1],
        "object",
        pl.List(pl.Int64),
        pa.list_(pa.int64()),
    ),
    "texts": Kind(
        st.lists(st.none() | texts, max_size=3), ["a"], "object", pl.List(pl.String), pa.list_(pa.string())
    ),
    "structs": Kind(
        st.fixed_dictionaries({"a": st.none() | st.integers(0, 9), "b": st.none() | texts}),
        {"a": 1, "b": "x"},
        "object",
        pl.Struct({"a": pl.Int64, "b": pl.String}),
        pa.struct({"a": pa.int64(), "b": pa.string()}),
    ),
    "identifier": Kind(st.uuids(), UUID(int=1)),
    "large integer": Kind(st.integers(-(2**80), 2**80), 2**70),
    "mixture": Kind(st.one_of(st.integers(), texts, st.floats(), st.dates()), 1),
    "number": Kind(st.integers(-(2**60), 2**60) | st.floats(allow_nan=False), 1.5),
}


def often(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return the values such that beside them a missing one is rare."""
    return values | values.map(lambda value: value) | values.filter(lambda value: value is not None)


def tables(named: Callable[[Kind], bool]) -> st.SearchStrategy[Table]:
    """Return tables of some rows, of which any value but the row's number may be missing."""
    kinds = st.sampled_from([name for name, kind in KINDS.items() if named(kind)])

    def of_kinds(names: Sequence[str]) -> st.SearchStrategy[Table]:
        row = st.tuples(*(often(KINDS[name].values) | st.none() for name in names))
        return st.lists(row, max_size=6).map(
            lambda rows: (
                {
                    f"{place} {name}": (KINDS[name], [row[place] for row in rows])
                    for place, name in enumerate(names)
                }
                | {"row": (KINDS["integer"], list(range(len(rows))))}
            )
        )

    return st.lists(kinds, min_size=1, max_size=4).flatmap(of_kinds)


def pandas_frame(table: Table) -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.Series(values, dtype=kind.pandas) for name, (kind, values) in table.items()}
    )


def polars_frame(table: Table) -> pl.DataFrame:
    return pl.DataFrame(
        [
            pl.Series(name, list(map(in_utc, values)), dtype=kind.polars)
            for name, (kind, values) in table.items()
        ]
    )


def arrow_table(table: Table) -> pa.Table:
    return pa.table(
        {name: pa.array(map(in_utc, values), kind.arrow) for name, (kind, values) in table.items()}
    )


def in_utc(value: Any) -> Any:  # noqa: ANN401
    """Return a zoned time in UTC: the libraries know other histories of the world's zones than Python does."""
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value


def rows_of_pandas(frame: pd.DataFrame) -> dict[str, Values]:
    return {str(name): [without_pandas(value) for value in frame[name]] for name in frame.columns}


def without_pandas(value: Any) -> Any:  # noqa: ANN401
    if value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    if isinstance(value, pd.Timedelta):
        return value.to_pytimedelta()
    return value.item() if isinstance(value, np.generic) else value


def same(one: Any, other: Any) -> bool:  # noqa: ANN401
    """Return whether two values are one, sign of zero, scale and class included."""
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


@dataclass(frozen=True)
class Library:
    """A library of frames: how its frames are made and read, and what it means by a value."""

    make: Callable[[Table], Any]
    read: Callable[[Any], Mapping[str, Values]]
    kinds: Callable[[Kind], bool] = lambda _: True
    meant: Callable[[Any], Any] = lambda value: value


LIBRARIES = {
    "pandas": Library(pandas_frame, rows_of_pandas, meant=without_pandas),
    "polars": Library(
        polars_frame, lambda frame: frame.to_dict(as_series=False), lambda kind: kind.polars is not None
    ),
    "pyarrow": Library(arrow_table, lambda table: table.to_pydict(), lambda kind: kind.arrow is not None),
}


@pytest.fixture
def manager(database_url: str) -> DirectIOManager:
    """An IO manager on an empty database."""
    return DirectIOManager(database_url)


NAMES = (f"frame_{number}" for number in count())


def round_trip(
    manager: DirectIOManager,
    library: "Library",
    table: Table,
    *,
    over_another: bool,
) -> str:
    """Write a frame, over an ordinary one or as the first, and return what came of it."""
    place = Place([next(NAMES)])
    ordinary: Table = {name: (kind, [kind.ordinary]) for name, (kind, _) in table.items()}
    if over_another:
        manager.write(place, library.make(ordinary))
    try:
        frame = library.make(table)
    except (ValueError, TypeError, OverflowError, pa.ArrowException, pl.exceptions.PolarsError):
        return "the library itself refuses"
    try:
        manager.write(place, frame)
    except PostgresWriteError as error:
        told = error.column if isinstance(error, UnstorableValueError) else error.args
        if not told:
            pytest.fail(f"refused without its column: {error}")
        if over_another:
            assert_same(ordinary, library.read(manager.read_as(type(frame), place)))
        else:
            with pytest.raises(LookupError):
                manager.read_as(type(frame), place)
        return "refused, nothing lost"
    expected = {name: (kind, list(map(library.meant, values))) for name, (kind, values) in table.items()}
    assert_same(expected, library.read(manager.read_as(type(frame), place)))
    return "equal"


def assert_same(table: Table, found: Mapping[str, Values]) -> None:
    order = sorted(range(len(found["row"])), key=lambda place: found["row"][place])
    assert list(found) == list(table)
    for name, (_, values) in table.items():
        read = [found[name][place] for place in order]
        assert len(read) == len(values)
        assert all(map(same, values, read)), (name, values, read)


@pytest.mark.proof
@pytest.mark.parametrize("name", LIBRARIES)
def test_every_frame_comes_back_equal_or_is_refused_with_nothing_lost(
    name: str, manager: DirectIOManager
) -> None:
    library, outcomes = LIBRARIES[name], Counter[str]()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[*HealthCheck],
    )
    @given(tables(library.kinds), st.booleans())
    def each(table: Table, over_another: bool) -> None:  # noqa: FBT001
        outcomes[round_trip(manager, library, table, over_another=over_another)] += 1

    each()

    print(f"\n{name}: {outcomes.total()} frames: {dict(outcomes)}")
    assert outcomes.total() >= EXAMPLES
    assert outcomes["equal"] >= EXAMPLES / 4
    assert outcomes["refused, nothing lost"] >= EXAMPLES / 50


@pytest.mark.parametrize("text", ["1.50", "0.000", "-12345678901234567890.0123456789", "1", "0.1"])
def test_a_decimal_keeps_its_scale(manager: DirectIOManager, text: str) -> None:
    place = Place(["decimals"])
    manager.write(place, pd.DataFrame({"value": [Decimal(text), Decimal("9.99")]}))

    assert str(manager.read_as(pd.DataFrame, place)["value"][0]) == text
