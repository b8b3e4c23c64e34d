"""Columns in Arrow become Python's own values, whichever form they are in."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres.frames.to_python import python_dicts, python_rows, python_values
from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.types import ColumnType
from purchase_pipeline_tests.as_read import as_read


@pytest.mark.parametrize(
    ("column_type", "column", "expected"),
    [
        (types.NUMERIC, pa.array(["1.50", "NaN", None]), [Decimal("1.50"), Decimal("NaN"), None]),
        (types.NUMERIC, pa.array([Decimal("1.50")], pa.decimal128(5, 2)), [Decimal("1.50")]),
        (types.IDENTIFIER, pa.array([UUID(int=1).bytes, None], pa.uuid()), [UUID(int=1), None]),
        (types.IDENTIFIER, pa.array([UUID(int=1).bytes], pa.large_binary()), [UUID(int=1)]),
        (types.IDENTIFIER, pa.array([str(UUID(int=1))]), [UUID(int=1)]),
        (types.DURATION, pa.array([-1, None]), [timedelta(microseconds=-1), None]),
        (types.DURATION, pa.array([timedelta(-1)], pa.duration("us")), [timedelta(-1)]),
        (types.JSON, pa.array(['{"a": 1}', None]), [{"a": 1}, None]),
        (types.JSON, pa.array(['{"a": 1}', "1"]), ['{"a": 1}', "1"]),
        (
            ARRAY(types.DURATION),
            pa.array([[1, None], [], None]),
            [[timedelta(microseconds=1), None], [], None],
        ),
        (
            ARRAY(types.NUMERIC),
            pa.array([["1.50"], None, ["NaN"]]),
            [[Decimal("1.50")], None, [Decimal("NaN")]],
        ),
        (ARRAY(types.BIGINT), pa.array([[0], [1, 2], [3]]).slice(1), [[1, 2], [3]]),
        (ARRAY(types.BIGINT), pa.chunked_array([[[1]], [None, [2, 3]]]), [[1], None, [2, 3]]),
        (ARRAY(types.BIGINT), pa.chunked_array([], pa.list_(pa.int64())), []),
    ],
)
def test_a_column_is_what_it_means(column_type: ColumnType, column: Any, expected: list[Any]) -> None:  # noqa: ANN401
    assert repr(python_values(column_type, column)) == repr(expected)


def test_rows_and_dicts_have_the_columns_order() -> None:
    frame = pa.table({"b": [1, None], "a": ["0.50", None]})
    columns: dict[str, ColumnType] = {"a": types.NUMERIC, "b": types.BIGINT}

    assert python_rows(columns, frame) == [(Decimal("0.50"), 1), (None, None)]
    assert python_dicts(columns, frame) == [{"a": Decimal("0.50"), "b": 1}, {"a": None, "b": None}]


def test_rows_without_a_column_are_as_many() -> None:
    frame = as_read(types.BIGINT, [1, 2]).select([])

    assert python_rows({}, frame) == [()] * frame.num_rows
