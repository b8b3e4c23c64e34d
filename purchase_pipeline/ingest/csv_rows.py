"""CSV: splitting into the text of its records, and parsing of records."""

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from purchase_pipeline.ingest.row_splitter import UnreadableResponseError, without_mark

_LONGEST_FIELD_BYTES = 16 << 20
_LONGEST_QUOTED_BYTES = 1 << 20
"""A quote that is not closed within it is a typo: its line becomes a row of its own, which fails validation."""


_Match = Callable[[bytes], re.Match[bytes] | None]


class CsvSplitter:
    """Splits CSV into records, unchanged but in UTF-8. Line ends within quotes do not end a record.

    Attributes:
        header: the columns' names; None until the first record, if they are read from it.
    """

    envelope = None

    def __init__(self, delimiter: str, header: tuple[str, ...] | None, encoding: str) -> None:
        self.header = header
        self.truncated = ""
        self._delimiter = delimiter
        self._decoder = (
            None if _is_utf8(encoding) else codecs.getincrementaldecoder(encoding)("surrogateescape")
        )
        self._whole, self._rest = _patterns(delimiter)
        self._begun: list[bytes] = []  # parts of an incomplete line, joined once
        self._open: list[bytes] = []  # lines of a record with an open quote
        self._open_bytes = 0
        self._at_start = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """Add a chunk, and return the records that it completes."""
        head, *lines = self._utf8(chunk, final=False).split(b"\n")
        self._begun.append(head)
        if not lines:
            return []
        lines.insert(0, self._join())
        self._begun = [lines.pop()]
        return self._after_header(self._records(lines))

    def close(self) -> list[bytes]:
        """End the input, and return the remaining records."""
        self._begun.append(self._utf8(b"", final=True))
        last = self._join()
        records = self._after_header(self._records([last], final=True))
        if last.strip() and records and not self._has_all_fields(records[-1]):
            self.truncated = (
                "the last line is truncated: it has no line end, and fewer fields than the header."
            )
        return records

    def _has_all_fields(self, record: bytes) -> bool:
        (fields,) = parsed_records([record], self._delimiter)
        return not isinstance(fields, str) and len(fields) >= len(self.header or ())

    def _utf8(self, chunk: bytes, *, final: bool) -> bytes:
        if self._decoder is None:
            return chunk
        try:
            return self._decoder.decode(chunk, final).encode("utf-8", "surrogateescape")
        except UnicodeError as error:
            raise UnreadableResponseError(f"The CSV is not in the expected encoding: {error}.") from error

    def _join(self) -> bytes:
        line = b"".join(self._begun)
        if self._at_start:
            line, self._at_start = without_mark(line), False
        return line

    def _records(self, lines: list[bytes], *, final: bool = False) -> list[bytes]:
        records = list[bytes]()
        while True:
            records += self._closed_records(lines)
            if not self._open or not (final or self._open_bytes > _LONGEST_QUOTED_BYTES):
                return [record for record in records if record not in {b"", b"\r"}]
            first, *lines = self._open
            self._open = []
            records.append(first)

    def _closed_records(self, lines: list[bytes]) -> Iterator[bytes]:
        for line in lines:
            if self._open:
                self._open.append(line)
                self._open_bytes += len(line)
                if self._rest(line):
                    yield b"\n".join(self._open)
                    self._open = []
            elif b'"' not in line or self._whole(line):
                yield line
            else:
                self._open, self._open_bytes = [line], len(line)

    def _after_header(self, records: list[bytes]) -> list[bytes]:
        if self.header is not None or not records:
            return records
        (names,) = parsed_records(records[:1], self._delimiter)
        if isinstance(names, str):
            raise UnreadableResponseError(f"The CSV's header is not valid: {names}.")
        twice = sorted({name for name in names if name and names.count(name) > 1})
        if twice:
            raise UnreadableResponseError(f"The CSV's header has {', '.join(map(repr, twice))} twice.")
        self.header = tuple(name.strip() for name in names)
        return records[1:]


def parsed_records(records: Sequence[bytes], delimiter: str) -> list[list[str] | str]:
    """Return the fields of each record, or why it is not valid, as a text."""
    if csv.field_size_limit() < _LONGEST_FIELD_BYTES:
        csv.field_size_limit(_LONGEST_FIELD_BYTES)
    try:
        texts = [record.decode() for record in records]
        parsed: list[list[str] | str] = [*csv.reader(texts, delimiter=delimiter, strict=True)]
    except (csv.Error, UnicodeDecodeError):
        return [_parsed(record, delimiter) for record in records]
    # Fewer if a record has an open quote, and so was joined with the next one.
    return parsed if len(parsed) == len(records) else [_parsed(record, delimiter) for record in records]


def _parsed(record: bytes, delimiter: str) -> list[str] | str:
    try:
        return next(csv.reader([record.decode()], delimiter=delimiter, strict=True))
    except UnicodeDecodeError as error:
        return f"Invalid CSV: {error}"
    except csv.Error as error:
        return f"Invalid CSV: {error}"


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in {"utf-8", "utf-8-sig", "ascii"}


@cache
def _patterns(delimiter: str) -> tuple[_Match, _Match]:
    """Return matchers of a line without an open quote at its end, from its start and from within quotes."""
    mark = re.escape(delimiter.encode())
    quoted, plain = rb'[^"]*+(?:""[^"]*+)*+"[^%b]*+' % mark, rb'(?!")[^%b]*+' % mark
    more = rb'(?:%b(?:"%b|%b))*+' % (mark, quoted, plain)
    whole = rb'(?:"%b|%b)%b' % (quoted, plain, more)
    return re.compile(whole).fullmatch, re.compile(quoted + more).fullmatch
