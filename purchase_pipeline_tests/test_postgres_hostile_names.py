"""Names and keys of any characters are only names and values.

What PostgreSQL cannot have as a name is refused, before anything is written.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg
import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from purchase_pipeline.postgres import PostgresIOManager, RowStream
from purchase_pipeline_tests.direct_io import DirectIOManager, Place


def alone_and_last(words: str, *others: str) -> list[str]:
    """Return each by itself, and as the end of a name: SQLAlchemy, left to itself, does not quote what ends a line."""
    return [name for text in [*words.split(), *others] for name in (text, f"a{text}")]


NAMES = {
    "quotes": alone_and_last(
        r"""' " '' "" '" "' ` $$ $a$ E' \' \" "." 'a' "a"  """, "' OR ''='", '" OR ""="'
    ),
    "formats": alone_and_last(
        r"% %s %% %(x)s %%s %b %1$s :name ::text \: : ? ?? $1 @x {} {0} {x} {{ } [1] ( ) __[POSTCOMPILE_x]"
    ),
    "statements": alone_and_last(
        r"\ \\ \n ; -- /* */ /**/ # | & ! \. \copy",
        *("; DROP TABLE bystander; --", "') OR true --", '"; DROP SCHEMA public; --', "' UNION SELECT 1 --"),
    ),
    "blanks": alone_and_last(
        "",
        *(" ", "  ", "\t", "\n", "\r\n", "\x08", "\x0b", "\x0c", "\x01", "\x1b[31m", "\x1f", "\x7f", "\x85"),
        *("\xa0", "\u200b", "\u2028", "\u3000", "\ufeff", " a", "\na"),
    ),
    "letters": [
        *alone_and_last("ã É ß \u0131 İ ǅ \u0301 ー 漢字 \U0001f600 \U0001f1e7\U0001f1f7 שלום مرحبا"),
        *alone_and_last("\u202e \u200f \u2066 \U000e0041 \ufffd \U0010ffff"),
    ],
    "plain words": alone_and_last(
        "A ORDER Select 1 0x1 1e5 -1 1.5 . .. /b null NULL None nan default public _ __ $ * .* oid int4 slice pk"
    ),
    "limits": [
        character * count + rest
        for length in (60, 61, 62, 63)
        for character in ("a", "é", "漢", "\U0001f600", "A", '"', "%", "'")
        for count, rest in [(length // len(character.encode()), "z" * (length % len(character.encode())))]
    ],
}
TOO_LONG = [
    *("a" * 64, "a" * 200, "A" * 64, "á" + "a" * 62, "a" * 62 + "á", "漢" * 21 + "a", "a" * 61 + "漢"),
    *("\U0001f600" * 16, "a" * 60 + "\U0001f600", "é" * 100, "%" * 64, "1" * 64, " " * 64, "ß" * 32),
]
NO_TEXT = ["\0", "a\0", "\0a", "a\0b", "\ud800", "a\udfff"]
UNSAYABLE = {"table": ["", *NO_TEXT], "schema": ["", *NO_TEXT], "column": NO_TEXT}
LOOK_ALIKES = [
    *("a", "A", " a", "a ", "  a", "a  ", "a\n", "a\t", '"a"', "'a'", "a;", "a.", "a%", "a%%"),
    *("a\\", "a\\\\", "\uff41", "\u0430", "a\u200b", "\xe1", "a\u0301", "\xc1", "a" * 62, "a" * 63),
]
CANNOT_BE_KEYS = ("...", "\a", "\b", "\f", "\n", "\r", "\t", "\v")


@dataclass(frozen=True)
class Case:
    """A table with hostile names."""

    table: str
    schema: str
    partition_column: str
    value_column: str
    key: str

    @property
    def relation(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.table)

    def place(self) -> Place:
        quoted = '"{}"'.format(self.partition_column.replace('"', '""'))
        return Place(
            key=[self.schema, self.table],
            metadata={"partition_expr": quoted},
            partitions=dg.StaticPartitionsDefinition([self.key]),
            first=self.key,
        )

    def rows(self, *values: str) -> RowStream:
        columns = [self.partition_column, self.value_column]
        return rows_in(columns, *((self.key, value) for value in values))

    def left_behind(self) -> list[tuple[str, str]]:
        return sorted([(self.key, self.key), ("neighbour", "stays")])


def rows_in(columns: Sequence[str], *rows: Sequence[object]) -> RowStream:
    table = sa.Table("any", sa.MetaData(), *(sa.Column(name, sa.Text) for name in columns))
    return RowStream(columns=columns, batches=[rows], table=table)


PLACES_OF_A_NAME: dict[str, Callable[[str], tuple[Place, RowStream]]] = {
    "table": lambda name: (Place(key=["market", name]), rows_in(["fruit"], ("apple",))),
    "schema": lambda name: (Place(key=[name, "fruits"]), rows_in(["fruit"], ("apple",))),
    "column": lambda name: (Place(key=["market", "fruits"]), rows_in(["fruit", name], ("apple", "1"))),
}


def possible_keys(names: Sequence[str]) -> list[str]:
    """Return a valid static partition key."""
    return [name for name in names if not any(part in name for part in CANNOT_BE_KEYS)]


def cases_of(names: Sequence[str], step: int) -> list[Case]:
    """Use each name as table, schema, column and key; with a wider step, only some."""
    keys = possible_keys(names)
    return [
        Case(
            table=names[index],
            schema=names[(index + 1) % len(names)],
            partition_column=names[(index + 1) % len(names)],
            value_column=names[index],
            key=keys[index % len(keys)],
        )
        for index in range(0, len(names), step)
    ]


@contextmanager
def noted_with(case: object) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        error.add_note(repr(case))
        raise


@pytest.fixture
def database(database_url: str) -> Iterator[psycopg.Connection]:
    """The test's database, with a table that must not change."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE bystander AS SELECT 1 AS one, 1 AS two")
        yield connection


@pytest.fixture
def manager(database_url: str) -> DirectIOManager:
    """The IO manager of the test's database."""
    return DirectIOManager(database_url)


def catalog(database: psycopg.Connection) -> set[tuple[str, str, str]]:
    """Return schema, table and column of everything; an index counts as its table's."""
    found = database.execute("""
        SELECT nspname, coalesce(indexed.relname, relation.relname, ''), coalesce(attname, '')
        FROM pg_namespace
        LEFT JOIN pg_class AS relation ON relation.relnamespace = pg_namespace.oid
        LEFT JOIN pg_index ON indexrelid = relation.oid
        LEFT JOIN pg_class AS indexed ON indexed.oid = indrelid
        LEFT JOIN pg_attribute ON attrelid = coalesce(indrelid, relation.oid) AND attnum > 0
        WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    """)
    return set(found)


def stored(database: psycopg.Connection, relation: sql.Identifier) -> list[tuple[object, ...]]:
    return database.execute(sql.SQL("TABLE {} ORDER BY 1, 2").format(relation)).fetchall()


def words_of_sql(database: psycopg.Connection, categories: str) -> list[str]:
    query = "SELECT word FROM pg_get_keywords() WHERE catcode = ANY (%s) ORDER BY word"
    return [word for (word,) in database.execute(query, [list(categories)])]


def assert_writes_stay_in_their_tables(
    database: psycopg.Connection, manager: DirectIOManager, cases: Sequence[Case]
) -> None:
    before = catalog(database)
    for case in cases:
        with noted_with(case):
            assert_writes_replace_the_slice_alone(database, manager, case)
            after = catalog(database)
            assert before <= after
            assert {name for name in after - before if name[1] != "slice_ledger"} == {
                (case.schema, case.table, column) for column in (case.partition_column, case.value_column)
            }
            before = after
    for case in cases:
        assert stored(database, case.relation) == case.left_behind()
    assert stored(database, sql.Identifier("bystander")) == [(1, 1)]
    print(f"{5 * len(cases)} hostile names and keys in {len(cases)} tables")


def assert_writes_replace_the_slice_alone(
    database: psycopg.Connection, manager: DirectIOManager, case: Case
) -> None:
    manager.write(case.place(), case.rows(case.table, case.schema))
    assert set(stored(database, case.relation)) == {(case.key, case.table), (case.key, case.schema)}
    database.execute(sql.SQL("INSERT INTO {} VALUES ('neighbour', 'stays')").format(case.relation))
    metadata = manager.write(case.place(), case.rows(case.key))

    assert stored(database, case.relation) == case.left_behind()
    assert manager.read(case.place(), [case.value_column, case.partition_column]) == [(case.key, case.key)]
    assert database.execute(metadata["Query"].value).fetchall() == [(case.key, case.key)]
    ledger = sql.SQL("SELECT partition, rows FROM {}").format(sql.Identifier(case.schema, "slice_ledger"))
    assert database.execute(ledger).fetchall() == [(case.key, 1)]


@pytest.mark.proof
@pytest.mark.parametrize("kind", NAMES)
def test_a_hostile_name_is_a_name_wherever_it_stands(
    database: psycopg.Connection, manager: DirectIOManager, kind: str
) -> None:
    assert_writes_stay_in_their_tables(database, manager, cases_of(NAMES[kind], step=1))


@pytest.mark.proof
@pytest.mark.parametrize(("categories", "step"), [("RTC", 2), ("U", 8)])
def test_a_word_of_sql_is_a_name_wherever_it_stands(
    database: psycopg.Connection, manager: DirectIOManager, categories: str, step: int
) -> None:
    assert_writes_stay_in_their_tables(database, manager, cases_of(words_of_sql(database, categories), step))


def test_every_word_of_sql_may_be_a_column(database: psycopg.Connection, manager: DirectIOManager) -> None:
    words = words_of_sql(database, "RTCU")
    place = Place(key=["words"])

    for _ in range(2):
        manager.write(place, rows_in(words, words))

    assert database.execute("TABLE words").fetchall() == [tuple(words)]
    assert manager.read(place, words[::-1]) == [tuple(words[::-1])]


@pytest.mark.parametrize("kind", NAMES)
def test_partition_expr_may_be_the_columns_bare_name(
    database: psycopg.Connection, manager: DirectIOManager, kind: str
) -> None:
    columns = NAMES[kind][::2]
    keys = {column: f"key {number}" for number, column in enumerate(columns)}
    for column, key in keys.items():
        place = Place(
            key=["wide"],
            metadata={"partition_expr": column},
            partitions=dg.StaticPartitionsDefinition([key]),
            first=key,
        )
        row = tuple(key if name == column else "" for name in columns)
        with noted_with(column):
            manager.write(place, rows_in(columns, row, row))
            manager.write(place, rows_in(columns, row))
            assert manager.read(place, [column]) == [(key,)]

    expected = {tuple(key if name == column else "" for name in columns) for column, key in keys.items()}
    found = database.execute("TABLE wide").fetchall()
    assert len(found) == len(expected)
    assert set(found) == expected


@pytest.mark.parametrize("role", ["table", "schema", "key"])
def test_names_that_look_alike_stay_apart(
    database: psycopg.Connection, manager: DirectIOManager, role: str
) -> None:
    names = possible_keys(LOOK_ALIKES) if role == "key" else LOOK_ALIKES
    others = {"table": "fruits", "schema": "market", "partition_column": "shop", "key": "north"}
    cases = [Case(**others | {role: name, "value_column": "fruit"}) for name in names]

    for case, name in [*zip(cases, names, strict=True)] * 2:
        manager.write(case.place(), case.rows(name))

    for case, name in zip(cases, names, strict=True):
        assert manager.read(case.place()) == [(case.key, name)]
    columns = [column for _, _, column in catalog(database)]
    assert columns.count("fruit") == (1 if role == "key" else len(names))


@pytest.mark.parametrize("role", PLACES_OF_A_NAME)
def test_a_name_longer_than_postgresql_keeps_is_refused(
    database: psycopg.Connection, manager: DirectIOManager, role: str
) -> None:
    before = catalog(database)
    for name in TOO_LONG:
        with pytest.raises(ValueError, match="63") as refusal:
            manager.write(*PLACES_OF_A_NAME[role](name))

        assert name in str(refusal.value)
        assert catalog(database) == before


def test_a_name_that_postgresql_would_cut_never_meets_its_namesake(manager: DirectIOManager) -> None:
    kept, cut = "a" * 63, "a" * 64
    manager.write(Place(key=[kept]), rows_in(["fruit"], ("apple",)))

    with pytest.raises(ValueError, match="63"):
        manager.write(Place(key=[cut]), rows_in(["fruit"], ("fig",)))
    with pytest.raises(ValueError, match="63"):
        manager.read(Place(key=[cut]))

    assert manager.read(Place(key=[kept])) == [("apple",)]


@pytest.mark.parametrize("role", PLACES_OF_A_NAME)
def test_a_name_that_postgresql_cannot_say_is_refused(
    database: psycopg.Connection, manager: DirectIOManager, role: str
) -> None:
    before = catalog(database)
    for name in UNSAYABLE[role]:
        with noted_with(name), pytest.raises(ValueError):  # noqa: PT011  (which words it takes is not the point)
            manager.write(*PLACES_OF_A_NAME[role](name))

        assert catalog(database) == before


def test_the_ledgers_own_name_is_no_asset(database: psycopg.Connection, manager: DirectIOManager) -> None:
    manager.write(Place(key=["fruits"]), rows_in(["fruit"], ("apple",)))
    ledger = stored(database, sql.Identifier("slice_ledger"))

    with pytest.raises(ValueError, match="slice_ledger"):
        manager.write(Place(key=["slice_ledger"]), rows_in(["asset", "partition"], ("fruits", "")))

    assert stored(database, sql.Identifier("slice_ledger")) == ledger


def test_assets_whose_keys_read_alike_have_a_ledger_row_each(
    database: psycopg.Connection, manager: DirectIOManager
) -> None:
    for key in (["hall/fruits"], ["hall", "fruits"]):
        manager.write(Place(key=key, metadata={"schema": "market"}), rows_in(["fruit"], ("apple",)))

    assert len(stored(database, sql.Identifier("market", "slice_ledger"))) == 2


@pytest.mark.parametrize(
    "case",
    [
        Case('"; --', "%s", "a\nb", "fruit", "' OR ''='"),
        Case("%(x)s", "order", '"', "%", "100%"),
        Case("a b", "\\", ":name", "''", "\\'; DROP TABLE bystander; --"),
        Case("\u202e漢字", "\U0001f600" * 15, "é" * 31, "e\u0301", "\U0001f600" * 100),
        Case("A", "a.b/c", "system_user", "a\n", "{0}%%"),
    ],
)
def test_a_run_carries_hostile_names_unharmed(
    database: psycopg.Connection, database_url: str, case: Case
) -> None:
    place, seen = case.place(), list[tuple[object, ...]]()

    # An asset named by its key alone gives its op the same name, and Dagster allows an op few characters.
    @dg.multi_asset(
        outs={"fruits": dg.AssetOut(key=place.key, metadata=place.metadata)}, partitions_def=place.partitions
    )
    def stock() -> RowStream:
        return case.rows("apple", "fig")

    @dg.asset(ins={"fruits": dg.AssetIn(key=place.key)}, partitions_def=place.partitions)
    def basket(fruits: RowStream) -> None:
        seen.extend(tuple(row) for batch in fruits.batches for row in batch)

    for _ in range(2):
        dg.materialize(
            [stock, basket],
            partition_key=case.key,
            resources={"io_manager": PostgresIOManager(database_url=database_url)},
        )

    assert stored(database, case.relation) == [(case.key, "apple"), (case.key, "fig")]
    assert seen == [(case.key, "apple"), (case.key, "fig")] * 2


def test_an_ops_output_may_be_named_as_it_likes(database: psycopg.Connection, database_url: str) -> None:
    for table in ['%s"', "drop table bystander; --", "order", "漢字\t", "A"]:

        @dg.op(out=dg.Out(RowStream, metadata={"table": table, "schema": f"{table} too"}))
        def stock(table: str) -> RowStream:
            return rows_in(["shop", "fruit"], ("north", table))

        @dg.job(resource_defs={"io_manager": PostgresIOManager(database_url=database_url)})
        def stocking() -> None:
            stock()

        run_config = {"ops": {"stock": {"inputs": {"table": {"value": table}}}}}
        for _ in range(2):
            stocking.execute_in_process(run_config)

        assert stored(database, sql.Identifier(f"{table} too", table)) == [("north", table)]


SHOPS = dg.DynamicPartitionsDefinition(name="shops")


@dg.asset(partitions_def=SHOPS, metadata={"partition_expr": "shop"})
def fruits(context: dg.AssetExecutionContext) -> RowStream:
    """One fruit per shop."""
    return rows_in(["shop", "fruit"], (context.partition_key, "apple"))


def stock_twice(database_url: str, shops: Sequence[str], *, raise_on_error: bool = True) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("shops", shops)
        for shop in [*shops, *shops]:
            dg.materialize(
                [fruits],
                partition_key=shop,
                instance=instance,
                resources={"io_manager": PostgresIOManager(database_url=database_url)},
                raise_on_error=raise_on_error,
            )


def test_a_key_that_a_dynamic_partition_alone_may_have_is_a_value(
    database: psycopg.Connection, database_url: str
) -> None:
    shops = ["a\nb", "\ta", "a\r", "\x0b", "\a\b\f", "a...b", "...", "a" * 1000]

    stock_twice(database_url, shops)

    assert stored(database, sql.Identifier("fruits")) == sorted((shop, "apple") for shop in shops)


def test_a_key_that_postgresql_cannot_hold_leaves_nothing_behind(
    database: psycopg.Connection, database_url: str
) -> None:
    before = catalog(database)

    stock_twice(database_url, ["a\0b"], raise_on_error=False)

    assert catalog(database) == before
