"""All given rows are stored, or none, whatever triggers and rules the table has."""

import dagster as dg
import polars as pl
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres import PerPartition, Together
from purchase_pipeline_tests.storing import Store, error_of, metadata_of

DAYS = dg.StaticPartitionsDefinition(["a", "b"])
BY_DAY = {"partition_expr": "day"}
OLD, NEW = [("a", 1), ("a", 2)], [("a", n) for n in range(1, 8)]
LEDGER = "SELECT partition, rows FROM slice_ledger WHERE asset = 'things'"

SWALLOWS = """
    CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF NEW.n = 5 THEN RETURN NULL; END IF; RETURN NEW; END $$;
    CREATE TRIGGER swallow BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION swallow()"""
REDIRECTS = """
    CREATE TABLE elsewhere (LIKE things);
    CREATE FUNCTION redirect() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO elsewhere SELECT NEW.*; RETURN NULL; END $$;
    CREATE TRIGGER redirect BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION redirect()"""
DELETES_AFTER = """
    CREATE FUNCTION drop_it() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN DELETE FROM things WHERE n = 5; RETURN NULL; END $$;
    CREATE TRIGGER drop_it AFTER INSERT ON things FOR EACH STATEMENT EXECUTE FUNCTION drop_it()"""
ADDS_AFTER = """
    CREATE FUNCTION add_one() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF pg_trigger_depth() = 1 THEN INSERT INTO things VALUES ('a', 99); END IF; RETURN NULL; END $$;
    CREATE TRIGGER add_one AFTER INSERT ON things FOR EACH STATEMENT EXECUTE FUNCTION add_one()"""
MOVES_TO_ANOTHER_SLICE = """
    CREATE FUNCTION move() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF NEW.n = 3 THEN NEW.day := 'b'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER move BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION move()"""
A_RULE = "CREATE RULE nothing AS ON INSERT TO things WHERE NEW.n = 5 DO INSTEAD NOTHING"
HARMLESS = """
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER stamp BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION stamp();
    CREATE TRIGGER same BEFORE UPDATE ON things FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"""


@pytest.fixture
def store(database_url: str, engine: sa.Engine) -> Store:
    """An empty database."""
    return Store(database_url, engine)


def frame(rows: list[tuple[str, int]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["day", "n"], orient="row")


def run(store: Store, statements: str) -> None:
    with store.engine.begin() as connection:
        connection.exec_driver_sql(statements)


def ledger(store: Store) -> list[tuple[object, ...]]:
    with store.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(LEDGER))]


def query(rows: list[tuple[str, int]]) -> sa.Select[tuple[str, int]]:
    values = sa.values(sa.column("day", sa.Text), sa.column("n", sa.BigInteger), name="v").data(rows)
    return sa.select(values.c.day, values.c.n)


@pytest.mark.parametrize("value_of", [frame, query])
@pytest.mark.parametrize("drift", ["freeze", "evolve"])
@pytest.mark.parametrize(
    ("interference", "stored"),
    [(SWALLOWS, 6), (REDIRECTS, 0), (DELETES_AFTER, 6), (ADDS_AFTER, 8)],
)
def test_a_replaced_slice_that_a_trigger_would_change_stays_as_it_was(
    store: Store, value_of: object, drift: str, interference: str, stored: int
) -> None:
    assert callable(value_of)
    store.store(frame(OLD), BY_DAY, DAYS, "a")
    run(store, interference)

    result = store.store(value_of(NEW), BY_DAY, DAYS, "a", schema_drift=drift)

    assert f"7 rows were given, but {stored} would be stored" in error_of(result)
    assert store.rows() == OLD
    assert ledger(store) == [("a", 2)]


