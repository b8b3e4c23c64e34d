"""The shape of a response: its format, where its rows are, and the rows."""

import csv
import io
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from purchase_pipeline import PipelineError
from purchase_pipeline.feeds.new.csv_shape import csv_of
from purchase_pipeline.feeds.new.response import MOST_BYTES, Found, Received, members_of
from purchase_pipeline.ingest.csv_rows import parsed_records
from purchase_pipeline.ingest.formats import JSON_ARRAY, NDJSON, Csv, Json, RowFormat
from purchase_pipeline.ingest.json_envelope import value_at
from purchase_pipeline.ingest.row_splitter import is_whole_json, without_mark

_SAMPLE_ROWS = 20
_FUNCTION = "A FunctionSource can load any response: see docs/your-own-api.md."


class UnknownResponseError(PipelineError):
    """The response has no rows that a feed can load."""


@dataclass(frozen=True)
class Shape:
    """The shape of a response.

    Attributes:
        format, where: the format, and the path of the rows.
        count: number of rows.
        rows: the first rows, parsed; without those that cannot be.
        raw: their texts.
        envelope: the JSON around the rows.
    """

    format: Found
    where: Found
    count: int
    rows: Sequence[dict[str, Any]]
    raw: Sequence[bytes]
    envelope: Any

    @property
    def row_format(self) -> RowFormat:
        """The format."""
        return self.format.what  # type: ignore[return-value]

    def sample(self) -> bytes:
        """Return a response with the first rows only, and nothing else around them."""
        raw, row_format = self.raw[:_SAMPLE_ROWS], self.row_format
        if isinstance(row_format, Csv):
            text = io.StringIO()
            writer = csv.writer(text, delimiter=row_format.delimiter, lineterminator="\n")
            writer.writerows([[*self.rows[0]]] if row_format.header is True else [])
            writer.writerows(row.values() for row in self.rows[:_SAMPLE_ROWS])
            return text.getvalue().encode(row_format.encoding or "utf-8")
        if not isinstance(row_format, Json):
            return b"\n".join([*raw, b""])
        content = b"[\n" + b",\n".join(raw) + b"\n]"
        for name in reversed(row_format.rows.split(".") if row_format.rows else ()):
            content = b"{%b: %b}" % (json.dumps(name).encode(), content)
        return content + b"\n"


def shape_of(received: Received, path: str, most_rows: int) -> Shape:
    """Return the shape of a response, by its first rows; the path of the rows, if it is known.

    Raises:
        UnknownResponseError: there are no rows, or none that a feed can load.
        UnreadableResponseError: the content is truncated or malformed.
    """
    start = without_mark(received.content).lstrip()[:1]
    where = Found(path, "sure", "as given" if path else "the response itself")
    if start == b"<":
        raise UnknownResponseError("The response is XML or HTML, not JSON or CSV.", hint=_FUNCTION)
    if start == b"[":
        found = Found(JSON_ARRAY, "sure", "a JSON array")
    elif start == b"{" and _is_ndjson(received):
        found = Found(NDJSON, "sure", "a JSON object in each line")
    elif start == b"{":
        where = where if path else _path_of_rows(received)
        found = Found(Json(rows=str(where.what)), "sure", "a JSON object around the rows")
    elif start and not isinstance(received.default_format, Json):
        found = csv_of(received)
    else:
        raise UnknownResponseError("The response has no rows.", hint="Request one that has some.")
    splitter = found.what.splitter()  # type: ignore[attr-defined]
    raw = splitter.feed(received.content) + (splitter.close() if received.is_whole else [])
    parsed = _parsed(raw[:most_rows], found.what, splitter.header or ())
    if not parsed:
        raise UnknownResponseError("The response has no rows.", hint="Request one that has some.")
    texts, rows = zip(*parsed, strict=True)
    return Shape(found, where, len(raw), rows, texts, splitter.envelope)


def _is_ndjson(received: Received) -> bool:
    first, *others = received.content.strip().split(b"\n", 1)
    return is_whole_json(first) and (bool(others) or received.default_format == NDJSON)


def _path_of_rows(received: Received) -> Found:
    if not received.is_whole:
        raise UnknownResponseError(
            f"The JSON object is longer than {MOST_BYTES >> 20} MiB.", hint="Request fewer rows."
        )
    try:
        parsed = json.loads(without_mark(received.content))
    except ValueError as error:
        raise UnknownResponseError(f"The response is not valid JSON: {error}.") from error
    arrays = {
        path: len(value)
        for path, value in members_of(parsed)
        if isinstance(value, list)
        and value
        and all(isinstance(each, dict) for each in value)
        and value_at(parsed, path.split(".")) is value  # no name has a dot
    }
    if not arrays:
        raise UnknownResponseError(
            f"The JSON object has no array of objects. Its members: {', '.join(parsed)[:200]}.",
            hint="Request a list that has rows.",
        )
    longest = max(arrays, key=lambda path: arrays[path])
    others = ", ".join(f"{path} ({rows})" for path, rows in arrays.items() if path != longest)
    if others:
        return Found(longest, "likely", f"the longest array of objects; or --rows {others}")
    return Found(longest, "sure", "the only array of objects")


def _parsed(
    raw: Sequence[bytes], row_format: object, header: Sequence[str]
) -> list[tuple[bytes, dict[str, Any]]]:
    """Return the rows that can be parsed, each with its text."""
    if isinstance(row_format, Csv):
        records = zip(raw, parsed_records(raw, row_format.delimiter), strict=True)
        return [
            (text, dict(zip(header, each, strict=True)))
            for text, each in records
            if not isinstance(each, str) and len(each) == len(header)
        ]
    parsed = list[tuple[bytes, dict[str, Any]]]()
    for text in raw:
        with suppress(ValueError, RecursionError):
            row = json.loads(text, parse_constant=int)  # raises: no type accepts NaN
            if isinstance(row, dict):
                parsed.append((text, row))
    if raw and not parsed:
        raise UnknownResponseError(
            f"The rows are not JSON objects in UTF-8: {raw[0].decode(errors='replace'):.80}.", hint=_FUNCTION
        )
    return parsed
