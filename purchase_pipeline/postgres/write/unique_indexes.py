"""The unique indexes of a table: which of them tells rows of the same keys, and how."""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from psycopg import sql

# PostgreSQL 14 has no indnullsnotdistinct: as JSON, a field that is missing is NULL.
_UNIQUE = """
    SELECT relname,
        ARRAY(
            SELECT attname::text FROM unnest(indkey::int2[]) WITH ORDINALITY AS key (number, place)
            JOIN pg_attribute ON attrelid = indrelid AND attnum = number WHERE place <= indnkeyatts
        ),
        coalesce((to_jsonb(pg_index) ->> 'indnullsnotdistinct')::bool, false),
        CASE WHEN NOT indisvalid THEN 'is not valid' WHEN NOT indimmediate THEN 'is deferrable'
        WHEN indpred IS NOT NULL THEN 'is partial' WHEN indexprs IS NOT NULL THEN 'is over expressions' END
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = to_regclass(%s) AND indisunique ORDER BY relname
"""


class UniqueIndexes(NamedTuple):
    """What the unique indexes of a table say of some keys.

    Attributes:
        nulls_equal: NULLs in a key are equal to each other (NULLS NOT DISTINCT).
        unfit: those that serve no upsert, each with the reason.
    """

    nulls_equal: bool
    unfit: Sequence[str]


def unique_indexes(connection: sa.Connection, table: sa.Table, keys: Sequence[str]) -> UniqueIndexes:
    """Look at the unique indexes of a table."""
    name = sql.Identifier(*filter(None, (table.schema, table.name))).as_string()
    nulls_equal, unfit = False, []
    for index, columns, not_distinct, fault in connection.exec_driver_sql(_UNIQUE, (name,)):
        if fault is not None:
            unfit.append(f"{index} {fault}")
        elif set(columns) == set(keys):
            nulls_equal = nulls_equal or not_distinct
    return UniqueIndexes(nulls_equal, unfit)
