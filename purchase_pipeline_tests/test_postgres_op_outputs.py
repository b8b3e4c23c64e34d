"""Op outputs, each with its own table: in jobs, graph-backed assets, mapped ops and concurrent runs."""

from collections.abc import Iterator, Sequence
from threading import Event, Thread
from typing import Any

import dagster as dg
import polars as pl
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres import Batches
from purchase_pipeline_tests.storing import Store, error_of


@pytest.fixture
def store(database_url: str, engine: sa.Engine) -> Store:
    """An empty database."""
    return Store(database_url, engine)


def numbers(*values: int) -> pl.DataFrame:
    """Return a frame of one column."""
    return pl.DataFrame({"number": values})


def values_of(frame: pl.DataFrame) -> list[int]:
    """Return the frame's values."""
    return list(frame["number"])


def run(store: Store, job: dg.JobDefinition) -> dg.ExecuteInProcessResult:
    """Run a job that may fail."""
    return job.execute_in_process(resources={"io_manager": store.io_manager()}, raise_on_error=False)


def tables(store: Store) -> list[str]:
    """Return the tables, without the ledger."""
    return sorted(set(sa.inspect(store.engine).get_table_names()) - {"slice_ledger"})


@dg.op
def one() -> pl.DataFrame:
    return numbers(1)


@dg.op
def two() -> pl.DataFrame:
    return numbers(2)


def reader(seen: list[Any]) -> dg.OpDefinition:
    """Return an op that records its two inputs."""

    @dg.op(out=dg.Out(dg.Nothing))
    def look(first: pl.DataFrame, second: pl.DataFrame) -> None:
        seen.append([values_of(first), values_of(second)])

    return look


def test_two_ops_of_one_job_are_read_each_with_its_own_value(store: Store) -> None:
    seen = list[Any]()
    look = reader(seen)

    @dg.job
    def both() -> None:
        look(one(), two())

    assert run(store, both).success
    assert seen == [[[1], [2]]]
    assert tables(store) == ["one.result", "two.result"]


def test_one_op_used_twice_has_two_tables(store: Store) -> None:
    seen = list[Any]()
    look = reader(seen)

    @dg.op
    def next_number(context: dg.OpExecutionContext) -> pl.DataFrame:
        return numbers(len(context.op_handle.name))

    @dg.job
    def twice() -> None:
        look(next_number.alias("short")(), next_number.alias("longer")())

    assert run(store, twice).success
    assert seen == [[[5], [6]]]


def test_ops_with_one_name_of_their_outputs_have_two_tables(store: Store) -> None:
    seen = list[Any]()
    look = reader(seen)

    @dg.op(out={"apples": dg.Out(pl.DataFrame)})
    def here() -> pl.DataFrame:
        return numbers(1)

    @dg.op(out={"apples": dg.Out(pl.DataFrame)})
    def there() -> pl.DataFrame:
        return numbers(2)

    @dg.job
    def both() -> None:
        look(here(), there())

    assert run(store, both).success
    assert seen == [[[1], [2]]]
    assert tables(store) == ["here.apples", "there.apples"]


