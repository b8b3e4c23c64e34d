"""The IO manager replaces a slice whole, or changes nothing."""

from collections.abc import Iterator, Sequence
from threading import Barrier, Thread

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._check import CheckError

from purchase_pipeline.postgres import PostgresIOManager, RowStream

pytestmark = pytest.mark.compatibility

FRUITS = sa.Table(
    "fruits",
    sa.MetaData(),
    sa.Column("shop", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, comment="What it is called"),
)
SHOPS = dg.StaticPartitionsDefinition(["north", "south", "o'brien; drop table fruits --", "100%"])
Batches = Sequence[Sequence[tuple[object, ...]]]


class FruitConfig(dg.Config):
    """A shop's rows; a NULL name violates the table's constraint."""

    names: list[str | None]


@dg.asset(partitions_def=SHOPS, metadata={"partition_expr": "shop"})
def fruits(context: dg.AssetExecutionContext, config: FruitConfig) -> RowStream:
    """Fruits by shop."""
    rows = [(context.partition_key, number, name) for number, name in enumerate(config.names, start=1)]
    return RowStream(("shop", "number", "name"), [rows], FRUITS)


def stock(
    database_url: str, shop: str, *names: str | None, schema: str | None = None, raise_on_error: bool = True
) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [fruits],
        partition_key=shop,
        resources={"io_manager": PostgresIOManager(database_url=database_url, schema=schema)},
        run_config=dg.RunConfig({"fruits": FruitConfig(names=list(names))}),
        raise_on_error=raise_on_error,
    )


def rows_of(engine: sa.Engine, table: str = "fruits") -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(f"TABLE {table} ORDER BY 1, 2"))]


def test_a_slice_is_written_and_the_table_made(database_url: str, engine: sa.Engine) -> None:
    stock(database_url, "north", "apple", "pear")

    assert rows_of(engine) == [("north", 1, "apple"), ("north", 2, "pear")]


def test_writing_again_replaces_that_slice_alone(database_url: str, engine: sa.Engine) -> None:
    stock(database_url, "north", "apple", "pear")
    stock(database_url, "south", "fig")

    stock(database_url, "north", "quince")

    assert rows_of(engine) == [("north", 1, "quince"), ("south", 1, "fig")]


def test_a_failed_write_leaves_the_old_slice_and_its_ledger_entry(
    database_url: str, engine: sa.Engine
) -> None:
    stock(database_url, "north", "apple", "pear")
    ledger = rows_of(engine, "slice_ledger")

    result = stock(database_url, "north", "quince", None, raise_on_error=False)

    assert not result.success
    assert rows_of(engine) == [("north", 1, "apple"), ("north", 2, "pear")]
    assert rows_of(engine, "slice_ledger") == ledger


def test_a_stream_that_breaks_off_leaves_the_old_slice(database_url: str, engine: sa.Engine) -> None:
    stock(database_url, "north", "apple")

    @dg.asset(name="fruits", partitions_def=SHOPS, metadata={"partition_expr": "shop"})
    def broken() -> RowStream:
        def batches() -> Iterator[list[tuple[object, ...]]]:
            yield [("north", 1, "quince")]
            message = "the source went away"
            raise ConnectionError(message)

        return RowStream(("shop", "number", "name"), batches(), FRUITS)

    result = dg.materialize(
        [broken],
        partition_key="north",
        resources={"io_manager": PostgresIOManager(database_url=database_url)},
        raise_on_error=False,
    )

    assert not result.success
    assert rows_of(engine) == [("north", 1, "apple")]


def test_a_first_write_that_fails_leaves_no_table(database_url: str, engine: sa.Engine) -> None:
    result = stock(database_url, "north", None, raise_on_error=False)

    assert not result.success
    assert sa.inspect(engine).get_table_names() == []


def test_the_ledger_says_what_was_committed_last(database_url: str, engine: sa.Engine) -> None:
    stock(database_url, "north", "apple", "pear")

    last = stock(database_url, "north", "quince")

    (entry,) = rows_of(engine, "slice_ledger")
    assert entry[:6] == ("fruits", "north", last.run_id, 1, None, None)


