"""The format of a response: as the source says, or by its Content-Type, or by the name of the file."""

import codecs
from collections.abc import Mapping
from pathlib import PurePosixPath

import httpx

from purchase_pipeline.ingest.formats import JSON_ARRAY, NDJSON, Csv, Json, RowFormat, format_of
from purchase_pipeline.ingest.printable import labelled, one_line
from purchase_pipeline.ingest.sources.errors import ApiUnavailableError

ACCEPT = f"{JSON_ARRAY.media_type}, {NDJSON.media_type};q=0.9, {Csv.media_type};q=0.8, */*;q=0.1"

_BY_SUFFIX: Mapping[str, RowFormat] = {
    ".csv": Csv(),
    ".json": JSON_ARRAY,
    ".jsonl": NDJSON,
    ".ndjson": NDJSON,
}
_OF_FILES = {
    "",
    "binary/octet-stream",
    "application/gzip",
    "application/x-gzip",
    "application/zstd",
    "application/octet-stream",
}
_OF_PAGES = {"text/html", "application/xhtml+xml"}


def response_format(label: str, response: httpx.Response, given: RowFormat | None, rows: str) -> RowFormat:
    """Return the format of a response; `rows` is the path of the rows in a JSON object.

    Raises:
        ApiUnavailableError: another Content-Type than expected. It may be a proxy's error page.
    """
    content_type = response.headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if given is not None:
        found = None if media_type in _OF_PAGES else given
    else:
        found = format_of(content_type) or _by_name(media_type, response.url.path)
        found = Json(rows=rows) if rows and isinstance(found, Json) else found
    if found is None:
        expected = " or ".join(
            (given.media_type,) if given else (NDJSON.media_type, JSON_ARRAY.media_type, Csv.media_type)
        )
        shown = one_line(media_type, 100) or "no type"
        raise ApiUnavailableError(
            labelled(label, f"expected {expected}, got {shown!r}."),
            hint="The response may be a proxy's error page.",
        )
    return _with_charset(found, content_type) if isinstance(found, Csv) else found


def _by_name(media_type: str, path: str) -> RowFormat | None:
    """Return the format of a file that is sent without its type, `2026-01.csv.gz`."""
    suffixes = [suffix for suffix in PurePosixPath(path.lower()).suffixes if suffix not in {".gz", ".zst"}]
    return _BY_SUFFIX.get(suffixes[-1]) if media_type in _OF_FILES and suffixes else None


def _with_charset(found: Csv, content_type: str) -> Csv:
    if found.encoding is not None:
        return found
    charset = httpx.Response(200, headers={"Content-Type": content_type}).charset_encoding or "utf-8"
    try:
        return found.model_copy(update={"encoding": codecs.lookup(charset).name})
    except LookupError:
        return found.model_copy(update={"encoding": "utf-8"})
