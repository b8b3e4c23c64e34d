"""Streams are written and read batch by batch; partitions of a range are committed one by one."""

from collections.abc import Iterator
from inspect import GEN_CLOSED, getgeneratorstate
from typing import Any

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sqlalchemy as sa
from dagster._check import CheckError

from purchase_pipeline.postgres import Batches, PerPartition, RowStream
from purchase_pipeline.postgres.frames.adbc import BATCH_ROWS
from purchase_pipeline_tests.storing import Store, error_of, metadata_of

SHOPS = dg.StaticPartitionsDefinition(["north", "south", "west"])
BY_SHOP = {"partition_expr": "shop"}
FRAMES = [pd.DataFrame({"id": [1, 2], "name": ["apple", None]}), pd.DataFrame({"name": ["fig"], "id": [3]})]
ROWS = [(1, "apple"), (2, None), (3, "fig")]


@pytest.fixture
def store(database_url: str, engine: sa.Engine) -> Store:
    """An empty database."""
    return Store(database_url, engine)


def record_batches() -> pa.RecordBatchReader:
    tables = [pa.Table.from_pandas(frame[["id", "name"]]) for frame in FRAMES]
    return pa.RecordBatchReader.from_batches(
        tables[0].schema, tables[0].to_batches() + tables[1].to_batches()
    )


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(lambda: (frame for frame in FRAMES), id="generator"),
        pytest.param(lambda: map(pl.from_pandas, FRAMES), id="map of polars frames"),
        pytest.param(lambda: Batches[pd.DataFrame](FRAMES), id="Batches"),
        pytest.param(
            lambda: Batches([[{"id": 1, "name": "apple"}, {"id": 2}], [{"name": "fig", "id": 3}]]),
            id="lists of dicts",
        ),
        pytest.param(record_batches, id="RecordBatchReader"),
        pytest.param(lambda: iter(record_batches()), id="record batches"),
        pytest.param(lambda: RowStream(["id", "name"], [ROWS[:2], ROWS[2:]]), id="RowStream"),
        pytest.param(lambda: iter([FRAMES[0], [{"id": 3, "name": "fig"}]]), id="a mixture"),
    ],
)
def test_a_stream_is_written_whole(store: Store, stream: Any) -> None:  # noqa: ANN401
    result = store.store(stream())

    assert result.success
    assert [(number, None if pd.isna(name) else name) for number, name in store.rows()] == ROWS
    assert metadata_of(result)["dagster/row_count"] == 3


def test_a_stream_that_breaks_off_leaves_what_was_there(store: Store) -> None:
    def frames() -> Iterator[pd.DataFrame]:
        yield FRAMES[0]
        raise ConnectionError("the source went away")

    store.store(FRAMES[0])

    result = store.store(frames())

    assert "the source went away" in error_of(result)
    assert len(store.rows()) == 2


@pytest.mark.parametrize(
    "stream_of",
    [lambda frames: frames, Batches, lambda frames: iter([frames])],
    ids=["generator", "Batches", "in another stream"],
)
@pytest.mark.parametrize("second", [FRAMES[1], FRAMES[1].assign(price=1)], ids=["written", "refused"])
def test_a_stream_is_closed_whether_it_is_written_or_refused(
    store: Store,
    stream_of: Any,  # noqa: ANN401
    second: pd.DataFrame,
) -> None:
    frames = (frame for frame in [FRAMES[0], second, FRAMES[0]])

    store.store(stream_of(frames))

    assert getgeneratorstate(frames) == GEN_CLOSED


def test_a_stream_of_rows_is_closed_when_they_are_refused(store: Store) -> None:
    batches = ([row] for row in [(1,), ("one",), (1,)])

    result = store.store(RowStream(["id"], batches))

    assert "column 'id' is BIGINT, but TEXT in batch 2" in error_of(result)
    assert getgeneratorstate(batches) == GEN_CLOSED


def test_a_stream_without_a_batch_empties_the_table(store: Store) -> None:
    store.store(FRAMES[0])

    result = store.store(iter([]))

    assert store.rows() == []
    assert metadata_of(result)["dagster/row_count"] == 0


@pytest.mark.parametrize(
    ("second", "complaint"),
    [
        (pd.DataFrame({"id": [3]}), "column 'name' is missing in batch 2"),
        (FRAMES[0].assign(price=1), "column 'price' is in batch 2, but not in the first"),
        (pd.DataFrame({"id": ["3"], "name": ["fig"]}), "column 'id' is BIGINT, but TEXT in batch 2"),
        (pd.DataFrame({"id": [3], "name": ["a\0b"]}), "row 3, column 'name'"),
        (pd.DataFrame({"id": [3.5], "name": ["fig"]}), "row 3, column 'id': 3.5 is not a whole number"),
        (pd.DataFrame({"id": [3, "x"], "name": ["fig", "x"]}), "row 4, column 'id': 'x' is str"),
        (["fig"], "Cannot write ['fig'] (list). Iterators may yield"),
    ],
)
def test_a_later_batch_that_does_not_fit_is_refused_with_its_place(
    store: Store, second: object, complaint: str
) -> None:
    result = store.store(iter([FRAMES[0], second]))

    assert complaint in error_of(result)
    assert sa.inspect(store.engine).get_table_names() == []


