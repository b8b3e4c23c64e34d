"""The page of the API works without internet, in a browser, and runs a request at once."""

import json
from collections.abc import Iterator
from datetime import date

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # untyped
from playwright.sync_api import Browser, Page

from mock_api.app import create_app
from purchase_pipeline_tests.browsers import WatchedPage, browser, watched_page
from purchase_pipeline_tests.serving import served


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    with served(create_app(defects=0, today=date(2026, 11, 24))) as url:
        yield url


@pytest.fixture(scope="module")
def running() -> Iterator[Browser]:
    """One browser for all tests."""
    with browser() as running:
        yield running


@pytest.fixture
def watched(running: Browser, api: str) -> Iterator[WatchedPage]:
    """The page, opened by the address of the API, with the request for purchases unfolded."""
    with watched_page(running) as watched:
        watched.page.goto(api)
        watched.page.get_by_text("Generate purchases").click()
        yield watched


def executed(page: Page) -> Page:
    page.get_by_role("button", name="Execute").click()
    page.locator(".live-responses-table").wait_for()
    return page


def test_the_address_of_the_api_leads_to_the_page(api: str) -> None:
    response = httpx.get(api, follow_redirects=True)

    assert (response.status_code, str(response.url)) == (200, f"{api}/docs")


def test_the_page_allows_no_other_host(api: str) -> None:
    policy = httpx.get(f"{api}/docs").headers["Content-Security-Policy"]

    assert policy.startswith("default-src 'none'; ")
    assert "//" not in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", ["/swagger-ui/", "/swagger-ui/nothing.js", "/swagger-ui/%2e%2e/main.py"])
def test_only_files_of_swagger_ui_are_served(api: str, path: str) -> None:
    response = httpx.get(api + path)

    assert (response.status_code, response.headers["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.proof
def test_the_page_is_drawn_and_requests_nothing_of_another_host(watched: WatchedPage, api: str) -> None:
    page = executed(watched.page)

    assert page.get_by_role("heading", name="Purchase API").is_visible()
    icon = f"/{page.locator('link[rel=icon]').get_attribute('href')}"  # Chromium's shell does not request it
    assert httpx.get(f"{api}{icon}").is_success
    assert {url.partition("?")[0].removeprefix(api) for url in watched.requested} - {icon} == {
        "/",
        "/docs",
        "/openapi.json",
        "/swagger-ui/swagger-ui-bundle.js",
        "/swagger-ui/swagger-ui.css",
        "/gerar_compra/5",
    }
    assert watched.complaints == []


@pytest.mark.proof
def test_the_page_has_a_language_a_title_and_landmarks(watched: WatchedPage) -> None:
    rules = [
        "html-has-lang",
        "document-title",
        "page-has-heading-one",
        "landmark-one-main",
        "landmark-unique",
    ]

    results = Axe().run(
        watched.page, options={"runOnly": rules}
    )  # the other rules are about Swagger UI's own parts

    assert results.violations_count == 0, results.generate_report()


@pytest.mark.proof
def test_a_request_runs_at_once_and_shows_its_rows(watched: WatchedPage, api: str) -> None:
    page = executed(watched.page)

    assert page.locator(".request-url").inner_text().split()[-1] == (
        f"{api}/gerar_compra/5?lote=lote-0001&defects=0"
    )
    shown = json.loads(page.locator(".live-responses-table .response-col_description pre").first.inner_text())
    assert shown == httpx.get(f"{api}/gerar_compra/5?lote=lote-0001").json()
