"""Asset specs of tables: owners, tags, columns, and the page that documents them."""

from typing import Any

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.postgres.materialization import column_schema

OWNERS = ["team:purchases"]
TAGS = {"domain": "purchases"}


def table_spec(table: sa.Table, documentation: str, **more: Any) -> dg.AssetSpec:  # noqa: ANN401  (as AssetSpec)
    """Return the spec of a table's asset, with its columns and its page of the documentation."""
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
