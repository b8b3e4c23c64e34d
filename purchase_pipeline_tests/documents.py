"""The project's documents: pages, code blocks, commands, links, headings."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parent.parent
READMES = [PROJECT / "README.md", PROJECT / "README.pt-BR.md"]
PAGES = [
    *READMES,
    PROJECT / "CONTRIBUTING.md",
    PROJECT / "CHANGELOG.md",
    *sorted(PROJECT.glob("docs/**/*.md")),
]
TRANSLATIONS = {
    READMES[1]: READMES[0],
    **{page: PROJECT / "docs" / page.name for page in sorted(PROJECT.glob("docs/pt-BR/*.md"))},
}
"""The pages in Portuguese, and their originals."""
SHOWN = {"text", "mermaid", "jinja", ""}
"""Languages of blocks with output or templates, which are neither run nor parsed."""

_FENCED = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_FILE_ABOVE = re.compile(r"^`([\w./-]+\.\w+)`:\n\n?\Z", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_HEADING = re.compile(r"^(#{1,6}) +(.+?) *$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced code block; `line` is the line of its opening fence.

    `file`: the name that the line above gives it, as in "`first.py`:"; '' where there is none.
    """

    page: Path
    line: int
    language: str
    text: str
    file: str

    def __str__(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def name_of(page: Path) -> str:
    """Return the path of a page relative to the project."""
    return str(page.relative_to(PROJECT))


def blocks_of(page: Path) -> list[Block]:
    """Return the code blocks of a page, in order."""
    text = page.read_text()
    return [
        Block(
            page,
            text.count("\n", 0, found.start()) + 1,
            found[2],
            re.sub(f"^{found[1]}", "", found[3], flags=re.MULTILINE),
            "".join(_FILE_ABOVE.findall(text[: found.start()])),
        )
        for found in _FENCED.finditer(text)
    ]


def prose_of(page: Path) -> str:
    """Return a page without its code blocks."""
    return _FENCED.sub("", page.read_text())


def code_spans_of(page: Path) -> list[str]:
    """Return the inline code of a page."""
    return [" ".join(span.replace("\\|", "|").split()) for span in _CODE_SPAN.findall(prose_of(page))]


def links_of(page: Path) -> list[str]:
    """Return the targets of a page's links and images within this project."""
    links = _LINK.findall(_CODE_SPAN.sub("code", prose_of(page)))
    return [link for link in links if not re.match(r"[a-z]+:", link)]


def headings_of(page: Path) -> list[tuple[int, str]]:
    """Return the level and the text of each heading."""
    return [(len(marks), text) for marks, text in _HEADING.findall(prose_of(page))]


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub generates them."""
    anchors = set[str]()
    for _, heading in headings_of(page):
        shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        again = sum(
            known == anchor or re.fullmatch(rf"{re.escape(anchor)}-\d+", known) is not None
            for known in anchors
        )
        anchors.add(f"{anchor}-{again}" if again else anchor)
    return anchors


@cache  # asks the shell about each line; a translation is compared with the whole original
def commands_of(block: Block) -> tuple[str, ...]:
    """Return the shell commands of a block, in order, without comments; a command may span lines."""
    if block.language == "sql":
        return (f"psql \"$(purchase-pipeline db-url)\" -X -v ON_ERROR_STOP=1 <<'SQL'\n{block.text}SQL",)
    if block.language == "console":
        return tuple(line.removeprefix("$ ") for line in block.text.splitlines() if line.startswith("$ "))
    return tuple(_whole_commands(block.text)) if block.language == "bash" else ()


def without_comments(command: str) -> str:
    """Return a shell command or SQL without comments."""
    return re.sub(r"(^|\s+)(#|--) .*$", "", command, flags=re.MULTILINE).strip()


def _whole_commands(text: str) -> Iterator[str]:
    command = ""
    for line in text.splitlines(keepends=True):
        command += line
        if without_comments(command) and _is_whole(command):
            yield without_comments(command)
            command = ""
        elif not without_comments(command):
            command = ""
    if command:
        raise ValueError(f"The block ends within this command: {command}")


def _is_whole(command: str) -> bool:
    """Ask the shell whether a command is complete. It only warns about an unfinished here-document."""
    asked = subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False)  # noqa: S607
    return not (command.rstrip("\n").endswith("\\") or asked.returncode or asked.stderr)
