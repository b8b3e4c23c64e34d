"""One asset stored and read back through the IO manager, by a real run."""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.execution.plan.objects import UserFailureData

from purchase_pipeline.postgres import PostgresIOManager


class Store:
    """A database to store assets in."""

    def __init__(self, database_url: str, engine: sa.Engine) -> None:
        self.engine = engine
        self._database_url = database_url

    def io_manager(self, **config: Any) -> PostgresIOManager:  # noqa: ANN401  # what PostgresIOManager takes
        """Return a configured IO manager."""
        return PostgresIOManager(database_url=self._database_url, **config)

    def store(
        self,
        value: object,
        metadata: Mapping[str, Any] | None = None,
        partitions: dg.PartitionsDefinition[str] | None = None,
        key: str | tuple[str, str] | None = None,
        **config: Any,  # noqa: ANN401  # the same
    ) -> dg.ExecuteInProcessResult:
        """Materialize the asset `things` with that value; a pair of keys is a range, in one run."""

        @dg.asset(metadata=metadata, partitions_def=partitions)
        def things() -> dg.Output[Any]:
            return dg.Output(value)

        return dg.materialize(
            [things],
            resources={"io_manager": self.io_manager(**config)},
            partition_key=key if isinstance(key, str) else None,
            tags=_range_tags(*key) if isinstance(key, tuple) else None,
            raise_on_error=False,
        )

    def read(
        self,
        kind: Any,  # noqa: ANN401  # anything that annotates an input
        metadata: Mapping[str, Any] | None = None,
        partitions: dg.PartitionsDefinition[str] | None = None,
        key: str | None = None,
        use: Callable[[Any], Any] = lambda value: value,
    ) -> Any:  # noqa: ANN401  # of that kind
        """Return what a downstream asset makes of `things`, its input annotated with that type."""
        seen: list[Any] = []

        def downstream(things: Any) -> None:  # noqa: ANN401
            seen.append(use(things))

        downstream.__annotations__ = {"things": kind, "return": None}
        reader = dg.asset(partitions_def=partitions)(downstream)
        dg.materialize(
            [reader, dg.AssetSpec("things", metadata=metadata, partitions_def=partitions)],
            resources={"io_manager": self.io_manager()},
            selection=[reader],
            partition_key=key,
        )
        return seen[0]

    def rows(self, name: str = "things") -> list[tuple[Any, ...]]:
        """Return the table's rows, ordered by their first two columns, without the IO manager."""
        columns = self.columns(name)
        order = ", ".join(str(place) for place in range(1, min(2, len(columns)) + 1))
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(f'TABLE "{name}" ORDER BY {order}'))]

    def columns(self, name: str = "things") -> dict[str, str]:
        """Return the table's columns, with their types as SQL."""
        return {
            column["name"]: column["type"].compile(self.engine.dialect)
            for column in sa.inspect(self.engine).get_columns(name)
        }


def failure_of(result: dg.ExecuteInProcessResult) -> UserFailureData:
    """Return what the run's failure shows on Dagster's pages, which has no second stack."""
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    error, shown = failure.step_failure_data.error, failure.step_failure_data.user_failure_data
    assert error is not None
    assert shown is not None, error.to_string()
    assert (error.cause, error.context) == (None, None)
    assert (shown.description or "no description") in error.message
    return shown


def rows_of(metadata: dg.MetadataValue[Any]) -> list[Mapping[str, Any]]:
    """Return the rows of a table in metadata."""
    assert isinstance(metadata, dg.TableMetadataValue)
    return [record.data for record in metadata.records]


def error_of(result: dg.ExecuteInProcessResult) -> str:
    """Return the messages of the run's failure and its causes, one per line."""
    (failure,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    messages, error = list[str](), failure.step_failure_data.error
    while error is not None:
        messages.append(error.message)
        error = error.cause
    return "\n".join(messages)


def metadata_of(result: dg.ExecuteInProcessResult, partition: str | None = None) -> dict[str, Any]:
    """Return the values of the materialization's metadata."""
    (materialization,) = [
        event.materialization
        for event in result.get_asset_materialization_events()
        if partition is None or event.partition == partition
    ]
    return {name: entry.value for name, entry in materialization.metadata.items()}


def _range_tags(first: str, last: str) -> dict[str, str]:
    return {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
