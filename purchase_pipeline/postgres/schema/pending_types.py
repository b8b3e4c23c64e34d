"""Columns whose type is pending: TEXT until the first value arrives, which determines the type.

They are marked by a comment, so that declared columns and other people's tables are never retyped this way.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres.schema.types import DOUBLE, TEXT, UNKNOWN_FLOAT, ColumnType, family

_COMMENT = "No value so far: the first one settles the type"


def is_pending(column_type: ColumnType) -> bool:
    """Return whether the type, or that of the list's elements, is unknown."""
    kind = family(column_type)
    return kind == "unknown" or (kind == "array" and is_pending(column_type.item_type))  # type: ignore[attr-defined]


def new_column(name: str, column_type: ColumnType) -> sa.Column[Any]:
    """Return a column for inferred values, marked if its type is pending."""
    return sa.Column(name, concrete(column_type), comment=_COMMENT if is_pending(column_type) else None)


def has_pending_type(column: sa.Column[Any]) -> bool:
    """Return whether a column of a table is marked."""
    return column.comment == _COMMENT


def has_values(column: sa.Column[Any], new_type: ColumnType) -> sa.ColumnElement[bool]:
    """Return a condition for rows that have a value nevertheless, written by someone else."""
    if {family(column.type), family(new_type)} <= {"array", "json"}:
        return sa.func.array_remove(column, None) != sa.literal_column("'{}'")
    return column.is_not(None)


def concrete(column_type: ColumnType) -> ColumnType:
    """Return the type of a new column: TEXT if it is unknown."""
    if column_type is UNKNOWN_FLOAT:
        return DOUBLE
    if family(column_type) == "array":
        return ARRAY(concrete(column_type.item_type))  # type: ignore[attr-defined]
    return TEXT if family(column_type) == "unknown" else column_type
