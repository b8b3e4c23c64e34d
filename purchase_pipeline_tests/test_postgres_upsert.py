"""Upserts and inserts: which rows are inserted, updated, unchanged or rejected, and their counts."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import polars as pl
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres import Batches, RowStream, Together
from purchase_pipeline.postgres.errors import (
    PostgresWriteError,
    RowsNotStoredError,
    UnstorableValueError,
    UnusableMetadataError,
)
from purchase_pipeline_tests.direct_io import DirectIOManager, Place

UPSERT = {"write_mode": "upsert", "upsert_keys": ["id"]}
INSERT = {"write_mode": "insert", "upsert_keys": ["id"]}
NEWEST = {**UPSERT, "newest": "version"}
Rows = list[tuple[Any, ...]]


# A unique index that ignores case, whatever the column's own type does.
_BLIND_OPERATORS = """
    CREATE FUNCTION blind_order(text, text) RETURNS int IMMUTABLE STRICT LANGUAGE sql
        AS 'SELECT bttextcmp(lower($1), lower($2))';
    CREATE FUNCTION blind_equal(text, text) RETURNS bool IMMUTABLE STRICT LANGUAGE sql
        AS 'SELECT lower($1) = lower($2)';
    CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = blind_equal);
    CREATE OPERATOR CLASS blind_ops FOR TYPE text USING btree AS OPERATOR 3 ===, FUNCTION 1 blind_order(text, text)"""


class Things:
    """The table `things`, written by upserts and inspected directly."""

    def __init__(self, database_url: str, engine: sa.Engine) -> None:
        self._io, self._engine = DirectIOManager(database_url), engine

    def run(self, statements: str, *values: str | None) -> None:
        with self._engine.begin() as connection:
            for statement in statements.split("; ") if values else [statements]:
                connection.exec_driver_sql(statement, values if "%s" in statement else None)

    def write(self, value: object, metadata: Mapping[str, Any] = UPSERT) -> tuple[int, ...]:
        """Return the numbers of inserted, updated, unchanged and, if reported, older rows."""
        reported = self._io.write(Place(["things"], metadata), value)
        names = ("rows_inserted", "rows_updated", "rows_unchanged", "rows_older")
        return tuple(reported[name].value for name in names if name in reported)

    def rows(self, columns: str = "*", table: str = "things") -> Rows:
        with self._engine.connect() as connection:
            found = connection.execute(sa.text(f"SELECT {columns} FROM {table} ORDER BY 1"))  # noqa: S608
            return [tuple(row) for row in found]


@pytest.fixture
def things(database_url: str, engine: sa.Engine) -> Things:
    """An empty database."""
    return Things(database_url, engine)


def frame(*rows: tuple[Any, ...], columns: tuple[str, ...] = ("id", "name")) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns)).astype(object)


def versions(*rows: tuple[Any, ...]) -> pl.DataFrame:
    schema = {"id": pl.Int64, "version": pl.Int64, "name": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def query(text: str, **columns: Any) -> sa.TextualSelect:  # noqa: ANN401  # types of SQLAlchemy
    return sa.text(text).columns(**columns)


def batches(*frames: pd.DataFrame) -> Batches[pd.DataFrame]:
    return Batches(iter(frames))


def stream(*rows: tuple[Any, ...]) -> RowStream:
    return RowStream(["id", "name"], [rows])


# Counts


def test_each_row_is_counted_as_what_became_of_it(things: Things) -> None:
    assert things.write(frame((1, "apple"), (2, "pear"))) == (2, 0, 0)
    assert things.write(frame((1, "apple"), (2, "quince"), (3, "fig"))) == (1, 1, 1)
    assert things.write(frame((1, "apple"), (2, "quince"), (3, "fig"))) == (0, 0, 3)

    assert things.rows() == [(1, "apple"), (2, "quince"), (3, "fig")]


@pytest.mark.parametrize(
    "partitioned",
    ["PARTITION BY HASH (id)", "PARTITION BY LIST (id)", "PARTITION BY RANGE (id)"],
)
def test_rows_of_a_partitioned_table_are_counted_alike(things: Things, partitioned: str) -> None:
    things.run(f"CREATE TABLE things (id bigint PRIMARY KEY, name text) {partitioned}")
    values = "WITH (MODULUS 2, REMAINDER 0)" if "HASH" in partitioned else "DEFAULT"
    things.run(
        f"CREATE TABLE things_a PARTITION OF things {values if values == 'DEFAULT' else 'FOR VALUES ' + values}"
    )
    if "HASH" in partitioned:
        things.run("CREATE TABLE things_b PARTITION OF things FOR VALUES WITH (MODULUS 2, REMAINDER 1)")
    things.write(frame(*((n, "old") for n in range(20))))

    assert things.write(frame(*((n, "old" if n % 2 else "new") for n in range(30)))) == (10, 10, 10)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(lambda: frame((1, "a"), (2, "c"), (3, "d")), id="a frame"),
        pytest.param(lambda: batches(frame((1, "a")), frame((2, "c"), (3, "d"))), id="batches"),
        pytest.param(lambda: stream((1, "a"), (2, "c"), (3, "d")), id="a stream"),
        pytest.param(
            lambda: query(
                "SELECT * FROM (VALUES (1::bigint, 'a'), (2, 'c'), (3, 'd')) AS v (id, name)",
                id=sa.BigInteger,
                name=sa.Text,
            ),
            id="a query",
        ),
    ],
)
def test_whatever_brings_the_rows_they_are_counted(things: Things, value: Any) -> None:  # noqa: ANN401
    things.write(frame((1, "a"), (2, "b")))

    assert things.write(value()) == (1, 1, 1)


def test_a_table_that_changes_with_the_data_counts_rows_that_get_a_value(things: Things) -> None:
    things.write(frame((1, "apple"), (2, "pear")))

    wider = frame((1, "apple", None), (2, "pear", 5), columns=("id", "name", "price"))

    assert things.write(wider, {**UPSERT, "schema_drift": "evolve"}) == (0, 1, 1)


# Unchanged rows


@pytest.mark.parametrize(
    ("type_", "old", "same", "other"),
    [
        ("json", '{"a": 1}', '{"a": 1}', '{"a": 2}'),
        ("numeric", "1.0", "1.0", "1.00"),
        ("interval", "1 day", "1 day", "24:00:00"),
        ("double precision", "0", "0", "-0"),
        ("text", None, None, "fig"),
        ("text", "fig", "fig", None),
        ("jsonb", '{"a": 1.0}', '{"a": 1.0}', '{"a": 1.00}'),
    ],
)
def test_a_row_is_rewritten_if_its_bytes_differ_and_only_then(
    things: Things, type_: str, old: str | None, same: str | None, other: str | None
) -> None:
    things.run(
        f"CREATE TABLE things (id bigint PRIMARY KEY, v {type_}); CREATE TABLE source (id bigint, v text)"
    )
    values = query(f"SELECT id, v::{type_} AS v FROM source", id=sa.BigInteger, v=sa.Text)  # noqa: S608
    written = []
    for value in (old, same, other):
        things.run("DELETE FROM source; INSERT INTO source VALUES (1, %s)", value)
        written.append((things.write(values), things.rows("xmin::text, v::text")))

    assert [counts for counts, _ in written] == [(1, 0, 0), (0, 0, 1), (0, 1, 0)]
    assert written[0][1] == written[1][1]
    assert written[2][1][0][1] == other


# NULL keys


@pytest.mark.parametrize("keys", [["id"], ["id", "name"]])
@pytest.mark.parametrize("mode", ["upsert", "insert"])
def test_null_in_a_key_is_refused_with_how_many_and_where(things: Things, keys: list[str], mode: str) -> None:
    things.run(f"CREATE TABLE things (id bigint, name text, UNIQUE ({', '.join(keys)}))")
    metadata = {"write_mode": mode, "upsert_keys": keys}

    with pytest.raises(UnstorableValueError, match=r"things, column 'id': 2 rows have NULL in this column"):
        things.write(frame((1, "a"), (None, "b"), (None, "c")), metadata)

    assert things.rows() == []


def test_null_in_the_key_of_a_table_that_does_not_exist_yet_is_refused_alike(things: Things) -> None:
    with pytest.raises(
        UnstorableValueError, match="column 'id': 1 row has NULL in this column of upsert_keys"
    ):
        things.write(frame((1, "a"), (None, "b")))


def test_null_elsewhere_is_refused_with_its_row_and_the_tables_own_name(things: Things) -> None:
    things.run("CREATE TABLE things (id bigint PRIMARY KEY, name text NOT NULL)")

    with pytest.raises(UnstorableValueError, match=r"table public.things, row 2.*relation \"things\""):
        things.write(frame((1, "a"), (2, None)))


@pytest.mark.parametrize("keys", [["id"], ["id", "name"]])
def test_nulls_match_where_the_index_says_that_they_do(things: Things, keys: list[str]) -> None:
    things.run(
        f"CREATE TABLE things (id bigint, name text, n bigint, UNIQUE NULLS NOT DISTINCT ({', '.join(keys)}))"
    )
    metadata, columns = {**UPSERT, "upsert_keys": keys}, ("id", "name", "n")
    assert things.write(frame((None, "a", 1), (2, "b", 1), columns=columns), metadata) == (2, 0, 0)

    assert things.write(frame((None, "a", 2), (2, "b", 1), columns=columns), metadata) == (0, 1, 1)

    assert sorted(things.rows(), key=str) == [(2, "b", 1), (None, "a", 2)]
    with pytest.raises(UnstorableValueError, match="several rows have id"):
        things.write(frame((None, "a", 2), (None, "a", 3), columns=columns), metadata)


# Duplicate keys


@pytest.mark.parametrize(
    ("type_", "one", "two", "shown"),
    [
        ("numeric", "1.0", "1", r"Decimal\('1(\.0)?'\)"),
        ("char(5)", "a", "a  ", r"\('a    ',\)"),
        ("timestamptz", "2026-01-01 12:00+00", "2026-01-01 13:00+01", "2026, 1, 1, 12"),
        ("double precision", "0", "-0", r"\(-?0.0,\)"),
        ("interval", "1 day", "24:00:00", "timedelta"),
    ],
)
def test_keys_that_are_equal_by_their_type_alone_are_refused_and_shown(
    things: Things, type_: str, one: str, two: str, shown: str
) -> None:
    things.run(f"CREATE TABLE things (id {type_} UNIQUE, n bigint)")
    twice = query(
        f"SELECT v::{type_} AS id, n FROM (VALUES ('{one}', 1::bigint), ('{two}', 2)) AS given (v, n)",  # noqa: S608
        id=sa.Text,
        n=sa.BigInteger,
    )

    with pytest.raises(UnstorableValueError, match=f"several rows have id = .*{shown}"):
        things.write(twice)


def test_keys_that_the_index_alone_sees_as_equal_are_refused(things: Things) -> None:
    things.run(
        f"{_BLIND_OPERATORS}; CREATE TABLE things (id text, n bigint); CREATE UNIQUE INDEX ON things (id blind_ops)"
    )

    for metadata in (UPSERT, INSERT):
        with pytest.raises((UnstorableValueError, RowsNotStoredError)):
            things.write(frame(("Fig", 1), ("fig", 2), columns=("id", "n")), metadata)

    assert things.rows() == []


@pytest.mark.parametrize("mode", ["upsert", "insert"])
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(lambda: batches(frame((1, "a"), (2, "b")), frame((2, "c"))), id="several batches"),
        pytest.param(lambda: stream((1, "a"), (2, "b"), (2, "b")), id="the same row"),
        pytest.param(
            lambda: query(
                "SELECT 2::bigint AS id, name FROM (VALUES ('a'), ('b')) AS v (name)",
                id=sa.BigInteger,
                name=sa.Text,
            ),
            id="a query",
        ),
    ],
)
def test_keys_that_come_twice_are_refused_however_they_come(things: Things, mode: str, value: Any) -> None:  # noqa: ANN401
    with pytest.raises(UnstorableValueError, match=r"several rows have id = \(2,\)"):
        things.write(value(), {"write_mode": mode, "upsert_keys": ["id"]})


def test_a_key_that_is_named_twice_counts_once(things: Things) -> None:
    assert things.write(frame((1, "a")), {"write_mode": "upsert", "upsert_keys": ["id", "id"]}) == (1, 0, 0)


# newest


def test_of_two_versions_in_the_data_the_newer_stays(things: Things) -> None:
    assert things.write(versions((1, 2, "new"), (1, 1, "old"), (2, 1, "one")), NEWEST) == (2, 0, 0, 1)

    assert things.rows() == [(1, 2, "new"), (2, 1, "one")]


def test_an_older_version_never_overwrites_a_newer_one(things: Things) -> None:
    things.write(versions((1, 5, "new"), (2, 5, "new")), NEWEST)

    assert things.write(versions((1, 4, "old"), (2, 6, "newer"), (3, 1, "one")), NEWEST) == (1, 1, 0, 1)

    assert things.rows() == [(1, 5, "new"), (2, 6, "newer"), (3, 1, "one")]


def test_of_the_same_version_the_row_that_is_written_later_wins_over_the_tables(things: Things) -> None:
    things.write(versions((1, 5, "a"), (2, 5, "b")), NEWEST)

    assert things.write(versions((1, 5, "corrected"), (2, 5, "b")), NEWEST) == (0, 1, 1, 0)

    assert things.rows() == [(1, 5, "corrected"), (2, 5, "b")]


def test_versions_that_are_equally_new_are_refused_if_they_differ(things: Things) -> None:
    with pytest.raises(UnstorableValueError, match=r"several rows have id, version = \(1, 5\), and differ"):
        things.write(versions((1, 5, "a"), (1, 5, "b"), (1, 4, "c")), NEWEST)

    assert things.write(versions((1, 5, "a"), (1, 5, "a"), (1, 4, "c")), NEWEST) == (1, 0, 1, 1)
    assert things.write(versions((2, 5, "a"), (2, 4, "b"), (2, 4, "c")), NEWEST) == (1, 0, 0, 2)


def test_a_version_that_is_null_is_older_than_any_other(things: Things) -> None:
    assert things.write(versions((1, None, "unknown"), (1, 1, "known"), (2, None, "a")), NEWEST) == (
        2,
        0,
        0,
        1,
    )
    assert things.write(versions((1, None, "unknown"), (2, None, "b")), NEWEST) == (0, 1, 0, 1)
    assert things.write(versions((2, 0, "c")), NEWEST) == (0, 1, 0, 0)

    assert things.rows() == [(1, 1, "known"), (2, 0, "c")]
    with pytest.raises(UnstorableValueError, match=r"several rows have id, version = \(3, None\)"):
        things.write(versions((3, None, "a"), (3, None, "b")), NEWEST)


def test_the_newest_wins_in_a_partitioned_table_and_from_several_batches(things: Things) -> None:
    things.run(
        "CREATE TABLE things (id bigint PRIMARY KEY, version bigint, name text) PARTITION BY HASH (id);"
        "CREATE TABLE things_0 PARTITION OF things FOR VALUES WITH (MODULUS 1, REMAINDER 0)"
    )
    several = Batches(iter([versions((1, 1, "a"), (2, 9, "b")), versions((1, 2, "c"), (2, 8, "d"))]))

    assert things.write(several, NEWEST) == (2, 0, 0, 2)
    assert things.write(versions((1, 1, "a"), (2, 9, "b")), NEWEST) == (0, 0, 1, 1)

    assert things.rows() == [(1, 2, "c"), (2, 9, "b")]


def test_a_newest_without_an_order_is_refused(things: Things) -> None:
    things.run("CREATE TABLE things (id bigint PRIMARY KEY, version json, name text)")
    value = query(
        "SELECT 1::bigint AS id, '1'::json AS version, 'a' AS name",
        id=sa.BigInteger,
        version=sa.JSON,
        name=sa.Text,
    )

    with pytest.raises(UnusableMetadataError, match="newest 'version' has no order"):
        things.write(value, NEWEST)


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({**UPSERT, "newest": "when"}, r"newest \['when'\] are not columns of the data"),
        ({**UPSERT, "newest": "id"}, "cannot be one of upsert_keys"),
        ({**INSERT, "newest": "name"}, 'requires "write_mode": "upsert"'),
        ({"newest": "name"}, 'requires "write_mode": "upsert"'),
        ({**UPSERT, "newest": 1}, "is 1; expected a column name"),
        ({"write_mode": "insert"}, "go together; got 'insert' and"),
    ],
)
def test_metadata_that_make_no_sense_are_refused(
    things: Things, metadata: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(UnusableMetadataError, match=complaint):
        things.write(frame((1, "a")), metadata)


# Insert


def test_an_insert_adds_what_is_not_there_and_leaves_the_rest(things: Things) -> None:
    assert things.write(frame((1, "apple")), INSERT) == (1, 0, 0)

    assert things.write(frame((1, "quince"), (2, "fig")), INSERT) == (1, 0, 1)

    assert things.rows() == [(1, "apple"), (2, "fig")]


# Errors of PostgreSQL


@pytest.mark.parametrize("metadata", [UPSERT, INSERT])
@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (
            "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text",
            'non-DEFAULT value into column "id"',
        ),
        (
            "id bigint PRIMARY KEY, name text GENERATED ALWAYS AS ('x') STORED",
            "column .name.*leave it out",
        ),
        ("id bigint PRIMARY KEY, name text UNIQUE", r"things_name_key.*\(name\)=\(taken\)"),
        ("id bigint PRIMARY KEY, name text CHECK (name <> 'a')", "things_name_check"),
        (
            "id bigint, name text, UNIQUE (id) DEFERRABLE",
            r"on upsert_keys \['id'\] \(things_id_key is deferrable\)",
        ),
        ("id bigint, name text", r"has no unique index on upsert_keys \['id'\]: ALTER TABLE"),
    ],
)
def test_what_a_table_does_not_take_is_said_with_what_to_do(
    things: Things, metadata: Mapping[str, Any], table: str, complaint: str
) -> None:
    things.run(f"CREATE TABLE things ({table})")
    if "UNIQUE" in table and "DEFERRABLE" not in table:
        things.run("INSERT INTO things VALUES (9, 'taken')")
    before = things.rows()

    with pytest.raises(PostgresWriteError, match=complaint):
        things.write(frame((1, "a"), (2, "taken")), metadata)

    assert things.rows() == before


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        ("(id) WHERE name <> ''", "things_id_idx is partial"),
        ("((id + 0))", "things_expr_idx is over expressions"),
        ("(id, (name || ''))", "things_id_expr_idx is over expressions"),
    ],
)
def test_an_index_that_does_not_serve_is_named_with_the_reason(
    things: Things, index: str, reason: str
) -> None:
    things.run(f"CREATE TABLE things (id bigint, name text); CREATE UNIQUE INDEX ON things {index}")

    with pytest.raises(UnusableMetadataError, match=rf"no unique index on upsert_keys \['id'\] \({reason}\)"):
        things.write(frame((1, "a")))


def test_an_index_that_includes_other_columns_serves(things: Things) -> None:
    things.run(
        "CREATE TABLE things (id bigint, name text); CREATE UNIQUE INDEX ON things (id) INCLUDE (name)"
    )

    assert things.write(frame((1, "a"))) == (1, 0, 0)


def test_a_row_that_would_leave_the_partition_that_is_written_is_refused(things: Things) -> None:
    things.run(
        "CREATE TABLE whole (id bigint, name text) PARTITION BY LIST (name);"
        "CREATE TABLE things PARTITION OF whole FOR VALUES IN ('a'); CREATE TABLE b PARTITION OF whole DEFAULT;"
        "ALTER TABLE things ADD PRIMARY KEY (id)"
    )
    things.write(frame((1, "a")))

    with pytest.raises(UnstorableValueError, match="partition constraint"):
        things.write(frame((1, "b")))

    assert things.rows("id, name") == [(1, "a")]


def test_rows_that_row_security_forbids_are_refused(things: Things, database_url: str) -> None:
    things.run(
        "CREATE TABLE things (id bigint PRIMARY KEY, name text); INSERT INTO things VALUES (1, 'hidden');"
        "ALTER TABLE things ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY mine ON things USING (name <> 'hidden')"
    )
    things.run(
        "CREATE ROLE upserter_of_rows LOGIN PASSWORD 'x'; GRANT ALL ON SCHEMA public TO upserter_of_rows; "
        "GRANT ALL ON things TO upserter_of_rows"
    )
    url = sa.make_url(database_url).set(username="upserter_of_rows", password="x")  # noqa: S106
    io = DirectIOManager(url.render_as_string(hide_password=False))
    try:
        for rows in (frame((1, "seen")), frame((2, "hidden"))):
            with pytest.raises(
                PostgresWriteError, match=r"cannot be merged into table public.things: .*security"
            ):
                io.write(Place(["things"], UPSERT), rows)
        assert io.write(Place(["things"], UPSERT), frame((2, "seen")))["rows_inserted"].value == 1
    finally:
        things.run("DROP OWNED BY upserter_of_rows; DROP ROLE upserter_of_rows")


def test_a_rule_that_takes_the_rows_elsewhere_is_refused(things: Things) -> None:
    things.run(
        "CREATE TABLE things (id bigint PRIMARY KEY, name text); CREATE TABLE elsewhere (LIKE things);"
        "CREATE RULE away AS ON INSERT TO things DO INSTEAD INSERT INTO elsewhere VALUES (NEW.id, NEW.name)"
    )

    with pytest.raises(PostgresWriteError, match=r"cannot be merged into table public.things: .*rules"):
        things.write(frame((1, "a")))


def test_a_trigger_that_changes_new_rows_does_not_see_them_again_as_updates(things: Things) -> None:
    things.write(frame((0, "zero")))
    things.run(
        "CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.name := upper(NEW.name); RETURN NEW; END $$;"
        "CREATE TRIGGER loud BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION loud()"
    )

    assert things.write(frame((0, "nil"), (1, "one"))) == (1, 1, 0)

    assert things.rows() == [(0, "nil"), (1, "ONE")]


# Several tables in one transaction


def test_tables_of_one_transaction_are_upserted_each_by_its_own_keys(things: Things) -> None:
    columns = ("id", "reason")
    for name in ("a", "b"):
        together = Together(
            frame((1, name), (2, "same")),
            {
                "rejects": frame((1, name), (2, "x"), columns=columns),
                "others": frame((7, name), columns=("id", "name")),
            },
            upsert_keys={"rejects": ["id", "reason"]},
        )
        counts = things.write(together)

    assert counts == (0, 1, 1)
    assert things.rows() == [(1, "b"), (2, "same")]
    assert sorted(things.rows(table="rejects")) == [(1, "a"), (1, "b"), (2, "x")]
    assert things.rows(table="others") == [(7, "b")]
    reported = together.written["rejects"]
    assert (reported["rows_inserted"], reported["rows_updated"], reported["rows_unchanged"]) == (1, 0, 1)


def test_a_table_that_is_evolved_next_to_another_one_is_staged_on_its_own(things: Things) -> None:
    evolve = {"schema_drift": "evolve"}
    things.write(Together(frame((1, "a")), {"others": frame((1, "a"))}), evolve)
    wider = frame((1, "a", 1), columns=("id", "name", "n"))

    things.write(Together(wider, {"others": wider}), evolve)

    assert things.rows() == things.rows(table="others") == [(1, "a", 1)]


@pytest.mark.parametrize(
    ("metadata", "keys", "complaint"),
    [
        (
            UPSERT,
            {"nowhere": ["id"]},
            r"upsert_keys or write_modes for \['nowhere'\]; .* are {'others': 'upsert'}",
        ),
        ({}, {"others": ["id"]}, "{'others': 'replace'}. Keys require"),
        (UPSERT, {"others": ["number"]}, r"others: upsert_keys \['number'\] are not columns of the data"),
    ],
)
def test_keys_of_tables_alongside_that_make_no_sense_are_refused(
    things: Things, metadata: Mapping[str, Any], keys: dict[str, list[str]], complaint: str
) -> None:
    with pytest.raises(UnusableMetadataError, match=complaint):
        things.write(Together(frame((1, "a")), {"others": frame((1, "a"))}, upsert_keys=keys), metadata)


def test_a_companion_table_may_have_a_write_mode_of_its_own(things: Things) -> None:
    for name in ("a", "b"):
        beside = {"rejects": frame((1, name), (1, name), columns=("id", "reason"))}
        together = Together(frame((1, name), (2, "same")), beside, write_modes={"rejects": "replace"})
        counts = things.write(together, {**NEWEST, "newest": "name"})

    assert counts == (0, 1, 1, 0)
    assert things.rows(table="rejects") == [(1, "b"), (1, "b")]


# Keys several times, columns that are not compared, a cursor

MERGE = {"duplicate_keys": "merge"}


@pytest.mark.parametrize(
    ("metadata", "stored"),
    [
        (UPSERT, [(1, 2, "third")]),  # the last
        (NEWEST, [(1, 9, "second")]),  # the newest
        (INSERT, [(1, 9, "first")]),  # the first
    ],
)
def test_rows_with_the_same_key_are_merged_as_if_they_came_one_by_one(
    things: Things, metadata: Mapping[str, Any], stored: Rows
) -> None:
    data = versions((1, 9, "first"), (1, 9, "second"), (1, 2, "third"))

    for _ in range(2):
        counts = things.write(data, {**metadata, **MERGE})

    assert (sum(counts), things.rows()) == (3, stored)


def test_a_column_that_is_ignored_alone_makes_no_difference(things: Things) -> None:
    ignoring = {**UPSERT, "upsert_ignores": ["version"]}
    things.write(versions((1, 1, "a"), (2, 1, "b")), ignoring)

    assert things.write(versions((1, 2, "a"), (2, 2, "c")), ignoring) == (0, 1, 1)

    assert things.rows() == [(1, 1, "a"), (2, 2, "c")]


def test_the_ledger_keeps_the_greatest_cursor(things: Things) -> None:
    following = {**INSERT, "cursor": "version"}

    def cursor() -> object:
        return things.rows("cursor", table="slice_ledger")[0][0]

    things.write(versions((1, 9, "a"), (2, 10, "b"), (3, None, "c")), following)
    assert cursor() == "10"  # a number, not a text
    things.write(versions((4, 9, "late")), following)
    assert cursor() == "10"
    things.write(versions((5, 11, "new")).clear(), following)
    assert cursor() == "10"
    things.write(versions((5, 11, "new")), following)
    assert cursor() == "11"


def test_a_cursor_of_times_does_not_depend_on_the_session(things: Things, database_url: str) -> None:
    at = pd.DataFrame({"id": [1], "at": [pd.Timestamp("2026-02-01T10:00:00.5", tz="UTC")]})
    url = sa.make_url(database_url).update_query_dict({"options": "-c datestyle=SQL,DMY"})

    DirectIOManager(url.render_as_string(hide_password=False)).write(
        Place(["things"], {**UPSERT, "cursor": "at"}), at
    )

    assert things.rows("cursor", table="slice_ledger") == [("2026-02-01T10:00:00.5+00:00",)]


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({"cursor": "version"}, 'requires "write_mode"'),
        ({**UPSERT, "cursor": 3}, "expected a column name"),
        ({**UPSERT, "cursor": "nothing"}, r"cursor \['nothing'\] are not columns of the data"),
        ({**UPSERT, "duplicate_keys": "drop"}, "expected one of refuse, merge"),
    ],
)
def test_options_of_merges_that_make_no_sense_are_refused(
    things: Things, metadata: Mapping[str, Any], complaint: str
) -> None:
    with pytest.raises(UnusableMetadataError, match=complaint):
        things.write(versions((1, 1, "a")), metadata)
