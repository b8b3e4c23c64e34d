"""A contract made from column types in words."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from purchase_pipeline.contracts import contract_from_columns
from purchase_pipeline.postgres.schema.models import columns_from_model
from purchase_pipeline.postgres.schema.types import sql

COLUMNS = {
    "order_id": "text",
    "amount": "numeric(12,2)",
    "paid": "decimal_comma(10, 4)",
    "placed_at": "timestamptz",
    "seen": "timestamptz(%d/%m/%Y %H:%M, America/Sao_Paulo)",
    "sent": "timestamptz(%b %d, %Y %H:%M %z)?",
    "local": "timestamp",
    "day": "date",
    "due": "date(%d/%m/%Y)?",
    "active": "boolean",
    "open": "boolean(sim|s, não|n)?",
    "number": "uuid?",
    "pieces": "integer",
    "clicks": "bigint?",
    "ratio": "double precision?",
    "extra": "jsonb?",
    "labels": "text[]?",
    "days": "date(%d/%m/%Y)[]?",
    "customer": "text? from customer.name",
    "first_sku": "text? from items.0.sku",
    "preço (R$)": "numeric(5,2)? from Preço",
    "copy": "text?",
}
ROW: dict[str, str] = {
    "order_id": "A-1",
    "amount": "12.50",
    "paid": "1.234,5",
    "placed_at": "2026-01-05T09:00:00Z",
    "seen": "05/01/2026 09:00",
    "local": "2026-01-05T09:00:00",
    "day": "2026-01-05",
    "active": "true",
    "pieces": "3",
}


def test_every_known_type_has_its_column() -> None:
    columns = columns_from_model(contract_from_columns("Order", COLUMNS))

    assert {column.name: (sql(column.type), column.nullable) for column in columns} == {
        "order_id": ("TEXT", False),
        "amount": ("NUMERIC(12, 2)", False),
        "paid": ("NUMERIC(10, 4)", False),
        "placed_at": ("TIMESTAMP WITH TIME ZONE", False),
        "seen": ("TIMESTAMP WITH TIME ZONE", False),
        "sent": ("TIMESTAMP WITH TIME ZONE", True),
        "local": ("TIMESTAMP WITHOUT TIME ZONE", False),
        "day": ("DATE", False),
        "due": ("DATE", True),
        "active": ("BOOLEAN", False),
        "open": ("BOOLEAN", True),
        "number": ("UUID", True),
        "pieces": ("INTEGER", False),
        "clicks": ("BIGINT", True),
        "ratio": ("DOUBLE PRECISION", True),
        "extra": ("JSONB", True),
        "labels": ("TEXT[]", True),
        "days": ("DATE[]", True),
        "customer": ("TEXT", True),
        "first_sku": ("TEXT", True),
        "preço (R$)": ("NUMERIC(5, 2)", True),
        "copy": ("TEXT", True),
    }


def test_a_row_is_read_from_json() -> None:
    contract = contract_from_columns("Order", COLUMNS)

    row = contract.model_validate_json(
        """{"order_id": "A-1", "amount": 12.5, "paid": "1.234,5", "placed_at": "2026-01-05T09:00:00Z",
        "seen": "05/01/2026 09:00", "sent": "Jan 05, 2026 09:00 -0300", "local": "2026-01-05T09:00:00",
        "day": "2026-01-05", "due": "06/01/2026", "active": true, "open": "não", "pieces": 3, "extra": [1],
        "labels": ["a", "b"], "days": ["05/01/2026"], "customer": {"name": "Ana"}, "items": [{"sku": "X"}],
        "Preço": 9.9, "undeclared": 1}"""
    )

    assert row.model_dump() == {
        "order_id": "A-1",
        "amount": Decimal("12.5"),
        "paid": Decimal("1234.5"),
        "placed_at": datetime(2026, 1, 5, 9, tzinfo=UTC),
        "seen": datetime(2026, 1, 5, 12, tzinfo=UTC),
        "sent": datetime(2026, 1, 5, 12, tzinfo=UTC),
        "local": datetime(2026, 1, 5, 9),
        "day": date(2026, 1, 5),
        "due": date(2026, 1, 6),
        "active": True,
        "open": False,
        "number": None,
        "pieces": 3,
        "clicks": None,
        "ratio": None,
        "extra": [1],
        "labels": ["a", "b"],
        "days": [date(2026, 1, 5)],
        "customer": "Ana",
        "first_sku": "X",
        "preço (R$)": Decimal("9.9"),
        "copy": None,
    }


def test_a_row_is_read_from_csv_fields() -> None:
    contract = contract_from_columns("Order", COLUMNS)

    row: Any = contract.model_validate_strings({**ROW, "Preço": "9.90", "customer.name": "Ana"})

    assert (row.amount, row.paid, row.active, row.pieces) == (Decimal("12.5"), Decimal("1234.5"), True, 3)
    assert (row.customer, row.model_dump()["preço (R$)"], row.due) == ("Ana", Decimal("9.9"), None)


def test_a_value_of_another_type_or_a_missing_one_is_refused() -> None:
    contract = contract_from_columns("Order", {"order_id": "text", "pieces": "integer", "note": "text?"})

    with pytest.raises(ValidationError) as refused:
        contract.model_validate_json('{"pieces": "3", "note": null}')

    assert [(error["loc"], error["msg"]) for error in refused.value.errors()] == [
        (("order_id",), "Field required"),
        (("pieces",), "Input should be a valid integer"),
    ]


def test_undeclared_members_are_refused_on_request() -> None:
    contract = contract_from_columns("Order", {"order_id": "text"}, extra="forbid")

    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        contract.model_validate_json('{"order_id": "a", "note": "b"}')


@pytest.mark.parametrize(
    ("words", "message"),
    [
        *(
            (words, f"Column 'x': unknown type {words!r}. ")
            for words in (
                "varchar",
                "money",
                "text(10)",
                "numeric",
                "",
                "?",
                "text from ",
                "TEXT",
                "text ? ?",
            )
        ),
        ("numeric(12)", "Column 'x': 'numeric(12)': "),
        ("numeric(2,3)", "Column 'x': 'numeric(2,3)': NUMERIC(2, 3): expected"),
        ("date(%d/%m/%Y %Q)", "Column 'x': 'date(%d/%m/%Y %Q)': 'Q' is a bad directive in format"),
        (
            "timestamptz(%d/%m/%Y %H:%M)",
            "Column 'x': 'timestamptz(%d/%m/%Y %H:%M)': Format '%d/%m/%Y %H:%M': expected either",
        ),
        (
            "timestamptz(%d/%m/%Y %H:%M, Mars/Olympus)",
            "Column 'x': 'timestamptz(%d/%m/%Y %H:%M, Mars/Olympus)': 'No time zone found",
        ),
        ("timestamptz(%d/%m/%Y, America)", "Column 'x': 'timestamptz(%d/%m/%Y, America)': "),
        ("boolean(sim)", "Column 'x': 'boolean(sim)': "),
        (
            "boolean(sim, SIM)",
            "Column 'x': 'boolean(sim, SIM)': BooleanIn(true=['sim'], false=['SIM']): expected different",
        ),
    ],
)
def test_an_unknown_type_is_refused_with_the_known_ones(words: str, message: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  # the message is compared below
        contract_from_columns("Order", {"x": words})

    assert str(refused.value).startswith(message)
    assert "Known types: text, integer, bigint, " in str(refused.value)


@pytest.mark.parametrize("column", ["_id", "model_fields", "model_config", "model_dump"])
def test_a_name_that_pydantic_needs_is_refused_with_a_way_out(column: str) -> None:
    with pytest.raises(ValueError, match=f"Rename it: 'text from {column}'"):
        contract_from_columns("Order", {column: "text"})

    renamed: Any = contract_from_columns("Order", {"found": f"text from {column}", "model_name": "text?"})
    assert renamed.model_validate_json(f'{{"{column}": "a"}}').found == "a"


def test_the_name_of_a_member_may_have_line_ends() -> None:
    contract: Any = contract_from_columns("Row", {"price": "integer from Price\n(R$)"})

    assert contract.model_validate({"Price\n(R$)": 1}).price == 1
