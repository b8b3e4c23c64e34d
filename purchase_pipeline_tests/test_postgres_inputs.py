"""An input reads the requested columns and rows, or fails with the valid choices."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sqlalchemy as sa
from dagster._check import CheckError

from purchase_pipeline.postgres import Batches, PostgresIOManager, RowStream, UnusableMetadataError
from purchase_pipeline_tests.storing import Store, error_of

FRUITS = pd.DataFrame(
    {"shop": ["north", "north", "south"], "name": ["apple", "50% fig", "date"], "price": [5, 12, 20]}
)
SHOPS = dg.StaticPartitionsDefinition(["north", "south"])
BY_SHOP = {"partition_expr": "shop"}


@dataclass(frozen=True)
class ReadAs:
    """An annotation, how to consume its value, and the expected result."""

    kind: Any = pd.DataFrame
    use: Callable[[Any], Any] = len
    seen: list[Any] = field(default_factory=list)


FRAME, ROWS = ReadAs(), ReadAs(RowStream, lambda stream: sum(map(len, stream.batches)))


@pytest.fixture
def store(database_url: str, engine: sa.Engine) -> Store:
    """A database with one table, `things`."""
    store = Store(database_url, engine)
    assert store.store(FRUITS).success
    return store


def run_reader(
    store: Store, metadata: Mapping[str, Any], read_as: ReadAs = FRAME, key: str | None = None
) -> dg.ExecuteInProcessResult:
    partitions = SHOPS if key else None

    def reader(things: Any) -> None:  # noqa: ANN401
        read_as.seen.append(read_as.use(things))

    reader.__annotations__ = {"things": read_as.kind, "return": None}
    asset = dg.asset(ins={"things": dg.AssetIn(metadata=metadata)}, partitions_def=partitions)(reader)
    things = dg.AssetSpec("things", metadata=BY_SHOP if key else None, partitions_def=partitions)
    return dg.materialize(
        [asset, things],
        selection=[asset],
        partition_key=key,
        resources={"io_manager": store.io_manager()},
        raise_on_error=False,
    )


def read(store: Store, metadata: Mapping[str, Any]) -> pd.DataFrame:
    frame = ReadAs(use=lambda frame: frame)
    result = run_reader(store, metadata, frame)
    assert result.success, error_of(result)
    (seen,) = frame.seen
    assert isinstance(seen, pd.DataFrame)
    return seen


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        (["name", "name"], """which repeats 'name'"""),
        (["name", "price", "name", "price"], """which repeats 'name', 'price'"""),
        (
            ["prize"],
            "names 'prize', but the columns of table public.things are 'shop', 'name', 'price'. Did you mean 'price'?",
        ),
        (["PRICE", "Name"], """names 'PRICE', 'Name', but the columns of table public.things are"""),
        (["PRICE", "Name"], """Did you mean 'price' and 'name'?"""),
        (["price", "colour"], "names 'colour', but the columns of table public.things are 'shop', 'name', 'price'."),
        ([], """is []; expected a list of at least one column name"""),
        ("price", """is 'price'; expected a list of at least one column name"""),
        (5, """is 5; expected a list of at least one column name"""),
        (["price", 5], """expected a list of at least one column name"""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("read_as", [FRAME, ROWS], ids=["frame", "rows"])
def test_columns_that_cannot_be_read_are_refused_with_those_that_can(
    store: Store, columns: object, complaint: str, read_as: ReadAs
) -> None:
    result = run_reader(store, {"columns": columns}, read_as)

    assert 'UnusableMetadataError: Metadata "columns"' in error_of(result)
    assert complaint in error_of(result)


def test_a_column_that_the_table_lost_is_named(store: Store) -> None:
    read(store, {"columns": ["name", "price"]})
    with store.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE things DROP COLUMN price"))

    result = run_reader(store, {"columns": ["name", "price"]})

    assert """names 'price', but the columns of table public.things are 'shop', 'name'.""" in error_of(result)
    assert list(read(store, {})) == ["shop", "name"]


@pytest.mark.parametrize(
    ("metadata", "names"),
    [
        ({"row_filter": "price > 10"}, ["50% fig", "date"]),
        ({"row_filter": "price < 6 OR price > 15", "limit": 10}, ["apple", "date"]),
        ({"row_filter": "name LIKE '50%%%' AND price::text = '12'"}, ["50% fig"]),
        ({"row_filter": "name <> ':price' -- whatever it costs", "columns": ["name"]}, ["50% fig", "apple", "date"]),
        ({"row_filter": "price > (SELECT avg(price) FROM things)"}, ["date"]),
        ({"row_filter": "price > 100"}, []),
        ({"limit": 0}, []),
        ({"limit": 3}, ["50% fig", "apple", "date"]),
    ],
)  # fmt: skip
def test_an_input_reads_the_rows_that_its_filter_lets_through(
    store: Store, metadata: Mapping[str, Any], names: list[str]
) -> None:
    assert sorted(read(store, metadata)["name"]) == names


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        (pd.DataFrame, len),
        (pl.DataFrame, len),
        (pa.Table, len),
        (pa.RecordBatchReader, lambda reader: reader.read_all().num_rows),
        (RowStream, ROWS.use),
        (Batches[pd.DataFrame], lambda frames: sum(map(len, frames))),
        (Batches[list[dict[str, Any]]], lambda frames: sum(map(len, frames))),
    ],
)
def test_filter_and_limit_go_with_partitions_and_every_kind_of_frame(
    store: Store,
    kind: Any,  # noqa: ANN401
    count: Callable[[Any], int],
) -> None:
    either, read_as = {"row_filter": "price = 5 OR price > 10"}, ReadAs(kind, count)

    run_reader(store, either, read_as, "north")
    run_reader(store, {**either, "limit": 1}, read_as, "north")

    assert read_as.seen == [2, 1]


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({"row_filter": "prize > 10"}, "'prize > 10', which fails on table public.things: column"),
        ({"row_filter": "price >"}, "'price >', which fails on table public.things: syntax error"),
        ({"row_filter": "price"}, "'price', which fails on table public.things: argument of"),
        (
            {"row_filter": "name::int > 1"},
            "which fails on table public.things: invalid input syntax for type integer",
        ),
        ({"row_filter": "1 / (price - 5) > 0"}, "which fails on table public.things: division by zero"),
        ({"row_filter": " "}, "' '; expected an SQL condition"),
        ({"row_filter": 5}, "5; expected an SQL condition"),
        ({"limit": -1}, 'Metadata "limit" is -1; expected a number of rows.'),
        ({"limit": True}, 'Metadata "limit" is True; expected a number of rows.'),
        ({"limit": "10"}, """Metadata "limit" is '10'; expected a number of rows."""),
    ],
)
@pytest.mark.parametrize("read_as", [FRAME, ROWS], ids=["frame", "rows"])
def test_a_filter_or_limit_that_cannot_work_is_refused(
    store: Store, metadata: Mapping[str, Any], complaint: str, read_as: ReadAs
) -> None:
    result = run_reader(store, metadata, read_as)

    assert "UnusableMetadataError" in error_of(result)
    assert complaint in error_of(result)


class PandasByDefault(PostgresIOManager):
    """Reads inputs without a type hint as pandas frames."""

    @staticmethod
    def default_load_type() -> type | None:
        """Return the type for inputs without a type hint."""
        return pd.DataFrame


def definitions_of(io_manager: PostgresIOManager) -> dg.Definitions:
    @dg.asset
    def things() -> pd.DataFrame:
        return FRUITS

    return dg.Definitions([things], resources={"io_manager": io_manager})


def test_a_value_loaded_without_a_type_is_refused_with_how_to_say_it(store: Store) -> None:
    definitions = definitions_of(store.io_manager())

    with pytest.raises(
        CheckError, match=r"load_asset_value\('things', python_type=\.\.\.\) with pandas\.DataFrame"
    ):
        definitions.load_asset_value("things")
    with pytest.raises(CheckError, match=r"python_type is <class 'int'>\. Use load_asset_value"):
        definitions.load_asset_value("things", python_type=int)
    assert isinstance(definitions.load_asset_value("things", python_type=pd.DataFrame), pd.DataFrame)


def test_a_value_loaded_by_hand_may_be_filtered(store: Store) -> None:
    loader = definitions_of(store.io_manager()).get_asset_value_loader()

    some = {"columns": ["name"], "row_filter": "price > 10", "limit": 1}
    frame = loader.load_asset_value("things", python_type=pd.DataFrame, input_definition_metadata=some)

    assert isinstance(frame, pd.DataFrame)
    assert frame.shape == (1, 1)
    with pytest.raises(UnusableMetadataError, match="Did you mean 'price'"):
        loader.load_asset_value(
            "things", python_type=pd.DataFrame, input_definition_metadata={"columns": ["prices"]}
        )


def test_what_has_no_type_hint_is_read_as_the_io_managers_default(store: Store, database_url: str) -> None:
    definitions = definitions_of(PandasByDefault(database_url=database_url))

    frame = definitions.load_asset_value("things")

    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == 3
    assert store.rows()
