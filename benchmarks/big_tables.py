"""Tables that have millions of rows already, made in the server out of one real lot."""

import psycopg
from psycopg import sql

from benchmarks.same_table import FIELDS

LOT_ROWS = 10_000

_COPY_LOT = sql.SQL(
    "INSERT INTO tabela_compras (lote, linha, {fields}) "
    "SELECT %s, linha, {fields} FROM tabela_compras WHERE lote = 'lote-0001' ORDER BY linha"
).format(fields=sql.SQL(", ").join(map(sql.Identifier, FIELDS)))


def multiply_first_lot(database_url: str, lots: int) -> None:
    """Give the table, which has `lote-0001`, that many lots in all, one after the other as lots come."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        for number in range(2, lots + 1):
            connection.execute(_COPY_LOT, [f"lote-{number:04d}"])


def settle(database_url: str) -> None:
    """Vacuum, and write all to disk, so that what is measured next pays for nothing of before."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
