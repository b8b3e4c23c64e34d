"""Hostile values through the whole pipeline: stored exactly, harmless where shown."""

import csv
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from fastapi import FastAPI, Response
from playwright.sync_api import Browser, expect

from purchase_pipeline_tests.browsers import WatchedPage, browser, watched_page
from purchase_pipeline_tests.builders import a_raw_compra
from purchase_pipeline_tests.hostile import ACCEPTED, FETCHED, FORGED, HOSTILE
from purchase_pipeline_tests.person import Person, copy_home
from purchase_pipeline_tests.serving import served

pytestmark = pytest.mark.proof

_ROWS = 1000
_SHOWN_IN = ("client_name", "state", "payment_type", "category", "product", "brand")
_DEAR = 9_999_999_999


def _pictures_first(texts: dict[str, str]) -> list[str]:
    """Return the values, those that a browser could fetch first, to be in a preview of five rows."""
    return sorted(texts.values(), key=lambda text: FETCHED not in text)


def _good_lot() -> list[bytes]:
    """Return a batch that is loaded: accepted hostile values, and rejected rows with hostile fields."""
    accepted = [
        a_raw_compra(price=f"{_DEAR - place}.99", **dict.fromkeys(_SHOWN_IN, json.dumps(text)))
        for place, text in enumerate(_pictures_first(ACCEPTED))
    ]
    rejected = [a_raw_compra(**{text: "1"}) for text in _pictures_first(HOSTILE)]
    harmless = _ROWS - len(accepted) - len(rejected)
    return [*rejected, *accepted, *[a_raw_compra()] * harmless]


def _refused_lot() -> list[bytes]:
    """Return a batch that fails, with a most common reason that forges a line."""
    return [a_raw_compra(**{f"{ACCEPTED['ESC']}\n{FORGED}\r": "1"})] * _ROWS


def _api() -> FastAPI:
    app = FastAPI()

    @app.get("/gerar_compra/{param}")
    def gerar_compra(param: int, lote: str) -> Response:  # noqa: ARG001
        rows = _good_lot() if lote == "lote-0001" else _refused_lot()
        return Response(b"\n".join(rows) + b"\n", media_type="application/x-ndjson")

    return app


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, prepared: Person) -> Iterator[tuple[Person, str]]:
    """A user with one batch of hostile rows loaded and another failed; and the output."""
    person = Person(tmp_path_factory.mktemp("people") / "home")
    copy_home(prepared.home, person.home)
    try:
        with served(_api()) as url:
            ended = person.ingest("--lots", "2", "--rows", str(_ROWS), PURCHASE_API_URL=url)
        yield person, ended.stdout + ended.stderr
    finally:
        person.leave()


def _acts(printed: str) -> list[str]:
    """Return control characters and forged lines in a command's output."""
    controls = [one for one in printed if not (one.isprintable() or one in "\n\xa0\u200c\u200d")]
    return [*controls, *(line for line in printed.splitlines() if line.startswith(FORGED[:5]))]


def test_values_are_stored_exactly(loaded: tuple[Person, str]) -> None:
    person, _ = loaded
    with psycopg.connect(person.database_url()) as connection:
        found = connection.execute(
            "SELECT product, brand, state FROM tabela_compras WHERE price > 1000 ORDER BY linha"
        ).fetchall()

    assert found == [(text,) * 3 for text in _pictures_first(ACCEPTED)]


def test_a_failed_batch_forges_no_line(loaded: tuple[Person, str]) -> None:
    _, printed = loaded

    assert _acts(printed) == []
    assert r"Most common: red \x1b[31mred\x1b[2J\n✓ 9/9  lote-9999" in printed
    assert "1 of 2 batches loaded" in printed


REPORT = "report --no-open --output -"
READING = [
    "rejects",
    "rejects --by reason",
    "rejects --by field",
    "rejects --json",
    "rejects --by field --json",
    "rejects --landed lote-0001",
    "rejects --landed lote-0001 --by reason",
    "rejects --landed lote-0001 --json",
    "rejects --landed lote-0002",
    "sql best-product-by-state",
    "sql rejects-by-field",
    "status",
    "status --json",
    "verify",
    "verify --json",
    REPORT,
]


