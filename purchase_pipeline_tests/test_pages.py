"""The pages that Dagster's web server serves besides its UI."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from purchase_pipeline.settings import current_settings
from purchase_pipeline.stack.pages import ROUTES
from purchase_pipeline_tests.serving import served


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server of these pages, with a home of its own."""
    monkeypatch.setenv("PURCHASE_HOME", str(tmp_path))
    current_settings.cache_clear()
    with served(Starlette(routes=ROUTES)) as url:
        yield url
    current_settings.cache_clear()


def test_the_report_is_served_as_written_last_and_reaches_nothing_of_this_server(
    url: str, tmp_path: Path
) -> None:
    assert httpx.get(f"{url}/sales-report").status_code == 404
    (tmp_path / "reports").mkdir()
    for text in ("<p>old</p>", "<p>new</p>"):
        (tmp_path / "reports" / "sales-report.html").write_text(text)

    response = httpx.get(f"{url}/sales-report")

    assert (response.status_code, response.text) == (200, "<p>new</p>")
    policy = dict(
        each.strip().partition(" ")[::2] for each in response.headers["Content-Security-Policy"].split(";")
    )
    assert "allow-same-origin" not in policy["sandbox"]
    assert (policy["default-src"], policy["form-action"]) == ("'none'", "'none'")


def test_pages_of_the_documentation_are_served_as_text_and_nothing_else_is(url: str) -> None:
    page = httpx.get(f"{url}/docs/sales.md")

    assert page.text.startswith("# Sales")
    assert page.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert httpx.get(f"{url}/docs/images/asset-graph.png").headers["Content-Type"] == "image/png"
    for path in ("%2e%2e/pyproject.toml", "..%2fpyproject.toml", "/etc/hostname", "nothing.md", ""):
        assert httpx.get(f"{url}/docs/{path}").status_code == 404
