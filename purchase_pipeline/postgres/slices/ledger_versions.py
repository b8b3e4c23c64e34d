"""Versions of the ledger, and the steps from an older one to this program's.

Each column of `ledger_table` says since which version it exists; the ledger's comment says its version. The first write
adds what is missing, in its own transaction.

Alembic does not fit: it upgrades one database of one application before that starts. A ledger is in each schema that an
asset is written to, in databases that belong to others, and comes into being with the first write.
"""

import re

import sqlalchemy as sa
from psycopg import sql

from purchase_pipeline.postgres.errors import LedgerVersionError, PostgresWriteError
from purchase_pipeline.postgres.locks import Lock, lock_until_commit
from purchase_pipeline.postgres.schema.tables import create_if_missing
from purchase_pipeline.postgres.slices.ledger import LEDGER_NAME, LEDGER_VERSION, ledger_table
from purchase_pipeline.postgres.statements import Name, execute

_MARK = re.compile(r"\(version (\d+)\)$")
_FOUND = """
    SELECT array_agg(attname::text), obj_description(to_regclass(%s), 'pg_class') FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
"""
_OWNER = """
    SELECT pg_get_userbyid(relowner), pg_has_role(relowner, 'USAGE'), current_user FROM pg_class
    WHERE oid = to_regclass(%s)
"""
# Readers of the ledger wait behind a step that waits; a backup may hold its lock for minutes.
_LOCK_TIMEOUT = "5s"


def ledger_version(connection: sa.Connection, schema: str | None = None) -> int:
    """Return the version of the ledger in a schema, by default the first of the search path; 0 if there is none.

    Raises:
        LedgerVersionError: a newer program made it.
        PostgresWriteError: a table of that name exists that is not a ledger.
    """
    ledger, name = ledger_table(schema), _quoted(schema)
    columns, comment = connection.exec_driver_sql(_FOUND, (name, name)).one()
    if columns is None:
        return 0
    marked = _MARK.search(comment or "")
    if marked and int(marked[1]) > LEDGER_VERSION:
        raise LedgerVersionError(
            f"table {ledger} was made by a newer version of this program: the ledger has version {marked[1]}, this "
            f"program knows versions up to {LEDGER_VERSION}. Nothing was changed. Install the newer version, or "
            "restore the backup from before the upgrade.",
            table=str(ledger),
        )
    missing = {column.name: _since(column) for column in ledger.columns if column.name not in columns}
    version = min(missing.values(), default=LEDGER_VERSION + 1) - 1
    if not version:
        raise PostgresWriteError(
            f"table {ledger} cannot be used as the ledger of commits: it has no column {next(iter(missing))}. "
            "If it is another table, rename it, or give the assets another schema.",
            table=str(ledger),
        )
    return version


def prepare_ledger(connection: sa.Connection, schema: str) -> None:
    """Create the ledger, or upgrade that of an older version; concurrent writers do so once.

    Raises:
        LedgerVersionError: a newer program made it, or the role may not upgrade it.
        PostgresWriteError: a table of that name exists that is not a ledger.
    """
    version = ledger_version(connection, schema)
    if not version:
        create_if_missing(connection, [ledger_table(schema)])
    elif version < LEDGER_VERSION:
        _upgrade(connection, schema)


def _upgrade(connection: sa.Connection, schema: str) -> None:
    ledger = ledger_table(schema)
    lock_until_commit(connection, Lock(("create", schema, LEDGER_NAME)))
    version = ledger_version(connection, schema)  # another writer may have upgraded it meanwhile
    added = [column for column in ledger.columns if _since(column) > version]
    if not added:
        return
    columns = sql.SQL(", ").join(
        sql.SQL("ADD COLUMN IF NOT EXISTS {} {}").format(
            sql.Identifier(column.name), sql.SQL(column.type.compile(connection.dialect))
        )
        for column in added
    )
    _require_owner(connection, schema, version, columns)
    limit = connection.execute(sa.select(sa.func.current_setting("lock_timeout"))).scalar_one()
    _set_lock_timeout(connection, _LOCK_TIMEOUT)
    execute(connection, "ALTER TABLE {ledger} {columns}", ledger=Name(schema, LEDGER_NAME), columns=columns)
    for column in added:
        connection.execute(sa.schema.SetColumnComment(column))
    connection.execute(sa.schema.SetTableComment(ledger))
    _set_lock_timeout(connection, limit)


def _require_owner(connection: sa.Connection, schema: str, version: int, columns: sql.Composable) -> None:
    """Raise `LedgerVersionError` if the role may not alter the ledger, with the statement for its owner."""
    owner, may_alter, role = connection.exec_driver_sql(_OWNER, (_quoted(schema),)).one()
    if may_alter:
        return
    statement = sql.SQL("ALTER TABLE {} {}").format(sql.Identifier(schema, LEDGER_NAME), columns)
    raise LedgerVersionError(
        f"table {schema}.{LEDGER_NAME} is a ledger of version {version}, and this program writes version "
        f"{LEDGER_VERSION}. Only its owner can upgrade it: {owner}, not {role}. Nothing was changed. Load any "
        f"partition as {owner}, or run as {owner}: {statement.as_string()}",
        table=f"{schema}.{LEDGER_NAME}",
    )


def _set_lock_timeout(connection: sa.Connection, limit: str) -> None:
    connection.execute(sa.select(sa.func.set_config("lock_timeout", limit, sa.true())))


def _since(column: sa.Column[object]) -> int:
    """Return the version that added a column."""
    return int(column.info.get("since", 1))


def _quoted(schema: str | None) -> str:
    return sql.Identifier(*([] if schema is None else [schema]), LEDGER_NAME).as_string()
