"""An Arrow table becomes one of plain types, and what is read a table, or a reader, of Arrow's own types."""

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres.errors import RefusedValueError, UnreadableValueError
from purchase_pipeline.postgres.frames.arrow_frames import from_arrow, reader, to_batch
from purchase_pipeline.postgres.frames.to_python import python_rows
from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.types import ColumnType, sql
from purchase_pipeline_tests.as_read import as_read, values_in

NOON = datetime(2024, 1, 31, 12, 0, 0, 1)
ZONED_NOON = NOON.replace(tzinfo=UTC)
TEXTS_BY_NUMBER = pa.dictionary(pa.int32(), pa.string())
TIMES_BY_TEXT = pa.map_(pa.string(), pa.timestamp("ns"))


@pytest.mark.parametrize(
    ("values", "kind", "column_type"),
    [
        ([1, None], pa.int8(), "BIGINT"),
        ([2**63 - 1, None], pa.int64(), "BIGINT"),
        ([2**64 - 1, None], pa.uint64(), "NUMERIC"),
        ([0.5, None, -math.inf], pa.float64(), "DOUBLE PRECISION"),
        ([0.5], pa.float16(), "DOUBLE PRECISION"),
        ([True, None], pa.bool_(), "BOOLEAN"),
        (["a", None, ""], pa.string(), "TEXT"),
        (["a"], pa.large_string(), "TEXT"),
        (["a"], pa.string_view(), "TEXT"),
        (["a", None, "a"], TEXTS_BY_NUMBER, "TEXT"),
        ([b"\0", None], pa.binary(), "BYTEA"),
        ([b"\0\1"], pa.binary(2), "BYTEA"),
        ([Decimal("1.50"), None], pa.decimal128(10, 2), "NUMERIC"),
        ([Decimal(10**75)], pa.decimal256(76, 0), "NUMERIC"),
        ([Decimal(10**20), None], pa.decimal128(38, -4), "NUMERIC"),
        ([UUID(int=1), None], pa.uuid(), "UUID"),
        ([date(1, 1, 1), date(9999, 12, 31), None], pa.date32(), "DATE"),
        ([date(9999, 12, 31)], pa.date64(), "DATE"),
        ([time(1), None], pa.time32("s"), "TIME WITHOUT TIME ZONE"),
        ([time(23, 59, 59, 999_999)], pa.time64("ns"), "TIME WITHOUT TIME ZONE"),
        ([datetime(1, 1, 1), NOON, None], pa.timestamp("us"), "TIMESTAMP WITHOUT TIME ZONE"),
        ([NOON], pa.timestamp("ns"), "TIMESTAMP WITHOUT TIME ZONE"),
        ([datetime(1677, 9, 22), datetime(2262, 4, 11)], pa.timestamp("ns"), "TIMESTAMP WITHOUT TIME ZONE"),
        ([ZONED_NOON, None], pa.timestamp("ns", "UTC"), "TIMESTAMP WITH TIME ZONE"),
        ([ZONED_NOON, None], pa.timestamp("us", "+03:00"), "TIMESTAMP WITH TIME ZONE"),
        ([timedelta(-1), None], pa.duration("ns"), "INTERVAL"),
        ([{"a": 1, "b": [0.5]}, None], pa.struct({"a": pa.int64(), "b": pa.list_(pa.float64())}), "JSONB"),
        ([[1, None], [], None], pa.list_(pa.int64()), "BIGINT[]"),
        ([[1]], pa.large_list(pa.int8()), "BIGINT[]"),
        ([[1, 2], None], pa.list_(pa.int64(), 2), "BIGINT[]"),
        ([["a", None]], pa.list_(TEXTS_BY_NUMBER), "TEXT[]"),
        ([[timedelta(-1), None], None], pa.list_(pa.duration("s")), "INTERVAL[]"),
        ([[Decimal(10**75)], []], pa.list_(pa.decimal256(76, 0)), "NUMERIC[]"),
        ([[NOON]], pa.list_(pa.timestamp("ns")), "TIMESTAMP WITHOUT TIME ZONE[]"),
        ([[[1]], None], pa.list_(pa.list_(pa.int64())), "JSONB"),
        ([None], pa.null(), "unknown"),
        ([[None]], pa.list_(pa.null()), "unknown[]"),
        ([], pa.int64(), "BIGINT"),
    ],
)
def test_values_are_handed_on_as_they_are(values: list[Any], kind: object, column_type: str) -> None:
    batch = to_batch(pa.table({"value": pa.array(values, kind)}))

    assert (sql(batch.types["value"]), values_in(batch)) == (column_type, values)


