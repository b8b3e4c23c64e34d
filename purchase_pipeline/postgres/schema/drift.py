"""Schema drift: where the data's columns are not the table's, and which of it a table may follow."""

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
"""Which kinds of values may go into a column of another kind, whatever their bounds."""
_Columns = sa.ColumnCollection[str, sa.Column[Any]]
NOTHING_CHANGED = "Nothing was changed. Make the data fit, or change the table"
_FREEZE = f'{NOTHING_CHANGED}, or let it follow the data with metadata={{"schema_drift": "evolve"}}.'
_EVOLVE = f"{NOTHING_CHANGED}: no change that loses nothing would make them fit."


@dataclass(frozen=True)
class Difference:
    """One difference between the data and a table.

    Attributes:
        text: what differs, in a sentence.
        remedy: the column as it would be without the difference, and without a loss; None: there is no such column.
        tolerable: whether a table that follows its data can let it be.
        first: whether the column gets its first value, so that the remedy is no change of anything that was settled.
    """

    text: str
    remedy: sa.Column[Any] | None = None
    tolerable: bool = False
    first: bool = False


def settle(
    differences: Sequence[Difference], table: sa.Table, policy: DriftPolicy
) -> dict[str, sa.Column[Any]]:
    """Return the columns to add or to retype.

    Raises:
        SchemaDriftError: what the policy does not allow, all at once.
    """
    hopeless = [one.text for one in differences if one.remedy is None and not one.tolerable]
    frozen = [one.text for one in differences if not one.first]
    if policy == "freeze" and frozen:
        raise SchemaDriftError(str(table), frozen, _EVOLVE if hopeless else _FREEZE)
    if hopeless:
        raise SchemaDriftError(str(table), hopeless, _EVOLVE)
    return {one.remedy.name: one.remedy for one in differences if one.remedy is not None}


def differences_between(
    incoming: Mapping[str, ColumnType],
    fits: Callable[[str], bool],
    table: _Columns,
    declared: _Columns | None,
    *,
    emptied: bool = False,
) -> Iterator[Difference]:
    """Compare the data with a table as it stands; what is declared wins over what the data look like.

    `fits` tells whether the table's column takes the data as it is: then it needs no wider type. `emptied`: the table
    has no other rows by now, so that no change of a type loses anything.
    """
    for name, column_type in incoming.items():
        if declared is not None and name not in declared:
            yield Difference(f"column {name!r} is in the data, and not declared")
            continue
        wanted = column_type if declared is None else declared[name].type
        if name not in table:
            yield _added(new_column(name, wanted) if declared is None else declared[name], emptied=emptied)
        elif table[name].computed is not None:
            yield Difference(f"column {name!r} is in the data, and PostgreSQL computes it: leave it out")
        elif has_pending_type(table[name]):
            yield from _first_typed(table[name], wanted)
        elif declared is not None:
            yield from _retyped(table[name], wanted, "declared", emptied=emptied)
        elif not fits(name):
            yield from _retyped(table[name], wanted, "in the data", emptied=emptied)
        if declared is not None and name in table and not _go_together(column_type, wanted):
            yield _mistyped(declared[name], column_type)
    yield from _missing(incoming, table, declared)


def _missing(incoming: Collection[str], table: _Columns, declared: _Columns | None) -> Iterator[Difference]:
    for name, column in table.items():
        if name not in incoming and not has_default(column):
            optional = declared is not None and name in declared and bool(declared[name].nullable)
            if not (optional and column.nullable):
                yield Difference(
                    f"column {name!r} ({sql(column.type)}) is in the table, and not in the data",
                    tolerable=bool(column.nullable),
                )


def _added(column: sa.Column[Any], *, emptied: bool) -> Difference:
    # Rows that are there already have no value for it, so it may be NULL whatever is declared.
    nullable = bool(column.nullable) or not emptied
    new: sa.Column[Any] = sa.Column(column.name, column.type, nullable=nullable, comment=column.comment)
    return Difference(
        f"column {column.name!r} ({sql(column.type)}) is in the data, and not in the table", new
    )


def _first_typed(column: sa.Column[Any], wanted: ColumnType) -> Iterator[Difference]:
    if family(wanted) != "unknown":
        new = new_column(column.name, wanted)
        if (sql(new.type), new.comment) != (sql(column.type), column.comment):
            yield Difference(
                f"column {column.name!r} is {sql(wanted)}, and has had no value", new, first=True
            )


def _retyped(
    column: sa.Column[Any], wanted: ColumnType, where: str, *, emptied: bool
) -> Iterator[Difference]:
    if sql(column.type) == sql(wanted):
        return
    wider = widened(column.type, wanted)
    lossless = wider is not None and (where != "declared" or sql(wider) == sql(wanted))
    new = wider if lossless else concrete(wanted) if emptied else None
    yield Difference(
        f"column {column.name!r} is {sql(column.type)} in the table, and {sql(wanted)} {where}",
        None
        if new is None
        else sa.Column(column.name, new, nullable=column.nullable, comment=column.comment),
    )


def _mistyped(column: sa.Column[Any], incoming: ColumnType) -> Difference:
    return Difference(
        f"column {column.name!r} is declared as {sql(column.type)}, and {sql(incoming)} in the data"
    )


def _go_together(incoming: ColumnType, column: ColumnType) -> bool:
    """Return whether some values of a type may go into a column of another."""
    kinds = family(incoming), family(column)
    if kinds == ("array", "array"):
        return _go_together(incoming.item_type, column.item_type)  # type: ignore[attr-defined]  # both are arrays
    return kinds[0] in {"unknown", kinds[1]} or kinds[1] in _INTO.get(kinds[0], ())
