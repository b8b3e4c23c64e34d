"""Rows in a JSON object: split byte for byte at any chunk boundary, with what surrounds them."""

from typing import Any

import pytest

from purchase_pipeline.ingest.formats import Json
from purchase_pipeline.ingest.row_splitter import UnreadableResponseError


def split(raw: bytes, path: str, size: int) -> tuple[list[bytes], Any]:
    splitter = Json(rows=path).splitter()
    rows = [row for at in range(0, len(raw), size) for row in splitter.feed(raw[at : at + size])]
    return rows + splitter.close(), splitter.envelope


@pytest.mark.parametrize(
    ("raw", "path", "rows", "envelope"),
    [
        ('{"items":[1,2],"next":"/2"}', "items", ["1", "2"], {"items": [], "next": "/2"}),
        ('{"next":7,"items":[]}', "items", [], {"items": [], "next": 7}),
        ('{"items":null,"more":true}', "items", [], {"items": None, "more": True}),
        (
            '\ufeff{"meta" : {"items":[9]} , "items" :[ {"a" : 1.50, "b":"]}\\""} ,\n{"items":[NaN]}\r] ,"x":1e400}\n',
            "items",
            ['{"a" : 1.50, "b":"]}\\""}', '{"items":[NaN]}'],
            {"meta": {"items": [9]}, "items": [], "x": "1e400"},
        ),
        (
            '{"data":{"n":1,"records":["é",{"data":{"records":[1]}}],"cursor":"a"},"é":"[{"}',
            "data.records",
            ['"é"', '{"data":{"records":[1]}}'],
            {"data": {"n": 1, "records": [], "cursor": "a"}, "é": "[{"},
        ),
        ('{"a":{},"data":{"x":{"records":[1]}},"it\\u0065ms":[2]}', "items", ["2"], None),
        ('{"data":{},"b":{"records":[1]},"c":{"data":{"records":[3]}}}', "c.data.records", ["3"], None),
    ],
)
def test_rows_are_split_from_what_surrounds_them(
    raw: str, path: str, rows: list[str], envelope: object
) -> None:
    body = raw.encode()

    for size in range(1, len(body) + 1):
        found, around = split(body, path, size)

        assert found == [row.encode() for row in rows]
        assert envelope is None or around == envelope


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ("", "malformed or truncated"),
        ("[1]", "not a JSON object"),
        ("<html>", "not a JSON object"),
        ('{"next":1}', "has no 'data.items'"),
        ('{"data":{"next":{"items":[1]}}}', "has no 'data.items'"),
        ('{"data":[{"items":[1]}]}', "has no 'data.items'"),
        ('{"data":{"items":{"a":1}}}', "'data.items' in the response is not an array"),
        ('{"data":{"items":7}}', "'data.items' in the response is not an array"),
        ('{"data":{"items":[1],"items":[2]}}', "has 'data.items' twice"),
        ('{"data":{"items":[1]}} x', "malformed or truncated"),
        ('{"data":{"items":[1],}}', "malformed or truncated"),
    ],
)
def test_another_object_is_unreadable(raw: str, problem: str) -> None:
    for size in range(1, len(raw) + 2):
        with pytest.raises(UnreadableResponseError, match=problem):
            split(raw.encode(), "data.items", size)


def test_an_object_truncated_anywhere_is_unreadable() -> None:
    raw = b'{"a":"b","data":{"items":[{"x":1},2],"n":null},"c":[1]}'

    for at in range(len(raw)):
        with pytest.raises(UnreadableResponseError):
            split(raw[:at], "data.items", 7)


def test_a_long_head_and_tail_are_not_parsed_again_for_each_chunk() -> None:
    noise = b'"%s"' % (b"x" * 4_000_000)
    raw = b'{"head":%b,"items":[%b],"tail":%b}' % (noise, b",".join([b'{"a":1}'] * 100_000), noise)

    rows, envelope = split(raw, "items", 1 << 14)

    assert rows == [b'{"a":1}'] * 100_000
    assert len(envelope["tail"]) == 4_000_000