def test_what_lies_beside_a_slice_is_no_part_of_it() -> None:
    whole = pa.table({"value": pa.array([[1], [1000], [1]], pa.list_(pa.duration("ns")))})

    batch = to_batch(whole.slice(1, 1))

    assert values_in(batch) == [[timedelta(microseconds=1)]]


@pytest.mark.parametrize("chunks", [1, 2])
def test_lists_of_identifiers_are_one_column(chunks: int) -> None:
    identifiers = pa.array([UUID(int=1).bytes, None], pa.uuid())
    lists = pa.ListArray.from_arrays([0, 2, 2, 2], identifiers, mask=pa.array([False, True, False]))

    batch = to_batch(pa.table({"value": pa.chunked_array([lists] * chunks)}).slice(1))

    assert sql(batch.types["value"]) == "UUID[]"
    assert values_in(batch) == [[UUID(int=1), None], None, []][1:] + [[UUID(int=1), None], None, []] * (
        chunks - 1
    )


def test_a_record_batch_is_read_like_a_table() -> None:
    batch = to_batch(pa.record_batch({"number": [1, None], "name": ["a", "b"]}))

    assert (list(batch.types), python_rows(batch.types, batch.frame)) == (
        ["number", "name"],
        [(1, "a"), (None, "b")],
    )


@pytest.mark.parametrize("zone", ["UTC", "America/Sao_Paulo", "Asia/Tokyo", "-03:00"])
def test_a_zoned_time_is_handed_on_in_utc(zone: str) -> None:
    times = [datetime(1, 1, 1, tzinfo=UTC), None, datetime(9999, 12, 31, 23, 59, tzinfo=UTC)]

    batch = to_batch(pa.table({"value": pa.array(times, pa.timestamp("us", zone))}))

    assert values_in(batch) == times


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64()), [{"k": 1}, {}, None]),
        ([[[("k", 1)]]], pa.list_(pa.map_(pa.string(), pa.int64())), [[{"k": 1}]]),
        ([{"m": [("k", 1)]}], pa.struct({"m": pa.map_(pa.string(), pa.int64())}), [{"m": {"k": 1}}]),
        ([[("k", 0.5)]], pa.map_(pa.large_string(), pa.float32()), [{"k": 0.5}]),
    ],
)
def test_maps_are_dicts_wherever_they_stand(values: list[Any], kind: object, expected: list[Any]) -> None:
    batch = to_batch(pa.table({"value": pa.array(values, kind)}))

    assert (sql(batch.types["value"]), values_in(batch)) == ("JSONB", expected)


