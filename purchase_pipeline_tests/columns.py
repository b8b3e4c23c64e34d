"""Store a single column without running Dagster."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from purchase_pipeline.postgres.frames.arrow import plain_column
from purchase_pipeline.postgres.frames.from_python import column_of_values
from purchase_pipeline.postgres.frames.rows import Batch
from purchase_pipeline.postgres.schema.native_types import NativeType, native_types
from purchase_pipeline.postgres.write.frame_source import frame_source

TABLE = sa.Table("things", sa.MetaData())


def a_table(connection: sa.Connection, kind: str) -> NativeType:
    """Create the temporary table `things` with a column `value` of the type; return its native type."""
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE things (value {kind}) ON COMMIT DROP")
    return native_types(connection, TABLE)["value"]


def stored(connection: sa.Connection, kind: str, values: Sequence[Any] | pa.Array) -> list[str | None]:
    """Return a column of that type as PostgreSQL text, after storing the values."""
    a_table(connection, kind)
    find = plain_column if isinstance(values, pa.Array | pa.ChunkedArray) else column_of_values
    column_type, plain = find("value", values)
    batch = Batch({"value": column_type}, pa.table({"value": plain}))
    frame_source(connection, batch, iter(()), check_values=False).copy_into(TABLE)
    return [row[0] for row in connection.exec_driver_sql("SELECT value::text FROM things ORDER BY ctid")]
