"""Splitting of JSON into the raw text of its rows. Rows are not validated here."""

import codecs
import json
from collections.abc import Iterator
from typing import Any, Protocol

from purchase_pipeline import PipelineError


class UnreadableResponseError(PipelineError):
    """The content is incomplete or malformed, so it cannot be split into its rows."""


class RowSplitter(Protocol):
    """Splits chunks of bytes into complete rows, in order, unchanged."""

    @property
    def header(self) -> tuple[str, ...] | None:
        """The columns' names of a CSV, known with its first row."""

    @property
    def envelope(self) -> Any:  # noqa: ANN401
        """The JSON around the rows, without them, known at the end."""

    @property
    def truncated(self) -> str:
        """Why the last row seems to be truncated, known at the end; empty if it does not."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Add a chunk, and return the rows that it completes."""

    def close(self) -> list[bytes]:
        """End the input, and return the remaining rows.

        Raises:
            UnreadableResponseError: malformed or truncated JSON.
        """


def without_mark(text: bytes) -> bytes:
    """Return the text without a leading byte order mark."""
    return text.removeprefix(codecs.BOM_UTF8)


class LineSplitter:
    """Splits NDJSON into its lines that are not blank, valid or not."""

    header = None
    envelope = None

    def __init__(self) -> None:
        self.truncated = ""
        self._begun: list[bytes] = []  # parts of an incomplete line, joined once
        self._mark = codecs.BOM_UTF8  # possible at the start

    def feed(self, chunk: bytes) -> list[bytes]:
        """Add a chunk, and return the lines that it completes."""
        head, *lines = chunk.split(b"\n")
        self._begun.append(head)
        if not lines:
            return []
        whole = self._join()
        self._begun = [lines.pop()]
        return [line for line in (whole, *lines) if line and not line.isspace()]

    def close(self) -> list[bytes]:
        """Return the last line, if it has no line end."""
        last = self._join()
        if not last.strip():
            return []
        if not is_whole_json(last):
            self.truncated = "the last line is truncated: it has no line end, and is not complete JSON."
        return [last]

    def _join(self) -> bytes:
        line, self._mark = b"".join(self._begun).removeprefix(self._mark), b""
        return line


# Lenient: numbers are not parsed (no limit of digits), control characters pass. The contract validates them.
DECODER = json.JSONDecoder(strict=False, parse_int=str, parse_float=str, parse_constant=str)
_BLANKS = " \t\r\n"


def is_whole_json(row: bytes) -> bool:
    """Return whether a row's text is one complete JSON value."""
    try:
        DECODER.decode(row.decode("utf-8", "surrogateescape"))
    except (json.JSONDecodeError, RecursionError):
        return False
    return True


class ArraySplitter:
    """Splits a JSON array into its elements."""

    header = None
    envelope = None
    truncated = ""

    def __init__(self) -> None:
        # Invalid UTF-8 passes through unchanged; it is rejected row by row.
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        # Joined only when there are enough of them: joining at each chunk is quadratic for a huge row.
        self._parts: list[str] = []
        self._length = 0
        self._enough = 1
        self._opened = self._closed = self._any = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Add a chunk, and return the elements that it completes."""
        return self.add(self._utf8.decode(chunk))

    def add(self, text: str) -> list[bytes]:
        """Add text, and return the elements that it completes."""
        self._add(text)
        if self._length < self._enough:
            return []
        elements = self.take()
        # No complete element yet: wait for twice as much, as parsing again at each chunk is quadratic too.
        self._enough = 1 if elements else 2 * self._length
        return elements

    def close(self) -> list[bytes]:
        """Return the elements that remain.

        Raises:
            UnreadableResponseError: malformed or truncated.
        """
        self._add(self._utf8.decode(b"", final=True))
        elements = self.take()
        if not self._closed or self._length:
            raise UnreadableResponseError("The JSON array is malformed or truncated.")
        return elements

    def take(self) -> list[bytes]:
        """Return and remove the complete elements of the text so far."""
        return list(self._take_elements())

    def rest(self) -> str | None:
        """Return and remove the text after the array; None before its end."""
        if not self._closed:
            return None
        text, self._parts, self._length = "".join(self._parts), [], 0
        return text

    def _add(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)

    def _take_elements(self) -> Iterator[bytes]:
        """Yield the complete elements of the buffer, and remove them."""
        text = "".join(self._parts)
        at = self._open(text, _after_blanks(text, 0))
        while self._opened and not self._closed and at < len(text):
            try:
                _, end = DECODER.raw_decode(text, at)
            except (json.JSONDecodeError, RecursionError):
                break
            follower = _after_blanks(text, end)
            mark = text[follower : follower + 1]
            if mark not in {",", "]"}:  # including "": `12` may continue as `123`
                break
            yield text[at:end].encode("utf-8", "surrogateescape")
            self._any, self._closed = True, mark == "]"
            at = _after_blanks(text, follower + 1)
        self._parts, self._length = [text[at:]], len(text) - at

    def _open(self, text: str, at: int) -> int:
        """Skip the opening bracket, and the closing one of an empty array."""
        if not self._opened and text[at : at + 1] == "[":
            self._opened, at = True, _after_blanks(text, at + 1)
        if self._opened and not self._any and not self._closed and text[at : at + 1] == "]":
            self._closed, at = True, _after_blanks(text, at + 1)
        return at


def _after_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANKS:
        at += 1
    return at
