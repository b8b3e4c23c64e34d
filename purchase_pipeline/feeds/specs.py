"""What the assets of tables have in common: columns, documentation, owners, tags.

A pool limits how many runs use the API or the database at once: set its limit with `dagster instance concurrency set
orders_api 4`, or in the UI under Deployment > Concurrency. A pool without a limit admits all runs.
"""

from typing import Any

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.postgres.materialization import column_schema


def table_spec(table: sa.Table, documentation: str | None, **more: Any) -> dg.AssetSpec:  # noqa: ANN401  (as AssetSpec)
    """Return the spec of a table's asset, with its columns and its page of the documentation."""
    pages = {} if documentation is None else {"documentation": dg.MetadataValue.path(documentation)}
    return dg.AssetSpec(
        table.name,
        description=table.comment,
        metadata={
            "dagster/table_name": f"public.{table.name}",
            "dagster/column_schema": column_schema(table),
            **pages,
        },
        **more,
    )
