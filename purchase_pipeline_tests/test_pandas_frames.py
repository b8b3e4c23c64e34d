"""A pandas frame becomes a table of plain types, and what is read a frame of pandas' own dtypes."""

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres.errors import RefusedValueError
from purchase_pipeline.postgres.frames.pandas_frames import from_arrow, to_batch
from purchase_pipeline.postgres.frames.to_python import python_rows
from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.types import ColumnType, sql
from purchase_pipeline_tests.as_read import as_read, values_in

NOON = datetime(2024, 1, 31, 12, 0, 0, 1)
ITSELF: list[Any] = []
ITSELF.append(ITSELF)


def moments(*counts: int, unit: str) -> "pd.Series[Any]":
    """Return counts of a unit since 1970, or of nothing, as pandas has them."""
    return pd.Series(np.array(counts, dtype=np.int64).view(unit))


@pytest.mark.parametrize(
    ("values", "dtype", "column_type", "expected"),
    [
        ([1, -2], "int8", "BIGINT", [1, -2]),
        ([1, 2**63 - 1], "int64", "BIGINT", [1, 2**63 - 1]),
        ([2**53 + 1, None], "Int64", "BIGINT", [2**53 + 1, None]),
        ([1, 2**32 - 1], "uint32", "BIGINT", [1, 2**32 - 1]),
        ([1, 2**64 - 1], "uint64", "NUMERIC", [Decimal(1), Decimal(2**64 - 1)]),
        ([2**64 - 1, None], "UInt64", "NUMERIC", [Decimal(2**64 - 1), None]),
        ([0.1, math.nan, math.inf], "float64", "DOUBLE PRECISION", [0.1, None, math.inf]),
        ([0.5, None], "float16", "DOUBLE PRECISION", [0.5, None]),
        ([0.5, None], "Float64", "DOUBLE PRECISION", [0.5, None]),
        ([True, False], "bool", "BOOLEAN", [True, False]),
        ([True, None], "boolean", "BOOLEAN", [True, None]),
        (["a", None, ""], "str", "TEXT", ["a", None, ""]),
        (["a", None], "string", "TEXT", ["a", None]),
        ([NOON, None], "datetime64[us]", "TIMESTAMP WITHOUT TIME ZONE", [NOON, None]),
        ([NOON, None], "datetime64[ns]", "TIMESTAMP WITHOUT TIME ZONE", [NOON, None]),
        (["2024-01-31", None], "datetime64[s]", "TIMESTAMP WITHOUT TIME ZONE", [datetime(2024, 1, 31), None]),
        (["0001-01-01", "9999-12-31"], "datetime64[us]", "TIMESTAMP WITHOUT TIME ZONE", None),
        ([timedelta(1), None], "timedelta64[ns]", "INTERVAL", [timedelta(1), None]),
        (["b", None, "a"], "category", "TEXT", ["b", None, "a"]),
        ([2, 1, 2], "category", "BIGINT", [2, 1, 2]),
        ([NOON, None], "category", "TIMESTAMP WITHOUT TIME ZONE", [NOON, None]),
        ([1, None], "int64[pyarrow]", "BIGINT", [1, None]),
        ([[1], None], pd.ArrowDtype(pa.list_(pa.int64())), "BIGINT[]", [[1], None]),
        ([], "object", "unknown", []),
        ([None, math.nan, pd.NA, pd.NaT], "object", "unknown", [None] * 4),
        ([np.datetime64("NaT", "us"), np.float32("nan")], "object", "unknown", [None] * 2),
        ([np.float32("nan"), "a"], "object", "TEXT", [None, "a"]),
        ([np.int64(1), 2], "object", "BIGINT", [1, 2]),
        ([np.str_("a"), "b"], "object", "TEXT", ["a", "b"]),
        ([1, 0.5], "object", "DOUBLE PRECISION", [1.0, 0.5]),
        ([Decimal("1.50"), None], "object", "NUMERIC", [Decimal("1.50"), None]),
        ([Decimal("1.5"), Decimal("1.25"), 2], "object", "NUMERIC", [*map(Decimal, ("1.5", "1.25", "2"))]),
        ([Decimal(0), Decimal("1E-40")], "object", "NUMERIC", [Decimal(0), Decimal("1E-40")]),
        ([Decimal(10**40), Decimal("NaN")], "object", "NUMERIC", [Decimal(10**40), Decimal("NaN")]),
        ([date(1, 1, 1), pd.NaT], "object", "DATE", [date(1, 1, 1), None]),
        ([time(1), None], "object", "TIME WITHOUT TIME ZONE", [time(1), None]),
        ([b"\0", None], "object", "BYTEA", [b"\0", None]),
        ([memoryview(b"abcd")[::2]], "object", "BYTEA", [b"ac"]),
        ([UUID(int=1), None], "object", "UUID", [UUID(int=1), None]),
        ([pd.Timestamp(NOON), NOON], "object", "TIMESTAMP WITHOUT TIME ZONE", [NOON, NOON]),
        ([np.datetime64("2024-01-31")], "object", "TIMESTAMP WITHOUT TIME ZONE", [datetime(2024, 1, 31)]),
        ([pd.Timedelta(1, "D"), timedelta(2)], "object", "INTERVAL", [timedelta(1), timedelta(2)]),
        ([np.array([1, 2]), [3, None], (4,)], "object", "BIGINT[]", [[1, 2], [3, None], [4]]),
        ([[0.5, math.nan, pd.NA]], "object", "DOUBLE PRECISION[]", [[0.5, math.nan, None]]),
        (
            [np.array(["2024-01-31"], "M8[ns]")],
            "object",
            "TIMESTAMP WITHOUT TIME ZONE[]",
            [[datetime(2024, 1, 31)]],
        ),
        ([{"a": np.int64(1), "b": [pd.NaT]}], "object", "JSONB", [{"a": 1, "b": [None]}]),
    ],
)
def test_values_become_pythons_own_and_missing_ones_none(
    values: list[Any],
    dtype: str | pd.ArrowDtype,
    column_type: str,
    expected: list[Any] | None,
) -> None:
    batch = to_batch(pd.DataFrame({"value": pd.Series(values, dtype=dtype)}))

    found = values_in(batch)
    wanted = [datetime.fromisoformat(value) for value in values] if expected is None else expected
    assert (sql(batch.types["value"]), repr(found)) == (column_type, repr(wanted))