def test_the_ops_in_graph_backed_assets_keep_their_values_apart(store: Store) -> None:
    @dg.op
    def add(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
        return pl.concat([first, second])

    @dg.graph_asset
    def some() -> Any:  # noqa: ANN401  # a node of the graph
        return add(one(), two())

    @dg.graph_asset
    def more(some: Any) -> Any:  # noqa: ANN401
        return add(some, two())

    result = dg.materialize([some, more], resources={"io_manager": store.io_manager()})

    assert result.success
    assert store.rows("some") == [(1,), (2,)]
    assert store.rows("more") == [(1,), (2,), (2,)]
    assert tables(store) == ["more", "more.two.result", "some", "some.one.result", "some.two.result"]


@pytest.mark.parametrize("name", ["result", "pieces"])
def test_each_mapped_op_reads_its_own_value(store: Store, name: str) -> None:
    seen = list[Any]()

    @dg.op(out={name: dg.DynamicOut(pl.DataFrame)})
    def split() -> Iterator[dg.DynamicOutput[pl.DataFrame]]:
        for key, value in {"north": 1, "south": 2}.items():
            yield dg.DynamicOutput(numbers(value), key, name)

    @dg.op
    def tenfold(piece: pl.DataFrame) -> pl.DataFrame:
        return piece * 10

    @dg.op(out={"named": dg.Out(pl.DataFrame)})
    def again(piece: pl.DataFrame) -> pl.DataFrame:
        return piece + 1

    @dg.op(out=dg.Out(dg.Nothing))
    def look(piece: pl.DataFrame) -> None:
        seen.append(values_of(piece))

    @dg.job
    def mapped() -> None:
        split().map(lambda piece: look(again(tenfold(piece))))

    assert run(store, mapped).success
    assert sorted(seen) == [[11], [21]]
    assert "tenfold.result[north]" in tables(store)
    assert "named[south]" in tables(store)


def test_several_outputs_that_are_collected_are_each_its_own(store: Store) -> None:
    seen = list[Any]()

    @dg.op(out=dg.DynamicOut(pl.DataFrame))
    def split() -> Iterator[dg.DynamicOutput[pl.DataFrame]]:
        for value in (1, 2, 3):
            yield dg.DynamicOutput(numbers(value), f"k{value}")

    @dg.op(out=dg.Out(dg.Nothing))
    def gather(pieces: list[pl.DataFrame]) -> None:
        seen.extend(map(values_of, pieces))

    @dg.job
    def collected() -> None:
        gather(split().collect())

    result = run(store, collected)

    assert tables(store) == ["split.result[k1]", "split.result[k2]", "split.result[k3]"]
    assert result.success
    assert sorted(seen) == [[1], [2], [3]]


@pytest.mark.parametrize("kind", [pl.DataFrame, Batches[pl.DataFrame]])
def test_what_another_run_has_replaced_is_refused_and_not_read(store: Store, kind: Any) -> None:  # noqa: ANN401
    written, replaced, seen = Event(), Event(), list[Any]()

    @dg.op(config_schema={"value": int}, out={"apples": dg.Out(pl.DataFrame)})
    def pick(context: dg.OpExecutionContext) -> pl.DataFrame:
        return numbers(context.op_config["value"])

    @dg.op(config_schema={"wait": bool}, ins={"start": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
    def pause(context: dg.OpExecutionContext) -> None:
        if context.op_config["wait"]:
            written.set()
            assert replaced.wait(60)

    @dg.op(ins={"apples": dg.In(kind), "start": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
    def eat(apples: Any) -> None:  # noqa: ANN401
        seen.extend(map(values_of, [apples] if isinstance(apples, pl.DataFrame) else apples))

    @dg.job
    def dinner() -> None:
        apples = pick()
        eat(apples, pause(apples))

    def dine(value: int, *, wait: bool) -> dg.ExecuteInProcessResult:
        return dinner.execute_in_process(
            run_config={"ops": {"pick": {"config": {"value": value}}, "pause": {"config": {"wait": wait}}}},
            resources={"io_manager": store.io_manager()},
            raise_on_error=False,
        )

    slow = list[dg.ExecuteInProcessResult]()
    waiting = Thread(target=lambda: slow.append(dine(1, wait=True)))
    waiting.start()
    assert written.wait(60)
    quick = dine(2, wait=False)
    replaced.set()
    waiting.join()

    assert quick.success
    assert seen == [[2]]
    assert f"table public.apples holds the output of run {quick.run_id}" in error_of(slow[0])
    assert "Limit the job to one run at a time" in error_of(slow[0])
    assert dine(3, wait=False).success


def test_an_output_is_kept_out_of_an_assets_table(store: Store) -> None:
    store.store(numbers(1, 2))

    @dg.op(out={"things": dg.Out(pl.DataFrame)})
    def pick() -> pl.DataFrame:
        return numbers(7)

    @dg.op(out=dg.Out(metadata={"table": "things"}))
    def other() -> pl.DataFrame:
        return numbers(8)

    for op in (pick, other):
        refused = run(store, dg.GraphDefinition("a_job", node_defs=[op]).to_job())
        assert "table public.things belongs to asset 'things'" in error_of(refused)

    assert store.rows() == [(1,), (2,)]


def test_outputs_that_name_one_table_are_refused_or_appended(store: Store) -> None:
    def job(metadata: dict[str, Any]) -> dg.JobDefinition:
        out = dg.Out(pl.DataFrame, metadata={"table": "basket", **metadata})
        ops = [
            dg.op(name=name, out=out)(lambda frame=frame: frame)
            for name, frame in {"one": numbers(1), "two": numbers(2)}.items()
        ]
        return dg.GraphDefinition("a_job", node_defs=ops).to_job()

    refused = job({}).execute_in_process(resources={"io_manager": store.io_manager()}, raise_on_error=False)
    failed = [event for event in refused.all_events if event.event_type_value == "STEP_FAILURE"]
    assert len(failed) == 2
    assert "Give each a table of its own" in str(failed[0].step_failure_data.error)
    assert tables(store) == []

    assert run(store, job({"write_mode": "append"})).success
    assert store.rows("basket") == [(1,), (2,)]


def test_a_step_with_a_long_name_has_a_table(store: Store) -> None:
    seen = list[Sequence[Any]]()
    look = reader(seen)
    name = "a_step_whose_name_is_longer_than_any_name_of_postgresql_may_be"

    @dg.job
    def long() -> None:
        look(one.alias(f"{name}_1")(), two.alias(f"{name}_2")())

    assert run(store, long).success
    assert seen == [[[1], [2]]]
    assert all(len(table) <= 63 for table in tables(store))
