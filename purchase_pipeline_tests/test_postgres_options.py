"""Write options in metadata: of the definition, or at run time for one output."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import polars as pl
import pytest
import sqlalchemy as sa
from pydantic import BaseModel

from purchase_pipeline.postgres import PerPartition, Together
from purchase_pipeline_tests.storing import Store, error_of, metadata_of

APPEND = {"write_mode": "append"}
SHOPS = dg.StaticPartitionsDefinition(["north", "south"])


class Priced(BaseModel):
    """A model with a small number."""

    number: int
    price: float | None = None


@pytest.fixture
def store(database_url: str, engine: sa.Engine) -> Store:
    """An empty database."""
    return Store(database_url, engine)


def numbers(*values: int) -> pl.DataFrame:
    """Return a frame of one column."""
    return pl.DataFrame({"number": values})


def output(store: Store, value: Any, said: Mapping[str, Any], **definition: Any) -> dg.ExecuteInProcessResult:  # noqa: ANN401
    """Materialize `things` with metadata of the output only."""

    @dg.asset(**definition)  # type: ignore[untyped-decorator]  # Any of its arguments
    def things() -> dg.Output[Any]:
        return dg.Output(value, metadata=said)

    return materialized(store, things)


def materialized(
    store: Store, asset: dg.AssetsDefinition, key: str | None = None
) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [asset], resources={"io_manager": store.io_manager()}, partition_key=key, raise_on_error=False
    )


@dg.asset(name="things")
def of_an_output() -> dg.Output[pl.DataFrame]:
    return dg.Output(numbers(2), metadata=APPEND)


@dg.asset(name="things")
def of_a_result() -> dg.MaterializeResult[pl.DataFrame]:
    return dg.MaterializeResult(value=numbers(2), metadata=APPEND)


@dg.asset(name="things")
def added_to_the_output(context: dg.AssetExecutionContext) -> pl.DataFrame:
    context.add_output_metadata(APPEND)
    return numbers(2)


@dg.asset(name="things")
def added_to_the_asset(context: dg.AssetExecutionContext) -> pl.DataFrame:
    context.add_asset_metadata(APPEND)
    return numbers(2)


@dg.asset(name="things")
def wrapped() -> dg.Output[pl.DataFrame]:
    return dg.Output(numbers(2), metadata={"write_mode": dg.MetadataValue.text("append")})


@dg.asset(name="things")
def with_together() -> dg.Output[Together]:
    return dg.Output(Together(numbers(2), {"others": numbers(7)}), metadata=APPEND)


@dg.asset(name="things", metadata={"write_mode": dg.MetadataValue.text("append")})
def wrapped_in_the_definition() -> pl.DataFrame:
    return numbers(2)


@dg.asset(name="things", metadata={"write_mode": "upsert", "upsert_keys": ["number"]})
def over_another_mode() -> dg.Output[pl.DataFrame]:
    return dg.Output(numbers(2), metadata=APPEND)


WAYS = [
    of_an_output,
    of_a_result,
    added_to_the_output,
    added_to_the_asset,
    wrapped,
    with_together,
    wrapped_in_the_definition,
    over_another_mode,
]


@pytest.mark.parametrize("way", WAYS, ids=[way.op.name + str(place) for place, way in enumerate(WAYS)])
def test_a_write_mode_that_is_said_at_run_time_holds(store: Store, way: dg.AssetsDefinition) -> None:
    store.store(numbers(1))

    assert materialized(store, way).success

    assert store.rows() == [(1,), (2,)]


def test_a_write_mode_of_a_partition_holds_for_that_partition(store: Store) -> None:
    def each(north: int, south: int) -> PerPartition:
        rows = {
            key: pl.DataFrame({"shop": [key], "n": [n]})
            for key, n in {"north": north, "south": south}.items()
        }
        return PerPartition([("north", rows["north"], APPEND), ("south", rows["south"])])

    for value in (1, 2):
        stored = store.store(each(value, value), {"partition_expr": "shop"}, SHOPS, ("north", "south"))
        assert stored.success

    assert store.rows() == [("north", 1), ("north", 2), ("south", 2)]


def test_an_upsert_of_one_run_goes_by_its_keys(store: Store) -> None:
    first = pl.DataFrame({"key": ["a", "b"], "number": [1, 1]})
    keys = {"write_mode": "upsert", "upsert_keys": ["key"]}
    output(store, first, keys)

    assert output(store, pl.DataFrame({"key": ["b", "c"], "number": [2, 2]}), keys).success

    assert store.rows() == [("a", 1), ("b", 2), ("c", 2)]


def test_a_model_and_drift_of_one_run_hold(store: Store) -> None:
    model = dg.MetadataValue.python_artifact(Priced)
    assert output(store, numbers(1), {"row_model": model}).success
    assert store.columns() == {"number": "BIGINT", "price": "DOUBLE PRECISION"}

    wider = pl.DataFrame({"number": [2], "name": ["x"]})
    assert output(store, wider, {"schema_drift": "evolve", "preview_rows": 1}).success
    assert "name" in store.columns()


def test_the_preview_of_one_run_is_shown(store: Store) -> None:
    assert "| 5 |" in str(metadata_of(output(store, numbers(5), {"preview_rows": 1}))["preview"])


def test_an_ops_output_takes_them_too(store: Store) -> None:
    @dg.op(out={"apples": dg.Out(pl.DataFrame)})
    def pick() -> Iterator[dg.Output[pl.DataFrame]]:
        yield dg.Output(numbers(1), "apples", metadata=APPEND)

    job = dg.GraphDefinition("a_job", node_defs=[pick]).to_job()
    for _ in range(2):
        assert job.execute_in_process(resources={"io_manager": store.io_manager()}).success

    assert store.rows("apples") == [(1,), (1,)]


REFUSED = [
    (
        {"write_mode": "appendd"},
        "Metadata \"write_mode\" is 'appendd'; expected one of replace, append, upsert, insert.",
    ),
    ({"write_mode": 3}, 'Metadata "write_mode" is 3; expected one of'),
    ({"write_mode": "upsert"}, "go together"),
    ({"upsert_keys": ["number"]}, "go together"),
    ({"schema_drift": "follow"}, "Metadata \"schema_drift\" is 'follow'; expected one of freeze, evolve."),
    ({"preview_rows": -1}, 'Metadata "preview_rows" is -1; expected a number of rows.'),
    ({"preview_rows": True}, 'Metadata "preview_rows" is True; expected a number of rows.'),
    ({"row_model": "no.such:Model"}, "Metadata \"row_model\" is 'no.such:Model', which cannot be imported"),
    ({"hash_partitions": 1}, 'Metadata "hash_partitions" is 1; expected a number of partitions, 2 to 1,024.'),
    ({"write-mode": "append"}, 'Unknown metadata "write-mode". Did you mean "write_mode"?'),
    ({"Write_Mode": "append"}, 'Unknown metadata "Write_Mode"'),
    ({"write_mod": "append"}, 'Did you mean "write_mode"?'),
    ({"upsert_key": ["number"]}, 'Did you mean "upsert_keys"?'),
    ({"schema_drfit": "evolve"}, 'Did you mean "schema_drift"?'),
    ({"preview_row": 3}, 'Did you mean "preview_rows"?'),
    ({"hash_partition": 16}, 'Did you mean "hash_partitions"?'),
    ({"row_modell": "x:y"}, 'Did you mean "row_model"?'),
]
OF_THE_DEFINITION = [
    (
        {"partition_expr": "number"},
        "Metadata \"partition_expr\" of an output is 'number'; it must be set in the definition",
    ),
    (
        {"schema": "silver"},
        "Metadata \"schema\" of an output is 'silver'; it must be set in the definition",
    ),
]


@pytest.mark.parametrize(("said", "words"), [*REFUSED, *OF_THE_DEFINITION])
def test_what_is_not_understood_at_run_time_is_refused_and_nothing_is_written(
    store: Store, said: Mapping[str, Any], words: str
) -> None:
    store.store(numbers(1))

    assert words in error_of(output(store, numbers(2), said))
    assert store.rows() == [(1,)]


@pytest.mark.parametrize(("said", "words"), REFUSED)
def test_nor_is_it_in_the_definition(store: Store, said: Mapping[str, Any], words: str) -> None:
    store.store(numbers(1))

    assert words in error_of(store.store(numbers(2), said))
    assert store.rows() == [(1,)]


def test_a_refusal_comes_before_the_first_batch_is_computed(store: Store) -> None:
    asked = list[int]()

    def frames() -> Iterator[pl.DataFrame]:
        asked.append(1)
        yield numbers(2)

    assert "Unknown metadata" in error_of(store.store(frames(), {"write-mode": "append"}))
    assert asked == []


def test_metadata_that_only_describe_are_left_alone(store: Store) -> None:
    said = {
        "schema": dg.MetadataValue.table_schema(dg.TableSchema([dg.TableColumn("number")])),
        "table": "the one of numbers",
        "columns": 1,
        "mode": "append",
        "rows": 3,
        "partition": "north",
        "source": dg.MetadataValue.url("https://example.com"),
    }

    assert output(store, numbers(2), said).success
    assert store.rows() == [(2,)]


def test_what_the_definition_says_already_may_be_said_again(store: Store) -> None:
    silver = {"schema": "silver"}

    assert output(store, numbers(2), silver, metadata=silver).success
    assert sa.inspect(store.engine).has_table("things", schema="silver")


def test_an_ops_table_is_said_in_its_definition(store: Store) -> None:
    @dg.op
    def pick() -> dg.Output[pl.DataFrame]:
        return dg.Output(numbers(1), metadata={"table": "apples"})

    job = dg.GraphDefinition("a_job", node_defs=[pick]).to_job()
    refused = job.execute_in_process(resources={"io_manager": store.io_manager()}, raise_on_error=False)

    assert "Metadata \"table\" of an output is 'apples'" in error_of(refused)
