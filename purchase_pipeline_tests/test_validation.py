"""Validation: accepted and rejected rows, their reasons, and the limit of rejects."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Annotated

import pytest
from pydantic import AfterValidator, field_validator

from mock_api.faults import LINE_DEFECTS
from mock_api.purchases import PurchaseSource, quarter_of
from purchase_pipeline.contracts import CompraSchema
from purchase_pipeline.ingest.printable import printable
from purchase_pipeline.ingest.validation import (
    BATCH_ROWS,
    MissingRowsError,
    RejectedRow,
    RowValidation,
    TooManyRejectsError,
    storable_text,
)
from purchase_pipeline_tests.builders import FIELDS, OwnRuleOfAField, a_raw_compra, judged_values
from purchase_pipeline_tests.hostile import HOSTILE

TODAY = date(2026, 11, 24)

NO_TEXT = "must be non-empty text of at most 1,000 characters, without NUL"

REASON_BY_DEFECT = {
    "price as text": "price: Input should be a valid number (saw '999.0')",
    "price negative": "price: Input should be greater than 0 (saw -999.0)",
    "price zero": "price: Input should be greater than 0 (saw 0.0)",
    "price with too many decimals": "price: Decimal input should have no more than 2 decimal places (saw 999.001)",
    "price with too many digits": "price: Decimal input should have no more than 12 digits in total"
    " (saw 9999999999999.99)",
    "price null": "price: Input should be a valid number (saw None)",
    "field missing": "job: Field required",
    "field unknown": "cupom: Extra inputs are not permitted (saw 'BLACKFRIDAY')",
    "field null": f"state: {NO_TEXT} (saw None)",
    "name empty": f"client_name: {NO_TEXT} (saw '')",
    "name blank": f"client_name: {NO_TEXT} (saw '   ')",
    "text as number": f"brand: {NO_TEXT} (saw 51)",
    "text with NUL": f"client_lastname: {NO_TEXT} (saw 'Sá\\x00')",
    "text too long": f"job: {NO_TEXT} (saw '{'Analista' * 9}A...)",
    "date in Brazilian order": "date_purchase: must be a date in the form YYYY-MM-DD (saw '09/03/2024')",
    "date with time": "date_purchase: must be a date in the form YYYY-MM-DD (saw '2024-03-09T10:15:00')",
    "date as seconds": "date_purchase: must be a date in the form YYYY-MM-DD (saw 1704153600)",
    "date impossible": "date_purchase: Input should be a valid date or datetime, day value is outside expected range"
    " (saw '2023-02-30')",
    "date in the future": "date_purchase: must not be later than 2026-11-24 (saw '2999-12-31')",
    "birthday in year 1": "birthday_client: Input should be greater than or equal to 1900-01-01 (saw '0001-01-01')",
    "birthday in the future": "birthday_client: must not be later than 2026-11-24 (saw '2999-12-31')",
    "store zero": "store: Input should be greater than or equal to 1 (saw 0)",
    "store as text": "store: Input should be a valid integer (saw '7')",
    "store beyond 32 bits": "store: Input should be less than or equal to 2147483647 (saw 2147483648)",
    "row is an array": "Input should be an object",
    "row is a number": "Input should be an object",
    "row is null": "Input should be an object",
    "row is text": "Input should be an object",
    "price beyond floating point": "price: Input should be a finite number (saw inf)",
    "price not a number": "price: Input should be a finite number (saw nan)",
    "text with a lone surrogate": "Invalid JSON: unexpected end of hex escape at line 1 column 63",
    "text in Latin-1": "Invalid JSON: invalid unicode code point at line 1 column 92",
    "row cut short": "Invalid JSON: EOF while parsing a string at line 1 column 133",
}


def a_validation(
    received: int = 10_000,
    ratio: float = 1.0,
    today: date = TODAY,
    contract: type[CompraSchema] = CompraSchema,
) -> RowValidation:
    return RowValidation(
        "lote-0001",
        received=received,
        max_rejected_ratio=ratio,
        today=today,
        contract=contract,
    )


def validated(validation: RowValidation, raw_rows: Iterable[bytes]) -> list[tuple[object, ...]]:
    return [(int(str(row[1])), *row[2:]) for batch in validation.accepted(raw_rows) for row in batch]


def rejection_of(raw: bytes) -> RejectedRow:
    validation = a_validation(received=2)
    assert [row[0] for row in validated(validation, [raw, a_raw_compra()])] == [2]
    (rejected,) = validation.rejected
    return rejected


def assert_storable(rejected: RejectedRow) -> None:
    """Check that PostgreSQL can store a text: any UTF-8 without NUL."""
    for text in (*rejected.fields, *rejected.reasons, rejected.original):
        assert "\x00" not in text
        assert text.encode().decode() == text


def test_good_rows_become_their_values_numbered_from_one() -> None:
    validation = a_validation(received=3)

    accepted = validated(validation, [a_raw_compra(), a_raw_compra(store="8"), a_raw_compra()])

    assert accepted == [(1, *judged_values()), (2, *judged_values(store=8)), (3, *judged_values())]
    assert validation.rejected == []


def test_accepted_and_rejected_rows_are_all_rows_each_once() -> None:
    numbers = range(1, 10_001)
    bad = {1, 2, 1_999, 2_000, 2_001, 7_777, 10_000}
    validation = a_validation()

    accepted = validated(validation, (a_raw_compra(store="0" if n in bad else str(n)) for n in numbers))

    assert accepted == [(n, *judged_values(store=n)) for n in numbers if n not in bad]
    assert [row.row_number for row in validation.rejected] == sorted(bad)


def test_one_bad_row_among_ten_thousand_is_the_only_one_rejected() -> None:
    rows = [a_raw_compra()] * 10_000
    rows[6_543] = b"<html>"
    validation = a_validation(ratio=0.05)

    accepted = validated(validation, rows)

    assert [row[0] for row in accepted] == [*range(1, 6_544), *range(6_545, 10_001)]
    assert validation.rejected == [
        RejectedRow(
            6_544,
            [],
            ["Invalid JSON: expected value at line 1 column 1"],
            "<html>",
            hashlib.sha256(b"<html>").hexdigest(),
        )
    ]


@pytest.mark.parametrize("rows", [0, 1, BATCH_ROWS - 1, BATCH_ROWS, BATCH_ROWS + 1, 3 * BATCH_ROWS])
def test_rows_are_validated_in_chunks_of_a_bounded_size(rows: int) -> None:
    sizes = [len(batch) for batch in a_validation(received=rows).accepted([a_raw_compra()] * rows)]

    assert sum(sizes) == rows
    assert sizes == [*[BATCH_ROWS] * (rows // BATCH_ROWS), *[rows % BATCH_ROWS] * (rows % BATCH_ROWS > 0)]


def test_rows_are_read_a_chunk_at_a_time() -> None:
    asked = 0

    def counted() -> Iterator[bytes]:
        nonlocal asked
        for _ in range(3 * BATCH_ROWS):
            asked += 1
            yield a_raw_compra()

    next(a_validation().accepted(counted()))

    assert asked == BATCH_ROWS


def test_a_valid_batch_is_accepted_completely() -> None:
    (lines,) = PurchaseSource().blocks("lote-0001", 10_000, quarter_of(TODAY))
    validation = a_validation()

    accepted = validated(validation, lines.splitlines())

    assert [row[0] for row in accepted] == [*range(1, 10_001)]
    assert validation.rejected == []


def test_future_dates_are_relative_to_the_given_day() -> None:
    validation = a_validation(received=3, today=date(2024, 3, 8))

    accepted = validated(validation, [a_raw_compra(date_purchase=f'"2024-03-0{day}"') for day in (7, 8, 9)])

    assert [row[:2] for row in accepted] == [(1, "2024-03-07"), (2, "2024-03-08")]
    assert [row.reasons for row in validation.rejected] == [
        ["date_purchase: must not be later than 2024-03-08 (saw '2024-03-09')"]
    ]


def test_a_model_validator_is_applied_and_loses_no_row() -> None:
    validation = a_validation(received=3, contract=OwnRuleOfAField)

    accepted = validated(validation, [a_raw_compra(), a_raw_compra(brand='"LG"'), a_raw_compra()])

    assert accepted == [(1, *judged_values()), (3, *judged_values())]
    assert [row.reasons for row in validation.rejected] == [["brand: Value error, no shouting (saw 'LG')"]]


def test_rows_that_skip_the_fast_path_keep_their_order() -> None:
    class WithDefault(CompraSchema):
        brand: str = "LG"

    rows = [a_raw_compra(), a_raw_compra(without={"brand"}), a_raw_compra()]

    accepted = validated(a_validation(received=3, contract=WithDefault), rows)

    assert accepted == [(1, *judged_values()), (2, *judged_values(brand="LG")), (3, *judged_values())]


def test_every_defect_has_its_reason_here() -> None:
    assert REASON_BY_DEFECT.keys() == LINE_DEFECTS.keys()


@pytest.mark.parametrize(("defect", "reason"), REASON_BY_DEFECT.items(), ids=REASON_BY_DEFECT)
def test_a_defect_is_rejected_for_its_reason(defect: str, reason: str) -> None:
    raw = LINE_DEFECTS[defect](a_raw_compra())

    rejected = rejection_of(raw)

    field = reason.partition(":")[0]
    assert rejected.reasons == [reason]
    assert rejected.fields == ([field] if field in {*FIELDS, "cupom"} else [])
    assert rejected.original == storable_text(raw)
    assert_storable(rejected)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "Invalid JSON: EOF while parsing a value at line 1 column 0"),
        (b"{}{}", "Invalid JSON: trailing characters at line 1 column 3"),
        (b"\x00", "Invalid JSON: expected value at line 1 column 1"),
        (b"\xef\xbb\xbf{}", "Invalid JSON: expected value at line 1 column 1"),
        (b"[" * 100_000, "Invalid JSON: recursion limit exceeded at line 1 column 202"),
        (b'"' + b"x" * 5_000_000, "Invalid JSON: EOF while parsing a string at line 1 column 5000001"),
        (b"true", "Input should be an object"),
        (b"[{}]", "Input should be an object"),
    ],
    ids=["empty", "two objects", "NUL", "BOM", "nested", "5 MB", "bool", "array"],
)
def test_a_row_that_is_not_an_object_is_rejected_without_a_field(raw: bytes, reason: str) -> None:
    rejected = rejection_of(raw)

    assert rejected == RejectedRow(1, [], [reason], storable_text(raw), hashlib.sha256(raw).hexdigest())
    assert_storable(rejected)


def test_every_invalid_field_has_a_reason_in_contract_order() -> None:
    raw = a_raw_compra(without=["job"], price="-5.0", cupom="1", state='""')

    assert rejection_of(raw) == RejectedRow(
        row_number=1,
        fields=["state", "job", "price", "cupom"],
        reasons=[
            f"state: {NO_TEXT} (saw '')",
            "job: Field required",
            "price: Input should be greater than 0 (saw -5.0)",
            "cupom: Extra inputs are not permitted (saw 1)",
        ],
        original=raw.decode(),
        original_sha256=hashlib.sha256(raw).hexdigest(),
    )


def test_a_row_with_a_thousand_unknown_fields_gives_twenty_reasons() -> None:
    rejected = rejection_of(a_raw_compra(**{f"x{number}": "1" for number in range(1_000)}))

    assert rejected.fields == [f"x{number}" for number in range(20)]
    assert len(rejected.reasons) == 20


def test_an_unknown_field_with_an_unstorable_name_is_shown_escaped() -> None:
    rejected = rejection_of(b'{"\\u0000\\u00e9":1,' + a_raw_compra()[1:])

    assert rejected.fields == ["\\x00é"]
    assert rejected.reasons == ["\\x00é: Extra inputs are not permitted (saw 1)"]
    assert_storable(rejected)


def test_a_name_and_a_value_of_five_megabytes_are_shown_by_their_beginnings() -> None:
    rejected = rejection_of(a_raw_compra(job='"' + "j" * 5_000_000 + '"', **{"n" * 5_000_000: "1"}))

    assert [field[:3] for field in rejected.fields] == ["job", "nnn"]
    assert rejected.fields[1] == "n" * 4_000 + "... (5000000 bytes in all)"
    assert rejected.original.endswith(" bytes in all)")
    assert max(map(len, (*rejected.fields, *rejected.reasons, rejected.original))) < 4_200


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", ""),
        ("José 😀".encode(), "José 😀"),
        (b"a\x00b", "a\\x00b"),
        (b"\xff\xc1 Jos\xe9", "\\xff\\xc1 Jos\\xe9"),
        (b"\xed\xa0\xbd", "\\xed\\xa0\\xbd"),
        (b"\t\r\n\x01\x7f", "\t\r\n\x01\x7f"),
        (b"x" * 4_000, "x" * 4_000),
        (b"x" * 4_001, "x" * 4_000 + "... (4001 bytes in all)"),
        ("😀" * 4_000, "😀" * 4_000),
        ("😀" * 4_001, "😀" * 4_000 + "... (16004 bytes in all)"),
        ("😀" * 5_000, "😀" * 4_000 + "... (20000 bytes in all)"),
        ("é" * 9_000, "é" * 4_000 + "... (18000 bytes in all)"),
        ("x" + "😀" * 5_000, "x" + "😀" * 3_999 + "... (20001 bytes in all)"),
        ("xyz" + "😀" * 3_997 + "€" * 9, "xyz" + "😀" * 3_997 + "... (16018 bytes in all)"),
        (b"\x00" * 1_001, "\\x00" * 1_000 + "... (1001 bytes in all)"),
    ],
)
def test_the_original_is_truncated_and_storable(raw: bytes | str, text: str) -> None:
    assert storable_text(raw if isinstance(raw, bytes) else raw.encode()) == text


@pytest.mark.parametrize(
    ("received", "ratio", "enough"),
    [
        (100, 0.05, 5),
        (100, 0.07, 7),
        (100, 0.29, 29),
        (100, 0.051, 6),
        (100, 1.0, 100),
        (100, 0.001, 1),
        (1, 0.05, 1),
        (1, 1.0, 1),
        (3, 0.5, 2),
        (10_000, 0.0001, 1),
        (10_000, 0.05, 500),
    ],
)
def test_a_batch_fails_when_its_rejects_reach_the_ratio(received: int, ratio: float, enough: int) -> None:
    below, reached = a_validation(received, ratio), a_validation(received, ratio)

    validated(below, [b"bad"] * (enough - 1) + [a_raw_compra()] * (received - enough + 1))
    assert len(below.rejected) == enough - 1

    with pytest.raises(TooManyRejectsError, match=f"{enough} of the first .* of {received} rows"):
        validated(reached, [b"bad"] * enough)


def test_too_many_rejects_are_reported_with_the_most_common_reasons() -> None:
    rows = [
        *[a_raw_compra()] * 90,
        *[a_raw_compra(price=f"-{number}") for number in range(1, 5)],
        *[a_raw_compra(store="0", state="null")] * 2,
        b"<html>",
        *[a_raw_compra()] * 100,
    ]

    with pytest.raises(TooManyRejectsError) as refused:
        validated(a_validation(received=70, ratio=0.1), rows)

    assert str(refused.value) == (
        "lote-0001: 7 of the first 97 rows were rejected, which reaches the limit of 10.0% of 70 rows. The batch was "
        "not loaded; rows loaded before are kept. Most common: price: Input should be greater than 0: 4 rows; "
        f"state: {NO_TEXT}: 2 rows; store: Input should be greater than or equal to 1: 2 rows. "
        "See them with `purchase-pipeline rejects --landed lote-0001`. "
        "Fix the source or the contract, or raise max_rejected_ratio (of the purchases: PURCHASE_MAX_REJECTED_RATIO)."
    )


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_too_many_rejects_are_reported_in_one_line(text: str) -> None:
    with pytest.raises(TooManyRejectsError) as refused:
        validated(a_validation(received=10, ratio=0.1), [a_raw_compra(**{text: "1"})] * 10)

    said = str(refused.value)
    assert printable(said) == said
    assert said.endswith("PURCHASE_MAX_REJECTED_RATIO).")
    assert len(said) < 1000


def test_too_many_rejects_end_the_reading_early() -> None:
    asked = 0

    def counted() -> Iterator[bytes]:
        nonlocal asked
        for _ in range(100_000):
            asked += 1
            yield b"bad"

    with pytest.raises(TooManyRejectsError, match=" of the first 5000 rows "):
        validated(a_validation(received=100_000, ratio=0.05), counted())

    assert asked <= 5_000 + BATCH_ROWS


@pytest.mark.parametrize("landed", [2, 4])
def test_a_landed_file_with_another_number_of_rows_is_refused(landed: int) -> None:
    validation = RowValidation(
        "lote-0001", contract=CompraSchema, received=3, max_rejected_ratio=0.05, today=date(2026, 1, 1)
    )

    with pytest.raises(MissingRowsError, match=f"3 rows were received, but the landed file has {landed}"):
        list(validation.accepted([a_raw_compra()] * landed))


def _raise(error: BaseException) -> object:
    raise error


class OwnError(Exception):
    """An exception class defined by a contract's author."""


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError("by zero"), KeyError("UF"), OwnError("\x00no"), RecursionError(), StopIteration()],
)
@pytest.mark.parametrize("in_the_field", [False, True])
def test_an_exception_in_a_validator_is_the_rows_reason(error: Exception, *, in_the_field: bool) -> None:
    def rule(brand: str) -> str:
        return str(_raise(error)) if brand == "Nokia" else brand

    class OfAField(CompraSchema):
        brand: Annotated[str, AfterValidator(rule)]

    class OfTheModel(CompraSchema):
        _rule = field_validator("brand")(rule)

    contract = OfAField if in_the_field else OfTheModel
    validation = a_validation(received=3, contract=contract, ratio=2)
    rows = [a_raw_compra(), a_raw_compra(brand='"Nokia"'), a_raw_compra()]

    accepted = [row for batch in validation.accepted(rows) for row in batch]

    assert [row[1] for row in accepted] == ["1", "3"]
    (rejected,) = validation.rejected
    assert rejected.row_number == 2
    assert rejected.fields == ["brand"]
    assert rejected.reasons == [storable_text(f"brand: A validator raised {error!r}".encode())]
    assert rejected.original == rows[1].decode()


@pytest.mark.parametrize("error", [MemoryError(), ConnectionError("a rule that asks a server")])
def test_a_system_error_is_not_a_rows_reason(error: Exception) -> None:
    class Asks(CompraSchema):
        @field_validator("brand")
        @classmethod
        def _rule(cls, brand: str) -> str:
            return str(_raise(error)) if brand == "Nokia" else brand

    validation = a_validation(received=1, contract=Asks, ratio=2)

    with pytest.raises(type(error)):
        list(validation.accepted([a_raw_compra(brand='"Nokia"')]))
    assert validation.rejected == []
