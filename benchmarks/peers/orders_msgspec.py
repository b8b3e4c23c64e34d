"""Orders by msgspec: a struct with the contract's types and bounds, and psycopg's binary COPY a row."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta, Struct, ValidationError

from benchmarks.peers.loaded import Loaded
from benchmarks.peers.orders import copy_valid, fetch_orders

_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
_MOST_AMOUNT = Decimal(10**10)  # of NUMERIC(12, 2)

_Text = Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]
_LongText = Annotated[str, Meta(pattern=r"^[^\x00]*$")]
_Integer = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
_BigInteger = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Moment = Annotated[datetime, Meta(tz=True)]


class _Order(Struct, kw_only=True):
    """The contract. Keyword-only, so that a default may stand in the middle."""

    id: UUID
    number: _BigInteger
    name: _Text
    email: _Text
    street: _Text
    city: _Text
    postcode: _Text
    country: _Text
    amount: Decimal
    tax: Decimal
    weight: float
    latitude: float
    longitude: float
    placed_at: _Moment
    paid_at: _Moment | None
    day: date
    is_paid: bool
    note: _LongText | None = None
    quantity: _Integer
    reference: _LongText | None

    def __post_init__(self) -> None:
        """Check what `Meta` cannot say of decimals and moments."""
        for amount in (self.amount, self.tax):
            if not -_MOST_AMOUNT < amount < _MOST_AMOUNT or amount != round(amount, 2):
                raise ValueError("Expected at most 10 digits before the decimal point and 2 after it")
        for moment in (self.placed_at, self.paid_at):
            if moment is not None and not _EARLIEST <= moment < _LATEST:
                raise ValueError("Expected a moment from 1970 on")


def load(api_url: str, database_url: str, partition: str) -> Loaded:
    """Load a batch in one transaction; rejected rows are collected with their errors."""
    decode, values = msgspec.json.Decoder(_Order).decode, msgspec.structs.astuple
    lines = fetch_orders(api_url, partition).splitlines()
    return copy_valid(database_url, partition, lines, lambda line: values(decode(line)), ValidationError)
