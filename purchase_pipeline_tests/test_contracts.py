"""The purchase contract and its field types."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Optional, Union, get_origin

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from mock_api.purchases import PurchaseSource, quarter_of
from purchase_pipeline import contracts
from purchase_pipeline.contracts import CompraSchema
from purchase_pipeline_tests.builders import FIELDS, a_compra, a_raw_compra, stored_values
from purchase_pipeline_tests.field_types import BY_NAME

TODAY = date(2026, 11, 24)
TEXT_FIELDS = [
    "client_name",
    "client_lastname",
    "state",
    "job",
    "payment_type",
    "category",
    "product",
    "brand",
]
# Field types, and how a contract may nest them.
FIELD_TYPES = BY_NAME | {
    name: found for name, found in vars(contracts).items() if get_origin(found) is Annotated
}
WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "X | None": lambda field: field | None,
    "Optional[X]": lambda field: Optional[field],  # noqa: UP045  (as many contracts still say it)
    "X | bool": lambda field: field | bool,
    "Union[X, list[X]]": lambda field: Union[field, list[field]],  # type: ignore[valid-type]  # noqa: UP007
    "list[X]": lambda field: list[field],  # type: ignore[valid-type]  # chosen at run time
    "dict[X, X]": lambda field: dict[field, field],  # type: ignore[valid-type]  # chosen at run time
    "dict[str, X | None]": lambda field: dict[str, field | None],  # type: ignore[valid-type]  # chosen at run time
    "Annotated[X, ...] | None": lambda field: Annotated[field, Field(description="again")] | None,
}
NO_DATE = "must be a date in the form YYYY-MM-DD"
BAD_DATE = "Input should be a valid date or datetime"
NO_TEXT = "must be non-empty text of at most 1,000 characters, without NUL"


def refusals_of(raw: bytes, today: date = TODAY) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as refused:
        CompraSchema.model_validate_json(raw, context={"today": today})
    return [(str(error["loc"][0]), error["msg"]) for error in refused.value.errors()]


def test_the_fields_are_the_original_twelve_in_order() -> None:
    assert tuple(CompraSchema.model_fields) == FIELDS


def test_a_valid_purchase_is_parsed() -> None:
    compra = CompraSchema.model_validate_json(a_raw_compra())

    assert compra.model_dump() == dict(zip(FIELDS, stored_values(), strict=True))


def test_a_validated_purchase_has_the_contracts_field_order() -> None:
    backwards = dict(reversed(a_compra().items()))

    compra = CompraSchema.model_validate_json(json.dumps(backwards))

    assert tuple(compra.__dict__) == FIELDS
    assert tuple(compra.__dict__.values()) == stored_values()


def test_a_validated_purchase_is_immutable() -> None:
    compra = CompraSchema.model_validate_json(a_raw_compra())

    with pytest.raises(ValidationError, match="frozen"):
        compra.price = Decimal(1)  # type: ignore[misc]  # mypy refuses it too


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("date_purchase", '"1970-01-01"', date(1970, 1, 1)),
        ("date_purchase", '"2024-02-29"', date(2024, 2, 29)),
        ("date_purchase", '"2026-11-24"', TODAY),
        ("birthday_client", '"1900-01-01"', date(1900, 1, 1)),
        ("birthday_client", '"2000-02-29"', date(2000, 2, 29)),
        ("client_name", '"x"', "x"),
        ("client_name", '"  Zoë  "', "  Zoë  "),
        ("client_name", '"\\ud83d\\ude00"', "😀"),
        ("client_name", '"tab\\tand\\u0001"', "tab\tand\x01"),
        ("client_name", '"' + "é" * 1000 + '"', "é" * 1000),
        ("store", "1", 1),
        ("store", "2147483647", 2_147_483_647),
        ("price", "0.01", Decimal("0.01")),
        ("price", "12", Decimal(12)),
        ("price", "12.5", Decimal("12.5")),
        ("price", "12.50000", Decimal("12.5")),
        ("price", "1.25e2", Decimal(125)),
        ("price", "9999999999.99", Decimal("9999999999.99")),
    ],
)
def test_a_value_within_the_bounds_is_unchanged(field: str, text: str, value: object) -> None:
    compra = CompraSchema.model_validate_json(a_raw_compra(**{field: text}), context={"today": TODAY})

    assert tuple(compra.__dict__.values()) == stored_values(**{field: value})


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("date_purchase", '"1969-12-31"', "Input should be greater than or equal to 1970-01-01"),
        ("date_purchase", '"2026-11-25"', "must not be later than 2026-11-24"),
        ("date_purchase", '"2023-02-29"', f"{BAD_DATE}, day value is outside expected range"),
        ("date_purchase", '"2023-13-01"', f"{BAD_DATE}, month value is outside expected range of 1-12"),
        ("date_purchase", '"1704153600"', NO_DATE),
        ("date_purchase", "1704153600", NO_DATE),
        ("date_purchase", '"2024-03-09T00:00:00"', NO_DATE),
        ("date_purchase", '"2024-03-09\\n"', NO_DATE),
        ("date_purchase", '" 2024-03-09"', NO_DATE),
        ("date_purchase", '"09/03/2024"', NO_DATE),
        ("date_purchase", '"2024-3-9"', NO_DATE),
        ("date_purchase", '"٢٠٢٤-٠٣-٠٩"', f"{BAD_DATE}, invalid character in year"),
        ("date_purchase", '""', NO_DATE),
        ("date_purchase", "null", NO_DATE),
        ("birthday_client", '"1899-12-31"', "Input should be greater than or equal to 1900-01-01"),
        ("birthday_client", '"2999-12-31"', "must not be later than 2026-11-24"),
        ("birthday_client", '"0000-01-01"', "Input should be greater than or equal to 1900-01-01"),
        ("birthday_client", '"564710400"', NO_DATE),
        ("birthday_client", "null", NO_DATE),
        (
            "job",
            '"' + "x" * 1001 + '"',
            "must be non-empty text of at most 1,000 characters, without NUL",
        ),
        ("store", "0", "Input should be greater than or equal to 1"),
        ("store", "-1", "Input should be greater than or equal to 1"),
        ("store", "2147483648", "Input should be less than or equal to 2147483647"),
        ("store", "1" + "0" * 30, "Input should be less than or equal to 2147483647"),
        ("store", "7.0", "Input should be a valid integer"),
        ("store", '"7"', "Input should be a valid integer"),
        ("store", "true", "Input should be a valid integer"),
        ("store", "null", "Input should be a valid integer"),
        ("price", "0", "Input should be greater than 0"),
        ("price", "-0.01", "Input should be greater than 0"),
        ("price", '"12.50"', "Input should be a valid number"),
        ("price", "true", "Input should be a valid number"),
        ("price", "null", "Input should be a valid number"),
        ("price", "[12.5]", "Input should be a valid number"),
        ("price", "12.505", "Decimal input should have no more than 2 decimal places"),
        ("price", "1e-3", "Decimal input should have no more than 2 decimal places"),
        ("price", "10000000000", "Decimal input should have no more than 10 digits before the decimal point"),
        ("price", "1e300", "Decimal input should have no more than 12 digits in total"),
        ("price", "1e400", "Input should be a finite number"),
        ("price", "NaN", "Input should be a finite number"),
        ("price", "-Infinity", "Input should be a finite number"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_a_message(field: str, text: str, message: str) -> None:
    assert refusals_of(a_raw_compra(**{field: text})) == [(field, message)]


@pytest.mark.parametrize("field", TEXT_FIELDS)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('""', NO_TEXT),
        ('" \\t\\n\\u00a0\\u2003"', NO_TEXT),
        ("null", NO_TEXT),
        ("51", NO_TEXT),
        ('["Ana"]', NO_TEXT),
        ('"An\\u0000a"', NO_TEXT),
        ('"\\u0000"', NO_TEXT),
        (
            '"' + "x" * 1001 + '"',
            "must be non-empty text of at most 1,000 characters, without NUL",
        ),
    ],
)
def test_text_that_postgresql_cannot_store_is_refused(field: str, text: str, message: str) -> None:
    assert refusals_of(a_raw_compra(**{field: text})) == [(field, message)]


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_is_required(field: str) -> None:
    assert refusals_of(a_raw_compra(without=[field])) == [(field, "Field required")]


def test_an_unknown_field_is_refused() -> None:
    assert refusals_of(a_raw_compra(cupom='"X"')) == [("cupom", "Extra inputs are not permitted")]


def test_every_invalid_field_is_named() -> None:
    raw = a_raw_compra(price="0", store="0", state='""')

    assert [field for field, _ in refusals_of(raw)] == ["state", "store", "price"]


def test_future_dates_are_relative_to_the_given_day() -> None:
    raw = a_raw_compra(date_purchase='"2024-03-09"')

    CompraSchema.model_validate_json(raw, context={"today": date(2024, 3, 9)})
    assert refusals_of(raw, today=date(2024, 3, 8)) == [
        ("date_purchase", "must not be later than 2024-03-08")
    ]


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("name", FIELD_TYPES)
def test_field_types_can_be_nested(name: str, wrapper: str) -> None:
    whole = WRAPPERS[wrapper](FIELD_TYPES[name])

    assert hash(whole) is not None
    assert TypeAdapter[Any](whole).json_schema()


def test_an_optional_field_is_validated_if_present() -> None:
    fee = TypeAdapter(contracts.Money | None, config={"strict": True})

    assert (fee.validate_json("null"), fee.validate_json("12.5")) == (None, Decimal("12.5"))
    with pytest.raises(ValidationError, match="Input should be a valid number"):
        fee.validate_json('"12.50"')


def test_future_dates_are_relative_to_the_clock_by_default() -> None:
    today = datetime.now(UTC).date()
    in_two_days = today + timedelta(days=2)

    CompraSchema.model_validate_json(a_raw_compra(date_purchase=f'"{today}"'))
    with pytest.raises(ValidationError, match="must not be later than"):
        CompraSchema.model_validate_json(a_raw_compra(date_purchase=f'"{in_two_days}"'))


@pytest.mark.parametrize("lote", ["lote-0001", "lote-0050"])
def test_every_row_of_a_good_batch_passes(lote: str) -> None:
    today = datetime.now(UTC).date()
    rows = b"".join(PurchaseSource().blocks(lote, 20_000, quarter_of(today))).splitlines()

    compras = [CompraSchema.model_validate_json(row, context={"today": today}) for row in rows]

    assert len(compras) == 20_000
    assert [compra.model_dump(mode="json") | {"price": float(compra.price)} for compra in compras] == [
        json.loads(row) for row in rows
    ]
