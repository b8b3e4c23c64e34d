"""The native type of a column: domains resolved, with the bounds that apply."""

import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres.schema.native_types import native_types
from purchase_pipeline_tests.columns import a_table

_TYPES = """
    CREATE SCHEMA other;
    CREATE DOMAIN whole AS integer CHECK (value > 0);
    CREATE DOMAIN small_whole AS whole CHECK (value < 1000);
    CREATE DOMAIN code AS varchar(3);
    CREATE DOMAIN short_code AS code;
    CREATE DOMAIN price AS numeric(6, 2);
    CREATE DOMAIN wholes AS integer[];
    CREATE DOMAIN codes AS short_code[];
    CREATE TYPE mood AS ENUM ('calm');
    CREATE TYPE other.mood AS ENUM ('wild');
    CREATE TYPE pair AS (one integer, two text);
    CREATE DOMAIN other.int4 AS text;
"""


@pytest.fixture
def connection(transaction: sa.Connection) -> sa.Connection:
    """A transaction with custom types."""
    transaction.exec_driver_sql(_TYPES)
    return transaction


@pytest.mark.parametrize(
    ("kind", "base", "letter", "shown"),
    [
        ("integer", "int4", "b", "INTEGER"),
        ("numeric(6, 2)", "numeric", "b", "NUMERIC(6,2)"),
        ("varchar(3)", "varchar", "b", "CHARACTER VARYING(3)"),
        ("char", "bpchar", "b", "CHARACTER(1)"),
        ("interval day to second(0)", "interval", "b", "INTERVAL DAY TO SECOND(0)"),
        ("timestamptz(3)", "timestamptz", "b", "TIMESTAMP(3) WITH TIME ZONE"),
        ("whole", "int4", "b", "INTEGER"),
        ("small_whole", "int4", "b", "INTEGER"),
        ("short_code", "varchar", "b", "CHARACTER VARYING(3)"),
        ("price", "numeric", "b", "NUMERIC(6,2)"),
        ("other.int4", "text", "b", "TEXT"),
        ("mood", "mood", "e", "mood"),
        ("other.mood", "mood", "e", "other.mood"),
        ("pair", "pair", "c", "pair"),
        ("int4range", "int4range", "r", "int4range"),
    ],
)
def test_a_domain_is_what_it_is_made_of(
    connection: sa.Connection, kind: str, base: str, letter: str, shown: str
) -> None:
    found = a_table(connection, kind)

    assert (found.base, found.kind, found.label, found.element) == (base, letter, shown, None)


@pytest.mark.parametrize(
    ("kind", "element", "shown", "of_domains"),
    [
        ("integer[]", "INTEGER", "INTEGER[]", False),
        ("integer[][]", "INTEGER", "INTEGER[]", False),
        ("numeric(6, 2)[]", "NUMERIC(6,2)", "NUMERIC(6,2)[]", False),
        ("varchar(3)[]", "CHARACTER VARYING(3)", "CHARACTER VARYING(3)[]", False),
        ("wholes", "INTEGER", "INTEGER[]", False),
        ("whole[]", "INTEGER", "whole[]", True),
        ("small_whole[]", "INTEGER", "small_whole[]", True),
        ("short_code[]", "CHARACTER VARYING(3)", "short_code[]", True),
        ("codes", "CHARACTER VARYING(3)", "short_code[]", True),
        ("other.int4[]", "TEXT", "other.int4[]", True),
        ("mood[]", "mood", "mood[]", False),
        ("other.mood[]", "other.mood", "other.mood[]", False),
    ],
)
def test_an_array_has_elements(
    connection: sa.Connection,
    kind: str,
    element: str,
    shown: str,
    of_domains: bool,  # noqa: FBT001
) -> None:
    found = a_table(connection, kind)

    assert found.element is not None
    assert (found.element.label, found.label, found.of_domains) == (element, shown, of_domains)


@pytest.mark.parametrize(
    ("kind", "digits"),
    [
        ("numeric(6, 2)", (6, 2)),
        ("numeric(6)", (6, 0)),
        ("numeric(4, -2)", (4, -2)),
        ("numeric(2, 4)", (2, 4)),
        ("numeric(1000, 1000)", (1000, 1000)),
        ("numeric(1000, -1000)", (1000, -1000)),
        ("price", (6, 2)),
    ],
)
def test_digits_are_those_of_the_declaration(
    connection: sa.Connection, kind: str, digits: tuple[int, int]
) -> None:
    assert a_table(connection, kind).digits == digits


def test_columns_are_in_order_whatever_their_names_without_those_dropped(connection: sa.Connection) -> None:
    connection.exec_driver_sql('CREATE TABLE other."a.b" (z text, "q""%%" integer, gone text, "A b" date[])')
    connection.exec_driver_sql('ALTER TABLE other."a.b" DROP COLUMN gone')

    found = native_types(connection, sa.table("a.b", schema="other"))

    assert [(name, one.label) for name, one in found.items()] == [
        ("z", "TEXT"),
        ('q"%', "INTEGER"),
        ("A b", "DATE[]"),
    ]


def test_a_table_that_is_not_there_has_no_columns(connection: sa.Connection) -> None:
    assert native_types(connection, sa.table("things", schema="nowhere")) == {}
