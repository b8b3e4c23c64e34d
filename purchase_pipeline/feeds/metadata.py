"""Metadata of a partition's materializations: numbers that Dagster plots, reject reasons, column lineage."""

from collections.abc import Sequence

import dagster as dg
import sqlalchemy as sa
from pydantic import BaseModel

from purchase_pipeline.ingest.landing.manifest import LandedPartition
from purchase_pipeline.ingest.landing.store import Landing
from purchase_pipeline.ingest.printable import in_brief
from purchase_pipeline.ingest.validation import RejectedRow, most_common_reasons
from purchase_pipeline.postgres.dagster_internals import RawMetadataValue
from purchase_pipeline.postgres.materialization import column_schema
from purchase_pipeline.postgres.schema.models import columns_from_model

_REASONS_SHOWN = 20


def fields_as_received(contract: type[BaseModel]) -> dg.TableSchema:
    """Return the contract's fields as a table schema."""
    return column_schema(sa.Table("raw", sa.MetaData(), *columns_from_model(contract)))


def landed_metadata(
    landed: LandedPartition, landing: Landing, *, fetched: bool
) -> dict[str, RawMetadataValue]:
    """Return the metadata of a landed partition."""
    return {
        "dagster/partition_row_count": landed.rows,
        "file": dg.MetadataValue.path(landing.backend.address_of(landed.file_name)),
        "format": landed.media_type,
        "raw_bytes": landed.raw_bytes,
        "received_at": dg.MetadataValue.timestamp(landed.received_at),
        "fetched_in_this_run": fetched,
    }


def loaded_metadata(
    rejected: int, raw: dg.AssetKey, contract: type[BaseModel]
) -> dict[str, RawMetadataValue]:
    """Return the metadata of a partition's accepted rows; the IO manager adds its own, with the rows received."""
    lineage = {name: [dg.TableColumnDep(raw, name)] for name in contract.model_fields}
    return {
        "rows_rejected": rejected,
        "dagster/column_lineage": dg.TableColumnLineage(lineage),
    }


def rejected_metadata(rejected: Sequence[RejectedRow], received: int) -> dict[str, RawMetadataValue]:
    """Return the metadata of a partition's rejected rows: their rate, and their reasons, most common first."""
    reasons = most_common_reasons((row.reasons for row in rejected), _REASONS_SHOWN)
    return {
        "rejected_rate": len(rejected) / max(received, 1),
        "reasons": dg.MetadataValue.table(
            [dg.TableRecord({"reason": in_brief(reason), "rows": rows}) for reason, rows in reasons],
            dg.TableSchema([dg.TableColumn("reason"), dg.TableColumn("rows", "int")]),
        ),
    }
