"""Hash partitions: created with the table; written, read, counted and merged like any other table."""

from collections.abc import Mapping
from threading import Barrier, Thread
from typing import Any

import dagster as dg
import polars as pl
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres import Batches, PerPartition, Together
from purchase_pipeline_tests.storing import Store, error_of, metadata_of

SHOPS = dg.StaticPartitionsDefinition(["north", "south", 'o\'brien 100% "x"'])
BY_SHOP = {"partition_expr": "shop", "hash_partitions": 4}
DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-05")
TREE = """
    SELECT pg_get_partkeydef(pg_class.oid), (SELECT count(*) FROM pg_inherits WHERE inhparent = pg_class.oid)
    FROM pg_class WHERE oid = to_regclass(:table)
"""
WITH_A_KEY = sa.Table(
    "declared", sa.MetaData(), sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("shop", sa.Text)
)
WITH_A_UNIQUE = sa.Table(
    "declared",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger),
    sa.Column("shop", sa.Text),
    sa.UniqueConstraint("id"),
)
WITH_AN_INDEX = sa.Table(
    "declared",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger, index=True, unique=True),
    sa.Column("shop", sa.Text),
)
WITH_BOTH = sa.Table(
    "declared",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("shop", sa.Text, primary_key=True),
)


@pytest.fixture
def store(database_url: str, engine: sa.Engine) -> Store:
    """An empty database."""
    return Store(database_url, engine)


def tree(store: Store, table: str = "things") -> tuple[str | None, int] | None:
    """Return a table's partition key and its number of partitions; None without a table."""
    with store.engine.connect() as connection:
        found = connection.execute(sa.text(TREE), {"table": table}).first()
    return None if found is None else (found[0], found[1])


def of_shop(shop: str, *numbers: int) -> pl.DataFrame:
    """Return a shop's rows."""
    return pl.DataFrame({"shop": [shop] * len(numbers), "number": numbers})


def test_a_partition_is_replaced_read_and_counted(store: Store) -> None:
    odd = 'o\'brien 100% "x"'
    for shop, numbers in {"north": (1, 2), "south": (3,), odd: (4, 5)}.items():
        assert store.store(of_shop(shop, *numbers), BY_SHOP, SHOPS, shop).success

    again = store.store(Batches(iter([of_shop("north", 7), of_shop("north", 8, 9)])), BY_SHOP, SHOPS, "north")

    assert tree(store) == ("HASH (shop)", 4)
    assert store.rows() == [("north", 7), ("north", 8), ("north", 9), (odd, 4), (odd, 5), ("south", 3)]
    reported = metadata_of(again)
    assert (reported["dagster/row_count"], reported["dagster/partition_row_count"]) == (6, 3)
    assert store.read(pl.DataFrame, BY_SHOP, SHOPS, odd)["number"].to_list() == [4, 5]
    assert store.read(Batches[pl.DataFrame], BY_SHOP, use=lambda frames: sum(map(len, frames))) == 6


def test_a_failed_write_leaves_table_and_partitions_as_they_were(store: Store) -> None:
    store.store(of_shop("north", 1), BY_SHOP, SHOPS, "north")

    def broken() -> Any:  # noqa: ANN401
        yield of_shop("north", 2)
        raise ValueError("the source broke")

    assert not store.store(Batches(broken()), BY_SHOP, SHOPS, "north").success
    assert store.rows() == [("north", 1)]


def test_a_failed_first_write_leaves_no_table(store: Store) -> None:
    def broken() -> Any:  # noqa: ANN401
        yield of_shop("north", 2)
        raise ValueError("the source broke")

    assert not store.store(Batches(broken()), BY_SHOP, SHOPS, "north").success
    assert tree(store) is None


def test_an_upsert_goes_by_the_hash_of_its_keys(store: Store) -> None:
    metadata = {"write_mode": "upsert", "upsert_keys": ["shop", "number"], "hash_partitions": 3}
    first = pl.DataFrame({"shop": ["a", "b", "c"], "number": [1, 1, 1], "price": [1.0, 2.0, 3.0]})
    second = pl.DataFrame({"shop": ["b", "d"], "number": [1, 1], "price": [9.0, 4.0]})

    assert store.store(first, metadata).success
    assert store.store(second, metadata).success

    assert tree(store) == ("HASH (shop, number)", 3)
    assert store.rows() == [("a", 1, 1.0), ("b", 1, 9.0), ("c", 1, 3.0), ("d", 1, 4.0)]


def test_a_query_appended_rows_and_a_range_go_in(store: Store) -> None:
    appended = BY_SHOP | {"write_mode": "append"}
    store.store(of_shop("north", 1), appended, SHOPS, "north")
    store.store(of_shop("north", 1), appended, SHOPS, "north")
    query = sa.select(sa.literal("south").label("shop"), sa.cast(5, sa.BigInteger).label("number"))

    assert store.store(query, BY_SHOP, SHOPS, "south").success
    assert store.store(
        pl.concat([of_shop("north", 2), of_shop("south", 6)]), BY_SHOP, SHOPS, ("north", "south")
    ).success
    each = PerPartition([("north", of_shop("north", 8)), ("south", of_shop("south", 9))])
    assert store.store(each, BY_SHOP, SHOPS, ("north", "south")).success

    assert store.rows() == [("north", 8), ("south", 9)]


def test_companion_tables_have_partitions_too(store: Store) -> None:
    together = Together(of_shop("north", 1), {"others": of_shop("north", 2)})

    assert store.store(together, BY_SHOP, SHOPS, "north").success

    assert (tree(store), tree(store, "others")) == (("HASH (shop)", 4), ("HASH (shop)", 4))


