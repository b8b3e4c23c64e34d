"""What may come between a statement and a table's rows: triggers and rules, and row security."""

import sqlalchemy as sa
from psycopg import sql

_MAY_INTERFERE = """
    WITH RECURSIVE family AS (
        SELECT to_regclass(%s)::oid AS oid
        UNION ALL SELECT inhrelid FROM pg_inherits JOIN family ON inhparent = family.oid
    )
    SELECT relhasrules OR row_security_active(oid) OR EXISTS (
        SELECT FROM pg_trigger JOIN family ON tgrelid = family.oid WHERE NOT tgisinternal AND tgenabled <> 'D'
    )
    FROM pg_class WHERE oid = to_regclass(%s)
"""
# What a DELETE does not see are rows that no policy for reading, or none for deleting, lets through.
_HIDES_ROWS = """
    WITH policy AS (
        SELECT polcmd, polpermissive, pg_get_expr(polqual, polrelid) IS NOT DISTINCT FROM 'true' AS everything
        FROM pg_policy WHERE polrelid = to_regclass(%s)
        AND (polroles = '{0}' OR EXISTS (SELECT FROM unnest(polroles) AS role WHERE pg_has_role(role, 'USAGE')))
    )
    SELECT row_security_active(to_regclass(%s)) AND EXISTS (
        SELECT FROM unnest('{r,d}'::"char"[]) AS command
        WHERE NOT EXISTS (SELECT FROM policy WHERE polcmd IN ('*', command) AND polpermissive AND everything)
        OR EXISTS (SELECT FROM policy WHERE polcmd IN ('*', command) AND NOT polpermissive AND NOT everything)
    )
"""
_IS_TABLE = "SELECT relkind IN ('r', 'p') FROM pg_class WHERE oid = to_regclass(%s)"


def may_interfere(connection: sa.Connection, table: sa.FromClause) -> bool:
    """Tell whether the table, or one that inherits from it, has triggers, rules or policies; a view always has."""
    return _is_so(connection, _MAY_INTERFERE, table)


def hides_rows(connection: sa.Connection, table: sa.FromClause) -> bool:
    """Tell whether row security may keep rows out of sight: a policy of the role's that lets all through does not."""
    return _is_so(connection, _HIDES_ROWS, table)


def is_table(connection: sa.Connection, table: sa.FromClause) -> bool:
    """Tell whether it keeps rows of its own, and is no view or somebody else's."""
    return _is_so(connection, _IS_TABLE, table)


def _is_so(connection: sa.Connection, query: str, table: sa.FromClause) -> bool:
    name = sql.Identifier(*filter(None, (table.schema, table.name))).as_string()  # type: ignore[attr-defined]
    return bool(connection.exec_driver_sql(query, (name,) * query.count("%s")).scalar())
