"""The unique indexes of a table: which of them serve an upsert by some keys."""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from psycopg import sql

# PostgreSQL 14 has no indnullsnotdistinct: via JSON, a missing field is NULL.
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
    """What the unique indexes of a table say about some keys.

    Attributes:
        nulls_equal: whether NULLs are equal (NULLS NOT DISTINCT).
        unfit: indexes that no upsert can use, with the reasons.
    """

    nulls_equal: bool
    unfit: Sequence[str]


def unique_indexes(connection: sa.Connection, table: sa.Table, keys: Sequence[str]) -> UniqueIndexes:
    """Read the unique indexes of a table."""
    name = sql.Identifier(*filter(None, (table.schema, table.name))).as_string()
    nulls_equal, unfit = False, []
    for index, columns, not_distinct, defect in connection.exec_driver_sql(_UNIQUE, (name,)):
        if defect is not None:
            unfit.append(f"{index} {defect}")
        elif set(columns) == set(keys):
            nulls_equal = nulls_equal or not_distinct
    return UniqueIndexes(nulls_equal, unfit)
