"""A table made anew beside itself: what is written meanwhile is in it, and what belonged to the old one is its own."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import dagster as dg
import pandas as pd
import psycopg
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres.locks import hold_slice
from purchase_pipeline.postgres.parts import Shape
from purchase_pipeline.postgres.repartition import CannotRepartitionError, Repartition
from purchase_pipeline.postgres.statements import Name
from purchase_pipeline_tests.storing import Store

THINGS = Name("public", "things")
MADE = """
    CREATE TABLE things (
        id BIGINT GENERATED ALWAYS AS IDENTITY, shop TEXT, place INT, price NUMERIC(12, 2) DEFAULT 1,
        doubled NUMERIC GENERATED ALWAYS AS (price * 2) STORED, PRIMARY KEY (shop, place), CHECK (place > 0)
    ) WITH (fillfactor = 90)
"""
FILLED = """
    INSERT INTO things (shop, place)
    SELECT shop, place FROM unnest('{a,b,c}'::text[]) AS shop, generate_series(1, 4) AS place
"""
OBJECTS = """
    SELECT relname, relkind::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT proname, 'function' FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT tgname, 'trigger' FROM pg_trigger
"""
Rows = list[tuple[Any, ...]]


class Database:
    """The test's database, each statement a transaction; rows ordered."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def run(self, *statements: str) -> Rows:
        for statement in statements:
            cursor = self._connection.execute(statement.encode())
        return sorted(cursor.fetchall()) if cursor.description else []

    def objects(self) -> set[tuple[Any, ...]]:
        return set(self.run(OBJECTS))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with a table of three slices."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        database = Database(connection)
        database.run(MADE, FILLED)
        yield database


@pytest.fixture
def table(engine: sa.Engine, database: Database) -> Iterator[Repartition]:  # noqa: ARG001  # has the table
    """The table, to be made anew."""
    with engine.connect() as connection:
        yield Repartition(connection, THINGS, "shop")


def begin(table: Repartition, parts: int = 2) -> None:
    table.begin(parts)
    table.mark_rest()


def copy_all(table: Repartition) -> int:
    return sum(map(table.copy, table.left()))


def finish(table: Repartition, *, keep: bool = False) -> None:
    while copy_all(table):
        pass
    table.settle()
    table.compare()
    assert table.swap(keep=keep) is not None


def test_the_rows_stay_as_they_are_and_are_counted_as_they_are_copied(
    table: Repartition, database: Database
) -> None:
    before = database.run("TABLE things")

    begin(table)
    assert table.begun == Shape("HASH (shop)", 2)
    assert table.left() == ["a", "b", "c"]
    assert [table.copy(key) for key in table.left()] == [4, 4, 4]
    table.settle()
    table.compare()
    swapped = table.swap(keep=False)

    assert swapped is not None
    assert swapped.rows == 0
    assert table.shape == Shape("HASH (shop)", 2)
    assert table.begun is None
    assert database.run("TABLE things") == before


@pytest.mark.parametrize(
    ("statement", "slices"),
    [
        ("INSERT INTO things (shop, place) VALUES ('a', 5), ('new', 1)", ["a", "new"]),
        ("UPDATE things SET price = 7 WHERE shop = 'b' AND place = 2", ["b"]),
        ("UPDATE things SET shop = 'd' WHERE shop = 'c'", ["c", "d"]),
        ("DELETE FROM things WHERE shop = 'a'", ["a"]),
        ("COPY things (shop, place) FROM PROGRAM 'echo b,9' WITH (FORMAT csv)", ["b"]),
        (
            "MERGE INTO things USING (VALUES ('a', 1), ('e', 1)) AS of (shop, place) USING_ON",
            ["a", "e"],
        ),
        ("TRUNCATE things", ["a", "b", "c"]),
        ("DELETE FROM things WHERE shop = 'nobody'", []),
    ],
    ids=lambda value: value.partition(" ")[0] if isinstance(value, str) else "",
)
def test_whatever_is_written_after_a_slice_was_copied_is_copied_too(
    table: Repartition, database: Database, statement: str, slices: list[str]
) -> None:
    begin(table)
    copy_all(table)

    database.run(
        statement.replace(
            "USING_ON",
            "ON things.shop = of.shop AND things.place = of.place WHEN MATCHED THEN UPDATE SET price = 5 "
            "WHEN NOT MATCHED THEN INSERT (shop, place) VALUES (of.shop, of.place)",
        )
    )
    after = database.run("TABLE things")

    assert table.left() == slices
    finish(table)
    assert database.run("TABLE things") == after


def test_what_a_transaction_wrote_before_the_copy_and_committed_after_it_is_copied_again(
    table: Repartition, database: Database, database_url: str
) -> None:
    begin(table)
    with closing(psycopg.connect(database_url)) as writer:
        writer.execute("UPDATE things SET price = 3 WHERE shop = 'a'")
        copy_all(table)
        assert table.left() == []
        writer.commit()

    assert table.left() == ["a"]
    finish(table)
    assert database.run("SELECT DISTINCT price FROM things WHERE shop = 'a'") == [(3,)]


