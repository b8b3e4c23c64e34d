"""What is wrong with a given database for the pipeline's tables, told before anything is written to it."""

from typing import Any

import psycopg
from psycopg import sql

_SCHEMA = "public"
KEY_COLUMNS = {
    "tabela_compras": ("lote", "linha"),
    "compras_rejeitadas": ("lote", "linha"),
    "slice_ledger": ("asset", "partition"),
}
"""By table, the columns without which it is somebody else's. Written out: to load the tables' own takes a second."""

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
_HIDES = "SELECT to_regclass(%s)::text WHERE to_regclass(%s) IS DISTINCT FROM to_regclass(%s)"


def faults_of(connection: "psycopg.Connection[Any]") -> list[str]:
    """Say, a sentence each, why the pipeline could not keep its tables there, and what to do about it."""
    found = {name: _found(connection, name) for name in KEY_COLUMNS}
    faults = [
        fault for name, table in found.items() if table is not None for fault in _faults_of_table(name, table)
    ]
    row = connection.execute(_ROLE, {"schema": _SCHEMA}).fetchone()
    role, path, on_path, may_create = row or ("", "", True, True)
    who, where = sql.Identifier(role).as_string(connection), sql.Identifier(_SCHEMA).as_string(connection)
    if not may_create and None in found.values():
        faults.append(
            f"{role} may not create tables in schema {_SCHEMA} (as its owner: GRANT CREATE ON SCHEMA {where} TO {who})"
        )
    hidden = [hiding for name in KEY_COLUMNS if (hiding := _hiding(connection, name)) is not None]
    if hidden or not on_path:
        seen = f"leads to {hidden[0]} first" if hidden else "does not lead there"
        faults.append(
            f"the tables are in schema {_SCHEMA}, and {role}'s search_path, {path!r}, {seen} "
            f"(ALTER ROLE {who} SET search_path = {where})"
        )
    return faults


def _hiding(connection: "psycopg.Connection[Any]", name: str) -> str | None:
    """Return what a query of the bare name reads in the place of the table; None: nothing else."""
    bare, full = (
        sql.Identifier(name).as_string(connection),
        sql.Identifier(_SCHEMA, name).as_string(connection),
    )
    row = connection.execute(_HIDES, [bare, bare, full]).fetchone()
    return row and row[0]


def _found(connection: "psycopg.Connection[Any]", name: str) -> tuple[bool, bool, list[str]] | None:
    return connection.execute(_TABLE, [sql.Identifier(_SCHEMA, name).as_string(connection)]).fetchone()


def _faults_of_table(name: str, table: tuple[bool, bool, list[str]]) -> list[str]:
    is_table, may_write, columns = table
    missing = [key for key in KEY_COLUMNS[name] if key not in columns]
    other = "rename it, or give the pipeline a database of its own"
    if not is_table:
        return [f"{_SCHEMA}.{name} is there already, and is no table ({other})"]
    if missing:
        return [
            f"{_SCHEMA}.{name} is there already, and is somebody else's: it has no column {missing[0]} ({other})"
        ]
    if not may_write:
        return [f"{_SCHEMA}.{name} is there already, and may not be written (GRANT ALL ON {_SCHEMA}.{name})"]
    return []
