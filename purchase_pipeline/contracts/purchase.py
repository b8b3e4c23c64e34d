"""The contract of a purchase: its fields, types and bounds."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from purchase_pipeline.contracts.numbers import Money
from purchase_pipeline.contracts.texts import Text
from purchase_pipeline.contracts.times import ISO_DATE_TEXT


def _not_in_the_future(value: date, info: ValidationInfo) -> date:
    """Reject dates after `context={"today": ...}`; without a context, after today in UTC."""
    today = info.context["today"] if info.context else datetime.now(UTC).date()
    if value > today:
        raise PydanticCustomError("date_in_future", "must not be later than {today}", {"today": str(today)})
    return value


@dataclass(frozen=True)
class _NotInTheFuture:
    """Reject dates in the future. The metadata says so to the fast path of validation."""

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_after_validator_function(
            _not_in_the_future, handler(source), metadata={"at_most": "today"}
        )


PurchaseDate = Annotated[date, Field(strict=False, ge=date(1970, 1, 1)), _NotInTheFuture(), ISO_DATE_TEXT]

BirthDate = Annotated[date, Field(strict=False, ge=date(1900, 1, 1)), _NotInTheFuture(), ISO_DATE_TEXT]


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
