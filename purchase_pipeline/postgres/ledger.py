"""The ledger: for each slice of each table, what was committed last, written in the slice's own transaction."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from purchase_pipeline.postgres.tables import create_if_missing

LEDGER_NAME = "slice_ledger"


def ledger_table(schema: str | None = None) -> sa.Table:
    """Return the ledger's declaration. Each schema keeps its own, so that its owner owns all that a load writes."""
    return sa.Table(
        LEDGER_NAME,
        sa.MetaData(schema=schema),
        sa.Column("asset", sa.Text, primary_key=True, comment="Asset key, its parts joined by '/'"),
        sa.Column("partition", sa.Text, primary_key=True, comment="Partition key; '' for a whole table"),
        sa.Column("run_id", sa.Text, nullable=False, comment="Dagster run that wrote the slice"),
        sa.Column("rows", sa.BigInteger, nullable=False, comment="Rows in the slice"),
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


def record_slice(connection: sa.Connection, schema: str, entry: Mapping[str, Any]) -> None:
    """Write or replace the entry of `(asset, partition)`."""
    ledger = ledger_table(schema)
    create_if_missing(connection, [ledger])
    new = insert(ledger).values(**entry)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=[ledger.c.asset, ledger.c.partition],
            set_={
                column.name: sa.func.clock_timestamp()
                if column.name == "committed_at"
                else new.excluded[column.name]
                for column in ledger.columns
                if not column.primary_key
            },
        )
    )
