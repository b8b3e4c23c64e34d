"""Rows into a table by COPY, PostgreSQL's fastest way in."""

import sqlalchemy as sa
from psycopg import Connection, sql

from purchase_pipeline.postgres.rows import RowStream


def copy_rows(connection: sa.Connection, table: sa.Table, stream: RowStream) -> int:
    """Write the stream into the table, inside the connection's transaction, and return how many rows it had.

    Raises:
        psycopg.Error: what PostgreSQL says of a row it cannot hold; its context names the line and column.
    """
    driver = connection.connection.driver_connection
    if not isinstance(driver, Connection):
        raise TypeError(f"COPY needs psycopg 3; this connection is by {type(driver).__module__}.")
    statement = sql.SQL("COPY {table} ({columns}) FROM STDIN").format(
        table=sql.Identifier(*filter(None, (table.schema, table.name))),
        columns=sql.SQL(", ").join(map(sql.Identifier, stream.columns)),
    )
    rows = 0
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for batch in stream.batches:
            for row in batch:
                copy.write_row(row)
            rows += len(batch)
    return rows
