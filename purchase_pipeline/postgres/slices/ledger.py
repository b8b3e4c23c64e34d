"""The ledger: the last commit of each slice of each table, written in the same transaction."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from purchase_pipeline.postgres.errors import PostgresWriteError

LEDGER_NAME = "slice_ledger"
LEDGER_VERSION = 4
"""Raise it with a column that is added, or with another meaning: `ledger_versions` upgrades, and refuses, by it."""
_WRONG_TABLE = "42"  # SQLSTATE class of missing columns, indexes and privileges


class RecordedRows(NamedTuple):
    """What the ledger records about an asset's table.

    Attributes:
        entries: number of entries for the table, or without a table's OID.
        complete: their slices cover all rows of the table, as far as their writers know.
        table: rows of all entries, without those that were pruned.
        slices: the same of the given keys.
        shared: another asset writes the same table.
    """

    entries: int
    complete: bool
    table: int
    slices: int
    shared: bool = False


@cache
def ledger_table(schema: str | None = None) -> sa.Table:
    """Return the ledger's declaration. Each schema has its own, so that its owner owns everything a load writes."""
    return sa.Table(
        LEDGER_NAME,
        sa.MetaData(schema=schema),
        sa.Column("asset", sa.Text, primary_key=True, comment="Asset key, joined by slashes"),
        sa.Column("partition", sa.Text, primary_key=True, comment="Partition key; '' for a whole table"),
        sa.Column("run_id", sa.Text, nullable=False, comment="Dagster run that wrote the slice"),
        sa.Column(
            "rows", sa.BigInteger, nullable=False, comment="Rows in the slice; if unknown, rows written last"
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
        _added(2, "rows_inserted", sa.BigInteger, "Of an upsert or insert: new rows"),
        _added(2, "rows_updated", sa.BigInteger, "Of an upsert: existing rows that changed"),
        _added(2, "rows_unchanged", sa.BigInteger, "Of an upsert or insert: rows that did not change"),
        _added(2, "rows_older", sa.BigInteger, "Of an upsert by newest: outdated rows, skipped"),
        _added(3, "cursor", sa.Text, "Of an upsert or insert: the greatest value of its cursor so far"),
        _added(2, "table_oid", sa.BigInteger, "OID of the table"),
        _added(2, "cut_by", sa.Text, "How the table is partitioned, if these slices cover all its rows"),
        _added(
            4,
            "pruned_at",
            sa.DateTime(timezone=True),
            "When a retention deleted the slice's rows; `rows` still counts them",
        ),
        comment=f"One row per slice: its last commit, written in the same transaction (version {LEDGER_VERSION})",
    )


def _added(
    since: int, name: str, kind: type[sa.types.TypeEngine[Any]] | sa.types.TypeEngine[Any], comment: str
) -> sa.Column[Any]:
    """Return a column that a version added to existing ledgers: nullable, without a default."""
    return sa.Column(name, kind, comment=comment, info={"since": since})


def record_slices(connection: sa.Connection, schema: str, entries: Sequence[Mapping[str, Any]]) -> None:
    """Insert or replace the entries of these `(asset, partition)` pairs.

    Raises:
        PostgresWriteError: a table of that name exists that is not a ledger.
    """
    with _ledger_errors(ledger_table(schema)):
        connection.execute(_recording(schema), list(entries))


@cache
def _recording(schema: str) -> sa.Insert:
    ledger = ledger_table(schema)
    new = insert(ledger)
    # `committed_at` comes from the new row, too: Citus does not allow a function call here.
    values = {column.name: new.excluded[column.name] for column in ledger.columns if not column.primary_key}
    return new.on_conflict_do_update(index_elements=[ledger.c.asset, ledger.c.partition], set_=values)


def iso_text(value: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """Return a value as text: times by ISO 8601, whatever the session's DateStyle."""
    return sa.func.to_jsonb(value).op("#>>")(sa.text("'{}'"))


def recorded_cursor(
    schema: str | None, asset: str, partition: str | None, kind: sa.types.TypeEngine[Any]
) -> sa.ScalarSelect[Any]:
    """Return the greatest recorded cursor of a partition, or of all of an asset's, as a value of its type."""
    ledger = ledger_table(schema)
    query = sa.select(sa.func.max(sa.cast(ledger.c.cursor, kind))).where(ledger.c.asset == asset)
    return (query if partition is None else query.where(ledger.c.partition == partition)).scalar_subquery()


def recorded_rows(
    connection: sa.Connection, schema: str, asset: str, account: tuple[int, str], keys: Sequence[str]
) -> RecordedRows:
    """Return the recorded rows of an asset's table, reading only the ledger.

    `account` is the table's OID, and how it is partitioned. When an asset writes the table for the first time, the
    entries of other assets are marked incomplete: none of them covers all rows any more.

    Raises:
        PostgresWriteError: a table of that name exists that is not a ledger.
    """
    ledger, (table_oid, cut_by) = ledger_table(schema), account
    ours = sa.func.coalesce(ledger.c.table_oid, table_oid) == table_oid
    complete = sa.func.coalesce(
        sa.and_(ledger.c.table_oid == table_oid, ledger.c.cut_by == cut_by), sa.false()
    )
    rows = sa.func.sum(ledger.c.rows).filter(ledger.c.pruned_at.is_(None))
    of_slices = sa.and_(
        ledger.c.pruned_at.is_(None), ledger.c.partition == sa.any_(sa.literal(list(keys), ARRAY(sa.Text)))
    )
    query = sa.select(
        sa.func.count(),
        sa.func.coalesce(sa.func.bool_and(complete), sa.false()),
        sa.func.coalesce(rows, 0),
        sa.func.coalesce(sa.func.sum(ledger.c.rows).filter(of_slices), 0),
    ).where(ledger.c.asset == asset, ours)
    others = (
        ledger.update().values(cut_by=None).where(ledger.c.table_oid == table_oid, ledger.c.asset != asset)
    )
    with _ledger_errors(ledger):
        entries, complete_table, table, slices = connection.execute(query).one()
        shared = not entries and connection.execute(others).rowcount > 0
    return RecordedRows(entries, complete_table, int(table), int(slices), shared)


@contextmanager
def _ledger_errors(ledger: sa.Table) -> Iterator[None]:
    try:
        yield
    except sa.exc.ProgrammingError as error:
        if not (
            isinstance(error.orig, psycopg.Error) and (error.orig.sqlstate or "").startswith(_WRONG_TABLE)
        ):
            raise
        raise PostgresWriteError(
            f"table {ledger} cannot be used as the ledger of commits: {error.orig.diag.message_primary}. "
            "If it is another table, rename it, or give the assets another schema."
        ) from error
