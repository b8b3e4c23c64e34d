"""The sales report, the saved queries and the notebook, from the command line."""

import csv
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from purchase_pipeline.ops.queries import run_query, saved_queries
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


def test_there_is_no_report_before_a_batch_is_loaded(person: Person) -> None:
    ended = person.run("report", "--no-open")

    assert ended.returncode == 1
    assert re.fullmatch(r"No batches loaded yet. Load some first: \S*purchase-pipeline up\n", ended.stderr)
    assert ended.stdout == ""


def test_the_report_includes_newly_loaded_batches(person: Person) -> None:
    copy = person.home / "copy.html"
    person.ingest("--lots", "1", "--rows", "100")
    first = person.run("report", "--no-open", "--output", str(copy))
    person.ingest("--lots", "3", "--rows", "100")

    second = person.run("report", "--output", "-", "--no-open")

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert first.stdout == f"{copy}\n"
    assert copy.read_text().startswith("<!DOCTYPE html>")
    assert second.stdout == (person.home / "reports" / "sales-report.html").read_text() + "\n"
    marts = person.run("sql", "revenue-by-month", "--csv").stdout
    assert sum(int(row["purchases"]) for row in csv.DictReader(marts.splitlines())) == 300


def test_a_report_that_no_browser_opens_says_so_and_nothing_else(loaded: Person, tmp_path: Path) -> None:
    opener = tmp_path / "xdg-open"
    opener.write_text("#!/bin/sh\necho no method available; echo www-browser: not found >&2; exit 3\n")
    opener.chmod(0o755)

    ended = loaded.run("report", PATH=f"{tmp_path}:{os.environ['PATH']}")

    assert ended.returncode == 0
    assert ended.stdout == f"{loaded.home / 'reports' / 'sales-report.html'}\n"
    assert ended.stderr == "Could not open a browser. Open the file above in one.\n"


def test_queries_are_listed_shown_and_run(loaded: Person) -> None:
    listed, shown, answered = loaded.run_all(
        ["sql"], ["sql", "reconciliation", "--show"], ["sql", "reconciliation"]
    )

    assert all(name in listed.stdout for name in saved_queries())
    assert shown.stdout.startswith("SELECT\n    ledger.partition AS lote,")
    assert "│ lote-0001 │      400 │    392 │        8 │ yes      │" in answered.stdout


def test_an_unknown_query_is_a_usage_error(loaded: Person) -> None:
    ended = loaded.run("sql", "nothing")

    assert ended.returncode == 2
    assert "Unknown query 'nothing'; expected one of: best-product-by-state, newest-lots" in ended.stderr


def test_a_query_of_a_missing_table_says_how_to_create_it(person: Person) -> None:
    ended = person.run("sql", "weekdays")

    assert ended.returncode == 1
    assert 'relation "revenue_by_day" does not exist. Load batches first' in ended.stderr


@pytest.fixture(scope="module")
def reader_url(loaded: Person) -> str:
    """The database, for people who only read."""
    return loaded.run("db-url", "--reader").stdout.strip()


@pytest.mark.parametrize("name", sorted(saved_queries()))
def test_every_query_has_rows_and_a_description(reader_url: str, name: str) -> None:
    query = saved_queries()[name]

    answer = run_query(reader_url, query)

    assert answer.rows
    assert query.description.endswith(".")
    assert not query.description.startswith("--")


def test_a_query_cannot_write(loaded: Person) -> None:
    query = saved_queries()["weekdays"]._replace(sql="DELETE FROM tabela_compras RETURNING 1 AS one")

    with pytest.raises(sa.exc.InternalError, match="read-only transaction"):
        run_query(loaded.database_url(), query)


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
