"""The sales report in a browser: offline, on a phone, by keyboard, with a screen reader, in print."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
import sqlalchemy as sa
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # untyped
from playwright.sync_api import Browser, FloatRect, Page

from purchase_pipeline.sales.report.figures import read_sales_figures
from purchase_pipeline.sales.report.page import render_report
from purchase_pipeline_tests.browsers import WatchedPage, browser, watched_page
from purchase_pipeline_tests.sold import fill, some_sales

pytestmark = pytest.mark.proof

LANGUAGES = ("pt-BR", "en")
LONG_WORD = "Anticonstitucionalissimamente" * 4


@pytest.fixture(scope="module")
def running() -> Iterator[Browser]:
    """One browser for all tests."""
    with browser() as running:
        yield running


@pytest.fixture
def report(engine: sa.Engine, tmp_path: Path) -> Path:
    """A report with one name that is wider than a phone screen."""
    fill(engine, [*some_sales(), *some_sales(product=LONG_WORD, category=LONG_WORD, payment_type=LONG_WORD)])
    path = tmp_path / "report.html"
    path.write_text(render_report(read_sales_figures(engine), datetime(2026, 11, 24, 12, tzinfo=UTC)))
    return path


def opened(watched: WatchedPage, report: Path, language: str) -> Page:
    """Open the report offline in one language, with all its tables."""
    watched.page.context.set_offline(True)
    watched.page.goto(report.as_uri())
    watched.page.locator(f'label[for="read-{language}"]').click()
    watched.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    return watched.page


def boxes_of_charts(page: Page) -> list[FloatRect]:
    return [box for chart in page.locator(".plot:visible").all() if (box := chart.bounding_box())]


def visible_languages(page: Page) -> list[str]:
    return [language for language in LANGUAGES if page.locator(f'article[lang="{language}"] h1').is_visible()]


@pytest.mark.parametrize(("scheme", "language"), [("light", "pt-BR"), ("dark", "en")])
def test_the_page_is_accessible(
    running: Browser, report: Path, scheme: Literal["light", "dark"], language: str
) -> None:
    with watched_page(running, scheme=scheme) as watched:
        page = opened(watched, report, language)

        page.locator(f'article[lang="{language}"] select[name=store]').select_option("2")
        page.locator(f'article[lang="{language}"] th button').first.click()
        page.locator(f'article[lang="{language}"] .tiles li').first.hover()
        assert page.locator(".tip").is_visible()

        results = Axe().run(page)

        assert results.violations_count == 0, results.generate_report()


def test_only_the_file_is_requested_and_the_console_is_empty(running: Browser, report: Path) -> None:
    with watched_page(running) as watched:
        opened(watched, report, "en").wait_for_load_state("networkidle")

    assert watched.requested == [report.as_uri()]
    assert watched.complaints == []


@pytest.mark.parametrize("width", [360, 700, 1000, 1280])
def test_nothing_overflows_and_every_chart_is_legible(running: Browser, report: Path, width: int) -> None:
    with watched_page(running, width=width) as watched:
        for language in LANGUAGES:
            page = opened(watched, report, language)

            reach = page.evaluate("document.documentElement.scrollWidth")
            boxes = boxes_of_charts(page)
            letters = page.evaluate(
                "[...document.querySelectorAll('.plot span')].filter(one => one.getClientRects().length)"
                ".map(one => parseFloat(getComputedStyle(one).fontSize))"
            )

            assert reach == width
            assert len(boxes) == 1 + 3 + 2 + 4 + 5
            assert all(box["width"] > 200 and box["height"] > 70 for box in boxes)
            assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)
            assert 10.5 <= min(letters) <= max(letters) <= 18


def test_the_language_is_switched_by_keyboard(running: Browser, report: Path) -> None:
    with watched_page(running) as watched:
        page = watched.page
        page.goto(report.as_uri())
        before = visible_languages(page)

        page.keyboard.press("Tab")
        page.keyboard.press("ArrowLeft")

        after = visible_languages(page)
        outline = page.locator('label[for="read-pt-BR"]').evaluate(
            "one => getComputedStyle(one).outlineStyle"
        )
        page.keyboard.press("ArrowRight")
        again = visible_languages(page)

    assert (before, after, again) == (["en"], ["pt-BR"], ["en"])
    assert outline == "solid"


def test_the_chosen_language_is_printed(running: Browser, report: Path) -> None:
    with watched_page(running, width=680, height=980) as watched:
        page = opened(watched, report, "en")
        page.emulate_media(media="print")

        printed = visible_languages(page)
        switch = page.locator("fieldset").is_visible()
        cut = page.evaluate(
            "[...document.querySelectorAll('figure')].map(one => getComputedStyle(one).breakInside)"
        )
        boxes = boxes_of_charts(page)

        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = one.closest('.table'))")
        pages = page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n")

    assert printed == ["en"]
    assert not switch
    assert set(cut) == {"avoid"}
    assert all(box["x"] + box["width"] <= 680 for box in boxes)
    assert pages == 4


@pytest.mark.parametrize(("locale", "shown"), [("pt-BR", "pt-BR"), ("en-GB", "en"), ("de", "en")])
def test_the_page_opens_in_the_language_of_the_browser(
    running: Browser, report: Path, locale: str, shown: str
) -> None:
    with running.new_context(locale=locale) as context:
        page = context.new_page()
        page.goto(report.as_uri())

        assert visible_languages(page) == [shown]
        assert page.locator("html").get_attribute("lang") == shown


def test_a_report_of_one_language_opens_in_it(running: Browser, report: Path, engine: sa.Engine) -> None:
    report.write_text(render_report(read_sales_figures(engine), datetime(2026, 11, 24, tzinfo=UTC), "pt"))

    with running.new_context(locale="en-GB") as context:
        page = context.new_page()
        page.goto(report.as_uri())

        assert visible_languages(page) == ["pt-BR"]


def test_without_script_the_page_is_complete(running: Browser, report: Path) -> None:
    with running.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(report.as_uri())

        assert visible_languages(page) == ["pt-BR"]
        assert page.locator(".finding:visible").count() == 14
        assert not page.locator("form:visible, button:visible").count()
        assert "R$" in (page.locator(".bars li:visible").first.get_attribute("title") or "")
