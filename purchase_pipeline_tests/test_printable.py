"""Escaping for terminals, logs, JSON and spreadsheets."""

import json

import pytest

from purchase_pipeline.ingest.printable import in_brief, printable, printable_json, sheet_cell
from purchase_pipeline_tests.hostile import HOSTILE

_JOINERS = "\u200c\u200d"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_control_characters_are_escaped(text: str) -> None:
    printed = printable(text)

    assert [
        character for character in printed if not (character.isprintable() or character in _JOINERS)
    ] == []
    assert printed.isprintable() or "👨" in text
    assert len(printed.splitlines()) == 1


@pytest.mark.parametrize(
    "text", ["São Paulo", "R$\N{NO-BREAK SPACE}1,50", "漢字", "👨‍👩‍👧‍👦", "می‌خواهم", r"C:\x1b", ""]
)
def test_printable_text_is_unchanged(text: str) -> None:
    assert printable(text) == in_brief(text) == text


def test_escapes_are_written_as_in_python() -> None:
    assert printable("\x1b[31m\r\n\t\x00\x9b\u202e\u2028\ufffe\ud800\U000e0061") == (
        r"\x1b[31m\r\n\t\x00\x9b\u202e\u2028\ufffe\ud800\U000e0061"
    )


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_brief_text_is_short_and_can_be_wrapped(text: str) -> None:
    brief = in_brief(f"{text}: Extra inputs are not permitted")

    assert len(brief) <= 500
    assert max(map(len, brief.split())) <= 80
    assert brief.endswith(" inputs are not permitted")


def test_a_long_word_is_cut_and_the_others_kept() -> None:
    assert in_brief(f"a {'x' * 300} is no field") == f"a {'x' * 79}… is no field"
    assert in_brief("word " * 1000) == ("word " * 100)[:499] + "…"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_json_is_equivalent_and_escaped(text: str) -> None:
    written = printable_json([{text: text}])

    assert json.loads(written) == [{text: text}]
    lines = written.split("\n")
    assert len(lines) == 5
    assert all(printable(line) == line for line in lines)


@pytest.mark.parametrize("start", "=+-@\t\r")
def test_formulas_are_marked_as_text(start: str) -> None:
    assert sheet_cell(f"{start}cmd()") == f"'{start}cmd()"
    assert sheet_cell(f"a{start}b") == f"a{start}b"
    assert sheet_cell(-1.5) == -1.5
