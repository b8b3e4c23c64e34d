"""JSON objects around an array of rows: `{"items": [...], "next": "..."}`."""

import codecs
import json
import re
from collections.abc import Sequence
from typing import Any

from purchase_pipeline.ingest.row_splitter import DECODER, ArraySplitter, UnreadableResponseError

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
        if DECODER.decode(name[1]) == path[depth] and at < len(text):
            if depth == len(path) - 1:
                return at
            if text[at] == "{":
                depth += 1
                continue
        try:
            _, at = DECODER.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError):
            return None
    raise UnreadableResponseError(f"The response has no {'.'.join(path)!r}.")
