"""Facts about a table from the catalog: triggers and rules, hidden rows, size."""

from typing import NamedTuple

import sqlalchemy as sa
from psycopg import sql

from purchase_pipeline.postgres.schema.tables import inspection_cache

_SMALL_BYTES = 4 << 20  # takes a few milliseconds to count
# A DELETE does not see rows that the policies for SELECT or DELETE hide.
_FACTS = """
    WITH RECURSIVE family AS (
        SELECT to_regclass(%s)::oid AS oid
        UNION ALL SELECT inhrelid FROM pg_inherits JOIN family ON inhparent = family.oid
    ), policy AS (
        SELECT polcmd, polpermissive, pg_get_expr(polqual, polrelid) IS NOT DISTINCT FROM 'true' AS everything
        FROM pg_policy WHERE polrelid = to_regclass(%s)
        AND (polroles = '{0}' OR EXISTS (SELECT FROM unnest(polroles) AS role WHERE pg_has_role(role, 'USAGE')))
    )
    SELECT oid::bigint, relkind IN ('r', 'p'),
        relhasrules OR row_security_active(oid) OR EXISTS (
            SELECT FROM pg_trigger JOIN family ON tgrelid = family.oid WHERE NOT tgisinternal AND tgenabled <> 'D'
        ),
        row_security_active(oid) AND EXISTS (
            SELECT FROM unnest('{r,d}'::"char"[]) AS command
            WHERE NOT EXISTS (SELECT FROM policy WHERE polcmd IN ('*', command) AND polpermissive AND everything)
            OR EXISTS (SELECT FROM policy WHERE polcmd IN ('*', command) AND NOT polpermissive AND NOT everything)
        ),
        plain AND relpersistence = 'p' AND NOT EXISTS (
            SELECT FROM pg_constraint WHERE conrelid = pg_class.oid AND contype = 'f' AND confdeltype = 'c'
        ),
        plain AND bytes <= %s
    FROM pg_class, LATERAL (
        SELECT relkind = 'p' OR relkind = 'r' AND NOT relhassubclass,
            coalesce((SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree(pg_class.oid)), pg_relation_size(oid))
    ) AS size (plain, bytes) WHERE oid = to_regclass(%s)
"""


class TableFacts(NamedTuple):
    """What the catalog says about a table.

    Attributes:
        oid: the table's OID.
        is_table: it stores rows of its own; not a view or foreign table.
        interferes: it, or a child table, has triggers, rules or policies; always true of a view.
        hides_rows: row security may hide rows from the role; false if its policies let all through.
        steady: no cascade, crash or child table can remove its rows.
        small: it was small enough to be counted when it was first looked up.
    """

    oid: int = 0
    is_table: bool = False
    interferes: bool = False
    hides_rows: bool = False
    steady: bool = False
    small: bool = False


def table_facts(connection: sa.Connection, table: sa.FromClause) -> TableFacts:
    """Return the facts, cached until this transaction changes a table."""
    name = sql.Identifier(*filter(None, (table.schema, table.name))).as_string()  # type: ignore[attr-defined]
    known: dict[str, TableFacts] = inspection_cache(connection)["facts"]
    if name not in known:
        found = connection.exec_driver_sql(_FACTS, (name, name, _SMALL_BYTES, name)).first()
        known[name] = TableFacts(*found) if found else TableFacts()
    return known[name]
