"""A column widens to a type that holds its values and the new ones."""

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.types import ColumnType, sql
from purchase_pipeline.postgres.schema.widening import widened


@pytest.mark.parametrize(
    ("column", "wanted", "expected"),
    [
        (sa.SmallInteger(), sa.Integer(), "INTEGER"),
        (sa.Integer(), types.BIGINT, "BIGINT"),
        (types.BIGINT, sa.Integer(), "BIGINT"),
        (types.BIGINT, types.NUMERIC, "NUMERIC"),
        (sa.Numeric(10, 2), types.BIGINT, "NUMERIC"),
        (sa.Numeric(10, 2), sa.Numeric(12, 2), "NUMERIC(12, 2)"),
        (sa.Numeric(10, 2), sa.Numeric(12, 4), "NUMERIC(12, 4)"),
        (sa.Numeric(10, 2), sa.Numeric(10, 4), "NUMERIC"),
        (sa.Numeric(10, 2), sa.Numeric(9, 2), "NUMERIC"),
        (sa.Numeric(10, 2), types.NUMERIC, "NUMERIC"),
        (types.NUMERIC, sa.Numeric(10, 2), "NUMERIC"),
        (sa.REAL(), types.DOUBLE, "DOUBLE PRECISION"),
        (types.DOUBLE, sa.REAL(), "DOUBLE PRECISION"),
        (sa.VARCHAR(5), sa.VARCHAR(9), "VARCHAR(9)"),
        (sa.VARCHAR(9), sa.VARCHAR(5), "TEXT"),
        (sa.VARCHAR(9), types.TEXT, "TEXT"),
        (types.TEXT, sa.VARCHAR(9), "TEXT"),
        (types.DATE, types.NAIVE, "TIMESTAMP WITHOUT TIME ZONE"),
        (ARRAY(sa.Integer()), ARRAY(types.BIGINT), "BIGINT[]"),
    ],
)
def test_a_wider_type_holds_both(column: ColumnType, wanted: ColumnType, expected: str) -> None:
    found = widened(column, wanted)

    assert found is not None
    assert sql(found) == expected


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (types.BIGINT, types.DOUBLE),
        (types.DOUBLE, types.BIGINT),
        (types.NUMERIC, types.DOUBLE),
        (types.BIGINT, types.TEXT),
        (types.TEXT, types.BIGINT),
        (types.BOOLEAN, types.BIGINT),
        (types.NAIVE, types.DATE),
        (types.NAIVE, types.ZONED),
        (types.DATE, types.ZONED),
        (ARRAY(types.BIGINT), ARRAY(types.TEXT)),
        (ARRAY(types.BIGINT), types.BIGINT),
        (types.JSON, types.TEXT),
    ],
)
def test_where_a_value_could_be_lost_there_is_no_wider_type(column: ColumnType, wanted: ColumnType) -> None:
    assert widened(column, wanted) is None
