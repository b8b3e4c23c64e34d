"""Columns that no value has given a type yet: TEXT for the time being, and the first value's type from then on.

A comment marks them, so that a table made by somebody else, or declared, is never taken for one that may change.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres.schema.types import DOUBLE, TEXT, UNKNOWN_FLOAT, ColumnType, family

_COMMENT = "No value so far: the first one settles the type"


def is_pending(column_type: ColumnType) -> bool:
    """Return whether nothing is known of the values, or of what is in their lists."""
    kind = family(column_type)
    return kind == "unknown" or (kind == "array" and is_pending(column_type.item_type))  # type: ignore[attr-defined]


def new_column(name: str, column_type: ColumnType) -> sa.Column[Any]:
    """Return a column for inferred values, marked where none has told its type."""
    return sa.Column(name, concrete(column_type), comment=_COMMENT if is_pending(column_type) else None)


def has_pending_type(column: sa.Column[Any]) -> bool:
    """Return whether a table's column is still without a type of its own."""
    return column.comment == _COMMENT


def has_values(column: sa.Column[Any], wanted: ColumnType) -> sa.ColumnElement[bool]:
    """Return the condition on rows that have a value all the same, for somebody wrote it past us."""
    if {family(column.type), family(wanted)} <= {"array", "json"}:
        return sa.func.array_remove(column, None) != sa.literal_column("'{}'")
    return column.is_not(None)


def concrete(column_type: ColumnType) -> ColumnType:
    """Return the type that a new column has: TEXT where no value told another."""
    if column_type is UNKNOWN_FLOAT:
        return DOUBLE
    if family(column_type) == "array":
        return ARRAY(concrete(column_type.item_type))  # type: ignore[attr-defined]
    return TEXT if family(column_type) == "unknown" else column_type
