"""Fuzzing of validation: every row is accepted or rejected, and can be stored."""

import json
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa
from fastapi import FastAPI, Response
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from purchase_pipeline.contracts import CompraSchema
from purchase_pipeline.ingest.formats import JSON_ARRAY, NDJSON, split_rows
from purchase_pipeline.ingest.row_splitter import UnreadableResponseError
from purchase_pipeline.ingest.validation import RejectedRow, RowValidation, storable_text
from purchase_pipeline_tests.builders import FIELDS, a_raw_compra
from purchase_pipeline_tests.mutations import TOKENS, mutated
from purchase_pipeline_tests.pipelines import a_pipeline, ingest
from purchase_pipeline_tests.serving import served

LOTS = 400
ROWS = 250
TODAY = date(2026, 11, 24)
HUGE = b"x" * 5_000_000

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=8), values, max_size=4),
    max_leaves=8,
)
JSON_TEXTS = JSON_VALUES.map(lambda value: json.dumps(value, ensure_ascii=False).encode())
BLOCKS = st.one_of(
    st.just(a_raw_compra()),
    st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=30)).map(json.dumps).map(str.encode),
    st.binary(max_size=60),
    st.sampled_from(TOKENS),
)


def validated(raw_rows: Sequence[bytes]) -> tuple[list[tuple[object, ...]], list[RejectedRow]]:
    """Validate a batch with a valid row first: rejects alone would fail it."""
    rows = [a_raw_compra(), *raw_rows]
    validation = RowValidation(
        "lote-0001", contract=CompraSchema, received=len(rows), max_rejected_ratio=1.0, today=TODAY
    )
    accepted = [(int(str(row[1])), *row[2:]) for batch in validation.accepted(rows) for row in batch]
    return accepted, validation.rejected


def judged_in_full(raw: bytes) -> tuple[object, ...]:
    """Validate a row by the contract itself, without the fast path."""
    compra = CompraSchema.model_validate_json(raw, context={"today": TODAY})
    return tuple(map(str, compra.__dict__.values()))


def assert_storable(text: str) -> None:
    """Check that PostgreSQL can store a text: any UTF-8 without NUL."""
    assert "\x00" not in text
    assert text.encode().decode() == text


def assert_conserved(raw_rows: Sequence[bytes]) -> int:
    """Check that each row is accepted or rejected, once, and storable; return the number of rejects."""
    accepted, rejected = validated(raw_rows)

    refused = {row.row_number for row in rejected}
    kept = [raw for linha, raw in enumerate(raw_rows, start=2) if linha not in refused]
    linhas = Counter([*(row[0] for row in accepted), *(row.row_number for row in rejected)])
    assert linhas == Counter(range(1, len(raw_rows) + 2))
    for row in rejected:
        assert row.reasons
        assert all(row.reasons)
        for text in (*row.fields, *row.reasons, row.original):
            assert_storable(text)
            assert len(text) < 5_000
        assert row.original == storable_text(raw_rows[row.row_number - 2])
        if not row.reasons[0].endswith(": must not occur twice in an object"):  # pydantic takes the last
            with pytest.raises(ValidationError):
                judged_in_full(raw_rows[row.row_number - 2])
    for values, raw in zip(accepted[1:], kept, strict=True):
        assert values[1:] == judged_in_full(raw)
        assert_storable("".join(map(str, values)))
    return len(rejected)


def in_chunks(random: Random, raw: bytes) -> list[bytes]:
    ends = sorted(random.randrange(len(raw) + 1) for _ in range(random.randrange(4)))
    return [raw[first:last] for first, last in zip([0, *ends], [*ends, len(raw)], strict=True)]


