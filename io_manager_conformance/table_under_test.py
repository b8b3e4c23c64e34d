"""One asset of the IO manager under test: how it is written, read, and looked at."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from io_manager_conformance.subject import Columns, Frame, PartitionExpr, Rows, Subject

Partition = str | tuple[str, str] | None
"""A key, or the first and last key of a range that one run takes at once, or none."""

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


@dataclass(frozen=True, kw_only=True)
class Table:
    """An asset that the IO manager stores as a table.

    Attributes:
        schema: the schema in the IO manager's configuration.
        apart: whether each run has a Dagster instance of its own, so that runs can take place at the same time.
    """

    subject: Subject
    key: Sequence[str] = ("fruits",)
    partitions: dg.PartitionsDefinition[Any] | None = None
    partition_expr: PartitionExpr = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    schema: str | None = None
    apart: bool = False

    @property
    def definition_metadata(self) -> Mapping[str, object]:
        """The metadata of the asset's definition."""
        expr = {"partition_expr": self.partition_expr} if self.partition_expr else {}
        return {**self.metadata, **expr}

    def write(self, columns: Columns, partition: Partition = None) -> dg.ExecuteInProcessResult:
        """Materialize the asset with these columns."""
        return self.run([self.asset(self.subject.make_frame(columns))], partition)

    def write_empty(self, columns: Columns, partition: Partition = None) -> dg.ExecuteInProcessResult:
        """Materialize the asset with these columns, and none of their rows."""
        return self.run([self.asset(self.subject.emptied(self.subject.make_frame(columns)))], partition)

    def attempt(self, value: object, partition: Partition = None) -> str:
        """Materialize the asset with a value that may fail, and return what the errors say, if any."""
        return words_of(self.run([self.asset(value)], partition, raise_on_error=False))

    def refusal_of(self, value: object, partition: Partition = None) -> str:
        """Materialize the asset with a value that must fail, and return what the errors say."""
        said = self.attempt(value, partition)
        assert said, f"written as if nothing were wrong: {value!r}"
        return said

    def read(
        self,
        partition: Partition = None,
        *,
        columns: Sequence[str] | None = None,
        mapping: dg.PartitionMapping | None = None,
        upstream: dg.AssetsDefinition | None = None,
    ) -> Frame:
        """Return what an asset downstream receives, which has the same partitions if one is read.

        Without an upstream to be run first, it reads the asset as another code location would.
        """
        frames: list[Frame] = []
        given = dg.AssetIn(
            key=self.key,
            dagster_type=self.subject.frame_type,
            metadata={"columns": columns} if columns else None,
            partition_mapping=mapping,
        )

        @dg.asset(ins={"frame": given}, partitions_def=self.partitions if partition else None)
        def reader(frame: Frame) -> None:
            frames.append(frame)

        seen_from_afar = dg.AssetSpec(
            self.key, partitions_def=self.partitions, metadata=self.definition_metadata
        )
        self.run([upstream or seen_from_afar, reader], partition)
        return frames.pop()

    def rows(self, partition: Partition = None) -> Rows:
        """Return the rows that an asset downstream receives."""
        return self.subject.rows_of(self.read(partition))

    def stored(self, schema: str = "public") -> Rows | None:
        """Return the rows of the table, read without the IO manager."""
        return self.subject.stored(self.key[-1], schema)

    def asset(self, value: object, before: Callable[[], object] = lambda: None) -> dg.AssetsDefinition:
        """Return the definition of the asset, which returns this value after a call."""

        @dg.asset(key=self.key, partitions_def=self.partitions, metadata=self.definition_metadata)
        def written() -> Any:  # noqa: ANN401  (a value that is refused is of any type)
            before()
            return value

        return written

    def run(
        self,
        assets: Sequence[dg.AssetsDefinition | dg.AssetSpec],
        partition: Partition = None,
        *,
        raise_on_error: bool = True,
    ) -> dg.ExecuteInProcessResult:
        """Materialize the assets in one run."""
        ends = partition if isinstance(partition, tuple) else None
        return dg.materialize(
            assets,
            partition_key=None if isinstance(partition, tuple) else partition,
            tags=dict(zip(_RANGE_TAGS, ends, strict=True)) if ends else None,
            resources={"io_manager": self.subject.io_manager(self.schema, self.partition_expr)},
            run_config=QUIET,
            instance=None if self.apart else self.subject.instance,
            raise_on_error=raise_on_error,
        )


def words_of(result: dg.ExecuteInProcessResult) -> str:
    """Return what a run's page shows of its errors: messages and metadata, without the stacks."""
    words = []
    for failure in (event.step_failure_data for event in result.all_events if event.is_step_failure):
        error = failure.error
        while error:
            words.append(error.message)
            error = error.cause
        if failure.user_failure_data:
            words += [f"{name}: {entry.value}" for name, entry in failure.user_failure_data.metadata.items()]
    return "\n".join(words)


def together(*parts: Columns) -> Rows:
    """Return the rows of columns, part after part."""
    return [
        dict(zip(part, values, strict=True)) for part in parts for values in zip(*part.values(), strict=True)
    ]


def expect(found: Rows | None, *wanted: Columns) -> None:
    """Assert that these rows are found, in whatever order."""
    rows = together(*wanted)
    assert found is not None, f"there is no table; wanted {rows}"
    assert _in_order(found) == _in_order(rows), f"found {found}; wanted {rows}"


def _in_order(rows: Rows) -> Rows:
    return sorted((dict(sorted(row.items())) for row in rows), key=repr)
