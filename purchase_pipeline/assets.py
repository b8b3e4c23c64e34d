"""The ingest assets: a lot lands raw, is held against the contract, and is kept in two tables."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.metadata import RawMetadataValue
from pydantic import Field

from purchase_pipeline.landing import LandedLote, Landing
from purchase_pipeline.lot_ledger import LotLedger
from purchase_pipeline.lot_slices import LotSlices
from purchase_pipeline.lots import lotes
from purchase_pipeline.postgres import PerPartition, Together
from purchase_pipeline.purchase_api import PurchaseApi
from purchase_pipeline.settings import current_settings
from purchase_pipeline.tables import COMPRAS_REJEITADAS, TABELA_COMPRAS
from purchase_pipeline.validation import RejectedRow, commonest_reasons

GROUP = "ingest"
_REASONS_SHOWN = 20


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
) -> Iterator[dg.MaterializeResult[None]]:
    """Lots of purchases as the API sent them, one compressed file each.

    A lot that has landed whole is not asked for again, so that every later step starts from the same rows; one whose
    file is damaged, or that had too many rejects to be loaded, is.
    """
    digests = list[str]()
    for lote in context.partition_keys:
        landed = landing.find(lote)
        fetched = config.refetch or landed is None or not _is_worth_loading(landed, landing, config.rows)
        if landed is None or fetched:
            landed = purchase_api.fetch_lote(lote, config.rows, partial(landing.land, lote, rows=config.rows))
        digests.append(landed.digest)
        context.add_asset_metadata(_told_of(landed, landing, fetched=fetched), partition_key=lote)
    # Dagster takes one version a run: of several lots, none is told.
    yield dg.MaterializeResult(data_version=dg.DataVersion(digests[0]) if len(digests) == 1 else None)


def _told_of(landed: LandedLote, landing: Landing, *, fetched: bool) -> dict[str, RawMetadataValue]:
    return {
        "dagster/partition_row_count": landed.rows,
        "file": dg.MetadataValue.path(landing.folder / landed.file_name),
        "format": str(landed.raw_format),
        "raw_bytes": landed.raw_bytes,
        "received_at": dg.MetadataValue.timestamp(landed.received_at),
        "fetched_in_this_run": fetched,
    }


def _is_worth_loading(landed: LandedLote, landing: Landing, rows: int) -> bool:
    return landed.rows == rows and not landed.refused and landing.is_whole(landed)


def _table_out(table: sa.Table, **more: Any) -> dg.AssetOut:  # noqa: ANN401  (whatever AssetOut takes)
    return dg.AssetOut(
        description=table.comment, metadata={"partition_expr": "lote"}, kinds={"postgres", "table"}, **more
    )


@dg.multi_asset(
    outs={
        TABELA_COMPRAS.name: _table_out(TABELA_COMPRAS),
        COMPRAS_REJEITADAS.name: _table_out(COMPRAS_REJEITADAS, dagster_type=dg.Nothing),
    },
    deps=[raw_purchases],
    partitions_def=lotes,
    group_name=GROUP,
)
def validated_purchases(
    context: dg.AssetExecutionContext,
    config: ValidationConfig,
    landing: dg.ResourceParam[Landing],
    lot_ledger: dg.ResourceParam[LotLedger],
) -> Iterator[dg.Output[PerPartition] | dg.MaterializeResult[None]]:
    """Judge each row of a landed lot once: the accepted into one table, the rejected into the other, in one commit."""
    lots = (
        LotSlices(
            _landed(lote, landing),
            landing,
            lot_ledger,
            max_rejected_ratio=config.max_rejected_ratio,
            run_id=context.run.run_id,
        )
        for lote in context.partition_keys
    )
    yield dg.Output(PerPartition(_slices(context, lots)), TABELA_COMPRAS.name)
    # Committed by now, lot by lot, each with its slice of the other table.
    yield dg.MaterializeResult(asset_key=COMPRAS_REJEITADAS.name)


def _landed(lote: str, landing: Landing) -> LandedLote:
    landed = landing.find(lote)
    if landed is None:
        raise dg.Failure(
            f"{lote} has not landed in {landing.folder}. Materialize raw_purchases for it first.",
            allow_retries=False,
        )
    return landed


def _slices(
    context: dg.AssetExecutionContext, lots: Iterable[LotSlices]
) -> Iterator[tuple[str, Together, Mapping[str, RawMetadataValue]]]:
    for lot in lots:
        yield lot.lote, lot.slices(), {"source_rows": lot.landed.rows, "digest": lot.landed.digest}
        received, rejected = lot.landed.rows, len(lot.validation.rejected)
        context.log.info(
            "%s: %d rows received = %d loaded + %d rejected.",
            lot.lote,
            received,
            received - rejected,
            rejected,
        )
        reasons = {"reasons": _reasons_table(lot.validation.rejected)}
        context.add_asset_metadata(reasons, COMPRAS_REJEITADAS.name, lot.lote)


def _reasons_table(rejected: Sequence[RejectedRow]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        [
            dg.TableRecord({"reason": reason, "rows": rows})
            for reason, rows in commonest_reasons((row.reasons for row in rejected), _REASONS_SHOWN)
        ],
        dg.TableSchema([dg.TableColumn("reason"), dg.TableColumn("rows", "int")]),
    )
