"""What Dagster's catalog tells of each asset before anything has run: owners, tags, columns, where to read on."""

from typing import Any

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.postgres.report import column_schema

OWNERS = ["team:purchases"]
TAGS = {"domain": "purchases"}


def of_table(table: sa.Table, documentation: str) -> dict[str, Any]:
    """Return the metadata of an asset that is a table: its name, its columns, and the page that tells of it."""
    return {
        "dagster/table_name": f"public.{table.name}",
        "dagster/column_schema": column_schema(table),
        "documentation": dg.MetadataValue.path(documentation),
    }
