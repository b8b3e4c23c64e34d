"""CSV: splitting into the text of its records, and parsing of records."""

import codecs
import csv
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from purchase_pipeline.ingest.row_splitter import UnreadableResponseError, without_mark

_LONGEST_FIELD_BYTES = 16 << 20
_LONGEST_QUOTED_BYTES = 1 << 20
"""A quote that is not closed within it is taken for a typo."""

_AGAIN = 2
_LINE_END = "line end in a field without quotes"


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
        self._patterns = _patterns(delimiter)
        self._begun: list[bytes] = []  # parts of an incomplete line, joined once
        self._open: list[bytes] = []  # lines of a record with an open quote
        self._open_bytes = 0
        self._again_bytes = 0  # bounds the work on quotes that are not closed
        self._at_start = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """Add a chunk, and return the records that it completes."""
        self._again_bytes += _AGAIN * len(chunk)
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

    def _records(self, new_lines: list[bytes], *, final: bool = False) -> list[bytes]:
        """Return the complete records. A line whose quote is not closed is one: it fails validation."""
        lines, records, at = self._open + new_lines, list[bytes](), len(self._open)
        begin = 0 if self._open else None  # of the open record
        while at < len(lines) or (final and begin is not None):
            line = lines[at] if at < len(lines) else None
            if begin is None:
                if line is not None and b'"' in line and self._patterns.opens(line):
                    begin, self._open_bytes = at, len(line)
                elif line not in {b"", b"\r", None}:
                    records.append(line)
            elif line is not None and self._patterns.closes(line):
                records.append(b"\n".join(lines[begin : at + 1]))
                begin = None
            elif line is None or not self._may_stay_open(line):
                at = self._give_up(lines, begin, at, records)
                begin = None
            at += 1
        self._open = [] if begin is None else lines[begin:]
        return records

    def _may_stay_open(self, line: bytes) -> bool:
        self._open_bytes += len(line)
        return self._open_bytes <= _LONGEST_QUOTED_BYTES and bool(self._patterns.stays_open(line))

    def _give_up(self, lines: list[bytes], begin: int, at: int, records: list[bytes]) -> int:
        """Add the open record's first line, or all of them if that was done too often; return the last one's place."""
        self._again_bytes -= self._open_bytes
        end = begin if self._again_bytes >= 0 else min(at, len(lines) - 1)
        records.append(b"\n".join(lines[begin : end + 1]))
        return end

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


def is_regular(record: bytes, delimiter: str) -> bool:
    """Return whether any reader of CSV finds the same fields: quotes are around whole fields, line ends in them."""
    if b'"' in record:
        return _patterns(delimiter).regular(record) is not None
    return record.find(b"\r", 0, -1) < 0


def _parsed(record: bytes, delimiter: str) -> list[str] | str:
    try:
        return next(csv.reader([record.decode()], delimiter=delimiter, strict=True))
    except UnicodeDecodeError as error:
        return f"Invalid CSV: {error}"
    except csv.Error as error:
        # The module's own words for it are about files, and differ between versions of Python.
        return f"Invalid CSV: {_LINE_END if 'new-line' in str(error) else error}"


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in {"utf-8", "utf-8-sig", "ascii"}


class _Patterns(NamedTuple):
    """Whether a line is regular; opens a quote that it does not close; closes, or not, that of a line before it."""

    regular: _Match
    opens: _Match
    closes: _Match
    stays_open: _Match


@cache
def _patterns(delimiter: str) -> _Patterns:
    mark = re.escape(delimiter.encode())
    # Before Python 3.11.5 (Debian 12 has 3.11.2), a possessive group that has alternatives can miss a match
    # (python/cpython#106052). Giving back what was matched is as right, and costs 120 bytes of memory a field.
    every = b"*+" if sys.version_info >= (3, 11, 5) else b"*"
    text = rb'[^"]*+(?:""[^"]*+)*+'
    end = rb'"(?=%b|\r?\Z)' % mark
    field = rb'(?:"%b%b|(?!")[^%b]*+)' % (text, end, mark)
    plain = rb'(?:"%b"|[^"\r\n%b]*+)' % (text, mark)
    return _Patterns(
        regular=re.compile(rb"%b(?:%b%b)%b\r?\Z" % (plain, mark, plain, every)).match,
        opens=re.compile(rb'(?:%b%b)%b"%b\Z' % (field, mark, every, text)).match,
        closes=re.compile(rb"%b%b(?:%b%b)%b\r?\Z" % (text, end, mark, field, every)).match,
        stays_open=re.compile(
            rb'%b(?:%b(?:%b%b)%b%b"%b)?\Z' % (text, end, mark, field, every, mark, text)
        ).match,
    )
