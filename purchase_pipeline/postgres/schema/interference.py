"""What may come between a statement and a table's rows: triggers and rules, and row security."""

import sqlalchemy as sa
from psycopg import sql

from purchase_pipeline.postgres.schema.tables import looked_at

# What a DELETE does not see are rows that no policy for reading, or none for deleting, lets through.
_BETWEEN = """
    WITH RECURSIVE family AS (
        SELECT to_regclass(%s)::oid AS oid
        UNION ALL SELECT inhrelid FROM pg_inherits JOIN family ON inhparent = family.oid
    ), policy AS (
        SELECT polcmd, polpermissive, pg_get_expr(polqual, polrelid) IS NOT DISTINCT FROM 'true' AS everything
        FROM pg_policy WHERE polrelid = to_regclass(%s)
        AND (polroles = '{0}' OR EXISTS (SELECT FROM unnest(polroles) AS role WHERE pg_has_role(role, 'USAGE')))
    )
    SELECT relhasrules OR row_security_active(oid) OR EXISTS (
        SELECT FROM pg_trigger JOIN family ON tgrelid = family.oid WHERE NOT tgisinternal AND tgenabled <> 'D'
    ), row_security_active(oid) AND EXISTS (
        SELECT FROM unnest('{r,d}'::"char"[]) AS command
        WHERE NOT EXISTS (SELECT FROM policy WHERE polcmd IN ('*', command) AND polpermissive AND everything)
        OR EXISTS (SELECT FROM policy WHERE polcmd IN ('*', command) AND NOT polpermissive AND NOT everything)
    )
    FROM pg_class WHERE oid = to_regclass(%s)
"""
_IS_TABLE = "SELECT relkind IN ('r', 'p') FROM pg_class WHERE oid = to_regclass(%s)"


def may_interfere(connection: sa.Connection, table: sa.FromClause) -> bool:
    """Tell whether the table, or one that inherits from it, has triggers, rules or policies; a view always has."""
    return _between(connection, table)[0]


def hides_rows(connection: sa.Connection, table: sa.FromClause) -> bool:
    """Tell whether row security may keep rows out of sight: a policy of the role's that lets all through does not."""
    return _between(connection, table)[1]


def is_table(connection: sa.Connection, table: sa.FromClause) -> bool:
    """Tell whether it keeps rows of its own, and is no view or somebody else's."""
    return bool(connection.exec_driver_sql(_IS_TABLE, (_name(table),)).scalar())


def _between(connection: sa.Connection, table: sa.FromClause) -> tuple[bool, bool]:
    """Ask once a transaction, until it changes a table."""
    name, known = _name(table), looked_at(connection)["between"]
    if name not in known:
        found = connection.exec_driver_sql(_BETWEEN, (name,) * 3).first() or (False, False)
        known[name] = bool(found[0]), bool(found[1])
    answer: tuple[bool, bool] = known[name]
    return answer


def _name(table: sa.FromClause) -> str:
    return sql.Identifier(*filter(None, (table.schema, table.name))).as_string()  # type: ignore[attr-defined]
