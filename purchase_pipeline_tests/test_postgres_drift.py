"""Schema drift: rejected with every difference, or followed without loss."""

from datetime import date, datetime
from decimal import Decimal

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa
from pydantic import BaseModel, Field

from purchase_pipeline_tests.storing import Store, error_of

EVOLVE = {"schema_drift": "evolve"}
SHOPS = dg.StaticPartitionsDefinition(["north", "south"])
BY_SHOP = {"partition_expr": "shop"}


class Fruit(BaseModel):
    """The declared columns of a fruit."""

    id: int = Field(ge=1, le=1000)
    name: str = Field(description="What it is called")
    price: Decimal | None = Field(default=None, max_digits=6, decimal_places=2)


class DearerFruit(Fruit):
    """A later version of Fruit."""

    price: Decimal | None = Field(default=None, max_digits=8, decimal_places=2)


KEYED = sa.Table("x", sa.MetaData(), sa.Column("id", sa.BigInteger, primary_key=True))
DECLARED = {"row_model": dg.MetadataValue.python_artifact(Fruit)}


@pytest.fixture
def store(database_url: str, engine: sa.Engine) -> Store:
    """An empty database."""
    return Store(database_url, engine)


def make_table(store: Store, columns: str, *rows: str) -> None:
    with store.engine.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE things ({columns})"))
        for row in rows:
            connection.execute(sa.text(f"INSERT INTO things VALUES ({row})"))  # noqa: S608  # the test's own SQL


def test_a_frozen_table_refuses_new_missing_and_other_columns_all_at_once(store: Store) -> None:
    store.store(pd.DataFrame({"id": [1], "name": ["apple"], "fresh": [True]}))

    result = store.store(pd.DataFrame({"id": ["one"], "name": ["pear"], "price": [1.5]}))

    message = error_of(result)
    assert "The data does not fit table public.things" in message
    assert "column 'id' is BIGINT in the table, but TEXT in the data" in message
    assert "column 'price' (DOUBLE PRECISION) is in the data, but not in the table" in message
    assert "column 'fresh' (BOOLEAN) is in the table, but not in the data" in message
    assert store.rows() == [(1, "apple", True)]


def test_what_evolving_would_settle_is_said_so(store: Store) -> None:
    store.store(pd.DataFrame({"id": [1]}))

    result = store.store(pd.DataFrame({"id": [1], "name": ["apple"]}))

    assert 'metadata={"schema_drift": "evolve"}' in error_of(result)


def test_a_table_that_evolves_gets_the_new_column_and_keeps_the_other_partitions(store: Store) -> None:
    metadata = {**BY_SHOP, **EVOLVE}
    for shop in ("north", "south"):
        frame = pd.DataFrame({"shop": [shop], "id": [1]})
        store.store(frame, metadata=metadata, partitions=SHOPS, key=shop)

    frame = pd.DataFrame({"shop": ["north"], "id": [2], "name": ["fig"]})
    store.store(frame, metadata=metadata, partitions=SHOPS, key="north")

    assert store.rows() == [("north", 2, "fig"), ("south", 1, None)]


def test_the_policy_may_be_the_io_managers(store: Store) -> None:
    for frame in (pd.DataFrame({"id": [1]}), pd.DataFrame({"id": [2], "name": ["fig"]})):
        store.store(frame, schema_drift="evolve")

    assert store.rows() == [(2, "fig")]


def test_a_table_that_evolves_lets_a_column_out_that_may_be_null(store: Store) -> None:
    store.store(pd.DataFrame({"id": [1], "name": ["apple"]}), metadata=EVOLVE)

    store.store(pd.DataFrame({"id": [2]}), metadata=EVOLVE)

    assert store.rows() == [(2, None)]


def test_a_column_that_must_not_be_null_is_never_let_out(store: Store) -> None:
    make_table(store, "id BIGINT NOT NULL, name TEXT", "1, 'apple'")

    result = store.store(pd.DataFrame({"name": ["fig"]}), metadata=EVOLVE)

    assert "column 'id' (BIGINT) is in the table, but not in the data" in error_of(result)
    assert store.rows() == [(1, "apple")]


def test_columns_that_fill_themselves_need_not_be_in_the_data(store: Store) -> None:
    make_table(
        store,
        "name TEXT, id INTEGER GENERATED ALWAYS AS IDENTITY, at TIMESTAMP DEFAULT '2024-01-01', "
        "length INTEGER GENERATED ALWAYS AS (length(name)) STORED",
    )

    store.store(pd.DataFrame({"name": ["fig"]}))

    assert store.rows() == [("fig", 1, datetime(2024, 1, 1), 3)]


@pytest.mark.parametrize(
    ("column", "old", "new", "widened"),
    [
        ("SMALLINT", "1", 70_000, "BIGINT"),
        ("INTEGER", "1", 2**40, "BIGINT"),
        ("BIGINT", "1", Decimal("1.5"), "NUMERIC"),
        ("NUMERIC(4, 1)", "1.5", Decimal("1.55"), "NUMERIC"),
        ("REAL", "0.5", 0.1, "DOUBLE PRECISION"),
        ("VARCHAR(3)", "'fig'", "apple", "TEXT"),
        ("DATE", "'2024-01-31'", datetime(2024, 1, 31, 12), "TIMESTAMP WITHOUT TIME ZONE"),
    ],
)
def test_a_type_is_widened_where_nothing_is_lost(
    store: Store, column: str, old: str, new: object, widened: str
) -> None:
    make_table(store, f"id TEXT, value {column}", f"'old', {old}")

    store.store(pd.DataFrame({"id": ["new"], "value": [new]}), metadata={**EVOLVE, "write_mode": "append"})

    assert store.columns()["value"] == widened
    assert dict(store.rows())["new"] == new


