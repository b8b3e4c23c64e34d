"""Splitting of a received batch into the raw text of its rows. Rows are not validated here."""

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Protocol

from purchase_pipeline.errors import PipelineError


class RawFormat(StrEnum):
    """Format of a received batch, as a media type; stored in manifests."""

    NDJSON = "application/x-ndjson"
    JSON_ARRAY = "application/json"


_NDJSON_TYPE = re.compile(r"(application|text)/(x-)?(ndjson|jsonl|jsonlines|json-lines|ldjson)")
_JSON_TYPE = re.compile(r"(application|text)/(x-)?json|application/[\w.!#$&^+-]+\+json")


def raw_format_of(content_type: str) -> RawFormat | None:
    """Return the format of a Content-Type, or None if it is not supported."""
    media_type = content_type.partition(";")[0].strip().lower()
    if _NDJSON_TYPE.fullmatch(media_type):
        return RawFormat.NDJSON
    return RawFormat.JSON_ARRAY if _JSON_TYPE.fullmatch(media_type) else None


class UnreadableResponseError(PipelineError):
    """The content is incomplete or malformed, so it cannot be split into its rows."""


class RowSplitter(Protocol):
    """Splits chunks of bytes into complete rows, in order, unchanged."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Add a chunk, and return the rows that it completes."""

    def close(self) -> list[bytes]:
        """End the input, and return the remaining rows.

        Raises:
            UnreadableResponseError: malformed or truncated JSON array.
        """


def row_splitter(raw_format: RawFormat) -> RowSplitter:
    """Return the splitter for a format.

    Rows are the non-blank lines of NDJSON, valid or not, or the elements of a JSON array. A leading byte order mark is
    skipped.
    """
    return _LineSplitter() if raw_format is RawFormat.NDJSON else _ArraySplitter()


def split_rows(raw_format: RawFormat, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the raw text of each row, with one chunk and one row in memory.

    Raises:
        UnreadableResponseError: malformed or truncated JSON array.
    """
    splitter = row_splitter(raw_format)
    for chunk in chunks:
        yield from splitter.feed(chunk)
    yield from splitter.close()


class _LineSplitter:
    def __init__(self) -> None:
        self._begun: list[bytes] = []  # parts of an incomplete line, joined once
        self._mark = codecs.BOM_UTF8  # possible at the start

    def feed(self, chunk: bytes) -> list[bytes]:
        head, *lines = chunk.split(b"\n")
        self._begun.append(head)
        if not lines:
            return []
        whole = self._join()
        self._begun = [lines.pop()]
        return [line for line in (whole, *lines) if line and not line.isspace()]

    def close(self) -> list[bytes]:
        last = self._join()
        return [last] if last.strip() else []

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


class _ArraySplitter:
    def __init__(self) -> None:
        # Invalid UTF-8 passes through unchanged; it is rejected row by row.
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        # Joined only when there are enough of them: joining at each chunk is quadratic for a huge row.
        self._parts: list[str] = []
        self._length = 0
        self._enough = 1
        self._opened = self._closed = self._any = False

    def feed(self, chunk: bytes) -> list[bytes]:
        self._add(self._utf8.decode(chunk))
        if self._length < self._enough:
            return []
        elements = list(self._take_elements())
        # No complete element yet: wait for twice as much, as parsing again at each chunk is quadratic too.
        self._enough = 1 if elements else 2 * self._length
        return elements

    def close(self) -> list[bytes]:
        self._add(self._utf8.decode(b"", final=True))
        elements = list(self._take_elements())
        if not self._closed or self._length:
            raise UnreadableResponseError("The JSON array is malformed or truncated.")
        return elements

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
