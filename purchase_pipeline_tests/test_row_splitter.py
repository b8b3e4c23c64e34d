"""Rows are split byte for byte at any chunk boundary; malformed input is refused."""

from collections.abc import Iterator
from itertools import combinations
from time import monotonic

import pytest

from purchase_pipeline.ingest.formats import JSON_ARRAY, NDJSON, RowFormat, split_rows
from purchase_pipeline.ingest.row_splitter import UnreadableResponseError, is_whole_json

ODD_ROWS = [
    '{"a":1,"b":[{"c":"]},["}]}',
    '{"quote":"\\"","backslash":"\\\\","both":"\\\\\\""}',
    '{"nome":"José 😀 Sá"}',
    '{"escaped":"\\ud83d\\u0000"}',
    "12",
    "-0.5e10",
    '"text, with ] and ["',
    "[]",
    "[1,[2,[3]]]",
    "null",
    "true",
    "NaN",
    "-Infinity",
    "1e400",
    "9" * 40,
    "{}",
]


def cuttings(raw: bytes) -> Iterator[list[bytes]]:
    """Yield all splits in two chunks, and single bytes with empty chunks between."""
    for at in range(len(raw) + 1):
        yield [raw[:at], raw[at:]]
    yield [part for at in range(len(raw)) for part in (raw[at : at + 1], b"")]


def cuttings_in_three(raw: bytes) -> Iterator[list[bytes]]:
    for first, second in combinations(range(len(raw) + 1), 2):
        yield [raw[:first], raw[first:second], raw[second:]]


def in_chunks(raw: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(raw), size):
        yield raw[at : at + size]


@pytest.mark.parametrize("end", ["\n", ""], ids=["ended", "not ended"])
def test_lines_are_split_at_any_chunk_boundary(end: str) -> None:
    raw = ("\n".join(ODD_ROWS) + end).encode()

    for chunks in cuttings(raw):
        assert list(split_rows(NDJSON, chunks)) == [row.encode() for row in ODD_ROWS]


@pytest.mark.parametrize(
    ("opening", "comma", "closing"),
    [("[", ",", "]"), (" [\r\n  ", " ,\n\t", "\n]\n"), ("\n[ ", "\r\n, ", " ] \t\r\n")],
    ids=["tight", "indented", "commas first"],
)
def test_elements_are_split_at_any_chunk_boundary(opening: str, comma: str, closing: str) -> None:
    raw = (opening + comma.join(ODD_ROWS) + closing).encode()

    for chunks in cuttings(raw):
        assert list(split_rows(JSON_ARRAY, chunks)) == [row.encode() for row in ODD_ROWS]


def test_elements_are_split_at_any_two_chunk_boundaries() -> None:
    rows = ['{"a":"é\\""}', "12.5e1", "[[],{}]", "null"]

    for chunks in cuttings_in_three(",".join(rows).join("[]").encode()):
        assert list(split_rows(JSON_ARRAY, chunks)) == [row.encode() for row in rows]
    for chunks in cuttings_in_three("\n".join(rows).encode()):
        assert list(split_rows(NDJSON, chunks)) == [row.encode() for row in rows]


def test_a_row_is_returned_as_soon_as_it_is_complete() -> None:
    lines, array = NDJSON.splitter(), JSON_ARRAY.splitter()

    assert [lines.feed(chunk) for chunk in (b"1", b"2\n3", b"\n")] == [[], [b"12"], [b"3"]]
    assert lines.close() == []
    assert [array.feed(chunk) for chunk in (b"[1", b"2,3", b",", b"4]")] == [[], [b"12"], [b"3"], [b"4"]]
    assert array.close() == []


@pytest.mark.parametrize(
    ("raw", "rows"),
    [
        (b"", []),
        (b"\n\n", []),
        (b" \t\r\n", []),
        (b"1\n\n \n2\n", [b"1", b"2"]),
        (b"1\n \t", [b"1"]),
        (b"1\r\n2\r\n", [b"1\r", b"2\r"]),
        (b" 1 \n2", [b" 1 ", b"2"]),
        (b'{"a"\n<html>\n[1', [b'{"a"', b"<html>", b"[1"]),
        (b"\xff\xfe\n\xed\xa0\x80\n\x00", [b"\xff\xfe", b"\xed\xa0\x80", b"\x00"]),
        ("1\u2028\x85\x0c2".encode(), ["1\u2028\x85\x0c2".encode()]),
        (b"\xef\xbb\xbf1\n\xef\xbb\xbf2", [b"1", b"\xef\xbb\xbf2"]),
        (b"\xef\xbb\xbf\n1", [b"1"]),
        (b"\xef\xbb\xbf", []),
        (b"\xef\xbb\n1", [b"\xef\xbb", b"1"]),
    ],
)
def test_every_non_blank_line_is_a_row(raw: bytes, rows: list[bytes]) -> None:
    for chunks in cuttings(raw):
        assert list(split_rows(NDJSON, chunks)) == rows


