"""The ledger: for each slice of each table, what was committed last, written in the slice's own transaction."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from purchase_pipeline.postgres.errors import PostgresWriteError
from purchase_pipeline.postgres.schema.tables import create_if_missing

LEDGER_NAME = "slice_ledger"


class NotedRows(NamedTuple):
    """How many rows the ledger notes: of one slice, and of all slices of its asset together."""

    slice: int
    partitions: int


@cache
def ledger_table(schema: str | None = None) -> sa.Table:
    """Return the ledger's declaration. Each schema keeps its own, so that its owner owns all that a load writes."""
    return sa.Table(
        LEDGER_NAME,
        sa.MetaData(schema=schema),
        sa.Column("asset", sa.Text, primary_key=True, comment="Asset key, its parts joined by slashes"),
        sa.Column("partition", sa.Text, primary_key=True, comment="Partition key; '' for a whole table"),
        sa.Column("run_id", sa.Text, nullable=False, comment="Dagster run that wrote the slice"),
        sa.Column(
            "rows", sa.BigInteger, nullable=False, comment="Rows in the slice; of an upsert, rows merged last"
        ),
        sa.Column("source_rows", sa.BigInteger, comment="Rows of the source that the slice was made from"),
        sa.Column("digest", sa.Text, comment="Digest of the source that the slice was made from"),
        sa.Column(
            "committed_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.clock_timestamp(),
            comment="When the slice was written",
        ),
        comment="One row a slice: what was committed last, in the transaction that committed it",
    )


def record_slices(
    connection: sa.Connection, schema: str, entries: Sequence[Mapping[str, Any]], *, adding: bool = False
) -> None:
    """Write or replace the entries of these `(asset, partition)`; when adding, rows are added to those noted before.

    Raises:
        PostgresWriteError: the table of that name is not ours.
    """
    ledger = ledger_table(schema)
    create_if_missing(connection, [ledger])
    new = insert(ledger)
    # The time, too, is the new row's own: Citus refuses a function that is called here.
    values: dict[str, sa.ColumnElement[Any]] = {
        column.name: new.excluded[column.name] for column in ledger.columns if not column.primary_key
    }
    if adding:
        values["rows"] = ledger.c.rows + new.excluded.rows
    try:
        connection.execute(
            new.on_conflict_do_update(index_elements=[ledger.c.asset, ledger.c.partition], set_=values),
            list(entries),
        )
    except sa.exc.ProgrammingError as error:
        if not isinstance(error.orig, psycopg.errors.SyntaxErrorOrAccessRuleViolation):
            raise
        raise PostgresWriteError(
            f"table {ledger} cannot be written as the ledger of what was committed: {error.orig.diag.message_primary}. "
            "Is it somebody else's? Rename it, or give the assets another schema."
        ) from error


def noted_rows(connection: sa.Connection, schema: str, asset: str, partition: str) -> NotedRows:
    """Return how many rows a slice has, and all partitions of its asset, as noted: no table is read for it."""
    ledger = ledger_table(schema)
    total = sa.func.sum(ledger.c.rows)
    sums = (total.filter(ledger.c.partition == partition), total.filter(ledger.c.partition != ""))
    query = sa.select(*(sa.func.coalesce(one, 0) for one in sums)).where(ledger.c.asset == asset)
    return NotedRows(*map(int, connection.execute(query).one()))
