"""Lines on a terminal are wrapped between words; in a pipe they stay whole."""

from io import StringIO

import pytest
from rich.console import Console
from rich.text import Text

from purchase_pipeline.ingest.printable import few
from purchase_pipeline.ops.lines import print_text

SENTENCE = "incomplete or no response from http://127.0.0.1:8129 (refused). Check that the API is running."
URL = (
    "postgresql://purchase_loader@/etl_fakedata?host=/var/lib/purchase-pipeline/4df23f496af0/socket&port=5432"
)


def printed(text: str | Text, *, is_terminal: bool, indent: int = 0) -> list[str]:
    written = StringIO()
    console = Console(file=written, width=80, force_terminal=is_terminal, color_system=None)
    print_text(console, text, indent)
    return written.getvalue().splitlines()


@pytest.mark.parametrize("indent", [0, 2, 40])
def test_a_terminal_gets_lines_that_end_between_words(indent: int) -> None:
    lines = printed(SENTENCE, is_terminal=True, indent=indent)

    assert len(lines) > 1
    assert " ".join(line.strip() for line in lines) == SENTENCE
    assert [line for line in lines if len(line) > 80 or line[:indent].strip() or line[indent] == " "] == []


def test_a_pipe_gets_one_line() -> None:
    assert printed(SENTENCE, is_terminal=False, indent=2) == [f"  {SENTENCE}"]


def test_a_word_longer_than_a_line_can_be_copied() -> None:
    assert printed(f"PostgreSQL {URL} is unavailable.", is_terminal=True) == [
        "PostgreSQL",
        URL,
        "is unavailable.",
    ]


def test_a_text_from_elsewhere_has_no_markup_and_no_control_characters() -> None:
    assert printed("[red]\x1b[2J\n✓ 1/1", is_terminal=True) == ["[red]\\x1b[2J\\n✓ 1/1"]


def test_a_blank_text_is_a_line() -> None:
    assert printed("", is_terminal=True) == printed("", is_terminal=False) == [""]


def test_many_keys_are_counted() -> None:
    assert few(["a", "b"]) == "a, b"
    assert few(list("abcdefg")) == "a, b, c, d, e and 2 more"
