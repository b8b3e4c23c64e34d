"""The ingest assets: a lot lands raw, is held against the contract, and is kept in two tables."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

import dagster as dg
import sqlalchemy as sa
from pydantic import Field

from purchase_pipeline.landing import LandedLote, Landing
from purchase_pipeline.lots import lotes
from purchase_pipeline.postgres import RowStream
from purchase_pipeline.postgres.rows import Row
from purchase_pipeline.purchase_api import PurchaseApi
from purchase_pipeline.settings import current_settings
from purchase_pipeline.tables import COMPRAS_REJEITADAS, TABELA_COMPRAS
from purchase_pipeline.validation import LoteValidation

GROUP = "ingest"


class RawPurchasesConfig(dg.Config):
    """How a lot is asked for."""

    rows: int = Field(default=current_settings().rows, ge=1, le=1_000_000, description="Rows in the lot")
    refetch: bool = Field(default=False, description="Ask the API again for a lot that has landed")


class ValidationConfig(dg.Config):
    """How a lot is judged."""

    max_rejected_ratio: float = Field(
        default=current_settings().max_rejected_ratio,
        gt=0,
        le=1,
        description="Share of rejected rows at which the lot fails, whole, and what was loaded before stays",
    )


@dg.asset(partitions_def=lotes, group_name=GROUP, kinds={"http", "file"})
def raw_purchases(
    context: dg.AssetExecutionContext,
    config: RawPurchasesConfig,
    purchase_api: dg.ResourceParam[PurchaseApi],
    landing: dg.ResourceParam[Landing],
) -> dg.MaterializeResult[None]:
    """Lots of purchases as the API sent them, one compressed file each.

    A lot that has landed whole is not asked for again, so that every later step starts from the same rows.
    """
    lote = context.partition_key
    landed = landing.find(lote)
    fetched = config.refetch or landed is None or landed.rows != config.rows
    if landed is None or fetched:
        landed = purchase_api.fetch_lote(lote, config.rows, partial(landing.land, lote, rows=config.rows))
    return dg.MaterializeResult(
        metadata={
            "dagster/partition_row_count": landed.rows,
            "file": dg.MetadataValue.path(landing.folder / landed.file_name),
            "format": str(landed.raw_format),
            "raw_bytes": landed.raw_bytes,
            "received_at": dg.MetadataValue.timestamp(landed.received_at),
            "fetched_in_this_run": fetched,
        },
        data_version=dg.DataVersion(landed.digest),
    )


@dg.multi_asset(
    outs={
        table.name: dg.AssetOut(
            description=table.comment, metadata={"partition_expr": "lote"}, kinds={"postgres", "table"}
        )
        for table in (TABELA_COMPRAS, COMPRAS_REJEITADAS)
    },
    deps=[raw_purchases],
    partitions_def=lotes,
    group_name=GROUP,
)
def validated_purchases(
    context: dg.AssetExecutionContext, config: ValidationConfig, landing: dg.ResourceParam[Landing]
) -> Iterator[dg.Output[RowStream]]:
    """Judge each row of a landed lot once: the accepted stream into one table, the rejected are kept in the other."""
    lote = context.partition_key
    landed = landing.find(lote)
    if landed is None:
        raise dg.Failure(
            f"{lote} has not landed in {landing.folder}. Materialize raw_purchases for it first.",
            allow_retries=False,
        )
    validation = LoteValidation(
        lote,
        received=landed.rows,
        max_rejected_ratio=config.max_rejected_ratio,
        today=datetime.now(UTC).date(),
    )
    with landing.open_rows(landed) as raw_rows:
        accepted = ([(lote, *row) for row in batch] for batch in validation.accepted(raw_rows))
        yield _slice_of(TABELA_COMPRAS, accepted, landed)
    rejected = [(lote, *row, context.run.run_id) for row in validation.rejected]
    yield _slice_of(COMPRAS_REJEITADAS, [rejected], landed)


def _slice_of(table: sa.Table, batches: Iterable[Sequence[Row]], landed: LandedLote) -> dg.Output[RowStream]:
    columns = [column.name for column in table.columns if column.identity is None]
    return dg.Output(
        RowStream(columns, batches, table),
        output_name=table.name,
        metadata={"source_rows": landed.rows, "digest": landed.digest},
    )
