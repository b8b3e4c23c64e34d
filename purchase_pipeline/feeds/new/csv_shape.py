"""The format of a CSV: encoding, delimiter, header."""

import codecs
import re
from collections import Counter
from collections.abc import Sequence

from purchase_pipeline.feeds.new.response import Found, Received
from purchase_pipeline.ingest.csv_rows import parsed_records
from purchase_pipeline.ingest.formats import Csv

_HEAD_BYTES = 1 << 16
_DELIMITERS = ",;\t|"
_VALUE = re.compile(r"[-+]?[\d.,/:TZ ()-]*\d[\d.,/:TZ ()-]*|true|false|null|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}")


def csv_of(received: Received) -> Found:
    """Return the format, with its encoding; the first record has names if none of them looks like a value."""
    encoding = _encoding(received)
    tables = {each: _records(received.content[:_HEAD_BYTES], each, encoding) for each in _DELIMITERS}
    delimiter = max(tables, key=lambda each: _regularity(tables[each]))
    first, *others = tables[delimiter] or [[""]]
    is_named = any(first) and not any(map(_VALUE.fullmatch, first))
    row_format = Csv(
        delimiter=delimiter,
        header=True if is_named else tuple(f"column_{place}" for place, _ in enumerate(first, 1)),
        encoding=encoding,
    )
    has_values = any(_VALUE.fullmatch(field) for record in others for field in record)
    is_regular = _regularity(tables[delimiter])[:2] == (True, 1.0)
    is_sure = is_named and has_values and is_regular and encoding == "utf-8"
    why = f"{len(first)} fields, {'names' if is_named else 'no names'} in the first record"
    return Found(row_format, "sure" if is_sure else "likely", why)


def _records(head: bytes, delimiter: str, encoding: str) -> list[list[str]]:
    splitter = Csv(delimiter=delimiter, header=("",), encoding=encoding).splitter()
    records = parsed_records(splitter.feed(head) or splitter.close(), delimiter)
    return [record for record in records if not isinstance(record, str)]


def _regularity(records: Sequence[Sequence[str]]) -> tuple[bool, float, int]:
    """Return how well a delimiter fits: several fields, the ratio of records with as many, their number."""
    ((fields, count),) = Counter(map(len, records)).most_common(1) or [(0, 0)]
    return fields > 1, count / (len(records) or 1), fields


def _encoding(received: Received) -> str:
    """Return the encoding: UTF-8 or UTF-16, or that of the Content-Type, or a guess."""
    is_utf16 = received.content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    named = getattr(received.default_format, "encoding", None) or "utf-8"
    for encoding in ("utf-16",) if is_utf16 else ("utf-8", named):
        try:
            codecs.getincrementaldecoder(encoding)().decode(received.content, received.is_whole)
        except UnicodeError:
            continue
        return encoding
    return "cp1252" if re.search(rb"[\x80-\x9f]", received.content) else "iso8859-1"
