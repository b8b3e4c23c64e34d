"""Pages of the Dagster UI in a real browser: time until the main content is visible, and data transferred."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, sleep
from typing import NamedTuple

import httpx
from playwright.sync_api import Browser, Page, Request

from purchase_pipeline.stack.ports import LOOPBACK, http_url
from purchase_pipeline.stack.processes import Processes, Service
from purchase_pipeline_tests.browsers import browser, watched_page
from purchase_pipeline_tests.serving import free_port

_WORKSPACE = Path(__file__).parent.parent / "workspace.yaml"
_LONGEST_MILLISECONDS = 120_000
_LOCATION, _ASSET = "/locations/purchase_pipeline", "/assets/tabela_compras"


class Content(NamedTuple):
    """The content to wait for: a text that occurs `times` times."""

    path: str
    text: str | re.Pattern[str]
    times: int = 1


class Shown(NamedTuple):
    """One page view: seconds until its content was visible, number and size of GraphQL responses."""

    seconds: float
    answers: int
    kilobytes: float


def contents(lots: int, newest: str) -> dict[str, Content]:
    """Return the pages to open, with their content for a number of loaded batches."""
    return {
        "asset graph": Content(f"{_LOCATION}/asset-groups/ingest", re.compile(r"^\d+% filled$"), 3),
        "catalog": Content("/assets", f"{lots:,}", 4),
        "asset": Content(f"{_ASSET}?view=overview", "Client's occupation"),
        "asset's partitions": Content(f"{_ASSET}?view=partitions", f"Materialized ({lots})"),
        "asset's events": Content(f"{_ASSET}?view=events", "bytes_copied"),
        "asset's checks": Content(
            f"{_ASSET}?view=checks&checkDetail=every_row_is_loaded_or_rejected", re.compile("rows received,")
        ),
        "runs": Content("/runs", newest),
        "sensor": Content(f"{_LOCATION}/sensors/missing_lots", "Sensor has never run"),
        "job's partitions": Content(f"{_LOCATION}/jobs/ingest_lote/partitions", f"{lots + 10}"),
    }


@contextmanager
def a_webserver(home: Path) -> Iterator[str]:
    """Serve the UI of the definitions in the environment, without a daemon; yield its address."""
    processes, port = Processes(home), free_port()
    program = [sys.executable, "-m", "purchase_pipeline.stack.webserver"]
    address = http_url(LOOPBACK, port)
    try:
        processes.start(
            Service("webserver", [*program, "-h", LOOPBACK, "-p", str(port), "-w", str(_WORKSPACE)])
        )
        while not _answers(address):
            processes.check("webserver")
            sleep(0.1)
        yield address
    finally:
        processes.stop_all()


def shown_pages(address: str, pages: dict[str, Content], rounds: int) -> dict[str, list[Shown]]:
    """Open each page once per round, after an uncounted round, always in a fresh browser profile."""
    with browser() as running:
        turns = [
            {name: _shown(running, address, content) for name, content in pages.items()}
            for _ in range(rounds + 1)
        ]
    return {name: [turn[name] for turn in turns[1:]] for name in pages}


def _shown(running: Browser, address: str, content: Content) -> Shown:
    answered = list[Request]()
    with watched_page(running, width=1440, height=1000) as watched:
        page = watched.page
        page.set_default_timeout(_LONGEST_MILLISECONDS)
        page.on("requestfinished", lambda request: answered.append(request))  # noqa: PLW0108  (it does not accept a built-in)
        started = perf_counter()
        page.goto(address + content.path, wait_until="commit")
        _wait_for(page, content)
        seconds = perf_counter() - started
        page.wait_for_load_state("networkidle")
        asked = [one for one in answered if one.method == "POST" and "/graphql" in one.url]
        return Shown(seconds, len(asked), sum(one.sizes()["responseBodySize"] for one in asked) / 1e3)


def _wait_for(page: Page, content: Content) -> None:
    exact = isinstance(content.text, str)
    page.get_by_text(content.text, exact=exact).locator("visible=true").nth(content.times - 1).wait_for()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/server_info", timeout=2.0, trust_env=False).is_success
    except httpx.TransportError:
        return False