@pytest.mark.parametrize("metadata", [{}, {"write_mode": "append"}])
@pytest.mark.parametrize("interference", [SWALLOWS, REDIRECTS, DELETES_AFTER, ADDS_AFTER])
def test_a_whole_table_replaced_or_appended_to_is_counted_too(
    store: Store, metadata: dict[str, str], interference: str
) -> None:
    store.store(frame(OLD), metadata)
    run(store, interference)

    result = store.store(frame(NEW), metadata)

    assert "7 rows were given, but " in error_of(result)
    assert store.rows() == OLD
    assert ledger(store) == [("", 2)]


@pytest.mark.parametrize(
    ("interference", "stored"), [(SWALLOWS, 6), (REDIRECTS, 0), (DELETES_AFTER, 6), (A_RULE, 6)]
)
def test_an_upsert_whose_rows_do_not_arrive_changes_nothing(
    store: Store, interference: str, stored: int
) -> None:
    upsert = {"write_mode": "upsert", "upsert_keys": ["n"]}
    store.store(frame([("x", 100)]), upsert)
    run(store, interference)

    result = store.store(frame(NEW), upsert)

    assert f"7 rows were given, but {stored} would be stored" in error_of(result)
    assert store.rows() == [("x", 100)]


def test_a_row_that_a_trigger_moves_to_another_slice_is_missed(store: Store) -> None:
    store.store(frame(OLD), BY_DAY, DAYS, "a")
    run(store, MOVES_TO_ANOTHER_SLICE)

    result = store.store(frame(NEW), BY_DAY, DAYS, "a")

    assert "7 rows were given, but 6 would be stored" in error_of(result)
    assert store.rows() == OLD


def test_a_rule_on_a_query_that_is_stored_counts_as_a_trigger_does(store: Store) -> None:
    store.store(frame(OLD), BY_DAY, DAYS, "a")
    run(store, A_RULE)

    result = store.store(query(NEW), BY_DAY, DAYS, "a")

    assert "7 rows were given, but 6 would be stored" in error_of(result)
    assert store.rows() == OLD


def test_a_companion_table_is_counted_as_the_assets_own(store: Store) -> None:
    value = PerPartition([("a", Together(frame(NEW), {"others": frame(NEW)}))])
    assert store.store(value, BY_DAY, DAYS, "a").success
    run(store, SWALLOWS.replace("ON things", "ON others"))

    result = store.store(
        PerPartition([("a", Together(frame(OLD), {"others": frame(NEW)}))]), BY_DAY, DAYS, "a"
    )

    assert "others: 7 rows were given, but 6 would be stored" in error_of(result)
    assert store.rows() == NEW


def test_a_trigger_of_one_hash_partition_is_seen(store: Store) -> None:
    run(
        store,
        "CREATE TABLE things (day text, n bigint) PARTITION BY HASH (n);"
        "CREATE TABLE things_0 PARTITION OF things FOR VALUES WITH (MODULUS 1, REMAINDER 0);"
        + DELETES_AFTER.replace("ON things", "ON things_0").replace("STATEMENT", "ROW"),
    )

    result = store.store(frame(NEW), BY_DAY, DAYS, "a")

    assert "7 rows were given, but 6 would be stored" in error_of(result)
    assert store.rows() == []


@pytest.mark.parametrize(
    "metadata", [{}, {"write_mode": "append"}, {"write_mode": "upsert", "upsert_keys": ["n"]}]
)
@pytest.mark.parametrize("value_of", [frame, query])
def test_triggers_that_leave_every_row_in_its_place_are_let_be(
    store: Store, metadata: dict[str, object], value_of: object
) -> None:
    assert callable(value_of)
    store.store(frame(OLD), metadata)
    run(store, HARMLESS)
    more = [("a", 2), ("b", 3)] if "upsert_keys" in metadata else [("b", 3)]

    result = store.store(value_of(more), metadata)

    assert result.success
    assert metadata_of(result)["rows_written" if metadata else "dagster/row_count"] == len(more)
    assert store.rows() == ([("b", 3)] if not metadata else [*OLD, ("b", 3)])
