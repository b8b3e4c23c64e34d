"""Partition keys that are equal in their column, such as `1` and `01` in a BIGINT, which would overlap."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import array

from purchase_pipeline.postgres.dagster_internals import TablePartitionDimension
from purchase_pipeline.postgres.database_errors import has_sqlstate
from purchase_pipeline.postgres.errors import UnusableMetadataError
from purchase_pipeline.postgres.slices.conditions import expression_of, quoted_list, untyped

_CACHE = "keys_of_one_value"  # in a connection's `info`: results of earlier checks
_BYTEWISE_TYPES = ("text", "character varying")


def reject_equal_keys(
    connection: sa.Connection,
    table: sa.FromClause,
    dimensions: Sequence[TablePartitionDimension],
    context: dg.OutputContext,
) -> None:
    """Check that no written key equals another key of the partitions, written or not.

    The result is cached per connection. Text columns with a deterministic collation need no check.

    Raises:
        UnusableMetadataError: two keys are equal.
    """
    known: dict[object, Any] = connection.info.setdefault(_CACHE, {})
    for dimension, definition in zip(dimensions, _definitions(context), strict=True):
        column = (str(table), dimension.partition_expr)
        if isinstance(definition, dg.TimeWindowPartitionsDefinition):
            continue
        if column not in known:
            known[column] = _compares_bytes(connection, _value_of(table, dimension))
        if known[column]:
            continue
        keys = _keys_of(definition, context)
        all_keys = (*column, hash(tuple(keys)))
        if all_keys not in known:
            known[all_keys] = _equal_keys(connection, _value_of(table, dimension), keys)
        for equal in known[all_keys]:
            if not set(equal).isdisjoint(dimension.partitions):
                raise UnusableMetadataError(
                    f"table {table}: partition keys {', '.join(map(repr, equal))} are equal in column "
                    f"{dimension.partition_expr!r}, and would replace each other's rows. Nothing was changed. Keep one "
                    "of them, or use a TEXT column.",
                    table=str(table),
                    column=dimension.partition_expr,
                )


def _definitions(context: dg.OutputContext) -> Sequence[dg.PartitionsDefinition[str]]:
    definition = context.asset_partitions_def
    if isinstance(definition, dg.MultiPartitionsDefinition):
        return [part.partitions_def for part in definition.partitions_defs]
    return [definition]


def _keys_of(definition: dg.PartitionsDefinition[str], context: dg.OutputContext) -> Sequence[str]:
    if isinstance(definition, dg.DynamicPartitionsDefinition):
        return definition.get_partition_keys(dynamic_partitions_store=context.step_context.instance)
    return definition.get_partition_keys()


def _value_of(table: sa.FromClause, dimension: TablePartitionDimension) -> sa.ScalarSelect[Any]:
    """Return a NULL of the type and collation of a `partition_expr`."""
    return sa.select(expression_of(table, dimension)).select_from(table).limit(0).scalar_subquery()


def _compares_bytes(connection: sa.Connection, value: sa.ScalarSelect[Any]) -> bool:
    """Return whether different strings are always different values of the type."""
    collation = sa.table(
        "pg_collation", sa.column("oid"), sa.column("collisdeterministic"), schema="pg_catalog"
    )
    own = sa.func.to_regcollation(sa.func.pg_collation_for(value))
    exact = sa.select(collation.c.collisdeterministic).where(collation.c.oid == own).scalar_subquery()
    kind = sa.cast(sa.func.pg_typeof(value), sa.Text)
    # Not IN: SQLAlchemy mistakes some names for its placeholder.
    is_text = sa.or_(*(kind == name for name in _BYTEWISE_TYPES))
    return bool(connection.execute(sa.select(sa.and_(is_text, exact))).scalar())


def _equal_keys(
    connection: sa.Connection, value: sa.ScalarSelect[Any], keys: Sequence[str]
) -> list[tuple[str, ...]]:
    """Return the groups of equal keys; a key that is not a valid value is in no group."""
    try:
        with connection.begin_nested():
            return _equal_groups(connection, value, keys)
    except sa.exc.DBAPIError as error:
        if not has_sqlstate(error.orig, "22"):
            raise
    listed = sa.func.unnest(sa.cast(quoted_list(keys), sa.ARRAY(sa.Text))).column_valued("key")
    valid = sa.func.pg_input_is_valid(listed, sa.cast(sa.func.pg_typeof(value), sa.Text))
    return _equal_groups(
        connection, value, connection.execute(sa.select(listed).where(valid)).scalars().all()
    )


def _equal_groups(
    connection: sa.Connection, value: sa.ScalarSelect[Any], keys: Sequence[str]
) -> list[tuple[str, ...]]:
    values = sa.func.unnest(sa.func.array_cat(array([value]), untyped(quoted_list(keys))))
    rows = values.table_valued("value", with_ordinality="column").render_derived()
    positions = sa.func.array_agg(rows.c.column)
    query = sa.select(positions).where(rows.c.value.is_not(None)).group_by(rows.c.value)
    found = connection.execute(query.having(sa.func.count() > 1)).scalars()
    # Positions count from 1, and the first is the NULL.
    return [tuple(keys[column - 2] for column in sorted(group)) for group in found]