@pytest.mark.parametrize(
    ("values", "position", "words"),
    [
        (pa.array([1000, 1], pa.timestamp("ns")), 1, r"\.000000001'\) has a fraction of a microsecond"),
        (pa.array([None, 1], pa.time64("ns")), 1, r"^1 as time64\[ns\] has a fraction of a microsecond"),
        (pa.array([-1], pa.duration("ns")), 0, r"\.999999999'\) has a fraction of a microsecond"),
        (pa.array([[0], None, [0, 1]], pa.list_(pa.timestamp("ns"))), 2, "has a fraction of a microsecond"),
        (pa.array([{"a": 1}], pa.struct({"a": pa.time64("ns")})), 0, "time is not JSON serializable"),
        (pa.array([[("k", 1)]], TIMES_BY_TEXT), 0, "Timestamp is not JSON serializable"),
        (pa.array([None, {"a": NOON}], pa.struct({"a": pa.timestamp("us")})), 1, "not JSON serializable"),
        (pa.array([0, 2_932_897], pa.int32()).cast(pa.date32()), 1, "outside the years 1 to 9999"),
        (pa.array([-719_163], pa.int32()).cast(pa.date32()), 0, "outside the years 1 to 9999"),
        (pa.array([0, 2**62], pa.timestamp("s")), 1, "outside the years 1 to 9999"),
        (pa.array([2**62], pa.timestamp("us", "UTC")), 0, "outside the years 1 to 9999"),
        (pa.array([2**62], pa.duration("s")), 0, "exceeds 64 bits of microseconds"),
        (pa.array([None, 86_400], pa.int32()).cast(pa.time32("s")), 1, "not a valid time"),
        (pa.chunked_array([[0], [2**62]], pa.timestamp("s")), 1, "outside the years 1 to 9999"),
        (pa.array([[], [("k", 1), ("k", 2)]], pa.map_(pa.string(), pa.int64())), 1, "duplicate key was 'k'"),
        (pa.nulls(1, pa.month_day_nano_interval()), None, "no type for Arrow's month_day_nano_interval"),
        (pa.RunEndEncodedArray.from_arrays([2], [1]), None, "no type for Arrow's run_end_encoded"),
        (pa.array([[]], pa.list_(pa.month_day_nano_interval())), None, "no type for Arrow's month_day_nano"),
    ],
)
def test_what_postgresql_cannot_hold_is_refused_by_its_position(
    values: Sequence[object],
    position: int | None,
    words: str,
) -> None:
    with pytest.raises(RefusedValueError, match=words) as caught:
        to_batch(pa.table({"row": range(len(values)), "value": values}))

    assert (caught.value.column, caught.value.position) == ("value", position)


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(RefusedValueError, match="two columns have this name"):
        to_batch(pa.table([[1], [2]], names=["a", "a"]))


@pytest.mark.parametrize(
    ("column_type", "values", "kind"),
    [
        (types.BIGINT, [2**53 + 1, None], pa.int64()),
        (types.BOOLEAN, [True, None], pa.bool_()),
        (types.DOUBLE, [0.5, math.inf, None], pa.float64()),
        (types.TEXT, ["", None], pa.string()),
        (types.BYTES, [b"\0", None], pa.binary()),
        (types.DATE, [date(9999, 12, 31), None], pa.date32()),
        (types.TIME, [time(1), None], pa.time64("us")),
        (types.DURATION, [timedelta(-1), None], pa.duration("us")),
        (types.NAIVE, [datetime(1, 1, 1), None], pa.timestamp("us")),
        (types.ZONED, [ZONED_NOON, None], pa.timestamp("us", "UTC")),
        (types.NUMERIC, [Decimal("1.500"), Decimal("0.125"), None], pa.decimal128(38, 3)),
        (types.NUMERIC, [Decimal(10**38)], pa.decimal256(76, 0)),
        (types.NUMERIC, [Decimal("9" * 39), Decimal(-(10**39))], pa.decimal256(76, 0)),
        (types.NUMERIC, [Decimal(10**60), Decimal("-0.5")], pa.decimal256(76, 1)),
        (types.NUMERIC, [Decimal(f"0.{'0' * 60}1")], pa.decimal256(76, 61)),
        (sa.Numeric(70, 2), [Decimal(10**60)], pa.decimal256(76, 2)),
        (sa.Numeric(10, 2), [Decimal("1.50"), None], pa.decimal128(38, 2)),
        (types.JSON, [{"a": 1, "b": None}, None], pa.struct({"a": pa.int64(), "b": pa.null()})),
        (types.JSON, [[{"a": 0.5}], [], None], pa.list_(pa.struct({"a": pa.float64()}))),
        (ARRAY(types.BIGINT), [[1, None], [], None], pa.list_(pa.int64())),
        (ARRAY(types.NUMERIC), [[Decimal("0.5"), None]], pa.list_(pa.decimal128(38, 1))),
        (ARRAY(types.NUMERIC), [[Decimal(10**60)], [], None], pa.list_(pa.decimal256(76, 0))),
        (ARRAY(types.DURATION), [[timedelta(-1), None], [], None], pa.list_(pa.duration("us"))),
        (types.BIGINT, [], pa.int64()),
        (types.NUMERIC, [], pa.decimal128(38, 0)),
    ],
)
def test_rows_become_columns_by_type(column_type: ColumnType, values: list[Any], kind: object) -> None:
    table = from_arrow({"value": column_type}, as_read(column_type, values))

    assert table.schema == pa.schema({"value": kind})
    assert table["value"].to_pylist() == values


