"""Schema drift: how the data's columns differ from the table's, and which differences it may follow."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from purchase_pipeline.postgres.errors import SchemaDriftError
from purchase_pipeline.postgres.schema.pending_types import concrete, has_pending_type, new_column
from purchase_pipeline.postgres.schema.tables import has_default
from purchase_pipeline.postgres.schema.types import ColumnType, family, sql
from purchase_pipeline.postgres.schema.widening import widened

DriftPolicy = Literal["freeze", "evolve"]

_INTO = {
    "integer": {"numeric", "float", "json"},
    "numeric": {"float"},
    "float": {"integer", "numeric", "json"},
    "boolean": {"json"},
    "text": {"uuid", "json", "other"},
    "date": {"timestamp"},
    "array": {"json", "other"},
}
"""For each kind of values, the other kinds of columns that may hold some of them."""
_Columns = sa.ColumnCollection[str, sa.Column[Any]]
NOTHING_CHANGED = "Nothing was changed. Change the data or the table"
_FREEZE = f'{NOTHING_CHANGED}, or allow changes with metadata={{"schema_drift": "evolve"}}.'
_EVOLVE = f"{NOTHING_CHANGED}: no lossless change of the table would fit the data."


@dataclass(frozen=True)
class Difference:
    """One difference between the data and a table.

    Attributes:
        text: the difference, in a sentence.
        remedy: the column to add or retype, without loss; None: there is no such change.
        tolerable: whether `evolve` may ignore the difference.
        first: whether this is the column's first value, so that the change is always allowed.
    """

    text: str
    remedy: sa.Column[Any] | None = None
    tolerable: bool = False
    first: bool = False


def required_changes(
    differences: Sequence[Difference], table: sa.Table, policy: DriftPolicy
) -> dict[str, sa.Column[Any]]:
    """Return the columns to add or to retype.

    Raises:
        SchemaDriftError: all differences that the policy does not allow.
    """
    unfixable = [one.text for one in differences if one.remedy is None and not one.tolerable]
    frozen = [one.text for one in differences if not one.first]
    if policy == "freeze" and frozen:
        raise SchemaDriftError(str(table), frozen, _EVOLVE if unfixable else _FREEZE)
    if unfixable:
        raise SchemaDriftError(str(table), unfixable, _EVOLVE)
    return {one.remedy.name: one.remedy for one in differences if one.remedy is not None}


def differences_between(
    incoming: Mapping[str, ColumnType],
    fits: Callable[[str], bool],
    table: _Columns,
    declared: _Columns | None,
    *,
    emptied: bool = False,
) -> Iterator[Difference]:
    """Compare the data with the table; declared columns take precedence over the data's types.

    `fits` returns whether a column stores the data unchanged, without a wider type. `emptied` means that the table has
    no other rows, so that any change of type is lossless.
    """
    for name, column_type in incoming.items():
        if declared is not None and name not in declared:
            yield Difference(f"column {name!r} is in the data, but not declared")
            continue
        new_type = column_type if declared is None else declared[name].type
        if name not in table:
            yield _added(new_column(name, new_type) if declared is None else declared[name], emptied=emptied)
        elif table[name].computed is not None:
            yield Difference(f"column {name!r} is in the data, but PostgreSQL generates it: leave it out")
        elif has_pending_type(table[name]):
            yield from _first_value(table[name], new_type)
        elif declared is not None:
            yield from _retyped(table[name], new_type, "declared", emptied=emptied)
        elif not fits(name):
            yield from _retyped(table[name], new_type, "in the data", emptied=emptied)
        if declared is not None and name in table and not _compatible(column_type, new_type):
            yield _mismatch(declared[name], column_type)
    yield from _missing(incoming, table, declared)


def _missing(incoming: Collection[str], table: _Columns, declared: _Columns | None) -> Iterator[Difference]:
    for name, column in table.items():
        if name not in incoming and not has_default(column):
            optional = declared is not None and name in declared and bool(declared[name].nullable)
            if not (optional and column.nullable):
                yield Difference(
                    f"column {name!r} ({sql(column.type)}) is in the table, but not in the data",
                    tolerable=bool(column.nullable),
                )


def _added(column: sa.Column[Any], *, emptied: bool) -> Difference:
    # Existing rows have no value for it, so it must be nullable whatever is declared.
    nullable = bool(column.nullable) or not emptied
    new: sa.Column[Any] = sa.Column(column.name, column.type, nullable=nullable, comment=column.comment)
    return Difference(
        f"column {column.name!r} ({sql(column.type)}) is in the data, but not in the table", new
    )


def _first_value(column: sa.Column[Any], new_type: ColumnType) -> Iterator[Difference]:
    if family(new_type) != "unknown":
        new = new_column(column.name, new_type)
        if (sql(new.type), new.comment) != (sql(column.type), column.comment):
            yield Difference(f"column {column.name!r} is {sql(new_type)}, its first value", new, first=True)


def _retyped(
    column: sa.Column[Any], new_type: ColumnType, where: str, *, emptied: bool
) -> Iterator[Difference]:
    if sql(column.type) == sql(new_type):
        return
    wider = widened(column.type, new_type)
    lossless = wider is not None and (where != "declared" or sql(wider) == sql(new_type))
    new = wider if lossless else concrete(new_type) if emptied else None
    yield Difference(
        f"column {column.name!r} is {sql(column.type)} in the table, but {sql(new_type)} {where}",
        None
        if new is None
        else sa.Column(column.name, new, nullable=column.nullable, comment=column.comment),
    )


def _mismatch(column: sa.Column[Any], incoming: ColumnType) -> Difference:
    return Difference(
        f"column {column.name!r} is declared as {sql(column.type)}, but {sql(incoming)} in the data"
    )


def _compatible(incoming: ColumnType, column: ColumnType) -> bool:
    """Return whether some values of a type may be stored in a column of another."""
    kinds = family(incoming), family(column)
    if kinds == ("array", "array"):
        return _compatible(incoming.item_type, column.item_type)  # type: ignore[attr-defined]  # both are arrays
    return kinds[0] in {"unknown", kinds[1]} or kinds[1] in _INTO.get(kinds[0], ())
