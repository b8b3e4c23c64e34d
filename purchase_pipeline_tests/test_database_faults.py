"""Unsuitable databases are refused before anything is written."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres.slices.ledger import ledger_table
from purchase_pipeline.purchases import COMPRAS_REJEITADAS, TABELA_COMPRAS
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.database import DatabaseUnavailableError, start_database
from purchase_pipeline.stack.database_requirements import KEY_COLUMNS, find_problems

TABLES = (
    "CREATE TABLE tabela_compras (lote text, linha int); CREATE TABLE compras_rejeitadas (lote text, linha int);"
    "CREATE TABLE slice_ledger (asset text, partition text)"
)


@pytest.fixture
def role(database_url: str) -> Iterator[str]:
    """A role that can only connect."""
    name = f"loader_{uuid4().hex}"
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'a b'".encode())
        yield name
        owner.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}".encode())


def faults(database_url: str, statements: str, role: str) -> list[str]:
    with psycopg.connect(database_url) as connection:
        connection.execute(statements.format(role=role).encode())
        connection.execute(f"SET ROLE {role}".encode())
        found = find_problems(connection)
        connection.rollback()
        return [fault.replace(role, "loader") for fault in found]


@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        (
            "SELECT",
            'loader cannot create tables in schema public (as its owner: GRANT CREATE ON SCHEMA "public" TO "loader")',
        ),
        (
            "GRANT CREATE ON SCHEMA public TO {role}; CREATE TABLE tabela_compras (id int)",
            "public.tabela_compras already exists and is not the pipeline's: it has no column lote",
        ),
        (
            "GRANT CREATE ON SCHEMA public TO {role}; CREATE VIEW compras_rejeitadas AS SELECT '' AS lote, 1 AS linha",
            "public.compras_rejeitadas already exists and is not a table",
        ),
        (
            "GRANT CREATE ON SCHEMA public TO {role}; CREATE TABLE slice_ledger (asset text, rows int)",
            "public.slice_ledger already exists and is not the pipeline's: it has no column partition",
        ),
        (TABLES, "no permission to write public.tabela_compras"),
        (
            "GRANT CREATE ON SCHEMA public TO {role}; CREATE SCHEMA other; SET search_path = other",
            "the tables are in schema public, but loader's search_path 'other' does not include it",
        ),
        (
            """GRANT CREATE ON SCHEMA public TO {role}; CREATE SCHEMA other; GRANT USAGE ON SCHEMA other TO {role};
            CREATE TABLE other.tabela_compras (x int); SET search_path = other, public""",
            "loader's search_path 'other, public' finds tabela_compras first",
        ),
    ],
)
def test_a_problem_is_reported_with_its_remedy(
    database_url: str, role: str, statements: str, fault: str
) -> None:
    found = faults(database_url, statements, role)

    assert found
    assert fault in found[0]


@pytest.mark.parametrize("blank", [" ", "%20"])
def test_passwords_and_names_may_contain_spaces(
    server_url: str, monkeypatch: pytest.MonkeyPatch, blank: str
) -> None:
    name = f"test {uuid4().hex}"
    url = (
        sa.make_url(server_url)
        .set(database="NAME", password="SECRET")  # noqa: S106
        .render_as_string(hide_password=False)
    )
    monkeypatch.setenv(
        "DATABASE_URL", url.replace("NAME", name.replace(" ", blank)).replace("SECRET", f"p{blank}w")
    )
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", server_url)
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"'.encode())
        try:
            start_database(Settings())
        finally:
            server.execute(f'DROP DATABASE "{name}"'.encode())

    with pytest.raises(DatabaseUnavailableError, match=r"does not exist") as gone:
        start_database(Settings())
    assert f"p{blank}w" not in str(gone.value)
    assert "p w" not in str(gone.value)


def test_an_unsuitable_database_is_refused_before_anything_is_written(
    database_url: str, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", database_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE tabela_compras (id int)"))

    with pytest.raises(
        DatabaseUnavailableError, match=r"cannot hold .* not the pipeline's: it has no column lote"
    ) as no:
        start_database(Settings())

    assert "\n" not in str(no.value)


@pytest.mark.parametrize(
    "statements",
    [
        "GRANT CREATE ON SCHEMA public TO {role}",
        TABLES + "; GRANT ALL ON tabela_compras, compras_rejeitadas, slice_ledger TO {role}",
        "GRANT CREATE ON SCHEMA public TO {role}; CREATE SCHEMA other; SET search_path = other, public",
        'GRANT CREATE ON SCHEMA public TO {role}; SET search_path = "$user", public',
    ],
)
def test_a_suitable_database_has_no_problems(database_url: str, role: str, statements: str) -> None:
    assert faults(database_url, statements, role) == []


def test_the_hard_coded_tables_are_the_pipelines() -> None:
    tables = (TABELA_COMPRAS, COMPRAS_REJEITADAS, ledger_table())

    assert {
        table.name: tuple(column.name for column in table.primary_key.columns) for table in tables
    } == KEY_COLUMNS
