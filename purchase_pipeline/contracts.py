"""The contract of a purchase, and field types for any contract.

Table DDL, COPY order, quarantine reasons, Dagster's column schema and the checks derive from it.
"""

from collections.abc import Callable
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
    ValidationError,
    ValidationInfo,
)
from pydantic_core import CoreSchema, PydanticCustomError, SchemaValidator, core_schema


# Hashed by identity: on Python 3.11 and 3.12 `Money | None` hashes its annotations, and `schema` is a dict.
@dataclass(frozen=True, eq=False)
class ReceivedAs:
    """Require a JSON form before the annotated type parses the value.

    Strict mode alone accepts the string `"12.50"` as a decimal, and `"1704153600"` (seconds) as a date. Both steps run
    inside pydantic-core, without a call to Python.
    """

    schema: CoreSchema

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Chain the form's schema and the annotated type's."""
        return core_schema.chain_schema([self.schema, handler(source)])


def _not_in_the_future(value: date, info: ValidationInfo) -> date:
    """Reject dates after `context={"today": ...}`; without a context, after today in UTC."""
    today = info.context["today"] if info.context else datetime.now(UTC).date()
    if value > today:
        raise PydanticCustomError("date_in_future", "must not be later than {today}", {"today": str(today)})
    return value


@dataclass(frozen=True)
class Explained:
    """Replace the validation errors of the annotated type by one message."""

    message: str

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Wrap the type's schema with the message."""
        return _explained(handler(source), self.message)


def _explained(schema: CoreSchema, message: str) -> CoreSchema:
    return core_schema.custom_error_schema(schema, "form", custom_error_message=message)


_JSON_NUMBER = ReceivedAs(core_schema.float_schema(strict=True, allow_inf_nan=False))
_ISO_DATE_TEXT = ReceivedAs(
    _explained(
        core_schema.str_schema(strict=True, pattern=r"^\d{4}-\d{2}-\d{2}$"),
        "must be a date in the form YYYY-MM-DD",
    )
)

Text = Annotated[
    str,
    Field(max_length=1000, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$"),
    Explained("must be non-empty text of at most 1,000 characters, without NUL"),
]
"""PostgreSQL's text cannot store NUL; the length limit is far above real values."""

Integer = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
"""An integer within the range of an INTEGER column."""

BigInteger = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""An integer within the range of a BIGINT column, for external ids and the like."""

Number = Annotated[float, Field(allow_inf_nan=False)]
"""A finite floating-point number."""

Money = Annotated[Decimal, Field(strict=False, gt=0, max_digits=12, decimal_places=2), _JSON_NUMBER]

PurchaseDate = Annotated[
    date, Field(strict=False, ge=date(1970, 1, 1)), AfterValidator(_not_in_the_future), _ISO_DATE_TEXT
]

BirthDate = Annotated[
    date, Field(strict=False, ge=date(1900, 1, 1)), AfterValidator(_not_in_the_future), _ISO_DATE_TEXT
]


class CompraSchema(BaseModel):
    """A purchase, as sent by the API and stored in `tabela_compras`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    date_purchase: PurchaseDate = Field(description="Day of the purchase, from 1970 to today")
    client_name: Text = Field(description="Client's first name")
    client_lastname: Text = Field(description="Client's last name")
    state: Text = Field(description="State of Brazil, full name")
    birthday_client: BirthDate = Field(description="Client's date of birth, from 1900 to today")
    job: Text = Field(description="Client's occupation")
    payment_type: Text = Field(description="Payment method: PIX, Boleto, ...")
    store: int = Field(ge=1, le=2_147_483_647, description="Store number, from 1")
    category: Text = Field(description="Product category")
    product: Text = Field(description="Product name")
    brand: Text = Field(description="Product brand")
    price: Money = Field(description="Price paid in reais (R$), two decimals")


FROM_REQUEST = "from_request"
"""Type of the validation errors of `FromRequest`."""


@dataclass(frozen=True)
class FromRequest:
    """Take a field's value from the request: a value of `for_each`, or another variable of the row's page.

    The variable is text, and is validated as a field of a CSV is. The row need not have the field; if it does, its
    value is ignored. It annotates the whole type, `Annotated[Integer | None, FromRequest("day")]`, of a field
    without a default.
    """

    variable: str

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Replace the input by the variable in the validation's context."""
        validate_strings: Callable[..., Any] = SchemaValidator(handler(source)).validate_strings

        def validated(_: object, info: ValidationInfo) -> Any:  # noqa: ANN401
            variables = (info.context or {}).get("variables", {})
            if self.variable not in variables:
                raise PydanticCustomError(
                    FROM_REQUEST, "the request has no variable {variable}", {"variable": self.variable}
                )
            try:
                return validate_strings(str(variables[self.variable]), context=info.context)
            except ValidationError as error:
                detail = error.errors()[0]
                seen = {"reason": f"{detail['msg']} (saw {detail['input']!r})"}
                raise PydanticCustomError(FROM_REQUEST, "{reason}", seen) from error

        return core_schema.with_default_schema(
            core_schema.with_info_plain_validator_function(validated), default=None, validate_default=True
        )