def test_what_was_written_last_is_copied_by_the_swap_itself_unless_it_is_much(
    table: Repartition, database: Database
) -> None:
    begin(table)
    copy_all(table)
    database.run("INSERT INTO things (shop, place) SELECT 'many ' || n, 1 FROM generate_series(1, 20) n")

    assert table.swap(keep=False) is None
    copy_all(table)
    database.run("UPDATE things SET price = 9 WHERE shop = 'b'")
    swapped = table.swap(keep=False)

    assert swapped is not None
    assert swapped.rows == 4
    assert database.run("SELECT count(*), count(*) FILTER (WHERE price = 9) FROM things") == [(32, 4)]


def test_a_slice_is_copied_while_none_of_its_writers_is_at_work(
    table: Repartition, engine: sa.Engine
) -> None:
    begin(table)
    with engine.begin() as writer:
        hold_slice(writer, *THINGS, "b")
        assert table.copy("a") == 4
        with engine.connect() as second:
            second.exec_driver_sql("SET lock_timeout = 100")
            with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
                hold_slice(second, *THINGS, "b")


def test_who_goes_on_copies_what_is_left(engine: sa.Engine, database: Database) -> None:
    before = database.run("TABLE things")
    with engine.connect() as connection:
        first = Repartition(connection, THINGS, "shop")
        begin(first)
        first.copy("a")

    with engine.connect() as connection:
        second = Repartition(connection, THINGS, "shop")
        second.mark_rest()
        assert second.left() == ["b", "c"]
        finish(second)

    assert database.run("TABLE things") == before


def test_who_was_stopped_before_anything_was_marked_copies_all(table: Repartition) -> None:
    table.begin(2)

    table.mark_rest()
    table.mark_rest()

    assert table.left() == ["a", "b", "c"]


def test_two_at_once_are_one_too_many(table: Repartition, engine: sa.Engine) -> None:
    with engine.connect() as connection, pytest.raises(CannotRepartitionError, match="Another process"):
        Repartition(connection, THINGS, "shop")
    assert table.begun is None


BELONGINGS = (
    "COMMENT ON TABLE things IS 'it''s 100 % \"ours\"'",
    "COMMENT ON COLUMN things.price IS 'in reais'",
    "CREATE INDEX by_price ON things (price DESC) WHERE price > 0",
    "CREATE INDEX by_price_again ON things (price DESC) WHERE price > 0",
    "CREATE VIEW cheap WITH (security_barrier) AS SELECT * FROM things WHERE price < 5 AND shop LIKE 'a%'",
    "CREATE VIEW cheaper AS SELECT cheap.id, things.shop FROM cheap JOIN things USING (shop, place)",
    'CREATE ROLE "a reader"',
    'GRANT SELECT (shop, price) ON things TO "a reader"',
    'GRANT INSERT ON things TO "a reader" WITH GRANT OPTION',
    "GRANT SELECT ON things TO PUBLIC",
)
BELONG = (
    "SELECT relname, relacl::text FROM pg_class WHERE relname ~ '^(things(_id_seq|_pkey)?|by_price(_again)?)$'",
    "SELECT relname, relacl::text, reloptions FROM pg_class WHERE relname LIKE 'cheap%'",
    "SELECT obj_description('things'::regclass), col_description('things'::regclass, 4)",
    "SELECT attname, attacl::text FROM pg_attribute WHERE attrelid = 'things'::regclass AND attacl IS NOT NULL",
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'things'::regclass",
    "SELECT pg_get_viewdef('cheap'), pg_get_viewdef('cheaper')",
    "SELECT replace(indexdef, ' ONLY', '') FROM pg_indexes WHERE tablename = 'things'",
    "SELECT last_value FROM things_id_seq",
    "TABLE cheaper",
)


@pytest.mark.parametrize("keep", [False, True])
def test_what_belonged_to_the_table_belongs_to_the_new_one_and_the_way_back_is_the_same(
    table: Repartition, database: Database, *, keep: bool
) -> None:
    database.run(*BELONGINGS)
    before = [database.run(query) for query in BELONG]
    objects = database.objects()
    try:
        begin(table)
        finish(table, keep=keep)
        assert [database.run(query) for query in BELONG] == before
        assert database.run("SELECT reloptions FROM pg_class WHERE relname = 'things_p1'") == [
            (["fillfactor=90"],)
        ]
        if keep:
            assert database.run("SELECT count(*) FROM things_old") == [(12,)]
            database.run("DROP TABLE things_old")

        begin(table, parts=0)
        finish(table)
        assert [database.run(query) for query in BELONG] == before
        assert database.run("SELECT reloptions FROM pg_class WHERE relname = 'things'") == [
            (["fillfactor=90"],)
        ]
        assert database.objects() == objects
        database.run("INSERT INTO things (shop, place) VALUES ('d', 1)")
        assert database.run("SELECT max(id) FROM things") == [(13,)]
    finally:
        database.run('DROP OWNED BY "a reader"', 'DROP ROLE "a reader"')


