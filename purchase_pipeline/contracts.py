"""What a purchase is: the one place where its columns, types and bounds are written.

Table DDL, COPY order, quarantine reasons, Dagster's column schema and the checks derive from here.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationInfo,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


# Hashed by identity: on Python 3.11 and 3.12 `Money | None` hashes its annotations, and `form` is a dict.
@dataclass(frozen=True, eq=False)
class ReceivedAs:
    """Demand one JSON form before the annotated type reads it.

    Strict mode alone lets two doubtful forms through: `"12.50"`, a text, for a decimal, and
    `"1704153600"`, seconds in a text, for a date. Both steps run inside pydantic-core, without a call to Python.
    """

    form: CoreSchema

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Put the form's own check before the annotated type's."""
        return core_schema.chain_schema([self.form, handler(source)])


def _not_in_the_future(value: date, info: ValidationInfo) -> date:
    """Hold a date against `context={"today": ...}`; without a context, against today in UTC."""
    today = info.context["today"] if info.context else datetime.now(UTC).date()
    if value > today:
        raise PydanticCustomError(
            "date_in_future", "Date should not be later than {today}", {"today": str(today)}
        )
    return value


@dataclass(frozen=True)
class Explained:
    """Say in a person's words what the annotated type is to be, whichever of its bounds is broken."""

    message: str

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Put one message in the place of the type's own."""
        return _explained(handler(source), self.message)


def _explained(form: CoreSchema, message: str) -> CoreSchema:
    return core_schema.custom_error_schema(form, "form", custom_error_message=message)


_JSON_NUMBER = ReceivedAs(core_schema.float_schema(strict=True, allow_inf_nan=False))
_ISO_DATE_TEXT = ReceivedAs(
    _explained(
        core_schema.str_schema(strict=True, pattern=r"^\d{4}-\d{2}-\d{2}$"),
        "Input should be a date in the form YYYY-MM-DD",
    )
)

Text = Annotated[
    str,
    Field(max_length=1000, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$"),
    Explained("Input should be a text, not blank, no NUL (U+0000), at most 1000 characters"),
]
"""NUL is refused because PostgreSQL's text cannot hold it; the length, far above real values, stops accidents."""

Integer = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
"""A number without fraction, within what an INTEGER holds; JSON's own have no bounds."""

BigInteger = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""The same within a BIGINT: for numbers that others give, such as ids."""

Number = Annotated[float, Field(allow_inf_nan=False)]
"""A number with fraction, as computers reckon, finite: what cannot be summed is no number."""

Money = Annotated[Decimal, Field(strict=False, gt=0, max_digits=12, decimal_places=2), _JSON_NUMBER]

PurchaseDate = Annotated[
    date, Field(strict=False, ge=date(1970, 1, 1)), AfterValidator(_not_in_the_future), _ISO_DATE_TEXT
]

BirthDate = Annotated[
    date, Field(strict=False, ge=date(1900, 1, 1)), AfterValidator(_not_in_the_future), _ISO_DATE_TEXT
]


class CompraSchema(BaseModel):
    """One purchase, as the API sends it and as `tabela_compras` keeps it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    date_purchase: PurchaseDate = Field(description="Day of the purchase, from 1970 to today")
    client_name: Text = Field(description="Client's first name")
    client_lastname: Text = Field(description="Client's last name")
    state: Text = Field(description="State of Brazil, by its full name")
    birthday_client: BirthDate = Field(description="Client's date of birth, from 1900 to today")
    job: Text = Field(description="Client's occupation")
    payment_type: Text = Field(description="How it was paid: PIX, Boleto, ...")
    store: int = Field(ge=1, le=2_147_483_647, description="Number of the store, from 1")
    category: Text = Field(description="Category of the product")
    product: Text = Field(description="Name of the product")
    brand: Text = Field(description="Brand of the product")
    price: Money = Field(description="Price paid, in reais (R$), with two decimals")
