"""Checks that an external database can hold the pipeline's tables, before anything is written."""

from typing import Any

import psycopg
from psycopg import sql

_SCHEMA = "public"
KEY_COLUMNS = {
    "tabela_compras": ("lote", "linha"),
    "compras_rejeitadas": ("lote", "linha"),
    "slice_ledger": ("asset", "partition"),
}
"""Columns that identify each table as the pipeline's. Hard-coded, as importing the tables takes a second."""

_ROLE = """
    SELECT current_user::text, current_setting('search_path'), %(schema)s = ANY (current_schemas(false)),
        to_regnamespace(%(schema)s) IS NOT NULL AND has_schema_privilege(%(schema)s, 'CREATE')
"""
_TABLE = """
    SELECT relkind::text IN ('r', 'p'),
        has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
        AND has_table_privilege(oid, 'DELETE'),
        ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped)
    FROM pg_class WHERE oid = to_regclass(%s)
"""
_SHADOWING = "SELECT to_regclass(%s)::text WHERE to_regclass(%s) IS DISTINCT FROM to_regclass(%s)"


def find_problems(connection: "psycopg.Connection[Any]") -> list[str]:
    """Return why the database cannot hold the pipeline's tables, each with its remedy."""
    found = {name: _found(connection, name) for name in KEY_COLUMNS}
    problems = [
        problem
        for name, table in found.items()
        if table is not None
        for problem in _table_problems(name, table)
    ]
    row = connection.execute(_ROLE, {"schema": _SCHEMA}).fetchone()
    role, path, on_path, may_create = row or ("", "", True, True)
    who, where = sql.Identifier(role).as_string(connection), sql.Identifier(_SCHEMA).as_string(connection)
    if not may_create and None in found.values():
        problems.append(
            f"{role} cannot create tables in schema {_SCHEMA} (as its owner: GRANT CREATE ON SCHEMA {where} TO {who})"
        )
    shadowed = [shadowing for name in KEY_COLUMNS if (shadowing := _shadowing(connection, name)) is not None]
    if shadowed or not on_path:
        seen = f"finds {shadowed[0]} first" if shadowed else "does not include it"
        problems.append(
            f"the tables are in schema {_SCHEMA}, but {role}'s search_path {path!r} {seen} "
            f"(ALTER ROLE {who} SET search_path = {where})"
        )
    return problems


def _shadowing(connection: "psycopg.Connection[Any]", name: str) -> str | None:
    """Return the relation that shadows a table on the search_path, or None."""
    bare, full = (
        sql.Identifier(name).as_string(connection),
        sql.Identifier(_SCHEMA, name).as_string(connection),
    )
    row = connection.execute(_SHADOWING, [bare, bare, full]).fetchone()
    return row and row[0]


def _found(connection: "psycopg.Connection[Any]", name: str) -> tuple[bool, bool, list[str]] | None:
    return connection.execute(_TABLE, [sql.Identifier(_SCHEMA, name).as_string(connection)]).fetchone()


def _table_problems(name: str, table: tuple[bool, bool, list[str]]) -> list[str]:
    is_table, may_write, columns = table
    missing = [key for key in KEY_COLUMNS[name] if key not in columns]
    other = "rename it, or use a separate database"
    if not is_table:
        return [f"{_SCHEMA}.{name} already exists and is not a table ({other})"]
    if missing:
        return [
            f"{_SCHEMA}.{name} already exists and is not the pipeline's: it has no column {missing[0]} ({other})"
        ]
    if not may_write:
        return [f"no permission to write {_SCHEMA}.{name} (GRANT ALL ON {_SCHEMA}.{name})"]
    return []
