"""Schema drift: where the data's columns are not the table's, and how the table may follow."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from purchase_pipeline.postgres.errors import SchemaDriftError
from purchase_pipeline.postgres.schema.tables import concrete, fills_itself, forget_tables
from purchase_pipeline.postgres.schema.types import ColumnType, sql
from purchase_pipeline.postgres.schema.widening import widened

DriftPolicy = Literal["freeze", "evolve"]

_Columns = sa.ColumnCollection[str, sa.Column[Any]]
_NOTHING_CHANGED = "Nothing was changed. Make the data fit, or change the table"
_FREEZE = f'{_NOTHING_CHANGED}, or let it follow the data with metadata={{"schema_drift": "evolve"}}.'
_EVOLVE = f"{_NOTHING_CHANGED}: no change that loses nothing would make them fit."


@dataclass(frozen=True)
class Difference:
    """One difference between the data and a table.

    Attributes:
        text: what differs, in a sentence.
        remedy: the column as it would be without the difference, and without a loss; None: there is no such column.
        tolerable: whether a table that follows its data can let it be.
    """

    text: str
    remedy: sa.Column[Any] | None = None
    tolerable: bool = False


def settle(
    differences: Sequence[Difference], table: sa.Table, policy: DriftPolicy
) -> dict[str, sa.Column[Any]]:
    """Return the columns to add or to retype.

    Raises:
        SchemaDriftError: what the policy does not allow, all at once.
    """
    hopeless = [one.text for one in differences if one.remedy is None and not one.tolerable]
    if policy == "freeze" and differences:
        remedy = _EVOLVE if hopeless else _FREEZE
        raise SchemaDriftError(str(table), [difference.text for difference in differences], remedy)
    if hopeless:
        raise SchemaDriftError(str(table), hopeless, _EVOLVE)
    return {one.remedy.name: one.remedy for one in differences if one.remedy is not None}


def follow(connection: sa.Connection, table: sa.Table, columns: Mapping[str, sa.Column[Any]]) -> None:
    """Add the columns that the table lacks, and retype those that it has, inside the connection's transaction."""
    operations = Operations(MigrationContext.configure(connection))
    for name, column in columns.items():
        if name in table.columns:
            operations.alter_column(table.name, name, type_=column.type, schema=table.schema)
        else:
            operations.add_column(table.name, column, schema=table.schema)
    forget_tables(connection)


def differences_between(
    incoming: Mapping[str, ColumnType],
    fits: Callable[[str], bool],
    table: _Columns,
    declared: _Columns | None,
) -> Iterator[Difference]:
    """Compare the data with a table as it stands; what is declared wins over what the data look like.

    `fits` tells whether the table's column takes the data as it is: then it needs no wider type.
    """
    for name, column_type in incoming.items():
        if declared is not None and name not in declared:
            yield Difference(f"column {name!r} is in the data, and not declared")
        elif name not in table:
            yield _added(declared[name] if declared is not None else sa.Column(name, concrete(column_type)))
        elif declared is not None:
            yield from _retyped(table[name], declared[name].type, "declared")
            if not fits(name):
                yield _mistyped(declared[name], column_type)
        elif not fits(name):
            yield from _retyped(table[name], column_type, "in the data")
    for name, column in table.items():
        if name not in incoming and not fills_itself(column):
            optional = declared is not None and name in declared and bool(declared[name].nullable)
            if not (optional and column.nullable):
                yield Difference(
                    f"column {name!r} ({sql(column.type)}) is in the table, and not in the data",
                    tolerable=bool(column.nullable),
                )


def _added(column: sa.Column[Any]) -> Difference:
    # Rows that are there already have no value for it, so it may be NULL whatever is declared.
    new: sa.Column[Any] = sa.Column(column.name, column.type, comment=column.comment)
    return Difference(
        f"column {column.name!r} ({sql(column.type)}) is in the data, and not in the table", new
    )


def _retyped(column: sa.Column[Any], wanted: ColumnType, where: str) -> Iterator[Difference]:
    if sql(column.type) == sql(wanted):
        return
    wider = widened(column.type, wanted)
    lossless = wider is not None and (where != "declared" or sql(wider) == sql(wanted))
    yield Difference(
        f"column {column.name!r} is {sql(column.type)} in the table, and {sql(wanted)} {where}",
        sa.Column(column.name, wider, nullable=column.nullable) if lossless else None,
    )


def _mistyped(column: sa.Column[Any], incoming: ColumnType) -> Difference:
    return Difference(
        f"column {column.name!r} is declared as {sql(column.type)}, and {sql(incoming)} in the data"
    )
