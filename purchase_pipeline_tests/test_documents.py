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
    anchors_of,
    blocks_of,
    code_spans_of,
    commands_of,
    links_of,
    name_of,
    without_comments,
)

pytestmark = pytest.mark.source  # this project's files, whatever the Python

DOCS = PROJECT / "docs"


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


def test_both_readmes_have_the_same_code() -> None:
    english, portuguese = (
        [
            (block.language, re.sub(r"\bas \w+", "as", without_comments(block.text)))
            for block in blocks_of(readme)
            if block.language not in SHOWN
        ]
        for readme in READMES
    )

    assert portuguese == english


def test_the_operations_page_lists_every_setting_and_its_default() -> None:
    told = dict(
        re.findall(
            r"^\| `([A-Z_]+)` \| `?([^|`]+?)`?[ |]", (DOCS / "operations.md").read_text(), re.MULTILINE
        )
    )

    for name, field in Settings.model_fields.items():
        variable = str(field.validation_alias or f"PURCHASE_{name.upper()}")
        assert variable in told
        if isinstance(field.default, int | float):
            assert told[variable] == f"{field.default:g}"


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
