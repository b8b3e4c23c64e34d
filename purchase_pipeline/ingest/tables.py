"""The two tables of a feed, derived from its contract: accepted rows, and the quarantine."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.ingest.writing import REPLACE, Write
from purchase_pipeline.postgres.schema.models import columns_from_model


@dataclass(frozen=True, eq=False)
class FeedTables:
    """A feed's contract and its tables. Both have the partition's key, and the row's number in it.

    Together they identify a row, unless accepted rows are upserted or inserted by keys of their own: then they say
    where a row's version comes from.

    Attributes:
        contract: model that validates a row.
        accepted: table of the valid rows.
        rejected: the quarantine: rejected rows with their reasons and their original text.
        partition: name of the column of the partition's key, in both tables.
        row_number: name of the column of the row's number in its partition, from 1, in both tables.
        write: how accepted rows are written.
    """

    contract: type[BaseModel]
    accepted: sa.Table
    rejected: sa.Table
    partition: str
    row_number: str
    write: Write = REPLACE

    @property
    def both(self) -> tuple[sa.Table, sa.Table]:
        """The table of accepted rows, and the quarantine."""
        return self.accepted, self.rejected

    def partition_of(self, table: sa.Table) -> sa.Column[str]:
        """Return a table's column of partition keys."""
        return table.columns[self.partition]

    def row_number_of(self, table: sa.Table) -> sa.Column[int]:
        """Return a table's column of row numbers."""
        return table.columns[self.row_number]


def feed_tables(  # noqa: PLR0913  (one for each name)
    contract: type[BaseModel],
    accepted: str,
    rejected: str | None = None,
    *,
    partition: str = "partition_key",
    row_number: str = "row_number",
    row_id: str | None = None,
    comment: str | None = None,
    write: Write = REPLACE,
) -> FeedTables:
    """Derive the tables of a feed.

    Args:
        contract: model that validates a row; its fields become columns.
        accepted: name of the table of valid rows.
        rejected: name of the quarantine; by default `accepted` with `_rejected`.
        partition: name of the column of partition keys (TEXT).
        row_number: name of the column of row numbers.
        row_id: name of a generated BIGINT column, if wanted.
        comment: comment of the table of valid rows.
        write: how valid rows are written; the keys of an upsert or insert are the table's primary key.

    Raises:
        WriteError: it does not fit the contract.
    """
    write.require_fields(contract)
    metadata = sa.MetaData()
    identity = [] if row_id is None else [_row_id(row_id)]
    return FeedTables(
        contract,
        sa.Table(
            accepted,
            metadata,
            *identity,
            *(_origin(partition, row_number) if write.merges else _key(partition, row_number)),
            *columns_from_model(contract),
            *([sa.PrimaryKeyConstraint(*write.keys)] if write.merges else []),
            comment=comment or f"Valid rows of {accepted}",
        ),
        sa.Table(
            rejected or f"{accepted}_rejected",
            metadata,
            *_key(partition, row_number),
            *_rejection_columns(),
            comment="Quarantine: rejected rows with their reasons",
        ),
        partition,
        row_number,
        write,
    )


def _row_id(name: str) -> sa.Column[int]:
    return sa.Column(
        name, sa.BigInteger, sa.Identity(always=True), nullable=False, comment="Generated row id"
    )


def _key(partition: str, row_number: str) -> list[sa.Column[Any]]:
    return [
        sa.Column(partition, sa.Text, primary_key=True, comment="Partition of the row"),
        sa.Column(row_number, sa.Integer, primary_key=True, comment="Row number in its partition, from 1"),
    ]


def _origin(partition: str, row_number: str) -> list[sa.Column[Any]]:
    return [
        sa.Column(
            partition, sa.Text, nullable=False, comment="Partition that this version of the row is from"
        ),
        sa.Column(row_number, sa.Integer, nullable=False, comment="Its row number there, from 1"),
    ]


def _rejection_columns() -> list[sa.Column[Any]]:
    """Return the columns of `RejectedRow` without the row number, and when and by whom it was rejected."""
    texts, hidden = ARRAY(sa.Text), {"preview": False}  # a person reads the reasons first
    return [
        _required("fields", texts, "Fields that failed validation; empty for the whole row"),
        _required("reasons", texts, "Validation errors, one sentence each"),
        _required("original", sa.Text(), "The row as received, at most 4,000 characters"),
        _required(
            "original_sha256", sa.Text(), "SHA-256 of the whole row as received, hexadecimal", **hidden
        ),
        _required("first_seen", sa.DateTime(timezone=True), "When this row was first rejected", **hidden),
        _required("run_id", sa.Text(), "Dagster run that last rejected the row", **hidden),
    ]


def _required(name: str, kind: sa.types.TypeEngine[Any], comment: str, **info: Any) -> sa.Column[Any]:  # noqa: ANN401
    return sa.Column(name, kind, nullable=False, comment=comment, info=info)
