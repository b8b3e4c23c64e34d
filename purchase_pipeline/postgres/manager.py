"""Dagster's database IO manager, extended with more value types and with partitions committed one by one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, TypeVar, cast, get_args, get_origin

import dagster as dg

from purchase_pipeline.postgres.dagster_internals import (
    CheckError,
    DbIOManager,
    DbTypeHandler,
    RawMetadataValue,
    TableSlice,
)
from purchase_pipeline.postgres.db_client import PostgresClient
from purchase_pipeline.postgres.failures import expected_failures
from purchase_pipeline.postgres.frames.libraries import WRITTEN, can_be_read, can_be_written
from purchase_pipeline.postgres.frames.prefetch import prefetched
from purchase_pipeline.postgres.frames.rows import PerPartition, Together, closing_iterator
from purchase_pipeline.postgres.inputs import ReadOptions, load_type, no_handler_error
from purchase_pipeline.postgres.materialization import add_partition_metadata, report_committed
from purchase_pipeline.postgres.op_outputs import table_of_output
from purchase_pipeline.postgres.slice_records import companion_asset
from purchase_pipeline.postgres.slices.partitions import Target, dimensions_of, slice_of_partition
from purchase_pipeline.postgres.type_handler import FrameHandler
from purchase_pipeline.postgres.write.queries import is_query

Metadata = dict[str, RawMetadataValue]


class PostgresDbIOManager(DbIOManager):
    """Rejects unsupported types by name, and writes `PerPartition` one transaction per partition."""

    def __init__(
        self,
        client: PostgresClient,
        *,
        database: str,
        schema: str | None = None,
        type_handlers: Sequence[DbTypeHandler[Any]] = (),
        default_load_type: type | None = None,
    ) -> None:
        self._client = client
        self._frames = FrameHandler(client, default_load_type)
        self._added_types = tuple(kind for handler in type_handlers for kind in handler.supported_types)
        super().__init__(
            type_handlers=[*type_handlers, self._frames],  # in order of precedence
            db_client=client,
            database=database,
            schema=schema,
            io_manager_name="PostgresIOManager",
            default_load_type=default_load_type,
        )

    def close(self) -> None:
        """Close the connection kept between reads and writes."""
        self._client.close()

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Write an output. `PerPartition` commits each partition in its own transaction.

        Raises:
            dagster.Failure: of the class of the error, such as `SchemaDriftError`.
        """
        with expected_failures():
            self._write(_by_key(_as_batch(context), context.definition_metadata), obj)

    def load_input(self, context: dg.InputContext) -> object:
        """Read an input as its annotation says.

        Raises:
            CheckError: the annotation is missing or not supported.
            UnusableMetadataError: invalid `columns`, `row_filter` or `limit`; as a `dagster.Failure`, too.
        """
        upstream = context.upstream_output
        with expected_failures():
            return self._read(_by_key(context, upstream.definition_metadata if upstream else None))

    def _write(self, context: dg.OutputContext, obj: object) -> None:
        if isinstance(obj, PerPartition):
            self._write_each(context, obj)
            return
        self._client.options(context)  # validated before the first batch is computed
        added = self._has_handler(type(obj))
        with nullcontext(obj) if added else prefetched(obj) as ready:
            super().handle_output(context, ready)

    def _read(self, context: dg.InputContext) -> object:
        kind = load_type(context, self._default_load_type)
        if get_origin(kind) is list and not context.has_asset_key:  # collected outputs are loaded one by one
            (kind,) = get_args(kind)
            context = cast(
                "dg.InputContext", _Changed(context, dagster_type=SimpleNamespace(typing_type=kind))
            )
        if not (can_be_read(kind) or self._has_handler(kind)):
            raise no_handler_error(context, kind)
        ReadOptions.of(context)  # validated before connecting
        return super().load_input(context)

    def _get_table_slice(
        self, context: dg.OutputContext | dg.InputContext, output_context: dg.OutputContext
    ) -> TableSlice:
        """Return the slice. With several partition dimensions it covers all of the run's partitions."""
        if not context.has_asset_key:
            table = table_of_output(output_context, context)
            return super()._get_table_slice(context, output_context)._replace(table=table)
        definition = context.asset_partitions_def if context.has_asset_partitions else None
        if not isinstance(definition, dg.MultiPartitionsDefinition):
            return super()._get_table_slice(context, output_context)
        expressions = (output_context.definition_metadata or {}).get("partition_expr")
        dimensions = dimensions_of(
            definition, expressions, [str(key) for key in context.asset_partition_keys]
        )
        whole_table = cast("dg.OutputContext", _Changed(context, has_asset_partitions=False))
        return super()._get_table_slice(whole_table, output_context)._replace(partition_dimensions=dimensions)

    def _check_supported_type(self, obj_type: Any) -> None:  # noqa: ANN401
        known = can_be_written(obj_type) or is_query(obj_type) or can_be_read(obj_type)
        if not (known or self._has_handler(obj_type)):
            raise CheckError(
                f"PostgresIOManager does not have a handler for type '{obj_type}'. Return {WRITTEN}; a SQLAlchemy "
                "select; or None, annotated '-> None', if the asset stores its own data."
            )

    def _has_handler(self, kind: object) -> bool:
        return isinstance(kind, type) and issubclass(kind, self._added_types)

    def _write_each(self, context: dg.OutputContext, output: PerPartition) -> None:
        table_slice = self._get_table_slice(context, context)
        done: list[tuple[dg.AssetKey, str, Metadata]] = []
        try:
            with closing_iterator(output.partitions) as partitions:
                for key, value, said in _checked_partitions(
                    partitions, [str(key) for key in context.asset_partition_keys]
                ):
                    self._check_supported_type(type(value))
                    part = slice_of_partition(table_slice, context.asset_partitions_def, key)
                    options = self._client.options(context, said)
                    with (
                        prefetched(value) as ready,
                        self._client.connect(context, part) as connection,
                    ):
                        self._client.clear(options, part, [key], connection)
                        metadata = self._frames.write(context, Target(part, [key], said), ready, connection)
                    done.append((context.asset_key, key, {**metadata, **said}))
                    beside = value.written if isinstance(value, Together) else {}
                    done += [
                        (companion_asset(context, name), key, {**written, **said})
                        for name, written in beside.items()
                    ]
        except BaseException:
            for one in done:
                report_committed(context, *one)
            raise
        for one in done:
            add_partition_metadata(context, *one)
        context.add_output_metadata(
            {
                "Query": self._client.get_select_statement(table_slice),
                "dagster/table_name": self._client.get_table_name(table_slice),
            }
        )


