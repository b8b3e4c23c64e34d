"""Dagster's UI as people meet it: of a real campaign, in a real browser, without an error in its console."""

import json
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from purchase_pipeline_tests.browsers import browser, watched_page
from purchase_pipeline_tests.other_origin import OtherOrigin, launched, launches, other_origin
from purchase_pipeline_tests.person import Person, copy_home, listening
from purchase_pipeline_tests.waiting import wait_until

pytestmark = pytest.mark.proof

_MILLISECONDS = 60_000  # a page asks for all its scripts at first


@pytest.fixture(scope="module")
def started_up(
    tmp_path_factory: pytest.TempPathFactory, prepared: Person
) -> Iterator[tuple[Person, list[str]]]:
    """Somebody who has started the whole stack, with its UI, and waits until two lots are loaded; what they saw."""
    person = Person(tmp_path_factory.mktemp("people") / "home")
    copy_home(prepared.home, person.home)
    words = ["--lots", "2", "--rows", "500", "--defects", "0.02", "--every", "1"]
    ports = ["--port", str(person.port), "--api-port", str(person.api_port)]
    person.forks_services = False
    up = person.start("up", *words, *ports)
    try:
        assert up.stdout is not None
        printed = list(takewhile(lambda line: "The stack keeps running" not in line, up.stdout))
        assert up.poll() is None, printed
        yield person, printed
    finally:
        up.terminate()
        up.communicate(timeout=60)
        person.leave()


@pytest.fixture(scope="module")
def person(started_up: tuple[Person, list[str]]) -> Person:
    """Somebody whose stack runs, with two lots loaded."""
    return started_up[0]


@pytest.fixture(scope="module")
def running(person: Person) -> Iterator[Browser]:  # noqa: ARG001  (there must be something to look at)
    """One browser for all tests."""
    with browser() as running:
        yield running


class Dagster:
    """The UI in one page of the browser."""

    def __init__(self, page: Page, port: int) -> None:
        self.page = page
        self.address = f"http://127.0.0.1:{port}"

    def open(self, path: str) -> Page:
        self.page.goto(self.address + path)
        return self.page

    def see(self, text: str | re.Pattern[str]) -> None:
        """Wait until a text is to be seen."""
        expect(self.page.get_by_text(text).first).to_be_visible()


@pytest.fixture
def dagster(person: Person, running: Browser) -> Iterator[Dagster]:
    """The UI; in the end, nothing went wrong on its page."""
    expect.set_options(timeout=_MILLISECONDS)
    with watched_page(running, width=1440, height=1000) as watched:
        watched.page.set_default_timeout(20_000)
        yield Dagster(watched.page, person.port)
        assert watched.complaints == []


def test_only_ui_and_mock_api_listen_and_only_on_loopback(started_up: tuple[Person, list[str]]) -> None:
    person, printed = started_up

    assert listening(person) == {("127.0.0.1", person.port), ("127.0.0.1", person.api_port)}
    assert "Warning:" not in "".join(printed)


@pytest.mark.parametrize(
    ("group", "assets"),
    [
        ("ingest", ["raw_purchases", "tabela_compras", "compras_rejeitadas"]),
        ("sales", ["sales_by_lot", "revenue_by_state", "sales_report"]),
    ],
)
def test_the_asset_graph_is_drawn(dagster: Dagster, group: str, assets: list[str]) -> None:
    page = dagster.open(f"/locations/purchase_pipeline/asset-groups/{group}")

    for name in assets:
        expect(page.locator("foreignObject").filter(has_text=name).first).to_be_attached()


def test_an_asset_tells_what_it_is(dagster: Dagster) -> None:
    dagster.open("/assets/tabela_compras?view=overview")

    for text in (
        "Valid purchases, one row each",
        "Client's occupation",
        "at most 12 digits",
        "public.tabela_compras",
        "Warns if more than 12 hours since last materialization",
    ):
        dagster.see(text)
    expect(dagster.page.get_by_text("980", exact=True).first).to_be_visible()  # its rows


def test_a_lot_is_materialized_at_a_click(dagster: Dagster, person: Person) -> None:
    page = dagster.open("/locations/purchase_pipeline/jobs/ingest_lote")

    page.get_by_role("button", name="Materialize all").click()
    dialog = page.get_by_role("dialog").first
    dialog.get_by_role("button", name="Custom").click()
    dialog.get_by_text("lote-0001").first.click()
    page.get_by_text("Select all").click()
    page.get_by_text("lote-0002", exact=True).locator("visible=true").last.click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Launch 1 run").click()
    expect(page.get_by_role("dialog")).to_have_count(0)

    dagster.open("/runs")
    expect(page.get_by_text("Success").nth(2)).to_be_visible()  # the sensor's two, and this
    wait_until(lambda: person.counts() == (980, 2, 980))


