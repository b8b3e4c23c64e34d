"""A pydantic model's fields become columns that store all values that the model accepts."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AwareDatetime, BaseModel, Field, PastDate, PositiveInt, create_model

from purchase_pipeline.postgres.schema.models import columns_from_model
from purchase_pipeline.postgres.schema.types import sql


class Size(Enum):
    """A parcel's size."""

    SMALL = "small"
    LARGE = "large"


class Address(BaseModel):
    """A parcel's address."""

    street: str


class Parcel(BaseModel):
    """A model with a field of each kind."""

    label: str = Field(max_length=10, description="Written on it")
    pieces: int = Field(ge=1, le=100)
    grams: int
    value: Decimal = Field(max_digits=12, decimal_places=2)
    weight: Decimal
    ratio: float
    fragile: bool
    sent: date
    made: PastDate
    note: str = ""
    tax: Annotated[Decimal, Field(max_digits=5, decimal_places=1)] | None
    at: datetime
    seen: AwareDatetime
    hour: time
    took: timedelta
    number: UUID
    seal: bytes
    size: Size
    kind: Literal["box", "bag"]
    tags: list[str]
    doses: list[Annotated[int, Field(ge=0, le=9)] | None] = []
    address: Address
    route: list[Address]
    extra: dict[str, int]
    anything: Any


def test_each_field_has_its_column() -> None:
    columns = columns_from_model(Parcel)

    assert [(column.name, sql(column.type), column.nullable) for column in columns] == [
        ("label", "TEXT", False),
        ("pieces", "INTEGER", False),
        ("grams", "BIGINT", False),
        ("value", "NUMERIC(12, 2)", False),
        ("weight", "NUMERIC", False),
        ("ratio", "DOUBLE PRECISION", False),
        ("fragile", "BOOLEAN", False),
        ("sent", "DATE", False),
        ("made", "DATE", False),
        ("note", "TEXT", True),
        ("tax", "NUMERIC(5, 1)", True),
        ("at", "TIMESTAMP WITHOUT TIME ZONE", False),
        ("seen", "TIMESTAMP WITH TIME ZONE", False),
        ("hour", "TIME WITHOUT TIME ZONE", False),
        ("took", "INTERVAL", False),
        ("number", "UUID", False),
        ("seal", "BYTEA", False),
        ("size", "TEXT", False),
        ("kind", "TEXT", False),
        ("tags", "TEXT[]", False),
        ("doses", "INTEGER[]", True),
        ("address", "JSONB", False),
        ("route", "JSONB", False),
        ("extra", "JSONB", False),
        ("anything", "JSONB", True),
    ]
    assert columns[0].comment == "Written on it"


@pytest.mark.parametrize("annotation", [complex, str | int, tuple[int, int]])
def test_a_type_without_a_column_is_refused_by_name(annotation: Any) -> None:  # noqa: ANN401
    model = type("Odd", (BaseModel,), {"__annotations__": {"shape": annotation}, "__module__": __name__})

    with pytest.raises(TypeError, match="Field 'shape': no column type for"):
        columns_from_model(model)


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Annotated[int, Field(le=1000)], "BIGINT"),
        (Annotated[int, Field(ge=0)], "BIGINT"),
        (PositiveInt, "BIGINT"),
        (Annotated[int, Field(ge=-(2**31) - 1, le=0)], "BIGINT"),
        (Annotated[int, Field(ge=0, le=2**31)], "BIGINT"),
        (list[Annotated[int, Field(le=9)]], "BIGINT[]"),
        (Annotated[int, Field(ge=-(2**31), le=2**31 - 1)], "INTEGER"),
        (Annotated[int, Field(gt=-(2**31) - 1, lt=2**31)], "INTEGER"),
        (Annotated[int, Field(ge=-9, le=0)], "INTEGER"),
        (Annotated[int, Field(ge=0, le=2**40), Field(le=9)], "INTEGER"),
        (Annotated[Decimal, Field(max_digits=5)], "NUMERIC"),
        (Annotated[Decimal, Field(decimal_places=2)], "NUMERIC"),
        (Literal[1, 2], "BIGINT"),
        (list[Size], "TEXT[]"),
        (list[Any], "JSONB"),
        (list[list[int]], "JSONB"),
        (dict[str, Address], "JSONB"),
        (dict[str, Any], "JSONB"),
    ],
)
def test_a_type_is_as_narrow_as_all_values_together_allow(annotation: Any, expected: str) -> None:  # noqa: ANN401
    model = create_model("Bounded", value=(annotation, ...))

    (column,) = columns_from_model(model)

    assert sql(column.type) == expected


@pytest.mark.parametrize(
    "annotation",
    [
        int | None,
        Address | None,
        list[Address] | None,
        Annotated[Size | None, Field()],
        Literal["box", None],  # noqa: PYI061  # as pydantic accepts it
        Any,
        Annotated[Any, Field()],
    ],
)
def test_a_required_field_that_may_be_null_is_nullable(annotation: Any) -> None:  # noqa: ANN401
    (column,) = columns_from_model(create_model("Nullable", value=(annotation, ...)))

    assert column.nullable
