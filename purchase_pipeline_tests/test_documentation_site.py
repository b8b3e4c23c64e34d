"""`make docs` builds every page, strictly; the site requests nothing from elsewhere, whether from a file or served."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from purchase_pipeline_tests.browsers import browser, watched_page
from purchase_pipeline_tests.documents import PAGES, PROJECT, Block, blocks_of, name_of

pytestmark = pytest.mark.source  # this project's files, whatever the Python

LIBRARIES = ["feeds", "postgres"]


def diagrams_of(page: Path) -> list[Block]:
    return [block for block in blocks_of(page) if block.language == "mermaid"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built by the command of `make docs` in a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    makefile = (PROJECT / "Makefile").read_text().replace("\\\n", "")
    (recipe,) = re.findall(r"^\t@\$\(BIN\)/(sphinx-build .*)$", makefile, re.MULTILINE)
    words = recipe.replace("dist/", f"{folder}/").split()
    built = subprocess.run(
        [Path(sys.executable).with_name(words[0]), *words[1:]],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder / "docs"


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_page_is_in_the_site_with_its_diagrams_drawn(site: Path, page: Path) -> None:
    html = (site / name_of(page)).with_suffix(".html").read_text()

    assert html.count("data:image/svg+xml;base64,") == 2 * len(
        diagrams_of(page)
    )  # for light and for dark pages


def test_the_site_names_no_file_of_another_host(site: Path) -> None:
    loaded = r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"([^\"]+)|<link\b[^>]*\bhref=\"([^\"]+)"
    named = {
        "".join(found) for page in site.glob("**/*.html") for found in re.findall(loaded, page.read_text())
    }
    imported = {
        url for style in site.glob("**/*.css") for url in re.findall(r"url\(\"?([^)\"]+)", style.read_text())
    }

    assert named
    assert [one for one in named | imported if re.match(r"https?:|//", one)] == []


@pytest.mark.parametrize("package", LIBRARIES)
def test_the_reference_has_every_public_name(site: Path, package: str) -> None:
    html = (site / "docs" / "site" / "api" / f"{package}.html").read_text()
    public = import_module(f"purchase_pipeline.{package}").__all__

    described = set(re.findall(rf'id="purchase_pipeline\.{package}\.([A-Z]\w*)"', html))

    assert described == set(public)


def test_the_search_works_from_a_file(site: Path, chrome: Browser) -> None:
    with watched_page(chrome) as opened:
        page = opened.page
        page.goto((site / "index.html").as_uri())
        page.wait_for_url("**/README.html")
        page.get_by_placeholder("Search").fill("quarantine")
        page.keyboard.press("Enter")
        page.locator("#search-results li", has_text="Glossary").get_by_role("link").click()
        page.wait_for_url("**/docs/glossary.html*")

        assert opened.complaints == []
        assert [url for url in opened.requested if not url.startswith(("file:", "data:"))] == []


def test_a_page_fits_a_phone(site: Path, chrome: Browser) -> None:
    with watched_page(chrome, width=390, height=844) as opened:
        for page in ("README", "docs/operations", "docs/site/api/feeds"):
            opened.page.goto((site / f"{page}.html").as_uri())

            assert opened.page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("page", [page for page in PAGES if diagrams_of(page)], ids=name_of)
def test_a_diagram_can_be_read_on_a_phone(site: Path, chrome: Browser, page: Path) -> None:
    with watched_page(chrome, width=390, height=844) as opened:
        opened.page.goto((site / name_of(page)).with_suffix(".html").as_uri())
        shrunk = opened.page.locator("img[src^='data:image/svg']:visible").evaluate_all(
            "images => images.map(image => image.clientWidth / image.getAttribute('width'))"
        )

    assert len(shrunk) == len(diagrams_of(page))
    assert min(shrunk) > 0.5  # of letters of 16 px