@pytest.mark.parametrize("column", ["SMALLINT", "INTEGER", "NUMERIC(4, 1)", "REAL", "BIGINT"])
def test_a_type_that_holds_the_values_stays_as_it_is(store: Store, column: str) -> None:
    make_table(store, f"value {column}")
    before = store.columns()

    result = store.store(pd.DataFrame({"value": [1.0, 2.0]}), metadata=EVOLVE)

    assert result.success
    assert store.columns() == before
    assert store.rows() == [(1,), (2,)]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("BIGINT", "one"),
        ("TEXT", 1),
        ("BOOLEAN", 1),
        ("DATE", "2024-01-31"),
        ("DOUBLE PRECISION", Decimal(1)),
    ],
)
def test_a_change_that_would_lose_something_is_not_made(store: Store, column: str, value: object) -> None:
    make_table(store, f"value {column}")

    result = store.store(pd.DataFrame({"value": [value]}), metadata={**EVOLVE, "write_mode": "append"})

    if column == "DOUBLE PRECISION":  # a decimal that a float is exactly
        assert store.rows() == [(1.0,)]
    else:
        assert f"column 'value' is {column} in the table" in error_of(result)


def test_a_float_that_is_whole_goes_into_an_integer_column_and_any_other_does_not(store: Store) -> None:
    make_table(store, "value BIGINT")
    store.store(pd.DataFrame({"value": [1.0, None]}))

    result = store.store(pd.DataFrame({"value": [1.0, 1.5]}))

    assert "row 2, column 'value': 1.5 is not a whole number" in error_of(result)
    assert store.rows() == [(1,), (None,)]


def test_a_declared_model_makes_the_table_whatever_the_frame_looks_like(store: Store) -> None:
    store.store(pd.DataFrame({"id": [1.0], "name": ["apple"], "price": [1.5]}), metadata=DECLARED)

    assert store.columns() == {"id": "INTEGER", "name": "TEXT", "price": "NUMERIC(6, 2)"}
    assert store.rows() == [(1, "apple", Decimal("1.50"))]
    comments = {
        column["name"]: column["comment"] for column in sa.inspect(store.engine).get_columns("things")
    }
    assert comments["name"] == "What it is called"


def test_what_the_model_lets_out_may_be_missing(store: Store) -> None:
    for _ in range(2):
        store.store(pd.DataFrame({"id": [1], "name": ["apple"]}), metadata=DECLARED)

    assert store.rows() == [(1, "apple", None)]


@pytest.mark.parametrize("policy", ["freeze", "evolve"])
@pytest.mark.parametrize("stored_before", [False, True])
def test_what_the_model_does_not_declare_is_refused(store: Store, policy: str, stored_before: bool) -> None:  # noqa: FBT001
    metadata = {**DECLARED, "schema_drift": policy}
    if stored_before:
        store.store(pd.DataFrame({"id": [1], "name": ["apple"]}), metadata=metadata)

    frame = pd.DataFrame({"id": [date(2024, 1, 1)], "name": ["fig"], "taste": ["sweet"]})
    result = store.store(frame, metadata=metadata)

    assert "column 'taste' is in the data, but not declared" in error_of(result)
    assert "column 'id' is declared as INTEGER, but DATE in the data" in error_of(result)
    assert sa.inspect(store.engine).has_table("things") == stored_before


def test_digits_that_the_declared_scale_would_round_off_are_refused(store: Store) -> None:
    frame = pd.DataFrame(
        {"id": [1, 2], "name": ["apple", "fig"], "price": [Decimal("1.50"), Decimal("0.125")]}
    )

    result = store.store(frame, metadata=DECLARED)

    assert "row 2, column 'price': Decimal('0.125') has more than 2 decimal places" in error_of(result)


def test_a_model_that_changed_is_a_difference_until_the_table_may_follow(store: Store) -> None:
    dearer = {"row_model": dg.MetadataValue.python_artifact(DearerFruit)}
    store.store(pd.DataFrame({"id": [1], "name": ["apple"]}), metadata=DECLARED)
    frame = pd.DataFrame({"id": [2], "name": ["truffle"], "price": [Decimal("123456.78")]})

    frozen = store.store(frame, metadata=dearer)
    store.store(frame, metadata={**dearer, **EVOLVE})

    assert "is NUMERIC(6, 2) in the table, but NUMERIC(8, 2) declared" in error_of(frozen)
    assert store.rows() == [(2, "truffle", Decimal("123456.78"))]


def test_a_sqlalchemy_table_declares_keys_too(store: Store) -> None:
    result = store.store(pd.DataFrame({"id": [1, 1]}), metadata={"row_model": f"{__name__}:KEYED"})

    assert "row 2" in error_of(result)
    assert "Key (id)=(1) already exists" in error_of(result)
