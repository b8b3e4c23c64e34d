"""Splitting of JSON into the raw text of its rows. Rows are not validated here."""

import codecs
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from purchase_pipeline.errors import PipelineError


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
_DECODER = json.JSONDecoder(strict=False, parse_int=str, parse_float=str, parse_constant=str)
_BLANKS = " \t\r\n"


def is_whole_json(row: bytes) -> bool:
    """Return whether a row's text is one complete JSON value."""
    try:
        _DECODER.decode(row.decode("utf-8", "surrogateescape"))
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
                _, end = _DECODER.raw_decode(text, at)
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


_NAME = re.compile(r'\s*[{,]\s*("(?:[^"\\]|\\.)*+")\s*:\s*', re.DOTALL)
_CLOSE = re.compile(r"\s*\{?\s*\}")
# Integers stay integers: a cursor may be one, and `has_more` 0 or 1.
_ENVELOPE = json.JSONDecoder(strict=False, parse_float=str, parse_constant=str)


class EnvelopeSplitter:
    """Splits the array at a path in a JSON object, `data.records`, into its elements; null is an empty array."""

    header = None
    truncated = ""

    def __init__(self, path: str) -> None:
        self.envelope: Any = None
        self._path = path.split(".")
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._array: ArraySplitter | None = None
        self._outside: list[str] = []
        self._length = 0
        self._enough = 1  # parsing again at each chunk is quadratic for a long head

    def feed(self, chunk: bytes) -> list[bytes]:
        """Add a chunk, and return the elements that it completes."""
        return self._add(self._utf8.decode(chunk))

    def close(self) -> list[bytes]:
        """Return the elements that remain, and parse the envelope.

        Raises:
            UnreadableResponseError: malformed or truncated JSON, or no array at the path.
        """
        self._enough = 0
        elements = self._add(self._utf8.decode(b"", final=True))
        if self._array is not None:
            elements += self._array.take()
            self._outside.append(self._array.rest() or "")
        try:
            self.envelope = _ENVELOPE.decode("".join(self._outside))
        except (ValueError, RecursionError) as error:
            raise UnreadableResponseError("The JSON object is malformed or truncated.") from error
        if value_at(self.envelope, self._path) not in ([], None):
            raise UnreadableResponseError(f"The response has {'.'.join(self._path)!r} twice.")
        return elements

    def _add(self, text: str) -> list[bytes]:
        if self._array is None:
            self._outside.append(text)
            self._length += len(text)
            text = self._found_array()
        if self._array is None:
            return []
        elements = self._array.add(text)
        self._outside.append(self._array.rest() or "")
        return elements

    def _found_array(self) -> str:
        """Look for the array in the text so far; return its text, and keep what precedes it."""
        if self._length < self._enough:
            return ""
        text, self._enough = "".join(self._outside), 2 * self._length
        at = _position_of(text, self._path)
        if at is None or text.startswith("null"[: len(text) - at], at):
            return ""
        if text[at] != "[":
            raise UnreadableResponseError(f"{'.'.join(self._path)!r} in the response is not an array.")
        self._array = ArraySplitter()
        self._outside = [text[:at], "[]"]
        return text[at:]


def value_at(envelope: Any, path: Sequence[str]) -> Any:  # noqa: ANN401
    """Return the value at a path in parsed JSON; None if there is none."""
    for name in path:
        envelope = envelope.get(name) if isinstance(envelope, dict) else None
    return envelope


def _position_of(text: str, path: Sequence[str]) -> int | None:
    """Return where the value at a path begins; None if the text so far does not tell.

    Raises:
        UnreadableResponseError: the text is not an object, or has no such member.
    """
    at = depth = 0
    if text.strip() and text.lstrip()[0] != "{":
        raise UnreadableResponseError("The response is not a JSON object.")
    while depth >= 0:
        if not (name := _NAME.match(text, at)):
            if not (closed := _CLOSE.match(text, at)):
                return None
            at, depth = closed.end(), depth - 1
            continue
        at = name.end()
        if _DECODER.decode(name[1]) == path[depth] and at < len(text):
            if depth == len(path) - 1:
                return at
            if text[at] == "{":
                depth += 1
                continue
        try:
            _, at = _DECODER.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError):
            return None
    raise UnreadableResponseError(f"The response has no {'.'.join(path)!r}.")
