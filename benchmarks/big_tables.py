"""Tables with millions of rows, copied in SQL from one real batch."""

import psycopg
from psycopg import sql

from benchmarks.same_table import FIELDS

LOT_ROWS = 10_000

_COPY_LOT = sql.SQL(
    "INSERT INTO tabela_compras (lote, linha, {fields}) "
    "SELECT %s, linha, {fields} FROM tabela_compras WHERE lote = 'lote-0001' ORDER BY linha"
).format(fields=sql.SQL(", ").join(map(sql.Identifier, FIELDS)))


def multiply_first_lot(database_url: str, lots: int) -> None:
    """Copy `lote-0001` until the table has `lots` batches, one at a time, as batches arrive."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        for number in range(2, lots + 1):
            connection.execute(_COPY_LOT, [f"lote-{number:04d}"])


def settle(database_url: str) -> None:
    """Vacuum and write a checkpoint, so that earlier work does not affect the next measurement."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