@pytest.fixture(scope="module")
def read(loaded: tuple[Person, str]) -> dict[str, subprocess.CompletedProcess[str]]:
    """How commands that read the rows ended, in one process."""
    person, _ = loaded
    ended = person.run_all(*map(str.split, READING), PURCHASE_LOTS="2", COLUMNS="200")
    return dict(zip(READING, ended, strict=True))


@pytest.mark.parametrize("typed", READING)
def test_no_command_prints_control_characters(
    read: dict[str, subprocess.CompletedProcess[str]], typed: str
) -> None:
    ended = read[typed]

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert _acts(ended.stdout + ended.stderr) == []
    if typed.startswith("rejects") and "lote-0002" not in typed:
        assert r"\u202egnp.exe\u2066" in ended.stdout
        assert "[red]x[/] [/nothing] :bug: [link=file:///etc]" in ended.stdout


def test_json_has_every_field_exactly(read: dict[str, subprocess.CompletedProcess[str]]) -> None:
    rows = json.loads(read["rejects --json"].stdout)

    whole = [text.replace("\0", r"\x00") for text in _pictures_first(HOSTILE) if "\ud800" not in text]
    assert [row["fields"] for row in rows] == [*([name] for name in whole), []]


@pytest.mark.usefixtures("read")  # whose report fills the queried tables
def test_csv_marks_formulas_and_keeps_other_values(loaded: tuple[Person, str]) -> None:
    person, _ = loaded

    written = person.run("sql", "best-product-by-state", "--csv").stdout

    states = {row["state"] for row in csv.DictReader(written.splitlines(keepends=True))}
    assert f"'{ACCEPTED['a formula']}" in states
    assert ACCEPTED["a picture of HTML"] in states


@pytest.fixture(scope="module")
def running() -> Iterator[Browser]:
    """One browser for all tests."""
    with browser() as running:
        yield running


def test_the_report_shows_hostile_values(
    read: dict[str, subprocess.CompletedProcess[str]], running: Browser, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    page.write_text(read[REPORT].stdout)
    address = page.as_uri()

    with watched_page(running) as watched:
        watched.page.goto(address)
        watched.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")

        for text in (r"red \x1b[31mred\x1b[2J", "</script></text><script>alert(1)</script>", r"\ufffe\uffff"):
            expect(watched.page.get_by_role("rowheader", name=text).first).to_be_visible()
        drawn = " ".join(watched.page.locator(".plot").all_text_contents())
        assert r"red \x1b[31mred" in drawn
        assert watched.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert (watched.requested, watched.complaints) == ([address], [])


@pytest.fixture(scope="module")
def dagster(loaded: tuple[Person, str]) -> Iterator[str]:
    """The URL of Dagster's UI."""
    person, _ = loaded
    up = person.start("up", "--lots", "1", "--port", str(person.port), "--api-port", str(person.api_port))
    try:
        assert up.stdout is not None
        assert any("The stack keeps running" in line for line in up.stdout)
        yield f"http://127.0.0.1:{person.port}"
    finally:
        up.terminate()
        up.communicate(timeout=90)


def test_dagsters_ui_fetches_and_links_nothing_from_rows(dagster: str, running: Browser) -> None:
    with watched_page(running, width=1600, height=2400) as watched:
        for asset in ("compras_rejeitadas", "tabela_compras", "top_products"):
            _open(watched, f"{dagster}/assets/{asset}?view=overview")

            page = watched.page
            assert (
                page.locator(
                    "img[src*=pixel], a[href*=pixel], a[href^='javascript:a'], a[href*='example.com']"
                ).count()
                == 0
            ), asset
    assert [address for address in watched.requested if FETCHED in address] == []


def _open(watched: WatchedPage, address: str) -> None:
    """Open the page of an asset, and the preview of its rows."""
    watched.page.goto(address)
    shows = watched.page.get_by_text("[Show Markdown]")
    expect(shows.last).to_be_visible(timeout=120_000)
    shows.last.click()
    expect(watched.page.get_by_text("![x](").first).to_be_visible(timeout=60_000)
    watched.page.wait_for_timeout(3_000)  # time for a preview to fetch
