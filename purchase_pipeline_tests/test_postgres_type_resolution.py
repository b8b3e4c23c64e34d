"""A column without values has no type until its first value."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any
from uuid import UUID

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sqlalchemy as sa
from pydantic import BaseModel

from purchase_pipeline.postgres import RowsOutsideSliceError, RowStream
from purchase_pipeline_tests.direct_io import DirectIOManager, Place
from purchase_pipeline_tests.storing import Store, error_of, metadata_of

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
SHOPS = dg.StaticPartitionsDefinition(["north", "south", "east", "west"])
BY_SHOP = {"partition_expr": "shop"}
THINGS = Place(["things"])


class Thing(BaseModel):
    """A declared model."""

    id: int
    x: int | None = None


@pytest.fixture
def store(database_url: str, engine: sa.Engine) -> Store:
    """An empty database."""
    return Store(database_url, engine)


@pytest.fixture
def io(database_url: str) -> DirectIOManager:
    """The IO manager of that database, without runs."""
    return DirectIOManager(database_url)


def pages(*pages: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    return iter(pages)


@pytest.mark.parametrize(
    "nothing",
    [
        pytest.param(lambda: pd.DataFrame({"id": [], "x": []}), id="pandas, no rows"),
        pytest.param(lambda: pd.DataFrame(columns=["id", "x"]), id="pandas, columns alone"),
        pytest.param(lambda: pd.DataFrame({"id": [1], "x": [None]}), id="pandas, None"),
        pytest.param(lambda: pd.DataFrame({"id": [1], "x": [float("nan")]}), id="pandas, NaN"),
        pytest.param(lambda: pl.DataFrame({"id": [1], "x": [None]}), id="polars, Null"),
        pytest.param(lambda: pa.table({"id": [1], "x": pa.nulls(1)}), id="Arrow, null"),
        pytest.param(lambda: pa.table({"id": pa.nulls(0), "x": pa.nulls(0)}), id="Arrow, null, no rows"),
        pytest.param(lambda: RowStream(["id", "x"], [[]]), id="RowStream, no rows"),
        pytest.param(lambda: pages([{"id": 1, "x": None}]), id="dicts, None"),
        pytest.param(lambda: pages([{"id": 1, "x": None}], [{"id": 2, "x": None}]), id="dicts, None twice"),
        pytest.param(pd.DataFrame, id="pandas, no columns"),
        pytest.param(lambda: pages([]), id="an empty list"),
    ],
)
@pytest.mark.parametrize(
    ("value", "column_type"),
    [
        (5, "BIGINT"),
        (NOON, "TIMESTAMP WITH TIME ZONE"),
        ([1, 2], "BIGINT[]"),
        ({"a": 1}, "JSONB"),
        ("text", "TEXT"),
    ],
)
def test_a_first_output_of_nothing_lets_the_next_one_tell_the_types(
    io: DirectIOManager, store: Store, nothing: Callable[[], Any], value: object, column_type: str
) -> None:
    io.write(THINGS, nothing())

    io.write(THINGS, pages([{"id": 1, "x": value}]))

    assert store.columns() == {"id": "BIGINT", "x": column_type}
    assert store.rows() == [(1, value)]


@pytest.mark.parametrize("value", ["text", NOON, 5, [1], True])
def test_what_pandas_makes_of_nothing_fits_any_column(
    io: DirectIOManager, store: Store, value: object
) -> None:
    io.write(THINGS, pages([{"id": 1, "x": value}]))
    before = store.columns()

    io.write(THINGS, pd.DataFrame({"id": [2, 3], "x": [float("nan")] * 2}))

    assert store.columns() == before
    assert store.rows() == [(2, None), (3, None)]


def test_floats_without_a_value_come_back_as_floats(io: DirectIOManager) -> None:
    frame = pd.DataFrame({"id": [1], "x": [float("nan")]})

    io.write(THINGS, frame)

    pd.testing.assert_frame_equal(io.read_as(pd.DataFrame, THINGS), frame)


def test_lists_of_nothing_leave_their_elements_open(store: Store) -> None:
    append = {"write_mode": "append"}
    store.store(pages([{"id": 1, "x": None}]), metadata=append)
    store.store(pages([{"id": 2, "x": []}]), metadata=append)

    store.store(pages([{"id": 3, "x": [NOON]}]), metadata=append)

    assert store.rows() == [(1, None), (2, []), (3, [NOON])]


def test_lists_of_nothing_become_json_with_their_successors(store: Store) -> None:
    append = {"write_mode": "append"}
    store.store(pages([{"id": 1, "x": []}, {"id": 2, "x": None}]), metadata=append)

    store.store(pages([{"id": 3, "x": [{"a": 1}]}]), metadata=append)

    assert store.rows() == [(1, []), (2, None), (3, [{"a": 1}])]


@pytest.mark.parametrize("mode", [{"write_mode": "append"}, {"write_mode": "upsert", "upsert_keys": ["id"]}])
def test_a_first_value_goes_with_every_write_mode(store: Store, mode: dict[str, Any]) -> None:
    store.store(pages([{"id": 1, "x": None}]), metadata=mode)

    store.store(pages([{"id": 2, "x": 5}]), metadata=mode)

    assert store.rows() == [(1, None), (2, 5)]


def test_a_query_determines_a_type_too(store: Store) -> None:
    store.store(pages([{"id": 1, "x": None}]))

    store.store(sa.text("SELECT 1::bigint AS id, 1.5::float8 AS x").columns(sa.Column("id"), sa.Column("x")))

    assert store.columns()["x"] == "DOUBLE PRECISION"
    assert store.rows() == [(1, 1.5)]


def test_a_model_declared_later_determines_a_type_too(store: Store) -> None:
    store.store(pages([{"id": 1, "x": None}]))

    result = store.store(
        pages([{"id": 1, "x": None}]), metadata={"row_model": dg.MetadataValue.python_artifact(Thing)}
    )

    assert result.success, error_of(result)
    assert store.columns()["x"] == "BIGINT"


@pytest.mark.parametrize("name", ['odd "name"', "100%", "a:b", "select"])
def test_a_column_of_any_name_gets_its_type(store: Store, name: str) -> None:
    store.store(pages([{"id": 1, name: None}]))

    result = store.store(pages([{"id": 1, name: [5]}]))

    assert result.success, error_of(result)
    assert store.rows() == [(1, [5])]


def test_a_type_is_frozen_once_it_is_determined(store: Store) -> None:
    for value in (None, "text", None):
        store.store(pages([{"id": 1, "x": value}]))

    result = store.store(pages([{"id": 1, "x": 5}]))

    assert "column 'x' is TEXT in the table, but BIGINT in the data" in error_of(result)
    assert store.rows() == [(1, None)]


def test_an_open_column_shows_that_it_is_until_it_has_a_type(store: Store) -> None:
    first = metadata_of(store.store(pages([{"id": 1, "x": None}])))["dagster/column_schema"]
    then = metadata_of(store.store(pages([{"id": 1, "x": 5}])))["dagster/column_schema"]

    assert [column.description for column in first.columns] == [
        None,
        "No value so far: the first one settles the type",
    ]
    assert [(column.type, column.description) for column in then.columns] == [("BIGINT", None)] * 2


def test_a_table_of_somebody_elses_keeps_its_types(store: Store) -> None:
    with store.engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE things (id BIGINT, x TEXT)"))

    result = store.store(pages([{"id": 1, "x": 5}]))

    assert "column 'x' is TEXT in the table, but BIGINT in the data" in error_of(result)


def test_a_value_that_somebody_else_has_written_is_not_lost(store: Store) -> None:
    append = {"write_mode": "append"}
    store.store(pages([{"id": 1, "x": None}]), metadata=append)
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE things SET x = '007'"))

    result = store.store(pages([{"id": 2, "x": 5}]), metadata=append)

    assert "column 'x' is TEXT in the table, but BIGINT in the data" in error_of(result)
    assert store.rows() == [(1, "007")]


def test_a_first_value_that_cannot_be_stored_changes_nothing(store: Store) -> None:
    store.store(pages([{"id": 1, "x": None}]))

    result = store.store(pages([{"id": 2, "x": 5}], [{"id": 3, "x": 2.5}]))

    assert "2.5 is not a whole number" in error_of(result)
    assert store.rows() == [(1, None)]
    assert store.columns()["x"] == "TEXT"
    assert store.store(pages([{"id": 2, "x": 2.5}])).success


@pytest.mark.parametrize(
    ("stream", "rows"),
    [
        pytest.param(lambda: pages([], [{"id": 1}], [{"id": 2}]), [(1,), (2,)], id="empty first"),
        pytest.param(lambda: pages([{"id": 1}], [], [{"id": 2}]), [(1,), (2,)], id="empty between"),
        pytest.param(lambda: pages([{"id": 1}], []), [(1,)], id="empty last"),
        pytest.param(lambda: iter([pd.DataFrame(), pd.DataFrame({"id": [1]})]), [(1,)], id="no columns"),
        pytest.param(
            lambda: iter([pd.DataFrame({"id": pd.Series([], dtype=float)}), pd.DataFrame({"id": ["a"]})]),
            [("a",)],
            id="empty, of another type",
        ),
        pytest.param(
            lambda: iter([pd.DataFrame({"no": []}), pd.DataFrame({"id": [1]})]), [(1,)], id="empty, of other columns"
        ),
        pytest.param(lambda: RowStream(["id"], [[], [], [(1,)]]), [(1,)], id="RowStream"),
        pytest.param(lambda: pages([{"id": None}], [{"id": 5}]), [(5,), (None,)], id="None first"),
        pytest.param(lambda: pages([{"id": None}], [{"id": ["a"]}]), [(["a"],), (None,)], id="None before a list"),
        pytest.param(
            lambda: pages([{"id": None}], [{"id": [UUID(int=1)]}]), [([UUID(int=1)],), (None,)], id="None before UUIDs"
        ),
        pytest.param(
            lambda: iter([pa.table({"id": pa.nulls(1)}), pa.table({"id": [[1]]})]), [([1],), (None,)],
            id="Arrow null before a list",
        ),
        pytest.param(lambda: pages([{"id": []}], [{"id": ["a"]}]), [([],), (["a"],)], id="lists of nothing first"),
        pytest.param(
            lambda: pages(*[[{"id": None}]] * 7, [{"id": 5}]), [(5,), *[(None,)] * 7], id="None for long"
        ),
        pytest.param(
            lambda: iter([pa.table({"id": pa.nulls(1)}), pa.table({"id": [True]})]), [(True,), (None,)], id="Arrow null"
        ),
        pytest.param(
            lambda: iter([pl.DataFrame({"id": [None]}), pl.DataFrame({"id": [NOON]})]), [(NOON,), (None,)], id="polars"
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", [False, True], ids=["first output", "after one of nothing"])
def test_an_empty_page_says_nothing_about_the_others(
    io: DirectIOManager,
    store: Store,
    stream: Callable[[], Any],
    rows: list[tuple[Any]],
    before: bool,  # noqa: FBT001
) -> None:
    if before:
        io.write(THINGS, pages([{"id": None}]))

    io.write(THINGS, stream())

    assert store.rows() == rows


def test_a_row_that_cannot_be_stored_is_counted_from_the_first_page(store: Store) -> None:
    result = store.store(pages([{"id": 1, "x": None}], [{"id": 2, "x": None}, {"id": 3, "x": 1j}]))

    assert "row 3, column 'x': 1j is complex" in error_of(result)


def test_rows_without_a_column_are_refused_rather_than_dropped(store: Store) -> None:
    result = store.store(pages([{}], [{"id": 1}]))

    assert "table public.things, row 1: the row has no columns" in error_of(result)


def test_writers_of_several_partitions_determine_a_type_one_after_the_other(
    database_url: str, store: Store
) -> None:
    keys, rounds = SHOPS.get_partition_keys(), range(3)
    for number in rounds:
        name, together = f"things_{number}", Barrier(len(keys))

        def write(shop: str, name: str = name, together: Barrier = together) -> None:
            def frames() -> Iterator[pd.DataFrame]:
                together.wait(60)  # each has deleted its partition's rows by now
                yield pd.DataFrame({"shop": [shop], "x": [5]})

            place = Place([name], BY_SHOP, SHOPS, shop)
            DirectIOManager(database_url).write(place, frames())

        nothing = pd.DataFrame({"shop": ["north"], "x": [None]})
        DirectIOManager(database_url).write(Place([name], BY_SHOP, SHOPS, "north"), nothing)

        with ThreadPoolExecutor(len(keys)) as pool:
            list(pool.map(write, keys))

        assert store.rows(name) == [(shop, 5) for shop in sorted(keys)]


@pytest.mark.parametrize("value", [None, 5])
def test_a_row_outside_of_its_partition_is_reported_while_a_type_is_pending(
    io: DirectIOManager, value: int | None
) -> None:
    place = Place(["things"], BY_SHOP, SHOPS, "north")
    io.write(place, pd.DataFrame({"shop": ["north"], "x": [None]}))

    with pytest.raises(RowsOutsideSliceError, match="such as shop = 'south'"):
        io.write(place, pd.DataFrame({"shop": ["north", "south"], "x": [value, value]}))
