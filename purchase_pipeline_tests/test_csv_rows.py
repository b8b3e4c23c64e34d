"""Records of CSV: split at any chunk boundary, none lost, none swallowed by a stray quote."""

import csv
from io import StringIO
from random import Random
from time import monotonic
from typing import Literal

import pytest

from purchase_pipeline.ingest.csv_rows import CsvSplitter, parsed_records


def records_of(raw: bytes, delimiter: str = ",", size: int = 1_000) -> list[bytes]:
    splitter = CsvSplitter(delimiter, ("a", "b"), "utf-8")
    records = [record for at in range(0, len(raw), size) for record in splitter.feed(raw[at : at + size])]
    return records + splitter.close()


@pytest.mark.parametrize("seed", range(8))
def test_what_the_csv_module_writes_is_read_back(seed: int) -> None:
    random = Random(seed)  # noqa: S311  (tests need the same numbers)
    for _ in range(100):
        delimiter = random.choice(",;\t|")
        quoting: Literal[0, 1] = random.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
        fields = [
            ["x" + "".join(random.choices('ab",;\n\t| é\r', k=random.randrange(6)))] * 3 for _ in range(5)
        ]
        out = StringIO(newline="")
        end = random.choice(["\n", "\r\n"])
        csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(fields)

        records = records_of(out.getvalue().encode(), delimiter, random.randrange(1, 20))

        assert parsed_records(records, delimiter) == fields


@pytest.mark.parametrize("seed", range(8))
def test_no_byte_of_any_text_is_lost_whatever_the_chunks(seed: int) -> None:
    random = Random(seed)  # noqa: S311  (tests need the same numbers)
    for _ in range(500):
        raw = "".join(random.choices('a",\n\r', k=random.randrange(40))).encode()

        first, *others = (records_of(raw, size=size) for size in (1, 3, 100))

        assert others == [first, first]
        assert b"".join(b"".join(first).split()) == b"".join(raw.split())


@pytest.mark.parametrize("stray", [b'"x,1', b'x,"1', b'"x"y,1', b'x,5" z', b'"x,"1"'])
def test_a_stray_quote_spoils_its_own_line_only(stray: bytes) -> None:
    around = [b'"a\nb",1', b"c,2", b'd,"3"']

    assert records_of(b"\n".join([*around, stray, *around, b""])) == [*around, stray, *around]


def test_a_quote_that_is_never_closed_spoils_its_own_line_only() -> None:
    lines = [b'"never,1', *[b"good,%d" % number for number in range(200_000)]]

    assert records_of(b"\n".join([*lines, b""]), size=65_536) == lines


@pytest.mark.parametrize("line", [b'a",b"c,"', b'"x""', b'",', b'"', b'x,"'])
def test_many_stray_quotes_take_no_long_time(line: bytes) -> None:
    began = monotonic()

    records = records_of(b"\n".join([line] * 100_000 + [b'"q"x', b""]), size=65_536)

    assert records[-1].endswith(b'"q"x')
    assert monotonic() - began < 20
