"""A write changes exactly its slice: rows of other partitions are rejected, and no old row remains."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres import Batches, PerPartition, RowStream, Together
from purchase_pipeline_tests.storing import Store, error_of

SHOPS = dg.StaticPartitionsDefinition(["a", "b", "c"])
DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-02-01")
DAYS_OF_TOKYO = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-02-01", timezone="Asia/Tokyo")
SHOP_DAYS = dg.MultiPartitionsDefinition({"day": DAYS, "shop": SHOPS})
BY_SHOP: dict[str, Any] = {"partition_expr": "shop"}
APPEND: dict[str, Any] = {"write_mode": "append"}
UPSERT: dict[str, Any] = {"write_mode": "upsert", "upsert_keys": ["n"]}
Rows = list[tuple[str | None, int]]
OLD: Rows = [("a", 1), ("b", 2)]
ASTRAY: Rows = [("a", 3), ("b", 4), ("b", 5)]
REFUSED = (
    "table public.things: 3 rows were given, but 1 would be stored in partition shop = 'a': "
    "2 rows belong to another one, such as shop = 'b'. Nothing was changed."
)


@pytest.fixture
def store(database_url: str, engine: sa.Engine) -> Store:
    """A database with rows of shops a and b."""
    store = Store(database_url, engine)
    run(
        store,
        "CREATE TABLE things (shop text, n bigint UNIQUE);INSERT INTO things VALUES ('a', 1), ('b', 2)",
    )
    return store


def run(store: Store, statements: str) -> None:
    with store.engine.begin() as connection:
        connection.exec_driver_sql(statements)


def a_frame(rows: Rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["shop", "n"])


def a_row_stream(rows: Rows) -> RowStream:
    return RowStream(("shop", "n"), iter([rows]))


def batches(rows: Rows) -> Batches[pd.DataFrame]:
    return Batches(a_frame([row]) for row in rows)


def a_reader(rows: Rows) -> pa.RecordBatchReader:
    return pa.Table.from_pandas(a_frame(rows)).to_reader(max_chunksize=1)


def a_query(rows: Rows) -> sa.Select[Any]:
    values = sa.values(sa.column("shop", sa.Text), sa.column("n", sa.BigInteger), name="v").data(rows)
    return sa.select(values.c.shop, values.c.n)


def one_partition(rows: Rows) -> PerPartition:
    return PerPartition([("a", a_frame(rows))])


def of_one(key: str) -> dg.PartitionsDefinition[str]:
    return dg.StaticPartitionsDefinition([key])


KINDS = [a_frame, a_row_stream, batches, a_reader, a_query, one_partition]


@pytest.mark.parametrize("value_of", KINDS)
@pytest.mark.parametrize("mode", [{}, APPEND, UPSERT, {"schema_drift": "evolve"}])
def test_rows_of_another_partition_are_refused_and_nothing_is_lost(
    store: Store, value_of: Callable[[Rows], object], mode: dict[str, Any]
) -> None:
    result = store.store(value_of(ASTRAY), BY_SHOP | mode, SHOPS, "a")

    assert REFUSED in error_of(result)
    assert store.rows() == OLD


@pytest.mark.parametrize(
    ("value_of", "mode"), [*((kind, {}) for kind in KINDS), (a_frame, APPEND), (a_query, UPSERT)]
)
def test_rows_of_the_partition_are_stored_as_before(
    store: Store, value_of: Callable[[Rows], object], mode: dict[str, Any]
) -> None:
    result = store.store(value_of([("a", 7), ("a", 8)]), BY_SHOP | mode, SHOPS, "a")

    assert result.success
    kept = OLD if mode in (APPEND, UPSERT) else [("b", 2)]
    assert sorted(store.rows()) == sorted([*kept, ("a", 7), ("a", 8)])


@pytest.mark.parametrize("astray", [None, "a ", "A", "", "á", "d"])
@pytest.mark.parametrize("mode", [{}, APPEND, UPSERT])
def test_null_and_other_spellings_of_a_key_are_refused(
    store: Store, mode: dict[str, Any], astray: str | None
) -> None:
    result = store.store(a_row_stream([("a", 3), (astray, 4)]), BY_SHOP | mode, SHOPS, "a")

    seen = "NULL" if astray is None else repr(astray)
    assert f"1 row belongs to another one, such as shop = {seen}" in error_of(result)
    assert store.rows() == OLD


@pytest.mark.parametrize(
    ("kind", "key", "spelling"),
    [
        ("char(3)", "a", "a  "),
        ("char(3)", "a ", "a"),
        ("numeric", "1", "1.00"),
        ("interval", "1 day", "24:00:00"),
    ],
)
@pytest.mark.parametrize("mode", [{}, APPEND, UPSERT])
def test_a_spelling_that_the_column_holds_for_the_key_is_of_the_partition(
    store: Store, mode: dict[str, Any], kind: str, key: str, spelling: str
) -> None:
    run(store, f"DROP TABLE things; CREATE TABLE things (shop {kind}, n bigint UNIQUE)")
    spelled = sa.cast(sa.literal_column(f"'{spelling}'"), sa.Text).op("::")(sa.literal_column(kind))

    result = store.store(
        sa.select(spelled.label("shop"), sa.literal(3).label("n")), BY_SHOP | mode, of_one(key), key
    )

    assert result.success, error_of(result)
    assert [n for _, n in store.rows()] == [3]


@pytest.mark.parametrize("mode", [{}, APPEND])
@pytest.mark.parametrize(
    ("partitions", "inside", "outside"),
    [
        (DAYS, datetime(2024, 1, 2, 23, 59, 59, 999999), datetime(2024, 1, 3)),
        (DAYS, date(2024, 1, 2), date(2024, 1, 1)),
        (DAYS, datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC)),
        (DAYS_OF_TOKYO, datetime(2024, 1, 2, 14, 59, tzinfo=UTC), datetime(2024, 1, 2, 15, tzinfo=UTC)),
        (DAYS_OF_TOKYO, datetime(2024, 1, 2), datetime(2024, 1, 1, 23, 59, 59)),
    ],
)
def test_a_moment_outside_of_the_window_is_refused(
    store: Store,
    mode: dict[str, Any],
    partitions: dg.PartitionsDefinition[str],
    inside: object,
    outside: object,
) -> None:
    run(store, "DROP TABLE things")
    metadata = {"partition_expr": "day", **mode}
    assert store.store(pd.DataFrame({"day": [inside]}), metadata, partitions, "2024-01-02").success
    before = store.rows()

    for _ in range(2):
        result = store.store(pd.DataFrame({"day": [inside, outside]}), metadata, partitions, "2024-01-02")

        assert "1 row belongs to another one, such as day = '2024-01-0" in error_of(result)
        assert store.rows() == before


def test_a_row_outside_of_a_range_is_refused(store: Store) -> None:
    result = store.store(a_frame([("a", 3), ("c", 4)]), BY_SHOP, SHOPS, ("a", "b"))

    assert "shop in 'a', 'b': 1 row belongs to another one, such as shop = 'c'" in error_of(result)
    assert store.rows() == OLD


def test_a_row_outside_of_a_range_of_days_is_refused(store: Store) -> None:
    run(store, "DROP TABLE things")
    frame = pd.DataFrame({"day": [date(2024, 1, 2), date(2024, 1, 5)]})

    result = store.store(frame, {"partition_expr": "day"}, DAYS, ("2024-01-02", "2024-01-04"))

    assert "1 row belongs to another one, such as day = '2024-01-05'" in error_of(result)
    assert sa.inspect(store.engine).get_table_names() == []


@pytest.mark.parametrize(
    ("day", "shop"), [(date(2024, 1, 1), "b"), (date(2024, 1, 2), "a"), (None, "a"), (date(2024, 1, 1), None)]
)
def test_a_row_outside_along_one_dimension_is_refused(
    store: Store, day: date | None, shop: str | None
) -> None:
    run(store, "DROP TABLE things; CREATE TABLE things (day date, shop text)")
    rows = [(date(2024, 1, 1), "a"), (day, shop)]

    result = store.store(
        RowStream(("day", "shop"), iter([rows])),
        {"partition_expr": {"day": "day", "shop": "shop"}},
        SHOP_DAYS,
        "2024-01-01|a",
    )

    seen = [
        f"{name} = {str(value)!r}" if value else f"{name} = NULL"
        for name, value in (("day", day), ("shop", shop))
    ]
    assert f"1 row belongs to another one, such as {', '.join(seen)}" in error_of(result)
    assert store.rows() == []


@pytest.mark.parametrize("mode", [{}, APPEND, UPSERT])
@pytest.mark.parametrize("expression", ["lower(things.shop)", "(SELECT lower(shop))"])
def test_a_row_outside_by_an_expression_is_refused(
    store: Store, mode: dict[str, Any], expression: str
) -> None:
    metadata = {"partition_expr": expression, **mode}
    assert store.store(a_frame([("A", 3)]), metadata, SHOPS, "a").success
    before = store.rows()

    result = store.store(a_frame([("A", 4), ("B", 5)]), metadata, SHOPS, "a")

    assert f"1 row belongs to another one, such as {expression} = 'b'" in error_of(result)
    assert store.rows() == before


def test_a_row_outside_of_a_table_in_the_same_transaction_is_refused(store: Store) -> None:
    both = Together(a_frame([("a", 3)]), {"others": a_frame([("a", 3), ("b", 4)])})

    result = store.store(both, BY_SHOP, SHOPS, "a")

    assert "table public.others: 2 rows were given, but 1 would be stored" in error_of(result)
    assert store.rows() == OLD
    assert "others" not in sa.inspect(store.engine).get_table_names()


def test_partitions_before_the_one_with_a_row_outside_stay(store: Store) -> None:
    parts = PerPartition([("a", a_frame([("a", 3)])), ("b", a_frame([("b", 4), ("a", 5)]))])

    result = store.store(parts, BY_SHOP, SHOPS, ("a", "b"))

    assert "shop = 'b': 1 row belongs to another one, such as shop = 'a'" in error_of(result)
    assert store.rows() == [("a", 3), ("b", 2)]


@pytest.mark.parametrize("mode", [{}, APPEND, UPSERT])
def test_a_row_outside_of_a_slice_over_hash_partitions_is_refused(store: Store, mode: dict[str, Any]) -> None:
    run(
        store,
        "DROP TABLE things; CREATE TABLE things (shop text, n bigint UNIQUE) PARTITION BY HASH (n);"
        "CREATE TABLE things_0 PARTITION OF things FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE things_1 PARTITION OF things FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
        "INSERT INTO things VALUES ('a', 1), ('b', 2)",
    )

    result = store.store(a_frame(ASTRAY), BY_SHOP | mode, SHOPS, "a")

    assert "2 rows belong to another one, such as shop = 'b'" in error_of(result)
    assert store.rows() == OLD


@pytest.mark.parametrize("mode", [{}, APPEND, UPSERT])
@pytest.mark.parametrize(
    "filled", ["DEFAULT 'b'", "GENERATED ALWAYS AS (CASE WHEN n > 4 THEN 'b' ELSE 'a' END) STORED"]
)
def test_a_row_that_the_table_itself_puts_outside_is_refused(
    store: Store, mode: dict[str, Any], filled: str
) -> None:
    run(store, f"DROP TABLE things; CREATE TABLE things (n bigint UNIQUE, shop text {filled})")

    result = store.store(pd.DataFrame({"n": [3, 5]}), BY_SHOP | mode, SHOPS, "a")

    assert "2 rows were given" in error_of(result)
    assert store.rows() == []


def test_rows_appended_to_a_table_of_types_of_its_own_are_looked_at(store: Store) -> None:
    run(
        store,
        "DROP TABLE things; CREATE TYPE size AS ENUM ('s', 'm'); CREATE TABLE things (shop text, size size NOT NULL)",
    )
    columns, good = ("shop", "size"), ("a", "s")
    assert store.store(RowStream(columns, iter([[good]])), BY_SHOP | APPEND, SHOPS, "a").success

    result = store.store(RowStream(columns, iter([[good, ("b", "m")]])), BY_SHOP | APPEND, SHOPS, "a")

    assert "1 row belongs to another one, such as shop = 'b'" in error_of(result)
    assert store.rows() == [good]


def test_a_harmless_trigger_is_not_blamed_for_a_row_outside(store: Store) -> None:
    run(
        store,
        "CREATE FUNCTION same() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;"
        "CREATE TRIGGER same BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION same()",
    )

    result = store.store(a_frame(ASTRAY), BY_SHOP, SHOPS, "a")

    assert REFUSED in error_of(result)
    assert store.rows() == OLD


KEEPS = """
    CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
    CREATE TRIGGER keep BEFORE DELETE ON things FOR EACH ROW EXECUTE FUNCTION keep()"""
COMES_BACK = """
    CREATE FUNCTION back() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO things VALUES (OLD.shop, OLD.n); RETURN NULL; END $$;
    CREATE TRIGGER back AFTER DELETE ON things FOR EACH ROW EXECUTE FUNCTION back()"""
RULE = "CREATE RULE keep AS ON DELETE TO things DO INSTEAD NOTHING"
RULE_FOR_SOME = "CREATE RULE keep AS ON DELETE TO things WHERE OLD.n = 1 DO INSTEAD NOTHING"
SOFT_DELETE = "CREATE RULE keep AS ON DELETE TO things DO INSTEAD UPDATE things SET n = -n WHERE n = OLD.n"
VIEW = """
    ALTER TABLE things RENAME TO kept; CREATE VIEW things AS TABLE kept;
    CREATE FUNCTION put() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF TG_OP = 'INSERT' THEN INSERT INTO kept VALUES (NEW.shop, NEW.n); END IF; RETURN NEW; END $$;
    CREATE TRIGGER put INSTEAD OF INSERT OR DELETE ON things FOR EACH ROW EXECUTE FUNCTION put()"""
IN_PARTS = f"""
    DROP TABLE things; CREATE TABLE things (shop text, n bigint) PARTITION BY LIST (shop);
    CREATE TABLE things_a PARTITION OF things FOR VALUES IN ('a');
    CREATE TABLE things_b PARTITION OF things FOR VALUES IN ('b');
    INSERT INTO things VALUES ('a', 1), ('b', 2);
    {KEEPS.replace("ON things", "ON things_a")}"""  # noqa: S608
INHERITED = f"""
    CREATE TABLE child () INHERITS (things); DELETE FROM things; INSERT INTO child VALUES ('a', 1), ('b', 2);
    {KEEPS.replace("ON things", "ON child")}"""  # noqa: S608


@pytest.mark.parametrize(
    "keeper", [KEEPS, COMES_BACK, RULE, RULE_FOR_SOME, SOFT_DELETE, VIEW, IN_PARTS, INHERITED]
)
@pytest.mark.parametrize("rows", [[("a", 3)], []])
def test_old_rows_that_the_table_keeps_are_noticed_before_new_ones_come_on_top(
    store: Store, keeper: str, rows: Rows
) -> None:
    run(store, keeper)

    result = store.store(a_frame(rows), BY_SHOP, SHOPS, "a")

    assert "table public.things: rows of shop = 'a' remain after the DELETE (1)" in error_of(result)
    assert store.rows() == OLD


def test_a_whole_table_that_keeps_a_row_is_noticed(store: Store) -> None:
    run(store, RULE_FOR_SOME)

    result = store.store(a_frame([("a", 3)]))

    assert "of the whole table remain after the DELETE" in error_of(result)
    assert store.rows() == OLD


POLICIES = {
    "unseen": "CREATE POLICY p ON things USING (n > 1) WITH CHECK (true)",
    "seen, and not deleted": "CREATE POLICY r ON things FOR SELECT USING (true);"
    "CREATE POLICY i ON things FOR INSERT WITH CHECK (true); CREATE POLICY d ON things FOR DELETE USING (n > 1)",
    "deleted, and not seen": "CREATE POLICY r ON things FOR SELECT USING (n > 1);"
    "CREATE POLICY i ON things FOR INSERT WITH CHECK (true); CREATE POLICY d ON things FOR DELETE USING (true)",
    "restricted": "CREATE POLICY p ON things USING (true); CREATE POLICY r ON things AS RESTRICTIVE USING (n > 1)",
    "of others": "CREATE POLICY p ON things TO pg_monitor USING (true); CREATE POLICY o ON things USING (n > 1)",
}


@pytest.fixture
def loader(store: Store, database_url: str) -> Iterator[Store]:
    """The same database for a role that may only write."""
    name = f"loader_{uuid4().hex}"
    run(
        store,
        f"CREATE ROLE {name} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {name};"
        f"GRANT CREATE, USAGE ON SCHEMA public TO {name}; ALTER TABLE things ENABLE ROW LEVEL SECURITY",
    )
    yield Store(sa.make_url(database_url).set(username=name).render_as_string(), store.engine)
    run(store, f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.mark.parametrize("policy", POLICIES)
def test_a_role_that_row_security_hides_rows_from_replaces_none(
    store: Store, loader: Store, policy: str
) -> None:
    run(store, POLICIES[policy])

    result = loader.store(a_frame([("a", 3)]), BY_SHOP, SHOPS, "a")

    assert "table public.things: row security hides rows from this role" in error_of(result)
    assert store.rows() == OLD


def test_a_role_whose_policy_lets_all_rows_through_replaces_them(store: Store, loader: Store) -> None:
    run(store, "CREATE POLICY p ON things USING (true)")

    for _ in range(2):
        assert loader.store(a_query([("a", 3)]), BY_SHOP, SHOPS, "a").success

    assert store.rows() == [("a", 3), ("b", 2)]


def test_rows_that_refer_to_replaced_ones_are_deleted_with_them_where_the_key_cascades(store: Store) -> None:
    run(
        store,
        "CREATE TABLE notes (n bigint REFERENCES things (n) ON DELETE CASCADE); INSERT INTO notes VALUES (1), (2)",
    )

    assert store.store(a_frame([("a", 1)]), BY_SHOP, SHOPS, "a").success

    assert store.rows("notes") == [(2,)]
