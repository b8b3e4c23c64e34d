"""A polars frame becomes a table of plain types, and what is read a frame of polars' own dtypes."""

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import polars as pl
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres.errors import RefusedValueError
from purchase_pipeline.postgres.frames.polars_frames import from_arrow, to_batch
from purchase_pipeline.postgres.frames.to_python import python_rows
from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.types import ColumnType, sql
from purchase_pipeline_tests.as_read import as_read, values_in

Dtype = pl.DataType | type[pl.DataType]
NOON = datetime(2024, 1, 31, 12, 0, 0, 1)
ZONED_NOON = NOON.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "dtype", "column_type"),
    [
        ([1, None], pl.Int8, "BIGINT"),
        ([2**63 - 1, None], pl.Int64, "BIGINT"),
        ([2**32 - 1], pl.UInt32, "BIGINT"),
        ([2**64 - 1, None], pl.UInt64, "NUMERIC"),
        ([-(2**127)], pl.Int128, "NUMERIC"),
        ([2**128 - 1], pl.UInt128, "NUMERIC"),
        ([[2**70, None]], pl.List(pl.Int128), "NUMERIC[]"),
        ([0.5, math.nan, None, -math.inf], pl.Float64, "DOUBLE PRECISION"),
        ([0.5], pl.Float32, "DOUBLE PRECISION"),
        ([0.5, None], pl.Float16, "DOUBLE PRECISION"),
        ([[0.5], None], pl.List(pl.Float16), "DOUBLE PRECISION[]"),
        ([True, None], pl.Boolean, "BOOLEAN"),
        (["a", None, ""], pl.String, "TEXT"),
        (["a", None], pl.Categorical, "TEXT"),
        (["a", None], pl.Enum(["a", "b"]), "TEXT"),
        ([b"\0", None], pl.Binary, "BYTEA"),
        ([Decimal("1.50"), None], pl.Decimal(10, 2), "NUMERIC"),
        ([date(1, 1, 1), date(9999, 12, 31), None], pl.Date, "DATE"),
        ([time(23, 59, 59, 999_999), None], pl.Time, "TIME WITHOUT TIME ZONE"),
        ([datetime(1, 1, 1), NOON, None], pl.Datetime("us"), "TIMESTAMP WITHOUT TIME ZONE"),
        ([NOON], pl.Datetime("ns"), "TIMESTAMP WITHOUT TIME ZONE"),
        ([ZONED_NOON, None], pl.Datetime("us", "UTC"), "TIMESTAMP WITH TIME ZONE"),
        ([timedelta(-1), None], pl.Duration("ms"), "INTERVAL"),
        ([{"a": 1, "b": [0.5]}, None], pl.Struct({"a": pl.Int64, "b": pl.List(pl.Float64)}), "JSONB"),
        ([[1, None], [], None], pl.List(pl.Int64), "BIGINT[]"),
        ([["a"], None], pl.List(pl.Categorical), "TEXT[]"),
        ([[1, 2], None], pl.Array(pl.Int64, 2), "BIGINT[]"),
        ([[[1]], None], pl.List(pl.List(pl.Int64)), "JSONB"),
        ([[{"a": 1}], None], pl.List(pl.Struct({"a": pl.Int64})), "JSONB"),
        ([None, None], pl.Null, "unknown"),
        ([UUID(int=1), None], pl.Object, "UUID"),
        ([], pl.Int64, "BIGINT"),
    ],
)
def test_values_are_handed_on_as_they_are(values: list[Any], dtype: Dtype, column_type: str) -> None:
    batch = to_batch(pl.DataFrame([pl.Series("value", values, dtype=dtype)]))

    found = values_in(batch)
    assert sql(batch.types["value"]) == column_type
    assert found == values or repr(found) == repr(values)


