"""Errors of PostgreSQL are reported with table, partition, SQLSTATE and what to do; nothing is lost."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import dagster as dg
import pandas as pd
import psycopg
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres import Batches, DatabaseRefusalError, Together, UnusableMetadataError
from purchase_pipeline_tests.direct_io import DirectIOManager, Place

SHOPS = dg.StaticPartitionsDefinition(["a", "b"])
BY_SHOP = {"partition_expr": "shop"}
FOREIGN = """
    CREATE FOREIGN DATA WRAPPER none; CREATE SERVER nowhere FOREIGN DATA WRAPPER none;
    CREATE FOREIGN TABLE things (shop text, n bigint) SERVER nowhere"""
OLD = [("a", 1), ("b", 2)]


@pytest.fixture
def table(engine: sa.Engine) -> sa.Engine:
    """A database with a table of two partitions."""
    run(
        engine,
        "CREATE TABLE things (shop text, n bigint PRIMARY KEY); INSERT INTO things VALUES ('a', 1), ('b', 2)",
    )
    return engine


def run(engine: sa.Engine, statements: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(statements)


def rows(engine: sa.Engine) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text("SELECT shop, n FROM things ORDER BY n"))]


def refused(
    url: str, value: object = None, *, metadata: dict[str, Any] = BY_SHOP, key: str = "a"
) -> DatabaseRefusalError:
    """Return the error of writing a partition."""
    value = pd.DataFrame({"shop": ["a"], "n": [3]}) if value is None else value
    with pytest.raises(DatabaseRefusalError) as refusal:
        DirectIOManager(url).write(Place(["things"], metadata, SHOPS, key), value)
    assert str(refusal.value).startswith("table public.things, shop = 'a': ")
    assert f"(SQLSTATE {refusal.value.sqlstate}). Nothing was changed. " in str(refusal.value)
    assert refusal.value.table == "public.things"
    return refusal.value


@pytest.mark.parametrize(
    ("action", "state"),
    [("", "23503"), ("ON DELETE RESTRICT", "23001"), ("DEFERRABLE INITIALLY DEFERRED", "23503")],
)
def test_rows_that_are_referred_to_are_not_replaced(
    table: sa.Engine, database_url: str, action: str, state: str
) -> None:
    run(table, f"CREATE TABLE notes (n bigint CONSTRAINT of_thing REFERENCES things {action})")
    run(table, "INSERT INTO notes VALUES (1)")

    refusal = refused(database_url)

    assert refusal.sqlstate == state
    assert '"of_thing"' in str(refusal)
    assert '"notes"' in str(refusal)
    assert rows(table) == OLD


@pytest.fixture
def loader_url(table: sa.Engine, database_url: str) -> Iterator[str]:
    """The URL of a role without privileges."""
    name = f"loader_{uuid4().hex}"
    run(
        table,
        f"CREATE ROLE {name} LOGIN; REVOKE ALL ON SCHEMA public FROM public; GRANT USAGE ON SCHEMA public TO {name}",
    )
    yield sa.make_url(database_url).set(username=name).render_as_string()
    run(table, f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.mark.parametrize(
    ("granted", "grant"),
    [
        ("SELECT ON things", "GRANT SELECT, INSERT, DELETE ON things (for an upsert, UPDATE too) TO"),
        ("SELECT, DELETE ON things", "GRANT SELECT, INSERT, DELETE ON things (for an upsert, UPDATE too) TO"),
        ("INSERT, DELETE ON things", "GRANT SELECT, INSERT, DELETE ON things (for an upsert, UPDATE too) TO"),
        ("SELECT, INSERT, DELETE ON things", "GRANT USAGE, CREATE ON SCHEMA public TO"),
    ],
)
def test_a_missing_privilege_is_reported_with_the_statement_that_grants_it(
    table: sa.Engine, loader_url: str, granted: str, grant: str
) -> None:
    run(table, f"GRANT {granted} TO {sa.make_url(loader_url).username}")

    refusal = refused(loader_url)

    assert refusal.sqlstate == "42501"
    assert grant in str(refusal)
    assert rows(table) == OLD


def test_a_row_that_a_policy_rejects_is_reported(table: sa.Engine, loader_url: str) -> None:
    run(
        table,
        f"GRANT ALL ON things TO {sa.make_url(loader_url).username}; ALTER TABLE things ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY p ON things USING (true) WITH CHECK (n < 3)",
    )

    values = sa.select(sa.literal("a").label("shop"), sa.literal(3).label("n"))
    refusal = refused(loader_url, values)

    assert 'new row violates row-level security policy for table "things"' in str(refusal)
    assert "give the role a policy that lets it write" in str(refusal)
    assert rows(table) == OLD


@pytest.mark.parametrize(
    ("made", "state"),
    [
        ("CREATE VIEW things AS TABLE kept", "42809"),
        ("CREATE MATERIALIZED VIEW things AS TABLE kept", "42809"),
        ("CREATE VIEW things AS SELECT shop, n FROM kept GROUP BY shop, n", "55000"),
        (FOREIGN, "55000"),
    ],
)
def test_an_object_that_is_not_a_table_is_reported(
    table: sa.Engine, database_url: str, made: str, state: str
) -> None:
    run(table, "ALTER TABLE things RENAME TO kept")
    run(table, made)

    refusal = refused(database_url)

    assert refusal.sqlstate == state
    assert "Only a table can be written" in str(refusal)


def test_a_trigger_that_raises_is_reported(table: sa.Engine, database_url: str) -> None:
    run(
        table,
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'closed for the year'; END $$;"
        "CREATE TRIGGER no BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION no()",
    )

    refusal = refused(database_url)

    assert "closed for the year" in str(refusal)
    assert rows(table) == OLD


def test_a_lock_held_by_another_transaction_is_reported(table: sa.Engine, database_url: str) -> None:
    frame = pd.DataFrame({"shop": ["a"], "n": [3]})

    def no_patience(connection: sa.Connection) -> pd.DataFrame:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '50ms'")
        return frame

    run(table, "CREATE TABLE others (shop text, n bigint)")
    with table.begin() as other:
        other.exec_driver_sql("LOCK TABLE others IN EXCLUSIVE MODE")

        refusal = refused(database_url, Together(frame, {"others": no_patience}))

    assert refusal.sqlstate == "55P03"
    assert "Another transaction has held its lock for longer than lock_timeout" in str(refusal)
    assert rows(table) == OLD


@pytest.mark.parametrize(
    ("expression", "reported"),
    [
        ("Shop", "column \"Shop\" does not exist. Did you mean 'shop'?"),
        ("day", "column \"day\" does not exist. The columns are 'shop', 'n'."),
        ("lower(day)", "column \"day\" does not exist. The columns are 'shop', 'n'."),
        ("lower(shop", "syntax error"),
        ("max(shop)", "aggregate functions are not allowed in WHERE"),
        ("no_such(shop)", "function no_such(text) does not exist"),
    ],
)
def test_an_invalid_partition_expr_is_reported(
    table: sa.Engine, database_url: str, expression: str, reported: str
) -> None:
    frame = pd.DataFrame({"shop": ["a"], "n": [3]})
    for name in ("things", "new"):
        with pytest.raises(UnusableMetadataError) as refusal:
            DirectIOManager(database_url).write(
                Place([name], {"partition_expr": expression}, SHOPS, "a"), frame
            )
        assert reported in str(refusal.value)
        assert str(refusal.value).startswith(f"table public.{name}: ")
        assert refusal.value.column == expression

    assert rows(table) == OLD
    assert "new" not in sa.inspect(table).get_table_names()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("bigint", 'invalid input syntax for type bigint: "a"'),
        ("date", 'invalid input syntax for type date: "a"'),
        ("uuid", 'invalid input syntax for type uuid: "a"'),
        ("json", "operator does not exist: json = unknown"),
    ],
)
def test_a_key_that_is_not_a_value_of_its_column_is_reported(
    engine: sa.Engine, database_url: str, kind: str, words: str
) -> None:
    run(engine, f"CREATE TABLE things (shop {kind}, n bigint)")

    with pytest.raises(UnusableMetadataError) as refusal:
        DirectIOManager(database_url).write(Place(["things"], BY_SHOP, SHOPS, "a"), pd.DataFrame({"n": [3]}))

    assert f"cannot compare rows with partition shop = 'a': {words}" in str(refusal.value)
    assert refusal.value.sqlstate is not None


def test_an_error_of_the_source_of_a_stream_stays_its_own(table: sa.Engine, database_url: str) -> None:
    def frames() -> Iterator[pd.DataFrame]:
        yield pd.DataFrame({"shop": ["a"], "n": [3]})
        raise psycopg.errors.InsufficientPrivilege("permission denied for table orders")

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        DirectIOManager(database_url).write(Place(["things"], BY_SHOP, SHOPS, "a"), Batches(frames()))

    assert rows(table) == OLD
