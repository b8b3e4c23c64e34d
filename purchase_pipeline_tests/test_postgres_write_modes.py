"""Replace, append, upsert: the result of a write, and of a rejected one."""

from decimal import Decimal

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa

from purchase_pipeline_tests.storing import Store, error_of, metadata_of

UPSERT = {"write_mode": "upsert", "upsert_keys": ["id"]}
APPEND = {"write_mode": "append"}
SHOPS = dg.StaticPartitionsDefinition(["north", "south"])


@pytest.fixture
def store(database_url: str, engine: sa.Engine) -> Store:
    """An empty database."""
    return Store(database_url, engine)


def fruits(**names: str) -> pd.DataFrame:
    return pd.DataFrame({"id": [int(key[1:]) for key in names], "name": list(names.values())})


def test_a_table_is_replaced_by_default(store: Store) -> None:
    store.store(fruits(_1="apple", _2="pear"))

    store.store(fruits(_3="fig"))

    assert store.rows() == [(3, "fig")]


def test_appended_rows_come_to_those_that_are_there(store: Store) -> None:
    store.store(fruits(_1="apple"), metadata=APPEND)

    result = store.store(fruits(_2="pear", _3="fig"), metadata=APPEND)

    assert store.rows() == [(1, "apple"), (2, "pear"), (3, "fig")]
    reported = metadata_of(result)
    assert (reported["rows_written"], reported["dagster/row_count"]) == (2, 3)


def test_rows_appended_to_a_partition_are_counted_with_it(store: Store) -> None:
    metadata = {**APPEND, "partition_expr": "shop"}
    for shop in ("north", "south", "south"):
        frame = pd.DataFrame({"shop": [shop], "name": ["fig"]})
        result = store.store(frame, metadata=metadata, partitions=SHOPS, key=shop)

    reported = metadata_of(result)
    assert (reported["dagster/partition_row_count"], reported["dagster/row_count"]) == (2, 3)
    assert store.rows() == [("north", "fig"), ("south", "fig"), ("south", "fig")]


def test_an_upsert_updates_the_rows_of_its_keys_and_adds_the_others(store: Store) -> None:
    store.store(fruits(_1="apple", _2="pear"), metadata=UPSERT)

    store.store(fruits(_2="quince", _3="fig"), metadata=UPSERT)

    assert store.rows() == [(1, "apple"), (2, "quince"), (3, "fig")]


def test_an_upsert_of_nothing_but_keys_adds_those_that_are_new(store: Store) -> None:
    for ids in ([1, 2], [2, 3]):
        store.store(pd.DataFrame({"id": ids}), metadata=UPSERT)

    assert store.rows() == [(1,), (2,), (3,)]


def test_an_upsert_by_several_keys(store: Store) -> None:
    metadata = {"write_mode": "upsert", "upsert_keys": ["shop", "id"]}
    for shop, name in (("north", "apple"), ("south", "fig"), ("north", "pear")):
        store.store(pd.DataFrame({"shop": [shop], "id": [1], "name": [name]}), metadata=metadata)

    assert store.rows() == [("north", 1, "pear"), ("south", 1, "fig")]


def test_two_rows_of_one_key_are_refused_and_the_table_stays(store: Store) -> None:
    store.store(fruits(_1="apple"), metadata=UPSERT)

    result = store.store(pd.DataFrame({"id": [1, 1], "name": ["pear", "fig"]}), metadata=UPSERT)

    assert "several rows have id = (1,)" in error_of(result)
    assert store.rows() == [(1, "apple")]


def test_an_upsert_into_a_table_without_a_unique_index_says_which_to_make(store: Store) -> None:
    store.store(fruits(_1="apple"))

    result = store.store(fruits(_1="pear"), metadata=UPSERT)

    assert "no unique index on upsert_keys ['id']" in error_of(result)
    assert store.rows() == [(1, "apple")]


def test_a_unique_index_made_by_hand_serves_an_upsert(store: Store) -> None:
    store.store(fruits(_1="apple"))
    with store.engine.begin() as connection:
        connection.execute(sa.text("CREATE UNIQUE INDEX ON things (id)"))

    store.store(fruits(_1="pear"), metadata=UPSERT)

    assert store.rows() == [(1, "pear")]


def test_upsert_keys_that_the_data_lack_are_refused_by_name(store: Store) -> None:
    store.store(fruits(_1="apple"), metadata=UPSERT)

    result = store.store(fruits(_1="pear"), metadata={"write_mode": "upsert", "upsert_keys": ["number"]})

    assert "['number'] are not columns of the data: ['id', 'name']" in error_of(result)


def test_an_upsert_that_fails_leaves_every_row_as_it_was(store: Store) -> None:
    store.store(fruits(_1="apple", _2="pear"), metadata=UPSERT)

    result = store.store(fruits(_1="quince", _3="a\0b"), metadata=UPSERT)

    assert "row 2, column 'name'" in error_of(result)
    assert store.rows() == [(1, "apple"), (2, "pear")]


def test_an_upsert_can_bring_a_new_column(store: Store) -> None:
    store.store(fruits(_1="apple", _2="pear"), metadata=UPSERT)

    frame = fruits(_2="quince", _3="fig")
    frame["price"] = pd.Series([Decimal("1.50"), None], dtype=object)
    store.store(frame, metadata={**UPSERT, "schema_drift": "evolve"})

    assert store.rows() == [(1, "apple", None), (2, "quince", Decimal("1.50")), (3, "fig", None)]


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({"write_mode": "merge"}, "\"write_mode\" is 'merge'; expected one of replace, append, upsert"),
        ({"write_mode": "upsert"}, "go together; got 'upsert' and []"),
        ({"upsert_keys": ["id"]}, "go together; got 'replace' and ['id']"),
        (
            {"write_mode": "upsert", "upsert_keys": [1]},
            '"upsert_keys" is [1]; expected a list of column names',
        ),
        ({"schema_drift": "ignore"}, "\"schema_drift\" is 'ignore'; expected one of freeze, evolve"),
        ({"row_model": "nowhere:Fruit"}, "cannot be imported: No module named 'nowhere'"),
        ({"row_model": "decimal:Decimal"}, "is <class 'decimal.Decimal'>; expected a pydantic model"),
        ({"preview_rows": -1}, '"preview_rows" is -1; expected a number of rows'),
    ],
)
def test_metadata_that_is_not_understood_is_refused_with_what_it_can_be(
    store: Store, metadata: dict[str, object], complaint: str
) -> None:
    result = store.store(fruits(_1="apple"), metadata=metadata)

    assert complaint in error_of(result)
    assert sa.inspect(store.engine).get_table_names() == []
