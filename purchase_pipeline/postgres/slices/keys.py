"""Partition keys that are one value to their column: `1` and `01` to a BIGINT, say, replace each other's rows."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import array

from purchase_pipeline.postgres.dagster_internals import TablePartitionDimension
from purchase_pipeline.postgres.database_errors import has_sqlstate
from purchase_pipeline.postgres.errors import UnusableMetadataError
from purchase_pipeline.postgres.slices.conditions import expression_of, quoted_list, untyped

_CACHE = "keys_of_one_value"  # in a connection's `info`: what it has found out
_BYTEWISE_TYPES = ("text", "character varying")


def refuse_equal_keys(
    connection: sa.Connection,
    table: sa.FromClause,
    dimensions: Sequence[TablePartitionDimension],
    context: dg.OutputContext,
) -> None:
    """Make sure that no key that is written is the value of another key of its partitions, written or not.

    A connection looks at an asset's keys once; and not at all where they are texts, each of which is itself.

    Raises:
        UnusableMetadataError: two keys are one value.
    """
    known: dict[object, Any] = connection.info.setdefault(_CACHE, {})
    for dimension, definition in zip(dimensions, _definitions(context), strict=True):
        place = (str(table), dimension.partition_expr)
        if isinstance(definition, dg.TimeWindowPartitionsDefinition):
            continue
        if place not in known:
            known[place] = _compares_bytes(connection, _value_of(table, dimension))
        if known[place]:
            continue
        keys = _keys_of(definition, context)
        every = (*place, hash(tuple(keys)))
        if every not in known:
            known[every] = _equal_keys(connection, _value_of(table, dimension), keys)
        for alike in known[every]:
            if not set(alike).isdisjoint(dimension.partitions):
                raise UnusableMetadataError(
                    f"table {table}: the partition keys {', '.join(map(repr, alike))} are one value to its column "
                    f"{dimension.partition_expr!r}, and would replace each other's rows. Nothing was changed. Keep one "
                    "of them, or use a column of TEXT.",
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
    """Return no value of a `partition_expr`, for the sake of its type and collation."""
    return sa.select(expression_of(table, dimension)).select_from(table).limit(0).scalar_subquery()


def _compares_bytes(connection: sa.Connection, value: sa.ScalarSelect[Any]) -> bool:
    """Tell whether two texts are never one value of the type."""
    collation = sa.table(
        "pg_collation", sa.column("oid"), sa.column("collisdeterministic"), schema="pg_catalog"
    )
    own = sa.func.to_regcollation(sa.func.pg_collation_for(value))
    exact = sa.select(collation.c.collisdeterministic).where(collation.c.oid == own).scalar_subquery()
    kind = sa.cast(sa.func.pg_typeof(value), sa.Text)
    is_text = sa.or_(
        *(kind == name for name in _BYTEWISE_TYPES)
    )  # SQLAlchemy's IN takes a hostile name for its own mark
    return bool(connection.execute(sa.select(sa.and_(is_text, exact))).scalar())


def _equal_keys(
    connection: sa.Connection, value: sa.ScalarSelect[Any], keys: Sequence[str]
) -> list[tuple[str, ...]]:
    """Return the groups of keys that are one value; a key that is none cannot be written, and is in no group."""
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
    rows = values.table_valued("value", with_ordinality="place").render_derived()
    places = sa.func.array_agg(rows.c.place)
    query = sa.select(places).where(rows.c.value.is_not(None)).group_by(rows.c.value)
    found = connection.execute(query.having(sa.func.count() > 1)).scalars()
    # The first place, which PostgreSQL counts from 1, is that of no value.
    return [tuple(keys[place - 2] for place in sorted(group)) for group in found]
