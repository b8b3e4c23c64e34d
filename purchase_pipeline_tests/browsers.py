"""A real browser for the tests: Chromium without a window, of the machine that the tests run on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from purchase_pipeline_tests.programs import program

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class WatchedPage:
    """A page, and what it did since it was opened: errors in its console, and the addresses that it asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)


def chromium() -> str:
    """Return where Chromium is. Where there is none the test is skipped: in CI that is an error."""
    return program(*_NAMES, package="chromium")


@contextmanager
def browser() -> Iterator[Browser]:
    """Run Chromium for as long as a test needs it. Its sandbox does not work for root, and only then is left out."""
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=options)
        try:
            yield running
        finally:
            running.close()


@contextmanager
def watched_page(
    running: Browser, *, width: int = 1280, height: int = 800, scheme: Literal["light", "dark"] = "light"
) -> Iterator[WatchedPage]:
    """Open a page in a context of its own, closed after; nothing of it is kept for the next."""
    context = running.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    try:
        watched = WatchedPage(context.new_page())
        watched.page.on("console", lambda message: _note(watched, message))
        watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
        watched.page.on("request", lambda request: watched.requested.append(request.url))
        yield watched
    finally:
        context.close()


def _note(watched: WatchedPage, message: ConsoleMessage) -> None:
    if message.type == "error":
        watched.complaints.append(message.text)
