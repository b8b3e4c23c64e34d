"""Statements of `sql`: exact values in three forms, and what is said of a statement that cannot run."""

import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import islice

import psycopg
import pytest
from rich.console import Console

from purchase_pipeline.ops.json_rows import load_json, write_json
from purchase_pipeline.ops.rows import MOST_SHOWN, load_text, print_rows, write_csv
from purchase_pipeline.ops.statement import StatementError, result_of

VALUES = r"""
    SELECT 12345678901234567890.10 AS amount, 9007199254740993 AS big, 0.1::float8 AS ratio, 'NaN'::numeric AS nan,
        true AS yes, NULL::text AS nothing, '' AS empty, 'ação "x",' AS text, '-1+1' AS formula, -1 AS minus,
        timestamptz '2026-01-02 03:04:05.123456-03' AS moment, timestamp 'infinity' AS never,
        date '0044-03-15 BC' AS day,
        interval '-1 day' AS ago, '\x00ff'::bytea AS bytes, ARRAY[1.50, NULL] AS prices, ARRAY[['a,', NULL]] AS words,
        '{"price": 1.10, "n": 1e400,
          "a": 1, "a": 2}'::json AS document, '{"price": 1.10}'::jsonb AS binary, int4range(1, 3) AS range,
        'a'::"char" AS letter, ROW(1, 'b') AS pair
"""


def as_csv(url: str, statement: str) -> list[list[str]]:
    out = io.StringIO()
    with result_of(url, statement, load_text) as result:
        write_csv(result, out)
    return list(csv.reader(io.StringIO(out.getvalue())))


def as_json(url: str, statement: str) -> str:
    out = io.StringIO()
    with result_of(url, statement, load_json) as result:
        write_json(result, out)
    return out.getvalue()