@pytest.mark.parametrize("zone", ["UTC", "America/Sao_Paulo", "Asia/Tokyo"])
def test_a_zoned_time_is_handed_on_in_utc_in_lists_too(zone: str) -> None:
    times = [datetime(1, 1, 1, tzinfo=UTC), None, datetime(9999, 12, 31, 23, 59, tzinfo=UTC)]
    series = pl.Series("value", times, dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone(zone)

    batch = to_batch(pl.DataFrame([series, series.implode().extend_constant(None, 2).alias("values")]))

    assert python_rows(batch.types, batch.frame) == [(times[0], times), (None, None), (times[2], None)]


@pytest.mark.parametrize(
    ("counts", "dtype", "position", "words"),
    [
        ([0, 1], pl.Time, 1, "a fraction of a microsecond"),
        ([1000, 1], pl.Datetime("ns"), 1, "a fraction of a microsecond"),
        ([1], pl.Datetime("ns", "Asia/Tokyo"), 0, "a fraction of a microsecond"),
        ([None, -1], pl.Duration("ns"), 1, "a fraction of a microsecond"),
        ([2**62], pl.Duration("ms"), 0, "exceeds 64 bits of microseconds"),
        ([0, 253_402_300_800_000], pl.Datetime("ms"), 1, "outside the years 1 to 9999"),
        ([-62_135_596_800_001], pl.Datetime("ms"), 0, "outside the years 1 to 9999"),
        ([2**63 - 1], pl.Datetime("us", "UTC"), 0, "outside the years 1 to 9999"),
        ([0, 2_932_897], pl.Date, 1, "2932897 as date32.day. is outside the years 1 to 9999"),
        ([[0], [], None, [0, 1]], pl.List(pl.Time), 3, "a fraction of a microsecond"),
        ([None, [[0], [2_932_897]]], pl.List(pl.List(pl.Date)), 1, "not JSON serializable|out of range"),
        ([[0, 0], None, [0, 1]], pl.Array(pl.Datetime("ns"), 2), 2, "a fraction of a microsecond"),
    ],
)
def test_a_time_that_is_not_kept_is_refused_by_its_position(
    counts: list[Any],
    dtype: Dtype,
    position: int,
    words: str,
) -> None:
    with pytest.raises(RefusedValueError, match=words) as caught:
        to_batch(
            pl.DataFrame({"row": pl.int_range(len(counts), eager=True), "value": counts}).cast(
                {"value": dtype}
            )
        )

    assert (caught.value.column, caught.value.position) == ("value", position)


@pytest.mark.parametrize(
    ("series", "position", "words"),
    [
        (pl.Series("value", [None, {"a": 1}]).cast(pl.Struct({"a": pl.Time})), 1, "JSON serializable"),
        (pl.Series("value", [1, 1j], dtype=pl.Object), 1, "1j is complex"),
    ],
)
def test_what_postgresql_cannot_hold_is_refused(series: pl.Series, position: int | None, words: str) -> None:
    with pytest.raises(RefusedValueError, match=words) as caught:
        to_batch(pl.DataFrame([series]))

    assert (caught.value.column, caught.value.position) == ("value", position)


@pytest.mark.parametrize(
    ("column_type", "values", "dtype"),
    [
        (types.BIGINT, [2**53 + 1, None], pl.Int64),
        (types.BOOLEAN, [True, None], pl.Boolean),
        (types.DOUBLE, [0.5, math.inf, None], pl.Float64),
        (types.TEXT, ["", None], pl.String),
        (types.BYTES, [b"\0", None], pl.Binary),
        (types.DATE, [date(9999, 12, 31), None], pl.Date),
        (types.TIME, [time(1), None], pl.Time),
        (types.DURATION, [timedelta(-1), None], pl.Duration("us")),
        (types.NAIVE, [datetime(1, 1, 1), None], pl.Datetime("us")),
        (types.ZONED, [ZONED_NOON, None], pl.Datetime("us", "UTC")),
        (types.NUMERIC, [Decimal("1.5"), Decimal("0.125"), None], pl.Decimal(38, 3)),
        (sa.Numeric(10, 2), [Decimal("1.50"), None], pl.Decimal(38, 2)),
        (types.JSON, [{"a": 1, "b": None}, None], pl.Struct({"a": pl.Int64, "b": pl.Null})),
        (types.JSON, [[{"a": 0.5}], [], None], pl.List(pl.Struct({"a": pl.Float64}))),
        (ARRAY(types.BIGINT), [[1, None], [], None], pl.List(pl.Int64)),
        (ARRAY(types.NUMERIC), [[Decimal("0.5"), None]], pl.List(pl.Decimal(38, 1))),
        (types.BIGINT, [], pl.Int64),
        (types.ZONED, [], pl.Datetime("us", "UTC")),
        (types.NUMERIC, [], pl.Decimal(38, 0)),
    ],
)
def test_rows_become_columns_by_type(column_type: ColumnType, values: list[Any], dtype: Dtype) -> None:
    frame = from_arrow({"value": column_type}, as_read(column_type, values))

    assert frame.schema == {"value": dtype}
    assert frame["value"].to_list() == values


@pytest.mark.parametrize(
    ("column_type", "values", "expected"),
    [
        (types.JSON, [{"a": 1}, {"b": 1}, None], ['{"a": 1}', '{"b": 1}', None]),
        (types.JSON, [1, None], ["1", None]),
        (types.JSON, [2**64], ["18446744073709551616"]),
        (types.JSON, [None], [None]),
        (types.IDENTIFIER, [UUID(int=1), None], ["00000000-0000-0000-0000-000000000001", None]),
        (types.NUMERIC, [Decimal("NaN"), Decimal("0.50"), None], ["NaN", "0.50", None]),
        (types.NUMERIC, [Decimal(10**38), None], [f"1{'0' * 38}", None]),
        (types.NUMERIC, [Decimal("9" * 39)], ["9" * 39]),
        (types.NUMERIC, [Decimal(10**60), Decimal("-0.5")], [f"1{'0' * 60}", "-0.5"]),
        (types.NUMERIC, [Decimal(f"0.{'0' * 60}1")], [f"0.{'0' * 60}1"]),
        (ARRAY(types.NUMERIC), [[Decimal(10**60)], None], [[f"1{'0' * 60}"], None]),
        (ARRAY(types.IDENTIFIER), [[UUID(int=1), None], None], None),
    ],
)
def test_what_polars_has_no_dtype_for_becomes_text(
    column_type: ColumnType, values: list[Any], expected: list[Any] | None
) -> None:
    frame = from_arrow({"value": column_type}, as_read(column_type, values))

    wanted = [[str(UUID(int=1)), None], None] if expected is None else expected
    assert frame["value"].to_list() == wanted
