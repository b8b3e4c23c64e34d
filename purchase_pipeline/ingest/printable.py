r"""Text that somebody else wrote, as it may stand in a terminal, a log line, a page, JSON, a sheet's cell.

What a row says is stored exactly; it is made harmless where it is shown, and only there. Markdown, which Dagster's UI
renders, is `postgres.markdown`'s.
"""

import json
import re
from collections.abc import Callable
from datetime import datetime
from unicodedata import category

_JOINERS = (
    "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"  # without them, Persian, Hindi and many emoji fall apart
)
_LONGEST_RUN = 80  # characters without a blank
_LONGEST = 500
_RUN = re.compile(rf"\S{{{_LONGEST_RUN + 1},}}")
_STARTS_A_FORMULA = tuple("=+-@\t\r")


def printable(text: str) -> str:
    r"""Return a text in one line that acts on nothing: what has no glyph of its own shows as `\x1b`, `\n`, `\u202e`.

    That is control characters, line ends, marks that turn the direction of writing, and what Unicode has not assigned.
    """
    return _escaped(text, lambda character: ascii(character)[1:-1])


def in_brief(text: str) -> str:
    """Return a printable text short enough for a table or a message: what is too long ends in `…`."""
    cut = _RUN.sub(lambda run: run[0][: _LONGEST_RUN - 1] + "…", printable(text))
    return cut if len(cut) <= _LONGEST else cut[: _LONGEST - 1] + "…"


def one_line(text: str, most: int) -> str:
    """Return a printable text of so many characters at most, its blanks folded: a server's words in a message."""
    line = printable(" ".join(text[: 4 * most].split()))
    return line if len(line) <= most else line[: most - 1] + "…"


def printable_json(value: object, encoding: str = "utf-8") -> str:
    r"""Return a value as indented JSON that may go to a terminal: the same JSON, more of it written as `\u202e`.

    Where the terminal's encoding is no Unicode, that is all that is not ASCII.
    """
    ascii_only = "utf" not in encoding.lower()
    text = json.dumps(value, indent=2, ensure_ascii=ascii_only, default=datetime.isoformat)
    return "\n".join(
        _escaped(line, lambda character: json.dumps(character)[1:-1]) for line in text.split("\n")
    )


def sheet_cell(value: object) -> object:
    """Return a value as a cell of CSV: a text that a spreadsheet would run as a formula gets a `'` before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_STARTS_A_FORMULA) else value


def _escaped(text: str, escape: Callable[[str], str]) -> str:
    if text.isprintable():
        return text
    return "".join(character if _is_harmless(character) else escape(character) for character in text)


def _is_harmless(character: str) -> bool:
    return character.isprintable() or character in _JOINERS or category(character) == "Zs"