class _Changed:
    """A context with some attributes replaced."""

    def __init__(self, context: dg.OutputContext | dg.InputContext, **changes: object) -> None:
        self._context = context
        self.__dict__.update(changes)

    @property  # type: ignore[misc]
    def __class__(self) -> type[dg.OutputContext | dg.InputContext]:  # type: ignore[override]
        """The context's class, for `isinstance`."""
        return type(self._context)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the context has
        return getattr(self._context, name)


_Context = TypeVar("_Context", dg.OutputContext, dg.InputContext)


def _as_batch(context: dg.OutputContext) -> dg.OutputContext:
    """Treat an output of an asset without partitions as a partition of its own, if its metadata give a "batch"."""
    batch = (context.output_metadata or {}).get("batch")
    if batch is None or context.has_asset_partitions:
        return context
    key = str(getattr(batch, "value", batch))
    partitions = dg.StaticPartitionsDefinition([key])
    changes = {
        "has_asset_partitions": True,
        "asset_partitions_def": partitions,
        "asset_partition_keys": [key],
    }
    return cast("dg.OutputContext", _Changed(context, **changes))


def _by_key(context: _Context, metadata: Mapping[str, Any] | None) -> _Context:
    """Treat partitions as a list of keys if metadata says so: `"partition_by": "key"`, for a TEXT column of keys."""
    if (metadata or {}).get("partition_by") != "key" or not context.has_asset_partitions:
        return context
    keys = dg.StaticPartitionsDefinition([str(key) for key in context.asset_partition_keys])
    return cast("_Context", _Changed(context, asset_partitions_def=keys))


def _checked_partitions(
    partitions: Iterable[tuple[Any, ...]], keys: Sequence[str]
) -> Iterator[tuple[str, Any, Mapping[str, RawMetadataValue]]]:
    """Yield the partitions with their metadata, and check that each of the run's comes exactly once."""
    missing = sorted(keys)
    for key, value, *said in partitions:
        if key not in missing:
            fault = (
                "came twice" if key in keys else f"is not in this run, which has {', '.join(sorted(keys))}"
            )
            raise ValueError(f"PerPartition: partition {key!r} {fault}.")
        missing.remove(key)
        yield key, value, *(said or ({},))
    if missing:
        raise ValueError(f"PerPartition: missing partitions: {', '.join(missing)}.")
