"""Python's own values become columns in Arrow, each unchanged, or refused by its position."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from purchase_pipeline.postgres.errors import RefusedValueError
from purchase_pipeline.postgres.frames.from_python import batch_of_dicts, batch_of_rows, column_of_values
from purchase_pipeline.postgres.frames.to_python import python_rows, python_values
from purchase_pipeline.postgres.schema.types import sql

NOON = datetime(2024, 1, 31, 12, 0, 0, 1)


@pytest.mark.parametrize(
    ("values", "column_type"),
    [
        ([True, None], "BOOLEAN"),
        ([2**63 - 1, None], "BIGINT"),
        ([2**64, None], "NUMERIC"),
        ([0.5, None, float("inf")], "DOUBLE PRECISION"),
        (["a", "", None], "TEXT"),
        ([b"\0", None], "BYTEA"),
        ([date(1, 1, 1), date(9999, 12, 31)], "DATE"),
        ([time(23, 59, 59, 999_999)], "TIME WITHOUT TIME ZONE"),
        ([datetime(1, 1, 1), NOON, datetime(9999, 12, 31)], "TIMESTAMP WITHOUT TIME ZONE"),
        ([timedelta(-1), timedelta(microseconds=1)], "INTERVAL"),
        ([UUID(int=1), None], "UUID"),
        ([{"a": [1, None]}, [], None], "JSONB"),
        ([[1, None], [], None], "BIGINT[]"),
        ([[UUID(int=1), None], None], "UUID[]"),
        ([[Decimal("1.50"), Decimal("NaN")], []], "NUMERIC[]"),
        ([[timedelta(1)], [None]], "INTERVAL[]"),
        ([[[1]], None], "JSONB"),
        ([None], "unknown"),
        ([[None], []], "unknown[]"),
    ],
)
def test_values_come_back_as_they_were(values: list[Any], column_type: str) -> None:
    found, column = column_of_values("value", values)

    assert (sql(found), repr(python_values(found, column))) == (column_type, repr(_plain(values)))


@pytest.mark.parametrize(
    "values",
    [
        [Decimal("1.50"), None],
        [Decimal("1.5"), Decimal("1.25")],
        [Decimal("0.00"), Decimal(0)],
        [Decimal(10**40), Decimal("-1E-40")],
        [Decimal("-Infinity"), Decimal("1.5")],
    ],
)
def test_each_decimal_keeps_its_own_scale(values: list[Decimal | None]) -> None:
    found, column = column_of_values("value", values)

    assert repr(python_values(found, column)) == repr(values)


def test_decimals_of_one_scale_are_numbers_in_arrow() -> None:
    _, column = column_of_values("value", [Decimal("1.50"), None, Decimal("-2.25"), Decimal("0.00")])

    assert column.type == pa.decimal128(38, 2)


def test_an_instant_is_kept_in_utc() -> None:
    values = [datetime(2024, 1, 31, 23, tzinfo=timezone(timedelta(hours=-3))), NOON.replace(tzinfo=UTC)]

    found, column = column_of_values("value", values)

    assert (column.type.tz, python_values(found, column)) == ("UTC", values)


@pytest.mark.parametrize(
    ("values", "position", "words"),
    [
        ([1, None, "a"], 2, "'a' is str, but the values before it are BIGINT"),
        ([None, timedelta.max], 1, "too large"),
        ([datetime.max.replace(tzinfo=timezone(timedelta(hours=-3)))], 0, "out of range"),
        (["a", "\ud800"], 1, "surrogates not allowed"),
        ([["a"], ["\udfff"]], 1, "surrogates not allowed"),
        ([{"a": 1}, {"a": {1}}], 1, "set is not JSON serializable"),
        ([{}, {"a": float("nan")}], 1, "not JSON compliant"),
        ([[timedelta(1)], [timedelta.max]], 1, "too large"),
    ],
)
def test_a_value_without_a_place_is_refused_by_its_position(
    values: list[Any], position: int, words: str
) -> None:
    with pytest.raises(RefusedValueError, match=words) as caught:
        column_of_values("value", values)

    assert (caught.value.column, caught.value.position) == ("value", position)


def test_rows_as_dicts_have_every_key_in_the_order_of_its_coming() -> None:
    batch = batch_of_dicts([{"b": 1}, {"a": "x", "b": 2}, {}])

    assert list(batch.types) == ["b", "a"]
    assert python_rows(batch.types, batch.frame) == [(1, None), (2, "x"), (None, None)]


@pytest.mark.parametrize("rows", [[], [(1, "a")]])
def test_rows_have_their_columns_even_where_there_is_none(rows: Sequence[tuple[int, str]]) -> None:
    batch = batch_of_rows(["a", "b"], rows)

    assert (list(batch.types), python_rows(batch.types, batch.frame)) == (["a", "b"], list(rows))


def _plain(values: list[Any]) -> list[Any]:
    return [Decimal(value) if isinstance(value, int) and value >= 2**63 else value for value in values]
