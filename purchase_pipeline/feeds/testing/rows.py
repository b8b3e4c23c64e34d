"""The rows of pages, read again by Python's own libraries, so that no mistake of the framework repeats itself here."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from typing import Any, NamedTuple

from purchase_pipeline.feeds.testing.recorded import SentPage
from purchase_pipeline.ingest.formats import Csv, Json, NdJson


class Number(NamedTuple):
    """A number as its digits were sent: no float has come between."""

    digits: str


class Members(tuple[tuple[str, Any], ...]):
    """The members of a JSON object, in order, with those that occur twice."""

    __slots__ = ()


@dataclass(frozen=True)
class SentRow:
    """A row as it was sent.

    Attributes:
        content: its JSON value, or its fields as texts; text that is not JSON as it is.
        parse: reads such a content from the text of a row.
        header: the names of the fields, of CSV.
    """

    content: Any
    parse: Callable[[bytes], Any]
    header: tuple[str, ...] = ()

    def is_row(self, text: bytes) -> bool:
        """Return whether a text is that of the row."""
        return bool(self.parse(text) == self.content)

    def member(self, path: tuple[str | int, ...]) -> Any:  # noqa: ANN401
        """Return what was sent as a member, or None."""
        if self.header:
            return dict(zip(self.header, self.content, strict=False)).get(str(path[0]))
        found = self.content
        for step in path:
            if isinstance(found, Members):
                found = dict(found).get(str(step))
            elif isinstance(found, list) and isinstance(step, int) and step < len(found):
                found = found[step]
            else:
                return None
        return found


def sent_rows(page: SentPage) -> list[SentRow]:
    """Return the rows of a page."""
    if isinstance(page.format, Csv):
        return _csv_rows(bytes(page.content), page.format)
    text = bytes(page.content).removeprefix(b"\xef\xbb\xbf")
    if isinstance(page.format, NdJson):
        return [SentRow(_json(line), _json) for line in text.split(b"\n") if line.strip()]
    return [SentRow(row, _json) for row in _elements(_json(text), page.format)]


def _elements(value: Any, row_format: Json) -> list[Any]:  # noqa: ANN401
    for name in filter(None, row_format.rows.split(".")):
        value = dict(value).get(name)
    return value or []


def _json(text: bytes) -> Any:  # noqa: ANN401
    try:
        return json.loads(
            text, object_pairs_hook=Members, parse_float=Number, parse_int=Number, parse_constant=Number
        )
    except ValueError:
        return text.strip()


def _csv_rows(content: bytes, row_format: Csv) -> list[SentRow]:
    def parse(text: bytes) -> list[str]:
        decoded = text.decode("utf-8", "surrogateescape")
        return next(csv.reader(StringIO(decoded, newline=""), delimiter=row_format.delimiter), [])

    decoded = content.decode(row_format.encoding or "utf-8", "surrogateescape").removeprefix("\ufeff")
    rows = [row for row in csv.reader(StringIO(decoded, newline=""), delimiter=row_format.delimiter) if row]
    header = tuple(rows.pop(0)) if row_format.header is True and rows else row_format.header
    return [SentRow(row, parse, header if isinstance(header, tuple) else ()) for row in rows]