@pytest.mark.parametrize("zone", ["UTC", "America/Sao_Paulo", "+09:00"])
def test_a_zoned_time_is_handed_on_in_utc(zone: str) -> None:
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
    times = pd.Series([first, None, last], dtype="datetime64[us, UTC]").dt.tz_convert(zone)

    batch = to_batch(pd.DataFrame({"value": times}))

    assert (sql(batch.types["value"]), values_in(batch)) == (
        "TIMESTAMP WITH TIME ZONE",
        [first, None, last],
    )


@pytest.mark.parametrize("name", [7, ("a", 1), None, 0.5])
def test_a_name_that_is_no_text_is_refused(name: object) -> None:
    frame = pd.DataFrame([[1]], columns=pd.Index([name], dtype="object", tupleize_cols=False))

    with pytest.raises(
        RefusedValueError, match=r"column names must be strings, but .* rename the column"
    ) as caught:
        to_batch(frame)

    assert (caught.value.column, caught.value.position) == (str(name), None)


@pytest.mark.parametrize(
    ("index", "names", "rows"),
    [
        (pd.Index(["a"]), ["value"], [(1,)]),
        (pd.Index(["a"], name="key"), ["key", "value"], [("a", 1)]),
        (pd.DatetimeIndex([NOON], name="key"), ["key", "value"], [(NOON, 1)]),
        (pd.MultiIndex.from_tuples([("a", 2)], names=["key", None]), ["key", "value"], [("a", 1)]),
        (pd.MultiIndex.from_tuples([("a", 2)], names=["b", "c"]), ["b", "c", "value"], [("a", 2, 1)]),
    ],
)
def test_levels_of_the_index_that_have_a_name_are_the_first_columns(
    index: "pd.Index[Any]", names: list[str], rows: list[tuple[Any, ...]]
) -> None:
    batch = to_batch(pd.DataFrame({"value": [1]}, index=index))

    assert (list(batch.types), python_rows(batch.types, batch.frame)) == (names, rows)