@pytest.mark.parametrize(
    ("column_type", "values", "expected"),
    [
        (types.JSON, [{"a": 1}, {"b": 1}, None], ['{"a": 1}', '{"b": 1}', None]),
        (types.JSON, [1, None], ["1", None]),
        (types.JSON, [None], [None]),
        (types.IDENTIFIER, [UUID(int=1), None], ["00000000-0000-0000-0000-000000000001", None]),
        (types.NUMERIC, [Decimal("NaN"), Decimal("0.50"), None], ["NaN", "0.50", None]),
        (types.NUMERIC, [Decimal(10**76)], [f"1{'0' * 76}"]),
        (types.NUMERIC, [Decimal(10**200), None], [f"1{'0' * 200}", None]),
        (types.NUMERIC, [Decimal("-Infinity"), Decimal("Infinity")], ["-Infinity", "Infinity"]),
        (ARRAY(types.IDENTIFIER), [[UUID(int=1), None], None], [[str(UUID(int=1)), None], None]),
        (ARRAY(types.NUMERIC), [[Decimal("NaN"), None], None], [["NaN", None], None]),
    ],
)
def test_what_arrow_has_no_type_for_becomes_text(
    column_type: ColumnType, values: list[Any], expected: list[Any]
) -> None:
    table = from_arrow({"value": column_type}, as_read(column_type, values))

    assert table["value"].to_pylist() == expected


@pytest.mark.parametrize(
    ("column_type", "values", "kind", "expected"),
    [
        (types.BIGINT, [1, None], pa.int64(), [1, None]),
        (types.TEXT, ["a", None], pa.string(), ["a", None]),
        (types.ZONED, [ZONED_NOON, None], pa.timestamp("us", "UTC"), [ZONED_NOON, None]),
        (sa.Numeric(10, 2), [Decimal("1.50")], pa.decimal128(38, 2), [Decimal("1.50")]),
        (sa.Numeric(50, 2), [Decimal(10**47)], pa.decimal256(76, 2), [Decimal(10**47)]),
        (sa.Numeric(90, 2), [Decimal("1.50")], pa.string(), ["1.50"]),
        (types.NUMERIC, [Decimal("1.50"), None], pa.string(), ["1.50", None]),
        (types.JSON, [{"a": 1}, None], pa.string(), ['{"a": 1}', None]),
        (types.IDENTIFIER, [UUID(int=1), None], pa.string(), [str(UUID(int=1)), None]),
        (ARRAY(types.BIGINT), [[1, None]], pa.list_(pa.int64()), [[1, None]]),
        (ARRAY(types.NUMERIC), [[Decimal("1.50"), None]], pa.list_(pa.string()), [["1.50", None]]),
        (ARRAY(types.IDENTIFIER), [[UUID(int=1)]], pa.list_(pa.string()), [[str(UUID(int=1))]]),
    ],
)
def test_a_reader_knows_its_types_before_its_rows(
    column_type: ColumnType,
    values: list[Any],
    kind: object,
    expected: list[Any],
) -> None:
    found = reader({"value": column_type}, (as_read(column_type, [value]) for value in values))

    assert found.schema == pa.schema({"value": kind})
    assert [batch.to_pylist() for batch in found] == [[{"value": value}] for value in expected]


def test_a_reader_refuses_what_its_types_do_not_hold_by_the_column() -> None:
    found = reader({"value": sa.Numeric(10, 2)}, iter([as_read(sa.Numeric(10, 2), [Decimal("NaN")])]))

    with pytest.raises(UnreadableValueError, match=r"column 'value' .* 'NaN'"):
        list(found)


def test_a_record_batch_is_one_of_all_chunks() -> None:
    pieces = pa.concat_tables([as_read(types.BIGINT, [1]), as_read(types.BIGINT, [None])])

    batch = from_arrow({"value": types.BIGINT}, pieces, pa.RecordBatch)

    assert isinstance(batch, pa.RecordBatch)
    assert batch.to_pydict() == {"value": [1, None]}
