"""A real browser for the tests: the installed Chromium, headless."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from purchase_pipeline_tests.programs import program

# The shell has no windows, and opens a page with a quarter of the CPU time.
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class WatchedPage:
    """A page with its console errors and requested URLs."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)


def chromium() -> str:
    """Return the path of Chromium. Without it, skip the test; in CI that is an error."""
    return program(*_NAMES, package="chromium-headless-shell")


@contextmanager
def browser() -> Iterator[Browser]:
    """Run Chromium during a test. For root its sandbox does not work and is disabled."""
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
    """Open a page in a fresh browser context, closed at the end."""
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