def test_of_several_dimensions_those_that_are_no_range_of_time_count(store: Store) -> None:
    partitions = dg.MultiPartitionsDefinition(
        {"day": DAYS, "shop": dg.StaticPartitionsDefinition(["a", "b"])}
    )
    metadata = {"partition_expr": {"day": "day", "shop": "shop"}, "hash_partitions": 2}
    frame = pl.DataFrame({"day": ["2026-01-02"], "shop": ["a"]}).with_columns(pl.col("day").str.to_date())

    assert store.store(frame, metadata, partitions, "2026-01-02|a").success
    assert tree(store) == ("HASH (shop)", 2)


def test_a_column_that_follows_the_data_is_in_every_partition(store: Store) -> None:
    evolving = BY_SHOP | {"schema_drift": "evolve"}
    store.store(of_shop("north", 1), evolving, SHOPS, "north")

    added = store.store(of_shop("south", 2).with_columns(price=pl.lit(1.5)), evolving, SHOPS, "south")

    assert added.success
    assert store.rows() == [("north", 1, None), ("south", 2, 1.5)]


def test_names_with_quotes_and_percents_are_names(store: Store) -> None:
    metadata = {"partition_expr": '"100% ""x"""', "hash_partitions": 2, "schema": "S 1%"}
    named = {"partition_expr": '100% "x"', "hash_partitions": 2, "schema": "S 1%"}
    frame = pl.DataFrame({'100% "x"': ["north"]})

    assert store.store(frame, named, SHOPS, "north").success, metadata
    assert tree(store, '"S 1%".things') == ('HASH ("100% ""x""")', 2)


def test_two_first_writers_create_the_partitions_once(store: Store) -> None:
    meeting, done = Barrier(2), list[bool]()

    def write(shop: str) -> None:
        meeting.wait(30)
        done.append(store.store(of_shop(shop, 1), BY_SHOP, SHOPS, shop).success)

    writers = [Thread(target=write, args=[shop]) for shop in ("north", "south")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert done == [True, True]
    assert tree(store) == ("HASH (shop)", 4)
    assert store.rows() == [("north", 1), ("south", 1)]


def test_a_table_that_is_there_stays_as_it_is(store: Store) -> None:
    plain = {"partition_expr": "shop"}
    store.store(of_shop("north", 1), plain, SHOPS, "north")

    assert store.store(of_shop("south", 2), BY_SHOP, SHOPS, "south").success
    assert tree(store) == (None, 0)


DECLARED = f"{__name__}:"


@pytest.mark.parametrize("declared", ["WITH_A_KEY", "WITH_A_UNIQUE", "WITH_AN_INDEX"])
def test_a_unique_key_without_the_column_is_refused_by_name(store: Store, declared: str) -> None:
    refused = store.store(
        pl.DataFrame({"id": [1], "shop": ["north"]}),
        BY_SHOP | {"row_model": DECLARED + declared},
        SHOPS,
        "north",
    )

    assert (
        'Table public.things cannot have "hash_partitions" by shop: its unique key (id) does not '
        "include shop. Add it to the key, "
        "or omit hash_partitions." in error_of(refused)
    )
    assert tree(store) is None


def test_a_unique_key_with_the_column_is_kept(store: Store) -> None:
    metadata = BY_SHOP | {"row_model": DECLARED + "WITH_BOTH"}

    assert store.store(pl.DataFrame({"id": [1], "shop": ["north"]}), metadata, SHOPS, "north").success

    key = sa.inspect(store.engine).get_pk_constraint("things")["constrained_columns"]
    assert (tree(store), key) == (("HASH (shop)", 4), ["id", "shop"])


@pytest.mark.parametrize(
    ("metadata", "partitions", "words"),
    [
        ({"hash_partitions": 4}, None, "by nothing: they need"),
        ({"partition_expr": "lower(shop)", "hash_partitions": 4}, SHOPS, "by ['lower(shop)']: they need"),
        (
            {"partition_expr": "shop", "hash_partitions": 1},
            SHOPS,
            '"hash_partitions" is 1; expected a number of partitions, 2',
        ),
        (
            {"partition_expr": "shop", "hash_partitions": 2000},
            SHOPS,
            "is 2000; expected a number of partitions",
        ),
        (
            {"partition_expr": "shop", "hash_partitions": "16"},
            SHOPS,
            "is '16'; expected a number of partitions",
        ),
        (
            {"partition_expr": "shop", "hash_partitions": True},
            SHOPS,
            "is True; expected a number of partitions",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_created(
    store: Store, metadata: Mapping[str, Any], partitions: dg.StaticPartitionsDefinition | None, words: str
) -> None:
    refused = store.store(of_shop("north", 1), metadata, partitions, "north" if partitions else None)

    assert words in error_of(refused)
    assert tree(store) is None


def test_a_table_with_the_name_of_a_partition_is_left_alone(store: Store) -> None:
    with store.engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE things_p2 AS SELECT 7 AS seven"))

    refused = store.store(of_shop("north", 1), BY_SHOP, SHOPS, "north")

    assert 'relation "things_p2" already exists' in error_of(refused)
    assert tree(store) is None
    assert store.rows("things_p2") == [(7,)]


def test_a_type_without_a_hash_is_refused(store: Store) -> None:
    metadata = {"partition_expr": "point", "hash_partitions": 4, "row_model": f"{DECLARED}WITH_XML"}

    refused = store.store(pl.DataFrame({"point": ["north"]}), metadata, SHOPS, "north")

    assert 'Table public.things cannot have "hash_partitions" by point: data type xml has no' in error_of(
        refused
    )


class _Xml(sa.types.UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xml"


WITH_XML = sa.Table("declared", sa.MetaData(), sa.Column("point", _Xml()))
