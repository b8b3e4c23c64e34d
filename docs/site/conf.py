"""The documentation site: the pages of the repository as they are, navigation, and a reference from the docstrings.

Built by Sphinx with MyST and Furo: all three are released regularly, a broken link fails the build, and the search
index is a script, which also works from a file. (MkDocs has had no release since 2024; Zensical is at 0.x.)
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from html import escape
from typing import Any

import mermaidx
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from purchase_pipeline import feeds, postgres

NAVIGATION = {
    "Start": [
        "docs/getting-started",
        "docs/commands",
        "docs/your-own-api",
        "docs/postgres-io-manager",
        "docs/faq",
    ],
    "Run it": [
        "docs/operations",
        "docs/monitoring",
        "docs/upgrading",
        "docs/docker",
        "docs/scaling",
        "docs/kubernetes",
        "docs/sales",
        "docs/troubleshooting",
    ],
    "Recipes": [
        "docs/recipes",
        "docs/recipes/dbt",
        "docs/recipes/systemd",
        "docs/recipes/login",
        "docs/recipes/openlineage",
    ],
    "Reference": ["docs/feeds", "docs/site/api/feeds", "docs/site/api/postgres", "docs/glossary"],
    "Why, and how well": [
        "docs/architecture",
        "docs/reliability",
        "docs/performance",
        "docs/performance/figures",
        "docs/conformance",
        "docs/conformance/results",
    ],
    "The project": ["CONTRIBUTING", "CHANGELOG"],
    "Português": [
        "README.pt-BR",
        *(
            f"docs/pt-BR/{page}"
            for page in (
                "getting-started",
                "commands",
                "your-own-api",
                "conformance",
                "monitoring",
                "upgrading",
                "kubernetes",
                "troubleshooting",
            )
        ),
    ],
}

project = html_title = "Purchase pipeline"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

# The source folder is the repository, so that a page's links are the ones that GitHub follows.
root_doc = "README"
include_patterns = ["*.md", "docs/**"]
exclude_patterns = [".*", "dist"]
default_role = "code"  # docstrings are written as Markdown is

html_theme = "furo"
html_additional_pages = {"index": "redirect.html"}
html_copy_source = html_show_copyright = html_show_sphinx = html_use_index = False
templates_path = ["templates"]
# An excerpt is read from the page that was found, which a browser refuses to do from a file.
html_js_files = [
    (None, {"body": 'DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY &&= location.protocol !== "file:";'})
]

myst_fence_as_directive = {"mermaid"}
myst_heading_anchors = 6

add_module_names = False
autodoc_typehints_format = "short"
napoleon_use_ivar = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
for package in (
    feeds,
    postgres,
):  # autodoc lists what a module has loaded; these load a name when it is first used
    for name in package.__all__:
        getattr(package, name)


class Mermaid(SphinxDirective):
    """A diagram drawn during the build, for light pages and for dark ones: the reader's browser runs nothing."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return both pictures; the theme shows the one of the reader's scheme."""
        source = "\n".join(self.content)
        title = re.search(r"^ *accTitle: *(.+)$", source, re.MULTILINE)
        pictures = [
            _picture(source, scheme, theme, title[1] if title else "")
            for scheme, theme in (("light", "neutral"), ("dark", "dark"))
        ]
        return [nodes.raw("", f"<p>{''.join(pictures)}</p>", format="html")]


def _picture(source: str, scheme: str, theme: str, title: str) -> str:
    drawn = mermaidx.render(source, theme=theme).svg()
    width = re.findall(r'viewBox="\S+ \S+ (\d+)', drawn)[0]  # the drawing itself would fill the page
    data = b64encode(drawn.encode()).decode()
    return f'<img class="only-{scheme}" alt="{escape(title)}" width="{width}" src="data:image/svg+xml;base64,{data}">'


def _toctrees() -> Iterator[str]:
    for caption, pages in NAVIGATION.items():
        yield "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```"])


def _add_navigation(_app: Sphinx, page: str, source: list[str]) -> None:
    if page == root_doc:
        source[0] = "\n\n".join([source[0], *_toctrees()])


def _name_language(_app: Sphinx, page: str, _template: str, context: dict[str, Any], _tree: object) -> None:
    if "pt-BR" in page:
        context["language"] = "pt-BR"


def setup(app: Sphinx) -> None:
    """Add what is particular to this site."""
    app.add_directive("mermaid", Mermaid)
    app.connect("source-read", _add_navigation)
    app.connect("html-page-context", _name_language)