@pytest.mark.parametrize(
    ("raw", "rows"),
    [
        (b"[]", []),
        (b" [ \n ] ", []),
        (b"\xef\xbb\xbf []", []),
        (b'[{"a":"\xff\xc1"},"\xed\xa0\xbd","\xc3"]', [b'{"a":"\xff\xc1"}', b'"\xed\xa0\xbd"', b'"\xc3"']),
        (b'["a\nb\x00\x1f"]', [b'"a\nb\x00\x1f"']),
        (b"[" + b"1" * 5000 + b"]", [b"1" * 5000]),
    ],
    ids=["empty", "empty with blanks", "byte order mark", "no UTF-8", "control characters", "many digits"],
)
def test_invalid_elements_are_passed_to_validation_unchanged(raw: bytes, rows: list[bytes]) -> None:
    for chunks in (list(in_chunks(raw, 1)), [raw], *([raw[:at], raw[at:]] for at in range(20))):
        assert list(split_rows(JSON_ARRAY, chunks)) == rows


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"  ",
        b"[",
        b"]",
        b"[]]",
        b"[] ]",
        b"[][]",
        b"[1]]",
        b"[1],",
        b"[1] x",
        b"[1][2]",
        b"[1",
        b"[1,",
        b"[1,]",
        b"[,]",
        b"[,1]",
        b"[1,,2]",
        b"[1 2]",
        b"[1.]",
        b"[01]",
        b"[tru]",
        b"[{]",
        b'[{"a":1]',
        b'[{"a":1,}]',
        b"[{'a':1}]",
        b'["a]',
        b'["a\\"]',
        b'["\\x"]',
        b"[\xff]",
        b"\xff",
        b"\xef\xbb[1]",
        b"\xef\xbb\xbf\xef\xbb\xbf[1]",
        b"[\xef\xbb\xbf1]",
        b'{"a":1}',
        b'{"a":1}\n{"a":2}\n',
        b'"[1]"',
        b"12",
        b"null",
        b"<html>[1]</html>",
    ],
)
def test_a_malformed_array_is_unreadable(raw: bytes) -> None:
    for chunks in cuttings(raw):
        with pytest.raises(UnreadableResponseError, match="malformed or truncated"):
            list(split_rows(JSON_ARRAY, chunks))


def test_an_array_truncated_anywhere_is_unreadable() -> None:
    raw = ",".join(ODD_ROWS).join("[]").encode()

    for at in range(len(raw)):
        with pytest.raises(UnreadableResponseError):
            list(split_rows(JSON_ARRAY, [raw[:at]]))


def test_only_the_complete_row_is_whole_json() -> None:
    assert all(is_whole_json(row.encode()) for row in ODD_ROWS)
    assert all(is_whole_json(row) for row in (b' {"a":"\xff\x00"} \r', b'{"a":NaN}', b"9" * 5_000))
    for row in (row.encode() for row in ODD_ROWS if row[0] in '{["'):
        assert not any(is_whole_json(row[:at]) for at in range(len(row)))
    assert not any(is_whole_json(row) for row in (b"", b"{} {}", b'{"a":1}x', b"<html>", b"[" * 100_000))


def test_complete_rows_before_an_error_are_returned() -> None:
    rows = split_rows(JSON_ARRAY, [b"[1,", b"2,oops,", b"3]"])

    assert [next(rows), next(rows)] == [b"1", b"2"]
    with pytest.raises(UnreadableResponseError):
        next(rows)


@pytest.mark.parametrize("raw", [b"[" * 10_000, b"[" * 100_000 + b"]" * 100_000, b'[{"a":' * 20_000])
def test_excessive_nesting_is_unreadable(raw: bytes) -> None:
    for size in (len(raw), 1 << 10):
        with pytest.raises(UnreadableResponseError):
            list(split_rows(JSON_ARRAY, in_chunks(raw, size)))


def test_lines_may_be_nested_deeply() -> None:
    deep = b"[" * 100_000

    assert list(split_rows(NDJSON, [deep, b"\n1"])) == [deep, b"1"]


@pytest.mark.parametrize("raw_format", [NDJSON, JSON_ARRAY])
def test_a_huge_row_is_joined_from_many_chunks(raw_format: RowFormat) -> None:
    huge = b'{"job":"' + "Açougueiro ".encode() * 400_000 + b'"}'
    raw = b"\n".join([b"1", huge, b"2"])
    if raw_format is JSON_ARRAY:
        raw = b"[" + raw.replace(b"\n", b",") + b"]"

    started = monotonic()
    rows = list(split_rows(raw_format, in_chunks(raw, 1 << 10)))
    seconds = monotonic() - started

    assert rows == [b"1", huge, b"2"]
    assert seconds < 5  # 0.1 s; what copies or reads all again for each of the 4,700 chunks takes minutes


def test_a_malformed_array_is_parsed_in_linear_time() -> None:
    raw = b"[oops," + b",".join([b'{"a":"%s"}' % (b"x" * 200)] * 100_000) + b"]"

    started = monotonic()
    with pytest.raises(UnreadableResponseError):
        list(split_rows(JSON_ARRAY, in_chunks(raw, 1 << 12)))
    seconds = monotonic() - started

    assert seconds < 5  # 0.1 s; joined again at each of the 5,200 chunks, 21 MB are 50 GB
