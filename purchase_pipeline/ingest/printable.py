r"""Escaping of untrusted text for terminals, logs, pages, JSON and spreadsheets.

Values are stored exactly, and escaped only where they are shown. Markdown, which Dagster's UI renders, is escaped by
`postgres.markdown`.
"""

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from unicodedata import category

_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"  # Persian, Hindi and many emoji need them
_LONGEST_RUN = 80  # characters without whitespace
_LONGEST = 500
_SHOWN_KEYS = 5
_RUN = re.compile(rf"\S{{{_LONGEST_RUN + 1},}}")
_STARTS_A_FORMULA = tuple("=+-@\t\r")


def printable(text: str) -> str:
    r"""Return a text as one line, with non-printable characters escaped: `\x1b`, `\n`, `\u202e`.

    These are control characters, line ends, bidirectional marks and unassigned code points.
    """
    return _escaped(text, lambda character: ascii(character)[1:-1])


def in_brief(text: str) -> str:
    """Return a printable text, cut with `…` to fit a table or a message."""
    cut = _RUN.sub(lambda run: run[0][: _LONGEST_RUN - 1] + "…", printable(text))
    return cut if len(cut) <= _LONGEST else cut[: _LONGEST - 1] + "…"


def one_line(text: str, most: int) -> str:
    """Return a printable text with whitespace collapsed, cut to `most` characters."""
    line = printable(" ".join(text[: 4 * most].split()))
    return line if len(line) <= most else line[: most - 1] + "…"


def labelled(label: str, message: str) -> str:
    """Return a message with the partition that it is about, if it has a key."""
    return f"{label}: {message}" if label else message


def quantity(count: int, noun: str) -> str:
    """Return a count with its noun: `1 row`, `2 rows`, `3 batches`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "es" if noun.endswith("ch") else "s")


def few(keys: Sequence[str]) -> str:
    """Return the first keys, and how many more there are."""
    more = len(keys) - _SHOWN_KEYS
    return printable(", ".join(keys[:_SHOWN_KEYS]) + (f" and {more} more" if more > 0 else ""))


def duration(seconds: float) -> str:
    """Return a duration to be read by a person: `45 s`, `2 min 5 s`, `1 h 10 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (0 if hours else rest, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"


def printable_json(value: object, encoding: str = "utf-8") -> str:
    """Return a value as indented JSON for a terminal."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=datetime.isoformat)
    return "\n".join(escaped_json(line, encoding) for line in text.split("\n"))


def escaped_json(line: str, encoding: str = "utf-8") -> str:
    r"""Return a line of JSON with non-printable characters escaped: `\u202e`. They occur only in strings.

    For an encoding other than Unicode, all non-ASCII characters are escaped.
    """
    if "utf" not in encoding.lower() and not line.isascii():
        line = re.sub(r"[^\0-\x7f]", lambda found: json.dumps(found[0])[1:-1], line)
    return _escaped(line, lambda character: json.dumps(character)[1:-1])


def sheet_cell(value: object) -> object:
    """Return a value as a CSV cell, with a leading `'` if a spreadsheet would run it as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_STARTS_A_FORMULA) else value


def _escaped(text: str, escape: Callable[[str], str]) -> str:
    if text.isprintable():
        return text
    return "".join(character if _is_harmless(character) else escape(character) for character in text)


def _is_harmless(character: str) -> bool:
    return character.isprintable() or character in _JOINERS or category(character) == "Zs"