def test_a_slice_is_read_as_a_stream_of_any_kind(store: Store) -> None:
    store.store(FRAMES[0].assign(data=pd.Series([{"a": [1]}, None], dtype=object)))

    rows = store.read(
        RowStream, use=lambda stream: (stream.columns, [list(map(tuple, b)) for b in stream.batches])
    )
    (pandas_frame,) = store.read(Batches[pd.DataFrame], use=list)
    (polars_frame,) = store.read(Batches[pl.DataFrame], use=list)
    (arrow_table,) = store.read(Batches[pa.Table], use=list)
    (dicts,) = store.read(Batches[list[dict[str, Any]]], use=list)
    table = store.read(pa.RecordBatchReader, use=lambda reader: reader.read_all())

    assert rows == (("id", "name", "data"), [[(1, "apple", {"a": [1]}), (2, None, None)]])
    assert pandas_frame["data"].tolist() == [{"a": [1]}, None]
    assert polars_frame["data"].to_list() == arrow_table["data"].to_pylist() == [{"a": [1]}, None]
    assert dicts == [{"id": 1, "name": "apple", "data": {"a": [1]}}, {"id": 2, "name": None, "data": None}]
    assert table["data"].to_pylist() == ['{"a": [1]}', None]


def test_streams_of_two_libraries_are_two_types_to_dagster() -> None:
    kinds: list[Any] = [Batches[pd.DataFrame], Batches[pl.DataFrame], Batches[list[dict[str, Any]]]]

    assert len({dg.PythonObjectDagsterType(kind).display_name for kind in kinds}) == 3
    assert Batches[pd.DataFrame] is kinds[0]


def test_a_stream_is_read_in_batches_of_one_moment(store: Store) -> None:
    store.store(pd.DataFrame({"id": range(BATCH_ROWS + 1)}))

    def sizes_while_the_table_is_emptied(stream: RowStream) -> list[int]:
        batches = iter(stream.batches)
        first = next(batches)
        with store.engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM things"))
        return [len(first), *map(len, batches)]

    assert store.read(RowStream, use=sizes_while_the_table_is_emptied) == [BATCH_ROWS, 1]


def each(*shops: str, fails: bool = False) -> PerPartition:
    def partitions() -> Iterator[tuple[str, pd.DataFrame]]:
        for shop in shops:
            yield shop, pd.DataFrame({"shop": [shop] * len(shop), "name": ["fig"] * len(shop)})
        if fails:
            raise ConnectionError("the source went away")

    return PerPartition(partitions())


def test_partitions_of_one_run_are_committed_and_reported_one_by_one(store: Store) -> None:
    result = store.store(each("south", "north", "west"), BY_SHOP, SHOPS, ("north", "west"))

    assert [shop for shop, _ in store.rows()] == ["north"] * 5 + ["south"] * 5 + ["west"] * 4
    assert {
        shop: metadata_of(result, shop)["dagster/partition_row_count"] for shop in ("north", "south", "west")
    } == {"north": 5, "south": 5, "west": 4}
    assert metadata_of(result, "west")["dagster/table_name"].endswith(".public.things")


def test_partitions_one_by_one_are_closed_when_one_of_them_fails(store: Store) -> None:
    partitions = ((shop, shop) for shop in ("north", "south", "west"))

    result = store.store(PerPartition(partitions), BY_SHOP, SHOPS, ("north", "west"))

    assert not result.success
    assert getgeneratorstate(partitions) == GEN_CLOSED


def test_what_was_committed_before_a_failure_stays_and_is_recorded(store: Store) -> None:
    store.store(each("north", "south", "west"), BY_SHOP, SHOPS, ("north", "west"))
    with dg.DagsterInstance.ephemeral() as instance:

        @dg.asset(metadata=BY_SHOP, partitions_def=SHOPS)
        def things() -> PerPartition:
            return each("north", fails=True)

        result = dg.materialize(
            [things],
            instance=instance,
            resources={"io_manager": store.io_manager()},
            tags={
                "dagster/asset_partition_range_start": "north",
                "dagster/asset_partition_range_end": "west",
            },
            raise_on_error=False,
        )

        assert not result.success
        assert instance.get_materialized_partitions(dg.AssetKey("things")) == {"north"}
    assert len(store.rows()) == 14
    with store.engine.connect() as connection:
        query = sa.text("SELECT partition FROM slice_ledger WHERE run_id = :run")
        assert connection.execute(query, {"run": result.run_id}).scalars().all() == ["north"]


@pytest.mark.parametrize(
    ("shops", "complaint"),
    [
        (["north"], "missing partitions: south"),
        (["north", "north"], "partition 'north' came twice"),
        (["north", "west"], "partition 'west' is not in this run, which has north, south"),
    ],
)
def test_partitions_that_are_not_those_of_the_run_are_refused(
    store: Store, shops: list[str], complaint: str
) -> None:
    result = store.store(each(*shops), BY_SHOP, SHOPS, ("north", "south"))

    assert complaint in error_of(result)


def test_what_cannot_be_written_is_refused_with_what_can(store: Store) -> None:
    for value in (5, "text", [1]):
        assert "does not have a handler for type" in error_of(store.store(value))
    assert "pandas.DataFrame" in error_of(store.store(5))


@pytest.mark.parametrize("kind", [Any, int, Iterator, Batches[int]])
def test_what_cannot_be_read_is_refused_with_what_can(store: Store, kind: object) -> None:
    store.store(FRAMES[0])

    with pytest.raises(CheckError, match=r"input 'things' .* Annotate it with pandas.DataFrame"):
        store.read(kind)


def test_a_table_that_is_not_there_is_said_to_be_missing(store: Store) -> None:
    with pytest.raises(
        LookupError, match=r"Table public.things does not exist: materialize what writes it first"
    ):
        store.read(pd.DataFrame)