@pytest.mark.parametrize(
    ("series", "position", "words"),
    [
        (pd.Series([0.5, 1j]), 0, r"\(0.5\+0j\) is complex"),
        (pd.Series([1, 1j], dtype="object"), 1, "1j is complex"),
        (pd.Series([1, "a"], dtype="object"), 1, "'a' is str, but the values before it are BIGINT"),
        (pd.Series([0.5, 2**53 + 1], dtype="object"), 1, "9007199254740993 among floats"),
        (pd.Series(pd.period_range("2024", periods=2)), 0, "is Period"),
        (pd.Series(pd.interval_range(0, 2)), 0, "is Interval"),
        (moments(1000, 1, unit="M8[ns]"), 1, r"00:00:00.000000001'\) has a fraction of a microsecond"),
        (moments(1, unit="m8[ns]"), 0, r"00:00:00.000000001'\) has a fraction of a microsecond"),
        (
            moments(0, 253_402_300_800, unit="M8[s]"),
            1,
            r"253402300800 as timestamp\[s\] is outside the years 1 to 9999",
        ),
        (moments(-62_135_596_801, unit="M8[s]"), 0, "is outside the years 1 to 9999"),
        (moments(2**63 - 1, unit="M8[us]"), 0, "is outside the years 1 to 9999"),
        (moments(10**15, unit="m8[s]"), 0, "exceeds 64 bits of microseconds"),
        (pd.Series([NOON, pd.Timestamp(1, unit="ns")], dtype="object"), 1, "has a fraction of a microsecond"),
        (pd.Series([[pd.Timedelta(1, unit="ns")]], dtype="object"), 0, "has a fraction of a microsecond"),
        (pd.Series([np.datetime64("50000-01-01")], dtype="object"), 0, "year 50000 is out of range"),
        (pd.Series([np.timedelta64(5, "Y")], dtype="object"), 0, "Unit Y is not supported"),
        (pd.Series([timedelta.max], dtype="object"), 0, "too large"),
        (pd.Series([ITSELF], dtype="object"), 0, "recursion"),
        (pd.Series([None], dtype=pd.ArrowDtype(pa.month_day_nano_interval())), None, "no type for Arrow's"),
    ],
)
def test_what_postgresql_cannot_hold_is_refused_by_its_position(
    series: "pd.Series[Any]", position: int | None, words: str
) -> None:
    with pytest.raises(RefusedValueError, match=words) as caught:
        to_batch(pd.DataFrame({"first": [0] * len(series), "value": series}))

    assert (caught.value.column, caught.value.position) == ("value", position)


@pytest.mark.parametrize("index", ["b", "a"])
def test_two_columns_of_one_name_are_refused(index: str) -> None:
    frame = pd.DataFrame(
        [[1, 2]], columns=["a", "a" if index == "b" else "c"], index=pd.Index([0], name=index)
    )

    with pytest.raises(RefusedValueError, match="two columns have this name"):
        to_batch(frame)


@pytest.mark.parametrize(
    ("column_type", "values", "dtype", "expected"),
    [
        (types.BIGINT, [1, 2**53 + 1], "int64", [1, 2**53 + 1]),
        (types.BIGINT, [2**53 + 1, None], "Int64", [2**53 + 1, pd.NA]),
        (types.BOOLEAN, [True], "bool", [True]),
        (types.BOOLEAN, [True, None], "boolean", [True, pd.NA]),
        (types.DOUBLE, [0.5, None, math.inf], "float64", [0.5, math.nan, math.inf]),
        (types.TEXT, ["", None], "str", ["", math.nan]),
        (types.TEXT, [None], "str", [math.nan]),
        (types.TEXT, [], "str", []),
        (types.BIGINT, [None], "Int64", [pd.NA]),
        (types.NUMERIC, [Decimal("NaN"), Decimal(10**60)], "object", [Decimal("NaN"), Decimal(10**60)]),
        (ARRAY(types.DURATION), [[timedelta(1), None], None], "object", [[timedelta(1), None], None]),
        (ARRAY(types.IDENTIFIER), [[UUID(int=1)], []], "object", [[UUID(int=1)], []]),
        (types.JSON, [{"a": 1}, None], "object", [{"a": 1}, None]),
        (types.NAIVE, [datetime(1, 1, 1), None], "datetime64[us]", [pd.Timestamp(1, 1, 1), pd.NaT]),
        (types.ZONED, [NOON.astimezone(UTC), None], "datetime64[us, UTC]", [NOON.astimezone(UTC), pd.NaT]),
        (types.DURATION, [timedelta(-1), None], "timedelta64[us]", [pd.Timedelta(-1, "D"), pd.NaT]),
        (sa.Numeric(10, 2), [Decimal("1.50"), None], "object", [Decimal("1.50"), None]),
        (types.DATE, [date(9999, 12, 31), None], "object", [date(9999, 12, 31), None]),
        (types.TIME, [time(1), None], "object", [time(1), None]),
        (types.BYTES, [b"\0", None], "object", [b"\0", None]),
        (types.JSON, [{"a": 1}, [1], None], "object", [{"a": 1}, [1], None]),
        (types.IDENTIFIER, [UUID(int=1), None], "object", [UUID(int=1), None]),
        (ARRAY(types.BIGINT), [[1, None], None], "object", [[1, None], None]),
        (types.BIGINT, [], "int64", []),
        (types.ZONED, [], "datetime64[us, UTC]", []),
        (types.JSON, [], "object", []),
    ],
)
def test_rows_become_columns_by_type_and_by_what_is_missing(
    column_type: ColumnType, values: list[Any], dtype: str, expected: list[Any]
) -> None:
    frame = from_arrow({"value": column_type}, as_read(column_type, values))

    assert str(frame["value"].dtype) == dtype
    assert repr(frame["value"].tolist()) == repr(pd.Series(expected, dtype=dtype).tolist())
