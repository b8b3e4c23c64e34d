"""Cuts a lot, as received, into the texts of its rows. What a row says is not looked at here."""

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Protocol

from purchase_pipeline.errors import PipelineError


class RawFormat(StrEnum):
    """How a lot was sent, by the media type that names it best; manifests hold this."""

    NDJSON = "application/x-ndjson"
    JSON_ARRAY = "application/json"


_NDJSON_TYPE = re.compile(r"(application|text)/(x-)?(ndjson|jsonl|jsonlines|json-lines|ldjson)")
_JSON_TYPE = re.compile(r"(application|text)/(x-)?json|application/[\w.!#$&^+-]+\+json")


def raw_format_of(content_type: str) -> RawFormat | None:
    """Return the format that a Content-Type names, by any of its usual names; None: it is another."""
    media_type = content_type.partition(";")[0].strip().lower()
    if _NDJSON_TYPE.fullmatch(media_type):
        return RawFormat.NDJSON
    return RawFormat.JSON_ARRAY if _JSON_TYPE.fullmatch(media_type) else None


class UnreadableLotError(PipelineError):
    """The answer is not whole to its end, so its rows cannot be told apart, or are not all there."""


class RowSplitter(Protocol):
    """Takes a lot chunk by chunk and gives back the rows that became whole, in order, byte for byte."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next chunk."""

    def close(self) -> list[bytes]:
        """Say that there is no more.

        Raises:
            UnreadableLotError: a JSON array that is broken or cut short.
        """


def row_splitter(raw_format: RawFormat) -> RowSplitter:
    """Return the splitter for a format.

    NDJSON rows are the non-blank lines, whatever they hold; JSON array rows are the array's elements. A byte order
    mark at the beginning belongs to neither.
    """
    return _LineSplitter() if raw_format is RawFormat.NDJSON else _ArraySplitter()


def split_rows(raw_format: RawFormat, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield each row's own text, holding one chunk and one row in memory.

    Raises:
        UnreadableLotError: a JSON array that is broken or cut short.
    """
    splitter = row_splitter(raw_format)
    for chunk in chunks:
        yield from splitter.feed(chunk)
    yield from splitter.close()


class _LineSplitter:
    def __init__(self) -> None:
        self._begun: list[
            bytes
        ] = []  # parts of a line not ended yet, joined once however many chunks it spans
        self._mark = codecs.BOM_UTF8  # that may stand before the first line

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


# Numbers stay texts (no limit of digits) and control characters pass: judging them is the contract's work.
_DECODER = json.JSONDecoder(strict=False, parse_int=str, parse_float=str, parse_constant=str)
_BLANKS = " \t\r\n"


def is_whole_json(row: bytes) -> bool:
    """Tell whether a row's text is one JSON value to its end, and not the beginning of one."""
    try:
        _DECODER.decode(row.decode("utf-8", "surrogateescape"))
    except (json.JSONDecodeError, RecursionError):
        return False
    return True


class _ArraySplitter:
    def __init__(self) -> None:
        # Invalid UTF-8 passes through unharmed, to be validated, and kept, row by row.
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        # Joined once there is enough of them: joined at each chunk, a huge row would cost its square.
        self._parts: list[str] = []
        self._length = 0
        self._enough = 1
        self._opened = self._closed = self._any = False

    def feed(self, chunk: bytes) -> list[bytes]:
        self._add(self._utf8.decode(chunk))
        if self._length < self._enough:
            return []
        elements = list(self._take_elements())
        # An element longer than what is here: wait for twice as much, or reading it again costs the square too.
        self._enough = 1 if elements else 2 * self._length
        return elements

    def close(self) -> list[bytes]:
        self._add(self._utf8.decode(b"", final=True))
        elements = list(self._take_elements())
        if not self._closed or self._length:
            raise UnreadableLotError("The JSON array is broken, or ends before its closing bracket.")
        return elements

    def _add(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)

    def _take_elements(self) -> Iterator[bytes]:
        """Yield the whole elements at the head of what is here, and cut them off it."""
        text = "".join(self._parts)
        at = self._open(text, _after_blanks(text, 0))
        while self._opened and not self._closed and at < len(text):
            try:
                _, end = _DECODER.raw_decode(text, at)
            except (json.JSONDecodeError, RecursionError):
                break
            follower = _after_blanks(text, end)
            mark = text[follower : follower + 1]
            if mark not in {",", "]"}:  # "" included: `12` may be the beginning of `123`
                break
            yield text[at:end].encode("utf-8", "surrogateescape")
            self._any, self._closed = True, mark == "]"
            at = _after_blanks(text, follower + 1)
        self._parts, self._length = [text[at:]], len(text) - at

    def _open(self, text: str, at: int) -> int:
        """Step over the opening bracket, and the closing one of an empty array."""
        if not self._opened and text[at : at + 1] == "[":
            self._opened, at = True, _after_blanks(text, at + 1)
        if self._opened and not self._any and not self._closed and text[at : at + 1] == "]":
            self._closed, at = True, _after_blanks(text, at + 1)
        return at


def _after_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANKS:
        at += 1
    return at