@pytest.mark.parametrize("shop", ["o'brien; drop table fruits --", "100%"])
def test_a_hostile_partition_key_is_a_value_like_any_other(
    database_url: str, engine: sa.Engine, shop: str
) -> None:
    stock(database_url, "north", "apple")

    stock(database_url, shop, "fig")
    stock(database_url, shop, "date")

    assert sorted(rows_of(engine)) == sorted([("north", 1, "apple"), (shop, 1, "date")])


@pytest.mark.parametrize(
    ("key", "schema", "table"),
    [
        (["fruits"], None, "public.fruits"),
        (["market", "fruits"], None, "market.fruits"),
        (["market", "fruits"], "hall", "hall.fruits"),
        (["user", "order"], None, '"user"."order"'),
        (["fruits"], 'odd "schema%', '"odd ""schema%".fruits'),
    ],
)
def test_table_and_schema_are_found_as_in_dagsters_own_io_managers(
    database_url: str, engine: sa.Engine, key: list[str], schema: str | None, table: str
) -> None:
    @dg.asset(key=key)
    def unpartitioned() -> RowStream:
        return RowStream(("shop", "number", "name"), [[("north", 1, "apple")]], FRUITS)

    io_manager = PostgresIOManager(database_url=database_url, schema=schema)
    for _ in range(2):
        dg.materialize([unpartitioned], resources={"io_manager": io_manager})

    with engine.connect() as connection:
        found = connection.execute(sa.text(f"TABLE {table}")).all()
    assert [tuple(row) for row in found] == [("north", 1, "apple")]


def test_a_downstream_asset_reads_its_partition_and_columns(database_url: str) -> None:
    seen: list[RowStream] = []

    @dg.asset(partitions_def=SHOPS, ins={"fruits": dg.AssetIn(metadata={"columns": ["name", "number"]})})
    def basket(fruits: RowStream) -> None:
        seen.append(fruits)

    resources = {"io_manager": PostgresIOManager(database_url=database_url)}
    config = dg.RunConfig({"fruits": FruitConfig(names=["apple", "pear"])})
    dg.materialize([fruits, basket], partition_key="south", resources=resources, run_config=config)
    dg.materialize([fruits, basket], partition_key="north", resources=resources, run_config=config)

    (_, north) = seen
    assert north.columns == ("name", "number")
    assert [tuple(row) for batch in north.batches for row in batch] == [("apple", 1), ("pear", 2)]


def test_the_materialization_reports_rows_table_and_columns(database_url: str) -> None:
    result = stock(database_url, "north", "apple", "pear")

    metadata = result.asset_materializations_for_node("fruits")[0].metadata
    assert metadata["dagster/partition_row_count"].value == 2
    assert str(metadata["dagster/table_name"].value).endswith(".public.fruits")
    schema = metadata["dagster/column_schema"].value
    assert isinstance(schema, dg.TableSchema)
    assert [(column.name, column.type, column.description) for column in schema.columns] == [
        ("shop", "TEXT", None),
        ("number", "INTEGER", None),
        ("name", "TEXT", "What it is called"),
    ]


def test_writers_of_one_slice_take_turns_and_one_is_kept_whole(database_url: str, engine: sa.Engine) -> None:
    writers, start, outcomes = 4, Barrier(4), list[bool]()

    def write(writer: int) -> None:
        names = [f"fruit of {writer}"] * 500
        start.wait()
        outcomes.append(stock(database_url, "north", *names).success)

    threads = [Thread(target=write, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == [True] * writers
    rows = rows_of(engine)
    assert len(rows) == 500
    assert len({name for _, _, name in rows}) == 1


def test_an_unsupported_type_is_refused_by_name(database_url: str) -> None:
    @dg.asset
    def number() -> int:
        return 1

    with pytest.raises(CheckError, match="does not have a handler for type") as caught:
        dg.materialize([number], resources={"io_manager": PostgresIOManager(database_url=database_url)})

    assert "RowStream" in str(caught.value)
