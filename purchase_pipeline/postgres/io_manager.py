"""The IO manager: an asset is a table, a partition is a slice of it, writing replaces the slice."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.metadata import RawMetadataValue
from dagster._core.storage.db_io_manager import DbClient, DbIOManager, DbTypeHandler, TableSlice
from pydantic import Field

from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.postgres.copy import copy_rows
from purchase_pipeline.postgres.ledger import record_slice
from purchase_pipeline.postgres.rows import RowStream
from purchase_pipeline.postgres.slices import POSTGRESQL, clear_slice, readable_query, rows_of
from purchase_pipeline.postgres.tables import create_if_missing, placed

_LEDGER_METADATA = ("source_rows", "digest")


class PostgresIOManager(dg.ConfigurableIOManagerFactory[DbIOManager]):
    """Keeps assets as PostgreSQL tables and replaces a partition in one transaction: whole, or not at all.

    Table and schema are the asset key's, `schema` config or metadata, as with Dagster's own database IO managers;
    a partitioned asset names its column in `metadata={"partition_expr": ...}`.
    """

    database_url: str = Field(description="postgresql://user:password@host:port/database")
    schema_: str | None = Field(
        default=None,
        alias="schema",
        description="Schema of the tables; else the asset key's prefix, else public",
    )

    @classmethod
    def _is_dagster_maintained(cls) -> bool:
        return False

    def create_io_manager(self, context: dg.InitResourceContext) -> DbIOManager:  # noqa: ARG002
        """Build the manager; nothing is opened before the first read or write."""
        engine = engine_for(self.database_url)
        return DbIOManager(
            type_handlers=[RowStreamHandler()],
            db_client=PostgresClient(engine),
            database=engine.url.database or "",
            schema=self.schema_,
            io_manager_name="PostgresIOManager",
        )


class PostgresClient(DbClient[sa.Connection]):
    """Opens one transaction a read or write, and clears slices in it.

    Dagster's base has static methods alone; `connect` is none here, for the engine's sake.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @contextmanager
    def connect(  # type: ignore[override]
        self,
        context: dg.OutputContext | dg.InputContext,  # noqa: ARG002
        table_slice: TableSlice,  # noqa: ARG002
    ) -> Iterator[sa.Connection]:
        """Open a transaction: all that is done with the connection is committed at its end, or nothing is."""
        with self._engine.begin() as connection:
            yield connection

    @staticmethod
    def ensure_schema_exists(
        context: dg.OutputContext, table_slice: TableSlice, connection: sa.Connection
    ) -> None:
        """Leave it to the table's creation, which knows whether a schema is missing at all."""

    @staticmethod
    def delete_table_slice(
        context: dg.OutputContext,  # noqa: ARG004
        table_slice: TableSlice,
        connection: sa.Connection,
    ) -> None:
        """Clear the slice, alone among its writers."""
        clear_slice(connection, table_slice)

    @staticmethod
    def get_select_statement(table_slice: TableSlice) -> str:
        """Return a query that shows the slice, for a person."""
        return readable_query(table_slice)


class RowStreamHandler(DbTypeHandler[RowStream]):
    """Streams rows into their table by COPY, and notes the slice in the ledger."""

    @property
    def supported_types(self) -> Sequence[type[object]]:
        """`RowStream` alone."""
        return [RowStream]

    def handle_output(
        self, context: dg.OutputContext, table_slice: TableSlice, obj: RowStream, connection: sa.Connection
    ) -> Mapping[str, RawMetadataValue]:
        """Write the rows, creating their table if it is missing."""
        table = placed(obj.table, table_slice.schema, table_slice.table)
        create_if_missing(connection, [table])
        rows = copy_rows(connection, table, obj)
        declared = context.output_metadata or {}
        record_slice(
            connection,
            table_slice.schema,
            {
                "asset": context.asset_key.to_user_string() if context.has_asset_key else table_slice.table,
                "partition": "...".join(_first_and_last(context)),
                "run_id": context.run_id,
                "rows": rows,
                **{name: getattr(declared.get(name), "value", None) for name in _LEDGER_METADATA},
            },
        )
        return {
            "dagster/partition_row_count" if context.has_asset_partitions else "dagster/row_count": rows,
            "dagster/column_schema": _column_schema(table),
        }

    def load_input(
        self,
        context: dg.InputContext,  # noqa: ARG002
        table_slice: TableSlice,
        connection: sa.Connection,
    ) -> RowStream:
        """Read the slice, whole, as one batch."""
        result = connection.execute(rows_of(table_slice))
        table = sa.Table(table_slice.table, sa.MetaData(schema=table_slice.schema), autoload_with=connection)
        return RowStream(table, tuple(result.keys()), [result.all()])


def _first_and_last(context: dg.OutputContext) -> Sequence[str]:
    """Return '' for a whole table, the key of one partition, or both ends of a range."""
    keys = context.asset_partition_keys if context.has_asset_partitions else [""]
    return keys if len(keys) == 1 else [keys[0], keys[-1]]


def _column_schema(table: sa.Table) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column.type.compile(POSTGRESQL),
                description=column.comment,
                constraints=dg.TableColumnConstraints(nullable=bool(column.nullable)),
            )
            for column in table.columns
        ]
    )