def test_the_sensor_says_what_it_saw(dagster: Dagster) -> None:
    page = dagster.open("/locations/purchase_pipeline/sensors/missing_lots")

    page.get_by_role("button", name="0 runs requested").first.click()

    dagster.see(re.compile(r"2 of 2 batches loaded, \d in progress, 0 remaining"))


def test_checks_are_read_without_opening_anything(dagster: Dagster) -> None:
    dagster.open("/assets/tabela_compras?view=checks&checkDetail=every_row_is_loaded_or_rejected")

    dagster.see("1 batch: 500 rows received, 490 loaded + 10 rejected.")


def test_pools_have_a_limit(dagster: Dagster) -> None:
    dagster.open("/deployment/concurrency")

    for pool in ("purchase_api", "purchase_database"):
        dagster.see(pool)


def test_the_sales_follow_by_themselves(dagster: Dagster, person: Person) -> None:
    report = person.home / "reports" / "sales-report.html"

    wait_until(report.exists, seconds=200)

    dagster.open("/assets/sales_report?view=overview")
    dagster.see(str(report))
    with dagster.page.expect_popup() as opened:
        dagster.page.get_by_role("link", name="/sales-report").first.click()
    page = opened.value
    article = page.locator("article:visible")
    expect(article.get_by_text("980", exact=True).first).to_be_visible()
    assert article.locator(".plot").count() > 5
    assert page.evaluate("self.origin") == "null"  # its scripts are not Dagster's


@pytest.fixture
def elsewhere() -> Iterator[OtherOrigin]:
    with other_origin() as site:
        yield site


def test_a_page_of_another_origin_starts_no_run_by_its_pictures(
    person: Person, running: Browser, elsewhere: OtherOrigin, tmp_path: Path
) -> None:
    dagster, file = f"http://127.0.0.1:{person.port}", tmp_path / "notes.txt"
    file.write_text("mine\n")
    database = person.database_url()

    elsewhere.pictures(running, *launches(dagster, elsewhere.address, file=str(file), database=database))

    assert launched(dagster) == 0
    assert [path for path in elsewhere.requested if path.startswith("/gerar_compra")] == []
    assert file.read_text() == "mine\n"


FORGE = """mutation forge($event: ReportRunlessAssetEventsParams!) {
    reportRunlessAssetEvents(eventParams: $event) { __typename } }"""
FIND = """query find($key: AssetKeyInput!) {
    assetOrError(assetKey: $key) { ... on Asset { assetMaterializations { timestamp } } } }"""
# In the page's script; `await` what it returns.
SENT_FROM_ELSEWHERE = {
    "a form": """async ([url]) => {
        document.body.innerHTML = '<iframe name="hidden"></iframe><form target="hidden" method="post"></form>'
        document.forms[0].enctype = 'text/plain'; document.forms[0].action = url; document.forms[0].submit()
        await new Promise(done => document.querySelector('iframe').onload = done) }""",
    "fetch": "([url]) => fetch(url, {method: 'POST', mode: 'no-cors', body: 'x'}).catch(String)",
    "fetch without a referrer": """([url]) =>
        fetch(url, {method: 'POST', mode: 'no-cors', body: 'x', referrerPolicy: 'no-referrer'}).catch(String)""",
    "a report": "([, url]) => fetch(url, {method: 'POST', mode: 'no-cors'}).catch(String)",
    "a picture": """([url]) => new Promise(done => {
        const picture = new Image(); picture.onload = picture.onerror = done; picture.src = url })""",
    "a socket": """([, , url]) => new Promise((done, failed) => {
        const socket = new WebSocket(url, 'graphql-ws'); socket.onopen = () => failed(url); socket.onerror = done })""",
}


@pytest.mark.parametrize(
    "host", ["elsewhere.localhost", "127.0.0.1"]
)  # another site; another program of this machine
@pytest.mark.parametrize("way", SENT_FROM_ELSEWHERE)
def test_a_page_of_another_origin_changes_nothing_in_whatever_way_it_sends(
    person: Person, running: Browser, elsewhere: OtherOrigin, way: str, host: str
) -> None:
    dagster, key = f"http://127.0.0.1:{person.port}", re.sub(r"\W", "_", f"{way} {host}")
    variables = {"event": {"eventType": "ASSET_MATERIALIZATION", "assetKey": {"path": [key]}}}
    forged = httpx.URL(f"{dagster}/graphql", params={"query": FORGE, "variables": json.dumps(variables)})
    report, socket = f"{dagster}/report_asset_materialization/{key}", f"ws://127.0.0.1:{person.port}/graphql"
    elsewhere.address = elsewhere.address.replace("elsewhere.localhost", host)

    elsewhere.run(running, SENT_FROM_ELSEWHERE[way], str(forged), report, socket)

    asked = {"query": FIND, "variables": {"key": {"path": [key]}}}
    answer = httpx.post(f"{dagster}/graphql", json=asked, timeout=60).json()
    assert answer["data"]["assetOrError"] == {"assetMaterializations": []}


