"""The sales report, the saved queries and the notebook, from the command line."""

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from purchase_pipeline.ops.queries import saved_queries
from purchase_pipeline.ops.rows import load_text
from purchase_pipeline.ops.statement import result_of
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline_tests.person import Person, copy_home

pytestmark = pytest.mark.proof

PROJECT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, prepared: Person) -> Iterator[Person]:
    """A person who has loaded three batches and created the report."""
    person = Person(tmp_path_factory.mktemp("people") / "home")
    copy_home(prepared.home, person.home)
    try:
        person.ingest("--lots", "3", "--rows", "400", "--defects", "0.02")
        person.run("report", "--no-open")
        yield person
    finally:
        person.leave()


def test_before_a_batch_is_loaded_there_is_nothing_to_report_or_query(person: Person) -> None:
    report, query = person.run_all(["report", "--no-open"], ["sql", "weekdays"])

    assert report.returncode == 1
    assert re.fullmatch(r"No batches loaded yet. Load some first: \S*purchase-pipeline up\n", report.stderr)
    assert report.stdout == ""
    assert query.returncode == 1
    assert 'relation "revenue_by_day" does not exist\n' in query.stderr
    assert "\nLoad batches first (`purchase-pipeline up`)" in query.stderr


def test_the_report_includes_newly_loaded_batches(person: Person) -> None:
    copy = person.home / "copy.html"
    person.ingest("--lots", "1", "--rows", "100")
    first = person.run("report", "--no-open", "--output", str(copy))
    person.ingest("--lots", "3", "--rows", "100")

    second, marts = person.run_all(
        ["report", "--output", "-", "--no-open"], ["sql", "revenue-by-month", "--csv"]
    )

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert first.stdout == f"{copy}\n"
    assert copy.read_text().startswith("<!DOCTYPE html>")
    assert second.stdout == (person.home / "reports" / "sales-report.html").read_text() + "\n"
    assert sum(int(row["purchases"]) for row in csv.DictReader(marts.stdout.splitlines())) == 300


def test_a_report_can_be_of_one_language(loaded: Person) -> None:
    portuguese, english = loaded.run_all(
        *(["report", "--lang", option, "--output", "-"] for option in ("pt", "en"))
    )

    assert '<html lang="pt-BR" data-language="pt-BR">' in portuguese.stdout
    assert '<html lang="en" data-language="en">' in english.stdout


def test_a_report_that_no_browser_opens_says_so_and_nothing_else(loaded: Person, tmp_path: Path) -> None:
    opener = tmp_path / "xdg-open"
    opener.write_text("#!/bin/sh\necho no method available; echo www-browser: not found >&2; exit 3\n")
    opener.chmod(0o755)

    ended = loaded.run("report", PATH=f"{tmp_path}:{os.environ['PATH']}")

    assert ended.returncode == 0
    assert ended.stdout == f"{loaded.home / 'reports' / 'sales-report.html'}\n"
    assert ended.stderr == "Could not open a browser. Open the file above in one.\n"


def test_queries_are_listed_shown_and_run(loaded: Person) -> None:
    listed, shown, answered, unknown = loaded.run_all(
        ["sql"], ["sql", "reconciliation", "--show"], ["sql", "reconciliation"], ["sql", "nothing"]
    )

    assert all(name in listed.stdout for name in saved_queries())
    assert shown.stdout.startswith("SELECT\n    ledger.partition AS lote,")
    assert "│ lote-0001 │      400 │    392 │        8 │ yes      │" in answered.stdout
    assert unknown.returncode == 2
    assert "Unknown query 'nothing'; expected one of: best-product-by-state, newest-lots" in unknown.stderr


@pytest.fixture(scope="module")
def reader_url(loaded: Person) -> str:
    """The database, for people who only read."""
    return loaded.run("db-url", "--reader").stdout.strip()


@pytest.mark.parametrize("name", sorted(saved_queries()))
def test_every_query_has_rows_and_a_description(reader_url: str, name: str) -> None:
    query = saved_queries()[name]

    with result_of(reader_url, query.sql, load_text) as result:
        assert next(result.rows)
    assert query.description.endswith(".")
    assert not query.description.startswith("--")


def test_the_notebook_runs_on_the_live_tables(loaded: Person) -> None:
    page = loaded.home / "purchases.html"

    ended = subprocess.run(
        [sys.executable, "-m", "marimo", "export", "html", "examples/purchases.py", "-o", page],
        cwd=PROJECT,
        env={**loaded.environment, "PYTHONPATH": os.fspath(PROJECT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    with engine_for(loaded.database_url()).connect() as connection:
        rows = connection.scalar(sa.text("SELECT count(*) FROM tabela_compras"))
    assert f"3 batches, {rows:,} purchases" in page.read_text()


FILTERED = """
import json
from examples.purchases import app

_, default = app.run()
chosen = {**dict.fromkeys(default["chosen"], []), "state": ["Bahia", "Amapá"]}
_, left = app.run(defs={"chosen": chosen, "sought": "o"})
price = left["rows"](1).price[0]
print(json.dumps([
    list(default["chosen"]), int(default["found"]), int(left["found"]), int(left["counts"]["brand"]["rows"].sum()),
    len(left["rows"]()), sorted(left["counts"]["state"].state), str(price), left["as_csv"]().decode(),
]))
"""


def test_the_notebooks_facets_and_search_select_the_rows_that_are_counted_and_downloaded(
    loaded: Person,
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FILTERED],
        cwd=PROJECT,
        env={**loaded.environment, "PYTHONPATH": os.fspath(PROJECT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    facets, everything, found, counted, rows, states, price, download = json.loads(ran.stdout)

    with engine_for(loaded.database_url()).connect() as connection:
        expected = connection.execute(
            sa.text(
                "SELECT count(*), count(*) FILTER (WHERE state IN ('Bahia', 'Amapá') AND concat_ws(' ', lote,"
                " client_name, client_lastname, state, job, payment_type, category, product, brand) ILIKE '%o%')"
                " FROM tabela_compras"
            )
        ).one()
    assert facets == ["lote", "state", "payment_type", "category", "product", "brand"]
    assert (everything, found) == tuple(expected)
    assert counted == rows == found > 0
    assert states == ["Amapá", "Bahia"]
    assert price[-3] == "."  # a decimal, no float
    assert len(list(csv.DictReader(download.splitlines()))) == found
