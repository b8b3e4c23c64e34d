"""The files, headings, commands, options, settings and messages named in the documents exist."""

import ast
import re
from pathlib import Path

import click
import pytest

from purchase_pipeline.cli.main import main
from purchase_pipeline.settings import Settings
from purchase_pipeline_tests.documents import (
    PAGES,
    PROJECT,
    READMES,
    SHOWN,
    TRANSLATIONS,
    anchors_of,
    blocks_of,
    code_spans_of,
    commands_of,
    headings_of,
    links_of,
    name_of,
    without_comments,
)

pytestmark = pytest.mark.source  # this project's files, whatever the Python

DOCS = PROJECT / "docs"
WIDTH = 96
"""Columns of a code block in a window of 1,280 px: 798 px, of 8.2 px each."""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    astray = []
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            astray.append(link)

    assert astray == []


def command_line_of(text: str) -> list[str]:
    """Return the commands and options in a text that do not exist."""
    wrong = []
    for said in re.findall(r"\bpurchase-pipeline(?: +(?:-m|--feed) +[\w.]+)*((?: +[^|;&)\n]+)?)", text):
        words = re.findall(r"(?<![\w-])-{0,2}[a-z][a-z-]*", said)
        command: click.Command = main
        if words and not words[0].startswith("-"):
            named = main.get_command(click.Context(main), words[0])
            if named is None:
                wrong.append(words[0])
                continue
            command = named
        known = {option for one in command.get_params(click.Context(command)) for option in one.opts}
        wrong += [word for word in words if word.startswith("--") and word not in known]
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_and_option_that_is_named_exists(page: Path) -> None:
    spans = code_spans_of(page) + [command for block in blocks_of(page) for command in commands_of(block)]
    targets = re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE)

    assert [wrong for span in spans for wrong in command_line_of(span)] == []
    named = {found for span in spans for found in re.findall(r"^make ([a-z-]+)", span)}
    assert named - {*targets, "ingest", "status", "down", "reset"} == set()


def code_of(page: Path) -> list[tuple[str, str]]:
    """Return what a reader runs or saves: without comments, the names of columns, and what to fill in."""
    return [
        (block.language, re.sub(r"\bas \w+|\"<[^>]+>\"", "", without_comments(block.text)))
        for block in blocks_of(page)
        if block.language not in SHOWN
    ]


@pytest.mark.parametrize("page", TRANSLATIONS, ids=name_of)
def test_a_translated_page_has_the_code_and_the_headings_of_the_original(page: Path) -> None:
    headings, originals = headings_of(page), headings_of(TRANSLATIONS[page])

    assert code_of(page) == code_of(TRANSLATIONS[page])
    assert [level for level, _ in headings] == [level for level, _ in originals]
    assert [text for _, text in headings if text.startswith("`")] == [
        text for _, text in originals if text.startswith("`")
    ]


@pytest.mark.parametrize("page", TRANSLATIONS, ids=name_of)
def test_a_translated_page_names_the_same_code_and_links_to_the_original(page: Path) -> None:
    original = TRANSLATIONS[page]
    linked = {(one.parent / link).resolve() for one in (page, original) for link in links_of(one)}

    assert {page, original} <= linked
    assert set(code_spans_of(page)) == set(code_spans_of(original))


@pytest.mark.parametrize("page", READMES, ids=name_of)
def test_the_code_of_a_readme_fits_its_width_on_github(page: Path) -> None:
    shown = [
        line for block in blocks_of(page) if block.language != "mermaid" for line in block.text.splitlines()
    ]

    assert [line for line in shown if len(line) > WIDTH] == []


def test_the_operations_page_lists_every_setting_and_its_default() -> None:
    reported = dict(
        re.findall(
            r"^\| `([A-Z_]+)` \| `?([^|`]+?)`?[ |]", (DOCS / "operations.md").read_text(), re.MULTILINE
        )
    )

    for name, field in Settings.model_fields.items():
        variable = str(field.validation_alias or f"PURCHASE_{name.upper()}")
        assert variable in reported
        if isinstance(field.default, int | float):
            assert reported[variable] == f"{field.default:g}"


def messages() -> list[str]:
    """Return all texts of the program, with `...` for values."""
    found = [(PROJECT / "Makefile").read_text()]
    for module in PROJECT.glob("purchase_pipeline/**/*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "..." for part in node.values]
                found.append("".join(map(str, parts)))
    return found


def test_every_symptom_of_the_troubleshooting_page_is_a_message_of_the_program() -> None:
    headings = re.findall(r"^### (`.+)$", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    symptoms = [symptom for heading in headings for symptom in re.findall(r"`([^`]+)`", heading)]
    known = messages()

    def is_known(symptom: str) -> bool:
        pattern = ".*".join(map(re.escape, symptom.strip(".").split("...")))
        return any(re.search(pattern, message) for message in known)

    assert len(symptoms) > 30
    assert [symptom for symptom in symptoms if not is_known(symptom)] == []