def as_table(url: str, statement: str, *, width: int, terminal: bool) -> tuple[str, bool]:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    with result_of(url, statement, load_text) as result:
        whole = print_rows(result, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue(), whole


@contextmanager
def refused(url: str, statement: str, timeout: float = 0) -> Iterator[pytest.ExceptionInfo[StatementError]]:
    with pytest.raises(StatementError) as error, result_of(url, statement, load_text, timeout) as result:
        list(result.rows)
    yield error


def sessions(url: str, query: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT FROM pg_stat_activity WHERE state = 'active' AND query = %s AND pid <> pg_backend_pid()",
            [query],
        )
        return found.rowcount


def test_csv_has_each_value_as_postgresql_writes_it(database_url: str) -> None:
    names, values = as_csv(database_url, VALUES)

    assert dict(zip(names, values, strict=True)) == {
        "amount": "12345678901234567890.10",
        "big": "9007199254740993",
        "ratio": "0.1",
        "nan": "NaN",
        "yes": "true",
        "nothing": "",
        "empty": "",
        "text": 'ação "x",',
        "formula": "'-1+1",
        "minus": "-1",
        "moment": "2026-01-02 06:04:05.123456+00",
        "never": "infinity",
        "day": "0044-03-15 BC",
        "ago": "-1 days",
        "bytes": r"\x00ff",
        "prices": "{1.50,NULL}",
        "words": '{{"a,",NULL}}',
        "document": '{"price": 1.10, "n": 1e400,\n          "a": 1, "a": 2}',
        "binary": '{"price": 1.10}',
        "range": "[1,3)",
        "letter": "a",
        "pair": "(1,b)",
    }


def test_json_has_all_digits_and_is_one_array_with_a_row_a_line(database_url: str) -> None:
    text = as_json(database_url, VALUES)

    assert text.startswith("[\n{")
    assert text.endswith("}\n]\n")
    assert text.count("\n") == 3
    (row,) = json.loads(text, parse_float=Decimal)
    assert row == {
        "amount": Decimal("12345678901234567890.10"),
        "big": 9007199254740993,
        "ratio": Decimal("0.1"),
        "nan": "NaN",
        "yes": True,
        "nothing": None,
        "empty": "",
        "text": 'ação "x",',
        "formula": "-1+1",
        "minus": -1,
        "moment": "2026-01-02T06:04:05.123456+00:00",
        "never": "infinity",
        "day": "0044-03-15 BC",
        "ago": "-1 days",
        "bytes": r"\x00ff",
        "prices": [Decimal("1.50"), None],
        "words": [["a,", None]],
        "document": {"price": Decimal("1.10"), "n": Decimal("1e400"), "a": 2},
        "binary": {"price": Decimal("1.10")},
        "range": "[1,3)",
        "letter": "a",
        "pair": "(1,b)",
    }
    assert '"a": 1, "a": 2' in text


@pytest.mark.parametrize("rows", [0, 1, 2, 2500])
def test_any_number_of_rows_arrives(database_url: str, rows: int) -> None:
    statement = f"SELECT n, n::text AS text FROM generate_series(1, {rows}) AS n"  # noqa: S608  (a test's number)

    assert as_csv(database_url, statement) == [
        ["n", "text"],
        *([str(n), str(n)] for n in range(1, rows + 1)),
    ]
    assert json.loads(as_json(database_url, statement)) == [
        {"n": n, "text": str(n)} for n in range(1, rows + 1)
    ]


def test_types_of_the_users_own_are_text(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TYPE mood AS ENUM ('glad', 'sad'); CREATE DOMAIN price AS numeric(9, 2)")

    statement = "SELECT 'glad'::mood AS mood, ARRAY['sad'::mood] AS moods, 1.5::price AS price"

    assert as_csv(database_url, statement)[1] == ["glad", "{sad}", "1.50"]
    assert as_json(database_url, statement) == '[\n{"mood": "glad", "moods": "{sad}", "price": 1.50}\n]\n'


def test_what_could_control_a_terminal_is_escaped_and_the_same_json(database_url: str) -> None:
    statement = "SELECT E'\\x1b[2J' || chr(8238) || chr(155) || 'ç' AS \"na\u202eme\""

    text = as_json(database_url, statement)
    table, _ = as_table(database_url, statement, width=80, terminal=True)

    assert text.isprintable() is False
    assert all(line.isprintable() for line in text.splitlines() + table.splitlines())
    assert json.loads(text) == [{"na\u202eme": "\x1b[2J\u202e\x9bç"}]
    assert r"\x1b[2J\u202e\x9bç" in table


@pytest.mark.parametrize(
    "statement", ["SHOW work_mem", "EXPLAIN SELECT 1", "VALUES (1), (2);", "TABLE pg_am"]
)
def test_whatever_has_rows_is_run(database_url: str, statement: str) -> None:
    assert len(as_csv(database_url, statement)) >= 2


def test_a_table_shows_the_first_rows_and_says_whether_there_are_more(database_url: str) -> None:
    hundred = "SELECT n FROM generate_series(1, 100) AS n"
    exactly, whole = as_table(database_url, hundred, width=80, terminal=True)
    endless = "SELECT n, pg_sleep(0.0001) FROM generate_series(1, 100000000) AS n"
    more, not_whole = as_table(database_url, endless, width=80, terminal=True)

    assert (whole, not_whole) == (True, False)
    assert exactly.count("│") == more.count("│") // 3 * 2 == 2 * MOST_SHOWN == 200
    assert sessions(database_url, endless) == 0


def test_a_row_wider_than_the_terminal_is_shown_column_by_column(database_url: str) -> None:
    statement = "SELECT 1234.5 AS price, 'b' AS brand, NULL AS nothing, repeat('w ', 40) AS words"

    narrow, _ = as_table(database_url, statement, width=60, terminal=True)
    wide, _ = as_table(database_url, statement, width=200, terminal=True)
    piped, _ = as_table(database_url, statement, width=60, terminal=False)

    assert [line.split() for line in narrow.splitlines()][:4] == [
        ["──", "1", "──"],
        ["price", "1,234.5"],
        ["brand", "b"],
        ["nothing"],
    ]
    assert wide == piped
    assert "│ 1,234.5 │ b     │" in wide


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "SELECT 1 FROM\n  nowhere",
            r'relation "nowhere" does not exist\nLINE 2:   nowhere\n          \^\n.*psql -c .*lists the tables',
        ),
        ("selec 1", r'syntax error at or near "selec"\nLINE 1: selec 1\n        \^$'),
        ("SELECT ação", r'column "ação" does not exist\nLINE 1: SELECT ação\n               \^$'),
        ("SELECT 1 / 0", r"division by zero$"),
        ("SELECT 1; SELECT 2", r"more than one statement\. Run them one by one, or all with .*psql"),
        ("", r"The statement is empty\.$"),
        (" -- nothing\n;", r"The statement is empty\.$"),
        ("SET work_mem = '1MB'", r"no rows to print \(SET\)"),
        ("COPY (SELECT 1) TO STDOUT", r"COPY is not supported here\. Use --csv"),
        ("SELECT '\0'", r"NUL character"),
        ("SELECT '\udcff'", r"not valid UTF-8"),
    ],
)
def test_a_statement_that_cannot_run_is_explained(database_url: str, statement: str, said: str) -> None:
    with refused(database_url, statement) as error:
        assert re.search(said, str(error.value))


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "DELETE FROM kept",
        "DELETE FROM kept RETURNING id",
        "WITH gone AS (DELETE FROM kept RETURNING id) SELECT * FROM gone",
        "SELECT nextval('numbers')",
        "TRUNCATE kept",
        "DO $$ BEGIN DELETE FROM kept; END $$",
        "COPY kept FROM STDIN",
    ],
)
def test_a_statement_that_writes_is_refused_even_for_the_owner(database_url: str, statement: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS id; CREATE SEQUENCE numbers")

    with refused(database_url, statement) as error:
        assert re.search(r"read-only transaction(.|\n)*\nThis command only reads", str(error.value))
    with psycopg.connect(database_url) as connection:
        assert connection.execute("TABLE kept").fetchall() == [(1,)]


def test_what_the_role_may_not_see_is_refused_with_its_name(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "DO $$ BEGIN CREATE ROLE nosy LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )
    url = database_url.replace("://postgres@", "://nosy@")

    with refused(url, "SELECT pg_read_file('/etc/hostname')") as error:
        assert re.search(
            r"permission denied for function pg_read_file\nIt ran as purchase_reader, ", str(error.value)
        )


def test_a_statement_that_takes_too_long_is_cancelled(database_url: str) -> None:
    with refused(database_url, "SELECT pg_sleep(30)", timeout=0.2) as error:
        assert str(error.value) == "canceling statement due to statement timeout"


def test_a_statement_whose_reader_leaves_is_cancelled(database_url: str) -> None:
    endless = "SELECT n, repeat('x', 1000) FROM generate_series(1, 100000000) AS n"

    with result_of(database_url, endless, load_text) as result:
        assert [row[0] for row in islice(result.rows, 3)] == ["1", "2", "3"]

    assert sessions(database_url, endless) == 0


def test_two_columns_of_one_name_are_no_json_but_csv(database_url: str) -> None:
    with pytest.raises(StatementError, match=r"Several columns are named a\. Rename them with AS"):
        as_json(database_url, "SELECT 1 AS a, 2 AS a")

    assert as_csv(database_url, "SELECT 1 AS a, 2 AS a") == [["a", "a"], ["1", "2"]]


def test_a_connection_that_is_lost_is_no_fault_of_the_statement(database_url: str) -> None:
    with (
        pytest.raises(psycopg.OperationalError),
        result_of(database_url, "SELECT pg_terminate_backend(pg_backend_pid())", load_text) as result,
    ):
        list(result.rows)