@pytest.mark.proof
def test_a_hundred_thousand_payloads_are_accepted_or_rejected() -> None:
    seen = Counter[str]()

    @settings(
        max_examples=LOTS,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(blocks=st.lists(BLOCKS | JSON_TEXTS, min_size=1, max_size=4), seed=st.integers(0, 2**32))
    def every_row_is_on_one_side(blocks: list[bytes], seed: int) -> None:
        random = Random(seed)  # noqa: S311  (reproducible, not secret)
        payloads = [mutated(random, [*blocks, a_raw_compra()]) for _ in range(ROWS)]

        seen["payloads"] += len(payloads)
        seen["rejected"] += assert_conserved(payloads)

        lines = b"\n".join(payloads)
        rows = list(split_rows(NDJSON, in_chunks(random, lines)))
        unmarked = lines.removeprefix(BOM_UTF8)  # allowed at the start, not part of a row
        assert rows == [line for line in unmarked.split(b"\n") if line.strip()]
        seen["lines"] += len(rows)
        assert_conserved(rows)

        for payload in payloads[:20]:
            try:
                rows = list(split_rows(JSON_ARRAY, in_chunks(random, b"[%b,1]" % payload)))
            except UnreadableResponseError:
                seen["arrays refused"] += 1
            else:
                seen["arrays read"] += 1
                assert_conserved(rows)

    every_row_is_on_one_side()

    print(dict(seen))
    assert seen["payloads"] >= 100_000
    assert min(seen["rejected"], seen["payloads"] - seen["rejected"], seen["arrays read"]) > 1_000


NO_JSON = "Invalid JSON: "
WORST = {
    "NUL": (b"\x00", NO_JSON),
    "NUL in a text": (a_raw_compra(job='"a\x00b"'), NO_JSON),
    "NUL escaped": (
        a_raw_compra(job='"a\\u0000b"'),
        "job: must be non-empty text",
    ),
    "NUL in a name": (a_raw_compra(**{"a\x00": "1"}), "a\\x00: Extra inputs are not permitted"),
    "lone surrogate escaped": (a_raw_compra(job='"\\ud83d"'), NO_JSON),
    "surrogates reversed": (a_raw_compra(job='"\\ude00\\ud83d"'), NO_JSON),
    "lone surrogate as bytes": (a_raw_compra(job='"\udced\udca0\udcbd"'), NO_JSON),
    "no UTF-8": (b"\xff\xc1\x80", NO_JSON),
    "NaN": (a_raw_compra(price="NaN"), "price: Input should be a finite number"),
    "Infinity": (a_raw_compra(price="Infinity"), "price: Input should be a finite number"),
    "-Infinity": (a_raw_compra(price="-Infinity"), "price: Input should be a finite number"),
    "1e400": (a_raw_compra(price="1e400"), "price: Input should be a finite number"),
    "400 digits": (a_raw_compra(store="9" * 400), "store: "),
    "5,000 digits": (a_raw_compra(store="9" * 5_000), NO_JSON + "number out of range"),
    "a text of 5 MB": (
        a_raw_compra(job=f'"{HUGE.decode()}"'),
        "job: must be non-empty text of at most 1,000 characters, without NUL",
    ),
    "a name of 5 MB": (a_raw_compra(**{HUGE.decode(): "1"}), "xxxxxxxx"),
    "5 MB of nothing": (HUGE, NO_JSON),
    "array": (b"[1]", "Input should be an object"),
    "text": (b'"compra"', "Input should be an object"),
    "number": (b"1", "Input should be an object"),
    "null": (b"null", "Input should be an object"),
    "cut short": (a_raw_compra()[:-20], NO_JSON),
    "BOM": (b"\xef\xbb\xbf" + a_raw_compra(), NO_JSON),
    "UTF-16": (a_raw_compra().decode().encode("utf-16"), NO_JSON),
    "name twice, the last bad": (
        a_raw_compra()[:-1] + b',"price":-1}',
        "price: Input should be greater than 0",
    ),
    "10,000 deep": (b"[" * 10_000 + b"]" * 10_000, NO_JSON),
    "10,000 deep in a field": (a_raw_compra(job="[" * 10_000 + "]" * 10_000), NO_JSON),
    "empty object": (b"{}", "date_purchase: Field required"),
}


@pytest.mark.parametrize(("raw", "reason"), WORST.values(), ids=WORST)
def test_the_worst_rows_are_rejected_with_their_reasons(raw: bytes, reason: str) -> None:
    accepted, rejected = validated([raw, a_raw_compra()])

    assert [row[0] for row in accepted] == [1, 3]
    assert [row.reasons[0][: len(reason)] for row in rejected] == [reason]
    assert_conserved([raw, a_raw_compra()])


def test_a_name_that_occurs_twice_is_a_reason() -> None:
    accepted, rejected = validated([b'{"price":-1,' + a_raw_compra()[1:]])

    assert len(accepted) == 1
    assert [row.reasons for row in rejected] == [["price: must not occur twice in an object"]]


def test_the_worst_rows_are_quarantined_and_the_others_loaded(
    database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    random = Random(4)  # noqa: S311
    bent = [mutated(random, [a_raw_compra(), *TOKENS]) for _ in range(600)]
    bad = [raw for raw, _ in WORST.values()] + [
        raw for raw in bent if raw.strip() and b"\n" not in raw and not validated([raw])[0][1:]
    ]
    app = FastAPI()
    app.add_api_route(
        "/gerar_compra/{_}",
        lambda _: Response(
            b"".join(b"%b\n%b\n" % (raw, a_raw_compra()) for raw in bad), media_type=NDJSON.media_type
        ),
    )

    with served(app) as url:
        pipeline = a_pipeline(url, tmp_path, database_url)
        result = ingest(pipeline, rows=2 * len(bad), max_rejected_ratio=1.0)

    assert result.success
    with engine.connect() as connection:
        loaded = connection.execute(sa.text("SELECT linha FROM tabela_compras ORDER BY 1")).scalars().all()
        kept = connection.execute(
            sa.text("SELECT linha, original, reasons FROM compras_rejeitadas ORDER BY 1")
        ).all()
    assert loaded == [*range(2, 2 * len(bad) + 1, 2)]
    assert [(linha, original) for linha, original, _ in kept] == [
        (2 * place + 1, storable_text(raw)) for place, raw in enumerate(bad)
    ]
    for (_, _, reasons), (_, reason) in zip(kept, WORST.values(), strict=False):
        assert reasons[0].startswith(reason)
    print(f"{len(bad)} rejected rows of {sum(map(len, bad)):,} bytes lie in PostgreSQL")
