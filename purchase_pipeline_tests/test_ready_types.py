"""Columns can store every value that the ready field types accept."""

import json
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from examples.orders.contract import Amount, Moment
from purchase_pipeline.contracts import BigInteger, Integer, Money, Number, PurchaseDate, Text
from purchase_pipeline.ingest.validation import RowValidation
from purchase_pipeline.postgres import RowStream
from purchase_pipeline.postgres.schema.models import columns_from_model
from purchase_pipeline_tests.storing import Store, error_of


class Ready(BaseModel):
    """A field of each ready type listed in docs/your-own-api.md."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    text: Text | None = None
    integer: Integer | None = None
    big: BigInteger | None = None
    counted: Integer | None = Field(default=None, ge=1)
    number: Number | None = None
    money: Money | None = None
    amount: Amount | None = None
    bought: PurchaseDate | None = None
    due: date | None = Field(default=None, strict=False)
    moment: Moment | None = None


TABLE = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("lote", sa.Text, primary_key=True),
    sa.Column("linha", sa.Integer, primary_key=True),
    *columns_from_model(Ready),
)
VALUES = [
    *(
        str(sign * (2**power + more))
        for power in (31, 63, 70, 2000)
        for sign in (1, -1)
        for more in (-1, 0, 1)
    ),
    *(
        "0",
        "-0",
        "1.0",
        "1e999",
        "-1e999",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e308",
        "5e-324",
        "1e-400",
        "0.1",
        "9" * 12,
    ),
    *("9999999999.99", "99999999999.9", "1E5", "true", "null", "[]", "{}", "12.345", "0.00"),
    *(
        json.dumps(text)
        for text in (
            *(
                "a\x00b",
                "\x00",
                "",
                " ",
                "\ufffe",
                "\x1b[2J",
                "\\N",
                "\\.",
                "a\tb\nc\rd\x0b\b\f",
                "x" * 1000,
                "x" * 1001,
            ),
            *(
                "\u202e",
                "\U0010ffff",
                "NaN",
                "1.10",
                "1e2",
                "\u0661",
                "0.00",
                "9999999999.99",
                "99999999999.99",
            ),
            *(
                "2026-01-05",
                "0001-01-01",
                "9999-12-31",
                "10000-01-01",
                "-0044-03-15",
                "infinity",
                "0",
                "253402300800",
            ),
            *(
                "2026-01-05T09:00:00Z",
                "0001-01-01T00:00:00+14:00",
                "9999-12-31T23:59:59-14:00",
                "2026-01-05T24:00:00Z",
            ),
            *(
                "1970-01-01T00:00:00+00:01",
                "9999-12-30T23:59:59.999999Z",
                "2026-06-30T23:59:60Z",
                "2026-01-05T09:00:00",
            ),
        )
    ),
    '"\\ud800"',
    '"\\u0000"',
]


@pytest.mark.parametrize("field", Ready.model_fields)
def test_columns_store_every_accepted_value(database_url: str, engine: sa.Engine, field: str) -> None:
    rows = [f'{{"{field}":{value}}}'.encode() for value in VALUES]
    validation = RowValidation(
        "a",
        received=len(rows),
        max_rejected_ratio=2,
        today=datetime.now(UTC).date(),
        contract=Ready,
    )
    store = Store(database_url, engine)

    result = store.store(RowStream(TABLE.columns.keys(), validation.accepted(rows), TABLE))

    assert result.success, error_of(result)
    stored = store.rows()  # read back, too
    assert 0 < len(stored) < len(rows)
    assert len(stored) + len(validation.rejected) == len(rows)
