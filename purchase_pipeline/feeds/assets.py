"""The ingest assets: raw batches as received, and the two tables that validation fills."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import partial

import dagster as dg
import sqlalchemy as sa
from pydantic import Field

from purchase_pipeline.feeds import specs
from purchase_pipeline.feeds.metadata import (
    fields_as_received,
    landed_metadata,
    loaded_metadata,
    rejected_metadata,
)
from purchase_pipeline.ingest.landing.manifest import LandedPartition
from purchase_pipeline.ingest.landing.store import Landing
from purchase_pipeline.ingest.load import LandedSlices
from purchase_pipeline.ingest.purchase_api import PurchaseApi
from purchase_pipeline.ingest.tables import COMPRAS_REJEITADAS, TABELA_COMPRAS
from purchase_pipeline.postgres import PerPartition, Together
from purchase_pipeline.postgres.dagster_internals import RawMetadataValue
from purchase_pipeline.settings import Settings

GROUP = "ingest"
RAW_PURCHASES = "raw_purchases"
_DOCUMENTATION = "docs/reliability.md"
_PREVIEW_ROWS = 5
_NEW_PURCHASES_EVERY_DAY = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(days=1), warn_window=timedelta(hours=12)
)

ingest_lote = dg.define_asset_job(
    "ingest_lote",
    selection=dg.AssetSelection.groups(GROUP),
    description="Load one batch from the API into both tables, and check it.",
)


def raw_purchases(settings: Settings, lotes: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """Return the asset of the raw batches."""

    class RawPurchasesConfig(dg.Config):
        """How a batch is requested."""

        rows: int = Field(default=settings.rows, ge=1, le=1_000_000, description="Rows in the batch")
        refetch: bool = Field(default=False, description="Request a batch again that has already landed")

    @dg.asset(
        name=RAW_PURCHASES,
        partitions_def=lotes,
        pool=specs.API_POOL,
        group_name=GROUP,
        owners=specs.OWNERS,
        tags=specs.TAGS,
        kinds={"http", "file"},
        metadata={
            "dagster/column_schema": fields_as_received(),
            "documentation": dg.MetadataValue.path(_DOCUMENTATION),
        },
    )
    def asset(
        context: dg.AssetExecutionContext,
        config: RawPurchasesConfig,
        purchase_api: dg.ResourceParam[PurchaseApi],
        landing: dg.ResourceParam[Landing],
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Batches (lotes) of purchases as the API sent them, one compressed file each.

        A batch that has landed completely is not requested again, so that every later step starts from the same rows.
        It is if its file is damaged, or if it had too many rejected rows to be loaded.
        """
        digests = list[str]()
        for lote in context.partition_keys:
            landed = landing.find(lote)
            fetched = config.refetch or landed is None or not _can_be_loaded(landed, landing, config.rows)
            if landed is None or fetched:
                landed = landing.land(lote, partial(purchase_api.fetch_lote, lote, config.rows))
            digests.append(landed.digest)
            context.add_asset_metadata(landed_metadata(landed, landing, fetched=fetched), partition_key=lote)
        # Dagster takes one data version per run: a run of several batches has none.
        yield dg.MaterializeResult(data_version=dg.DataVersion(digests[0]) if len(digests) == 1 else None)

    return asset


def _can_be_loaded(landed: LandedPartition, landing: Landing, rows: int) -> bool:
    return landed.rows == rows and not landed.refused and landing.is_whole(landed)


def _table(
    table: sa.Table, settings: Settings, freshness_policy: dg.FreshnessPolicy | None = None
) -> dg.AssetSpec:
    kinds = {"postgres", "table"}
    spec = specs.table_spec(table, _DOCUMENTATION, kinds=kinds, freshness_policy=freshness_policy)
    metadata = {"partition_expr": "lote", "preview_rows": _PREVIEW_ROWS}
    if (partitions := settings.hash_partitions) is not None:
        metadata["hash_partitions"] = partitions
    return spec.merge_attributes(metadata=metadata)


def validated_purchases(settings: Settings, lotes: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """Return the assets of `tabela_compras` and `compras_rejeitadas`."""

    class ValidationConfig(dg.Config):
        """How a batch is validated."""

        max_rejected_ratio: float = Field(
            default=settings.max_rejected_ratio,
            gt=0,
            le=1,
            description="Ratio of rejected rows at which the whole batch fails; rows loaded before are kept",
        )

    @dg.multi_asset(
        name="validated_purchases",
        outs={
            TABELA_COMPRAS.name: dg.AssetOut.from_spec(
                _table(TABELA_COMPRAS, settings, _NEW_PURCHASES_EVERY_DAY)
            ),
            COMPRAS_REJEITADAS.name: dg.AssetOut.from_spec(
                _table(COMPRAS_REJEITADAS, settings), dagster_type=dg.Nothing
            ),
        },
        deps=[RAW_PURCHASES],
        partitions_def=lotes,
        pool=specs.DATABASE_POOL,
        group_name=GROUP,
    )
    def assets(
        context: dg.AssetExecutionContext,
        config: ValidationConfig,
        landing: dg.ResourceParam[Landing],
    ) -> Iterator[dg.Output[PerPartition] | dg.MaterializeResult[None]]:
        """Validate each row of a landed batch once, and load both tables in one transaction."""
        lots = (
            LandedSlices(
                _landed(lote, landing),
                landing,
                max_rejected_ratio=config.max_rejected_ratio,
                run_id=context.run.run_id,
            )
            for lote in context.partition_keys
        )
        yield dg.Output(PerPartition(_slices(context, lots)), TABELA_COMPRAS.name)
        # Already committed: each partition together with its slice of tabela_compras.
        yield dg.MaterializeResult(asset_key=COMPRAS_REJEITADAS.name)

    return assets


def _landed(lote: str, landing: Landing) -> LandedPartition:
    landed = landing.find(lote)
    if landed is None:
        raise dg.Failure(
            f"{lote} has no landed file in {landing.backend}. Materialize raw_purchases for it first.",
            allow_retries=False,
        )
    return landed


def _slices(
    context: dg.AssetExecutionContext, lots: Iterable[LandedSlices]
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
        loaded = loaded_metadata(lot.landed, rejected, dg.AssetKey(RAW_PURCHASES))
        context.add_asset_metadata(loaded, TABELA_COMPRAS.name, lot.lote)
        kept = rejected_metadata(lot.validation.rejected, received)
        context.add_asset_metadata(kept, COMPRAS_REJEITADAS.name, lot.lote)
