"""The purchases and quarantine tables, derived from the contract."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.contracts import CompraSchema
from purchase_pipeline.postgres.schema.models import columns_from_model

_METADATA = sa.MetaData()


def _position() -> list[sa.Column[object]]:
    return [
        sa.Column("lote", sa.Text, primary_key=True, comment="Batch of the row"),
        sa.Column("linha", sa.Integer, primary_key=True, comment="Row number in its batch, from 1"),
    ]


def rejection_columns() -> list[sa.Column[Any]]:
    """Return the columns of `RejectedRow`, without the row number."""
    return [
        sa.Column(
            "fields",
            ARRAY(sa.Text),
            nullable=False,
            comment="Fields that failed validation; empty for the whole row",
        ),
        sa.Column("reasons", ARRAY(sa.Text), nullable=False, comment="Validation errors, one sentence each"),
        sa.Column(
            "original", sa.Text, nullable=False, comment="The row as received, at most 4,000 characters"
        ),
        sa.Column(
            "original_sha256",
            sa.Text,
            nullable=False,
            comment="SHA-256 of the whole row as received, hexadecimal",
        ),
    ]


TABELA_COMPRAS = sa.Table(
    "tabela_compras",
    _METADATA,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False, comment="Generated row id"),
    *_position(),
    *columns_from_model(CompraSchema),
    comment="Valid purchases, one row each",
)

COMPRAS_REJEITADAS = sa.Table(
    "compras_rejeitadas",
    _METADATA,
    *_position(),
    *rejection_columns(),
    sa.Column(
        "first_seen",
        sa.DateTime(timezone=True),
        nullable=False,
        comment="When this row was first rejected",
    ),
    sa.Column("run_id", sa.Text, nullable=False, comment="Dagster run that last rejected the row"),
    comment="Quarantine: rejected rows with their reasons",
)
