"""What a backup reads from the data's database, and what a restore checks in it."""

from collections.abc import Sequence

import sqlalchemy as sa
from psycopg import sql

from purchase_pipeline.ops.backups.archive import Backup, SavedTable
from purchase_pipeline.postgres.slices.ledger import LEDGER_NAME, ledger_table

_TABLES = sa.text("""
    SELECT nspname, relname, pg_class.oid, relname = :ledger AND EXISTS (
        SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'table_oid' AND NOT attisdropped
    )
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND relpersistence <> 't'
    AND nspname NOT IN ('pg_catalog', 'information_schema')
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e') -- an extension's
    ORDER BY nspname, relname
""")
_PARTITIONS = sa.text("""
    SELECT nspname, relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relispartition AND relkind IN ('r', 'p') AND pg_partition_root(pg_class.oid) = to_regclass(:table)
""")
_ROLES = sa.text("SELECT rolname FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%' ORDER BY rolname")


def server_major(connection: sa.Connection) -> int:
    """Return the major version of the server."""
    return int(connection.execute(sa.text("SHOW server_version_num")).scalar_one()) // 10_000


def role_names(connection: sa.Connection) -> tuple[str, ...]:
    """Return the server's roles, but PostgreSQL's own."""
    return tuple(connection.execute(_ROLES).scalars())


def saved_tables(connection: sa.Connection) -> tuple[SavedTable, ...]:
    """Return all tables of the database, and count their rows."""
    return tuple(
        SavedTable(
            schema_name=schema, name=name, oid=oid, has_oids=has_oids, rows=_count(connection, schema, name)
        )
        for schema, name, oid, has_oids in connection.execute(_TABLES, {"ledger": LEDGER_NAME}).all()
    )


def ledger_digests(connection: sa.Connection, keys: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return `(asset, partition, digest)` of the partitions' entries in all ledgers."""
    found = list[tuple[str, str, str]]()
    for schema, name, *_ in connection.execute(_TABLES, {"ledger": LEDGER_NAME}).all() if keys else []:
        if name == LEDGER_NAME:
            ledger = ledger_table(schema).c
            query = sa.select(ledger.asset, ledger.partition, ledger.digest)
            of_keys = ledger.partition.in_(keys), ledger.digest.is_not(None)
            found += [tuple(row) for row in connection.execute(query.where(*of_keys))]
    return found


def filled_tables(connection: sa.Connection, tables: Sequence[SavedTable]) -> list[str]:
    """Return the names of those tables that exist and have rows."""
    there = sa.inspect(connection)
    return [
        table.name
        for table in tables
        if there.has_table(table.name, table.schema_name)
        and connection.scalar(
            sa.select(sa.exists().select_from(sa.table(table.name, schema=table.schema_name)))
        )
    ]


def preparing_statements(connection: sa.Connection, backup: Backup) -> str:
    """Return the SQL before the dump: drop the partitions that are there.

    pg_restore drops the constraints of tables first, which PostgreSQL refuses for those of a partition.
    """
    names = [sql.Identifier(table.schema_name, table.name).as_string(None) for table in backup.tables]
    partitions = [
        sql.Identifier(*row)
        for name in names
        for row in connection.execute(_PARTITIONS, {"table": name}).all()
    ]
    if not partitions:
        return ""
    return sql.SQL("DROP TABLE {};\n").format(sql.SQL(", ").join(partitions)).as_string(None)


def completing_statements(backup: Backup) -> str:
    """Return the SQL after the dump: compare each table's rows, and write the tables' new OIDs to the ledgers."""
    counts = [_require_count(table) for table in backup.tables]
    names = [
        (table.oid, sql.Identifier(table.schema_name, table.name).as_string(None)) for table in backup.tables
    ]
    moved = sql.SQL(", ").join(
        sql.SQL("({}::bigint, {}::regclass::oid::bigint)").format(sql.Literal(oid), sql.Literal(name))
        for oid, name in names
    )
    renumbered = [
        sql.SQL(
            "UPDATE {} AS entry SET table_oid = moved.new FROM (VALUES {}) AS moved (old, new) WHERE table_oid = old;\n"
        ).format(sql.Identifier(table.schema_name, table.name), moved)
        for table in backup.tables
        if table.has_oids
    ]
    return sql.SQL("").join([*counts, *renumbered]).as_string(None)


def _require_count(table: SavedTable) -> sql.Composed:
    name = sql.Identifier(table.schema_name, table.name)
    body = sql.SQL(
        "BEGIN IF (SELECT count(*) FROM {name}) <> {rows} THEN "
        "RAISE EXCEPTION 'table % does not have the % rows of the backup', {shown}, {rows}; END IF; END"
    ).format(name=name, rows=sql.Literal(table.rows), shown=sql.Literal(table.name))
    return sql.SQL("DO {};\n").format(sql.Literal(body.as_string(None)))


def _count(connection: sa.Connection, schema: str, name: str) -> int:
    return connection.execute(
        sa.select(sa.func.count()).select_from(sa.table(name, schema=schema))
    ).scalar_one()
