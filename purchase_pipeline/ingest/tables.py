"""The two tables that the pipeline fills, derived from the contract."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.contracts import CompraSchema
from purchase_pipeline.postgres.schema.models import columns_from_model

_METADATA = sa.MetaData()


def _position() -> list[sa.Column[object]]:
    return [
        sa.Column("lote", sa.Text, primary_key=True, comment="Lot that the row came in"),
        sa.Column("linha", sa.Integer, primary_key=True, comment="Position of the row in its lot, from 1"),
    ]


def rejection_columns() -> list[sa.Column[Any]]:
    """Return the columns of what is kept of a rejected row beside its position, as `RejectedRow` has them."""
    return [
        sa.Column(
            "fields",
            ARRAY(sa.Text),
            nullable=False,
            comment="Fields that broke the contract; none: the whole row",
        ),
        sa.Column("reasons", ARRAY(sa.Text), nullable=False, comment="What was wrong, one sentence each"),
        sa.Column(
            "original", sa.Text, nullable=False, comment="The row as received, at most 4,000 characters"
        ),
        sa.Column(
            "original_sha256", sa.Text, nullable=False, comment="SHA-256 of the whole row as received, in hex"
        ),
    ]


TABELA_COMPRAS = sa.Table(
    "tabela_compras",
    _METADATA,
    sa.Column(
        "id", sa.BigInteger, sa.Identity(always=True), nullable=False, comment="Number given at loading"
    ),
    *_position(),
    *columns_from_model(CompraSchema),
    comment="Purchases that keep the contract",
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
        comment="When this row, at this position, was rejected first",
    ),
    sa.Column("run_id", sa.Text, nullable=False, comment="Load that rejected it, the last one"),
    comment="Rows that broke the contract: kept, and explained",
)
