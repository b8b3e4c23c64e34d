"""Rows of a statement as JSON: PostgreSQL's own digits, ISO 8601, arrays and documents as they are."""

import json
import re
from typing import TextIO

from psycopg.adapt import AdaptersMap, Buffer, Loader

from purchase_pipeline.ingest.printable import escaped_json
from purchase_pipeline.ops.rows import ANY_OTHER_TYPE, MOMENTS, NUMBERS, Boolean
from purchase_pipeline.ops.statement import Result, StatementError

_quoted = json.JSONEncoder(ensure_ascii=False).encode  # four times as fast as json.dumps


class _JsonText(Loader):
    """A value as a JSON string. The subclasses know a better JSON."""

    def load(self, data: Buffer) -> str:
        return self.json_of(bytes(data).decode())

    def json_of(self, text: str) -> str:
        return _quoted(text)


class _JsonNumber(_JsonText):
    """All digits of a number; a string for NaN and Infinity, which JSON has not."""

    def json_of(self, text: str) -> str:
        return text if text[-1].isdigit() else super().json_of(text)


class _JsonMoment(_JsonText):
    """A timestamp in ISO 8601, in UTC; PostgreSQL's text for infinity and years before 1."""

    def json_of(self, text: str) -> str:
        iso = re.sub(r"^(\d+-\d\d-\d\d) ([\d:.]+)(?:(\+00))?$", _iso, text)
        return super().json_of(iso)


class _JsonDocument(_JsonText):
    """The document itself, on one line: white space between its tokens may have line ends."""

    def json_of(self, text: str) -> str:
        return re.sub(r"[\t\r\n]", " ", text)


def _iso(found: "re.Match[str]") -> str:
    return f"{found[1]}T{found[2]}" + ("+00:00" if found[3] else "")


def load_json(adapters: AdaptersMap) -> None:
    """Let values be read as JSON, and arrays as lists of JSON."""
    for oid in {ANY_OTHER_TYPE, *(kind.oid for kind in adapters.types)}:
        adapters.register_loader(oid, _JsonText)
    better = dict.fromkeys(NUMBERS, _JsonNumber) | dict.fromkeys(MOMENTS, _JsonMoment)
    for oid, loader in better.items():
        adapters.register_loader(oid, loader)
    adapters.register_loader("bool", Boolean)
    for name in ("json", "jsonb"):
        adapters.register_loader(name, _JsonDocument)


def write_json(result: Result, out: TextIO) -> None:
    """Write rows as they arrive: one JSON array, a row a line, so that what is cut off is not taken for the whole.

    Raises:
        StatementError: two columns have the same name.
    """
    names = [column.name for column in result.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise StatementError(f"Several columns are named {', '.join(twice)}.", hint="Rename them with AS.")
    keys = [_quoted(name) for name in names]
    before = "[\n"
    for row in result.rows:
        pairs = (f"{key}: {_json(value)}" for key, value in zip(keys, row, strict=True))
        out.write(f"{before}{escaped_json('{' + ', '.join(pairs) + '}', out.encoding or 'utf-8')}")
        before = ",\n"
    out.write("[]\n" if before == "[\n" else "\n]\n")


def _json(value: "str | list[object] | None") -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_json, value))}]"  # type: ignore[arg-type]  # of what the loaders return
    return "null" if value is None else value
