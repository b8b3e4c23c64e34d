"""What Dagster's catalog tells of each asset before anything has run: owners, tags, columns, where to read on."""

from typing import Any

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.postgres.materialization import column_schema

OWNERS = ["team:purchases"]
TAGS = {"domain": "purchases"}


def table_spec(table: sa.Table, documentation: str, **more: Any) -> dg.AssetSpec:  # noqa: ANN401  (as AssetSpec)
    """Return the spec of an asset that is a table, with its columns, and the page of the project that tells of it."""
    return dg.AssetSpec(
        table.name,
        description=table.comment,
        metadata={
            "dagster/table_name": f"public.{table.name}",
            "dagster/column_schema": column_schema(table),
            "documentation": dg.MetadataValue.path(documentation),
        },
        owners=OWNERS,
        tags=TAGS,
        **more,
    )
