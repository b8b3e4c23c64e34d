"""The pipeline's tables in hash partitions, through all that looks at them; and what distributing lots needs."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa

from benchmarks.ours import our_path
from mock_api.app import create_app
from purchase_pipeline.ingest.ledger import LEDGER
from purchase_pipeline.purchases import COMPRAS_REJEITADAS, TABELA_COMPRAS
from purchase_pipeline_tests.documents import PROJECT
from purchase_pipeline_tests.forked_commands import forked
from purchase_pipeline_tests.person import COMMAND, Person
from purchase_pipeline_tests.serving import served
from purchase_pipeline_tests.test_assets import count

pytestmark = pytest.mark.proof  # of the database, whatever the Python

PARTITIONS = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'tabela_compras'::regclass"
RECIPE = re.search(
    r"<!-- hash-partitions: begin -->(.*)<!-- hash-partitions: end -->",
    (PROJECT / "docs" / "scaling.md").read_text(),
    re.DOTALL,
)


def test_what_looks_at_the_tables_sees_no_difference(person: Person) -> None:
    person.environment["PURCHASE_HASH_PARTITIONS"] = "5"

    done = person.ingest("--lots", "4", "--rows", "300", "--defects", "0.02")

    assert done.returncode == 0, done.stdout + done.stderr
    del person.environment["PURCHASE_HASH_PARTITIONS"]  # the campaign's settings have it
    with psycopg.connect(person.database_url()) as connection:
        assert connection.execute(PARTITIONS).fetchall() == [(5,)]
    assert person.counts() == (1176, 4, 1176)
    verified, status, reported, sizes = person.run_all(
        ["verify"], ["status", "--json"], ["report", "--no-open"], ["sql", "table-sizes", "--csv"]
    )
    assert (verified.returncode, reported.returncode) == (0, 0)
    assert json.loads(status.stdout)["rows_loaded"] == 1176
    assert [line.split(",")[:2] for line in sizes.stdout.splitlines() if "compras" in line] == [
        ["tabela_compras", "1176"],
        ["compras_rejeitadas", "24"],
    ]


class Shop:
    """A database of a server that was given, and the commands that are run on it."""

    def __init__(self, folder: Path, url: str, storage: str) -> None:
        self.url = url
        self._environment = {
            **os.environ,
            "DATABASE_URL": url,
            "DAGSTER_POSTGRES_URL": storage,
            "PURCHASE_HOME": str(folder / "home"),
            "PURCHASE_LOTS": "3",
            "PURCHASE_ROWS": "200",
        }

    def run(self, command: str, **environment: str) -> None:
        done = subprocess.run(
            [forked(COMMAND), *command.split()[1:]],
            env=self._environment | environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def storage_url(server_url: str) -> Iterator[str]:
    """A database for Dagster's storage, next to the test's own."""
    name = f"storage_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_the_documented_way_gives_partitions_to_a_table_that_is_there(
    tmp_path: Path, database_url: str, server_url: str, storage_url: str
) -> None:
    shop = Shop(tmp_path, database_url, storage_url)
    shop.run("purchase-pipeline ingest --lots 3 --rows 200")
    old, following = str(sa.make_url(database_url).database), f"next_{uuid4().hex}"
    assert RECIPE is not None
    recipe = RECIPE[1].replace("etl_fakedata", old).replace("etl_next", following)
    recipe = recipe.replace("etl_before", f"before_{following}")
    beside = {
        "DATABASE_URL": sa.make_url(database_url)
        .set(database=following)
        .render_as_string(hide_password=False),
        "PURCHASE_HASH_PARTITIONS": "16",
    }
    assert f"PURCHASE_HASH_PARTITIONS={beside['PURCHASE_HASH_PARTITIONS']}" in recipe
    query = "SELECT * FROM tabela_compras ORDER BY lote, linha"
    with psycopg.connect(database_url) as connection:
        before = [row[1:] for row in connection.execute(query)]

    with psycopg.connect(server_url, autocommit=True) as server:
        for line in recipe.splitlines():
            if line.startswith("purchase-pipeline"):
                shop.run(line, **beside)
            elif line.endswith(";"):
                server.execute(line.encode())

        with psycopg.connect(database_url) as connection:
            assert connection.execute(PARTITIONS).fetchall() == [(16,)]
            assert [row[1:] for row in connection.execute(query)] == before
        shop.run("purchase-pipeline verify")
        shop.run("purchase-pipeline ingest --lots 4 --rows 200")
        server.execute(f"DROP DATABASE before_{following} WITH (FORCE)".encode())


@pytest.fixture
def written(tmp_path: Path, database_url: str) -> list[tuple[str, object]]:
    """What was sent to write a lot that is there already."""
    statements = list[tuple[str, object]]()

    def note(*call: object) -> None:
        _, _, statement, values = call[:4]
        if re.match(r"(INSERT|UPDATE|DELETE|MERGE) .*\"public\"", str(statement)):
            statements.append((str(statement), values))

    with served(create_app()) as api_url, our_path(api_url, tmp_path, database_url) as path:
        path.load("lote-0001", rows=400)
        sa.event.listen(sa.Engine, "before_cursor_execute", note)
        try:
            path.load("lote-0001", rows=400)
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", note)
    return statements


@pytest.mark.usefixtures("written")
def test_every_unique_key_has_the_lot_in_it_so_that_a_lot_can_be_in_one_place(engine: sa.Engine) -> None:
    lot_of = {TABELA_COMPRAS.name: "lote", COMPRAS_REJEITADAS.name: "lote", LEDGER.name: "partition"}
    inspector = sa.inspect(engine)

    for table, lot in lot_of.items():
        assert lot in inspector.get_pk_constraint(table)["constrained_columns"]
        assert all(lot in index["column_names"] for index in inspector.get_indexes(table) if index["unique"])
        kinds = {column["name"]: column["type"] for column in inspector.get_columns(table)}
        assert isinstance(kinds[lot], sa.Text)  # in all three: rows of one lot meet
        assert inspector.get_foreign_keys(table) == []
    assert count(engine, "SELECT count(*) FROM pg_trigger") == (0,)


def test_every_write_of_a_lot_names_it_and_calls_no_function_where_the_ledgers_row_is_replaced(
    written: list[tuple[str, object]],
) -> None:
    assert [statement.split()[:3] for statement, _ in written] == [
        ["DELETE", "FROM", '"public"."tabela_compras"'],
        ["INSERT", "INTO", '"public"."slice_ledger"'],
        ["DELETE", "FROM", '"public"."compras_rejeitadas"'],
        ["INSERT", "INTO", '"public"."slice_ledger"'],
    ]
    assert all("lote-0001" in str(values) for _, values in written)
    for statement, _ in written[1::2]:
        assert "(" not in statement.partition("DO UPDATE SET")[2]