def test_graphql_is_taken_by_post_alone_from_this_server_by_its_name(person: Person) -> None:
    url = f"http://127.0.0.1:{person.port}/graphql"
    query = {"query": "{ version }"}

    assert httpx.post(url, json=query).json()["data"]["version"]
    for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        refused = httpx.get(url, params=query, headers=headers)
        assert (refused.status_code, refused.text) == (405, "Send GraphQL by POST.\n")
    assert httpx.head(url, params=query).status_code == 405
    assert httpx.post(url, json=query, headers={"Host": "evil.example"}).status_code == 403


def test_a_query_in_a_link_to_the_playground_is_not_run(
    person: Person, running: Browser, elsewhere: OtherOrigin
) -> None:
    dagster = f"http://127.0.0.1:{person.port}"
    *_, address = launches(dagster, "", file="", database="")

    with watched_page(running) as watched:
        watched.page.goto(elsewhere.address)
        watched.page.evaluate("url => { location = url }", address)
        expect(watched.page.locator(".graphiql-container")).to_be_visible(timeout=_MILLISECONDS)
        watched.page.wait_for_load_state("networkidle")

    assert launched(dagster) == 0


def test_a_link_on_another_page_opens_the_ui(dagster: Dagster, elsewhere: OtherOrigin) -> None:
    elsewhere.body = f'<a href="{dagster.address}/runs">runs</a>'
    dagster.page.goto(elsewhere.address)

    dagster.page.get_by_role("link").click()

    dagster.see("Success")


def materialized(dagster: str, asset: str) -> int:
    """Return how many partitions of an asset the catalog has."""
    query = """query stats($key: AssetKeyInput!) {
        assetNodeOrError(assetKey: $key) { ... on AssetNode { partitionStats { numMaterialized } } } }"""
    asked = {"query": query, "variables": {"key": {"path": [asset]}}}
    node = httpx.post(f"{dagster}/graphql", json=asked, timeout=60).json()["data"]["assetNodeOrError"]
    count: int = node["partitionStats"]["numMaterialized"]
    return count


def test_an_asset_that_is_wiped_by_the_button_comes_back(dagster: Dagster, person: Person) -> None:
    page = dagster.open("/assets/tabela_compras?view=overview")
    materialize = page.get_by_role("button", name="Materialize").first

    materialize.locator("xpath=following::button[1]").click()
    page.get_by_text("Wipe materializations").click()
    page.get_by_role("button", name="Wipe", exact=True).click()

    wait_until(lambda: materialized(dagster.address, "tabela_compras") == 0)
    wait_until(lambda: materialized(dagster.address, "tabela_compras") == 2, seconds=60)
    assert person.counts() == (980, 2, 980)
    dagster.open("/assets/tabela_compras?view=events")
    dagster.see("Restored from the ledger: the partition is loaded")
    dagster.open("/assets/tabela_compras?view=overview")
    expect(page.get_by_text("980", exact=True).first).to_be_visible()  # its rows


LAUNCH = """mutation launch($config: RunConfigData!) { launchRun(executionParams: {
    mode: "default", runConfigData: $config,
    executionMetadata: { tags: [{ key: "dagster/partition", value: "lote-0001" }] },
    selector: { repositoryLocationName: "purchase_pipeline", repositoryName: "__repository__", jobName: "ingest_lote",
        assetSelection: [{ path: ["tabela_compras"] }, { path: ["compras_rejeitadas"] }] }
    }) { ... on LaunchRunSuccess { run { runId } } } }"""


def test_a_failed_run_says_what_happened_and_shows_the_rejected_rows(dagster: Dagster) -> None:
    config = {"ops": {"validated_purchases": {"config": {"max_rejected_ratio": 0.01}}}}
    asked = {"query": LAUNCH, "variables": {"config": json.dumps(config)}}
    launched_run = httpx.post(f"{dagster.address}/graphql", json=asked, timeout=60).json()["data"][
        "launchRun"
    ]

    page = dagster.open(f"/runs/{launched_run['run']['runId']}")

    dagster.see(re.compile(r"RUN_FAILURE"))
    page.get_by_text("View full message").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(re.compile("5 of the first .* rows were rejected")).first).to_be_visible()
    expect(
        dialog.get_by_text("See them with `purchase-pipeline rejects --landed lote-0001`").first
    ).to_be_visible()
    expect(dialog.get_by_text('{"date_purchase"').first).to_be_visible()