def test_what_is_given_up_leaves_nothing(table: Repartition, database: Database) -> None:
    before = database.objects()
    begin(table)
    table.copy("a")

    table.abandon()

    assert table.shape == Shape("", 0)
    assert table.begun is None
    assert database.objects() == before


@pytest.mark.parametrize(
    ("statement", "described"),
    [
        ("CREATE MATERIALIZED VIEW sums AS SELECT shop FROM things", "materialized view public.sums"),
        (
            "CREATE TABLE more (a TEXT, b INT, FOREIGN KEY (a, b) REFERENCES things)",
            "constraint more_a_b_fkey",
        ),
        (
            "ALTER TABLE things ADD UNIQUE (shop, id), ADD FOREIGN KEY (shop, id) REFERENCES things (shop, id)",
            "things_shop_id_fkey",
        ),
        ("CREATE POLICY mine ON things USING (true)", "policy mine"),
        ("ALTER TABLE things ENABLE ROW LEVEL SECURITY", "row security"),
        ("CREATE PUBLICATION told FOR TABLE things", "publication of table"),
        ("ALTER TABLE things ADD number SERIAL", "sequence public.things_number_seq"),
        ("CREATE TABLE child () INHERITS (things)", "table public.child"),
        (
            "CREATE FUNCTION shops() RETURNS SETOF text BEGIN ATOMIC SELECT shop FROM public.things; END",
            "function public.shops()",
        ),
        (
            "CREATE TRIGGER same BEFORE UPDATE ON things FOR ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "trigger same",
        ),
        ("CREATE RULE never AS ON DELETE TO things DO INSTEAD NOTHING", "rule never"),
    ],
    ids=lambda value: value.partition("(")[0] if isinstance(value, str) else "",
)
def test_what_could_not_be_handed_on_is_named_and_nothing_is_begun(
    table: Repartition, database: Database, statement: str, described: str
) -> None:
    database.run(statement)
    before = database.objects()

    with pytest.raises(CannotRepartitionError) as refused:
        table.begin(2)

    assert described in str(refused.value)
    assert database.objects() == before


def test_columns_that_changed_meanwhile_are_told_before_anything_is_put_in_place(
    table: Repartition, database: Database
) -> None:
    begin(table)
    copy_all(table)
    database.run("ALTER TABLE things ADD note TEXT")

    with pytest.raises(CannotRepartitionError, match=r"columns of .*things were changed"):
        table.swap(keep=False)
    assert table.shape == Shape("", 0)


def test_rows_written_past_the_triggers_are_found(table: Repartition, database: Database) -> None:
    begin(table)
    copy_all(table)
    database.run(
        "SET session_replication_role = replica", "DELETE FROM things WHERE shop = 'b' AND place = 1"
    )

    with pytest.raises(CannotRepartitionError, match=r"1 slices differ .*\(b, ...\)"):
        table.compare()


def test_a_reader_who_stays_keeps_the_swap_off_and_is_waited_for_briefly(
    table: Repartition, database: Database, database_url: str
) -> None:
    begin(table)
    copy_all(table)
    with psycopg.connect(database_url) as reader:
        reader.execute("SELECT count(*) FROM things")
        with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
            table.swap(keep=False)
        assert database.run("SELECT count(*) FROM things") == [(12,)]

    assert table.swap(keep=False) is not None


def test_the_io_manager_replaces_and_changes_a_table_in_parts_as_one_in_one_piece(
    database_url: str, engine: sa.Engine
) -> None:
    store, shops = Store(database_url, engine), dg.StaticPartitionsDefinition(["a", "b"])
    by_shop = {"partition_expr": "shop", "schema_drift": "evolve"}
    for shop in ("a", "b"):
        assert store.store(pd.DataFrame({"shop": [shop], "place": [1]}), by_shop, shops, shop).success
    with engine.connect() as connection:
        table = Repartition(connection, THINGS, "shop")
        begin(table)
        finish(table)

    changed = store.store(pd.DataFrame({"shop": ["b"], "place": [2], "note": ["new"]}), by_shop, shops, "b")

    assert changed.success
    assert store.rows() == [("a", 1, None), ("b", 2, "new")]
    assert store.read(pd.DataFrame, by_shop, shops, "b", len) == 1


def test_names_are_taken_as_they_are(engine: sa.Engine, database: Database) -> None:
    database.run('CREATE TABLE "100 %s {o}" AS SELECT shop AS "a {key} %", place FROM things')
    rows = database.run('TABLE "100 %s {o}"')

    with engine.connect() as connection:
        table = Repartition(connection, Name("public", "100 %s {o}"), "a {key} %")
        begin(table)
        finish(table)
        assert table.shape == Shape('HASH ("a {key} %")', 2)

    assert database.run('TABLE "100 %s {o}"') == rows
