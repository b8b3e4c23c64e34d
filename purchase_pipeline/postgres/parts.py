"""The shape of a table: in one piece, or in parts by the hash of a column."""

from typing import NamedTuple

import sqlalchemy as sa
from psycopg import sql

from purchase_pipeline.postgres.statements import Name, execute, quoted

_SHAPE = """
    SELECT coalesce(pg_get_partkeydef(oid), ''), (SELECT count(*) FROM pg_inherits WHERE inhparent = pg_class.oid)
    FROM pg_class WHERE oid = to_regclass(%s)
"""
_OPTIONS = """
    SELECT array_to_string(reloptions, ', ') FROM pg_class
    WHERE oid = coalesce((SELECT min(inhrelid) FROM pg_inherits WHERE inhparent = to_regclass(%s)), to_regclass(%s))
"""


class Shape(NamedTuple):
    """How a table keeps its rows: partitioned by what, as PostgreSQL says it ('': in one piece), in how many parts."""

    by: str
    parts: int

    def __str__(self) -> str:
        return f"{self.parts} parts by {self.by}" if self.by else "one piece"


def shape_of(connection: sa.Connection, table: Name) -> Shape | None:
    """Return a table's shape; None: there is no such table."""
    found = connection.exec_driver_sql(_SHAPE, (quoted(table),)).first()
    return None if found is None else Shape(*found)


def make_alike(connection: sa.Connection, table: Name, new: Name, column: str, parts: int) -> None:
    """Make an empty table like another one, in so many parts by the hash of a column; 0: in one piece.

    It has the same columns, defaults, identities, constraints, indexes and comments of these.
    """
    options = connection.exec_driver_sql(_OPTIONS, (quoted(table), quoted(table))).scalar_one()
    stored = sql.SQL(f"WITH ({options})" if options else "")
    like = "CREATE TABLE {new} (LIKE {table} INCLUDING ALL) "
    if not parts:
        execute(connection, like + "{stored}", new=new, table=table, stored=stored)
        return
    execute(connection, like + "PARTITION BY HASH ({column})", new=new, table=table, column=column)
    for remainder in range(parts):
        execute(
            connection,
            "CREATE TABLE {part} PARTITION OF {new} FOR VALUES WITH (MODULUS {parts}, REMAINDER {remainder}) {stored}",
            part=part_of(table, remainder, parts),
            new=new,
            parts=sql.Literal(parts),
            remainder=sql.Literal(remainder),
            stored=stored,
        )


def part_of(table: Name, remainder: int, parts: int) -> Name:
    """Return the name of one of a table's parts."""
    return table.beside(f"{table.name}_p{remainder:0{len(str(parts - 1))}}")
