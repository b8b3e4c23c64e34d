"""Columns can store every value that the ready field types accept."""

import json
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from purchase_pipeline import contracts
from purchase_pipeline.contracts import (
    BigInteger,
    Bool,
    Date,
    Integer,
    Json,
    LocalMoment,
    LongText,
    Moment,
    Money,
    Number,
    PurchaseDate,
    Text,
)
from purchase_pipeline.ingest.validation import RowValidation
from purchase_pipeline.postgres import RowStream
from purchase_pipeline.postgres.frames.model_values import converters_from_model
from purchase_pipeline.postgres.schema.models import columns_from_model
from purchase_pipeline.postgres.schema.types import sql
from purchase_pipeline.postgres.write.copy import copy_rows
from purchase_pipeline_tests.field_types import BY_NAME, JSON_VALUES
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
    bought: PurchaseDate | None = None
    due: date | None = Field(default=None, strict=False)
    moment: Moment | None = None
    local: LocalMoment | None = None
    long: LongText | None = None
    day: Date | None = None
    number_of_it: contracts.UUID | None = None
    flag: Bool | None = None
    anything: Json | None = None
    texts: list[Text] | None = None
    moments: dict[str, Moment] | None = None


CALLED: dict[str, Any] = {
    "of_digits": BY_NAME["DecimalOf(30, 10)"],
    "with_comma": BY_NAME["DecimalComma(12, 2)"],
    "day_in": BY_NAME["DateIn(%d/%m/%Y)"],
    "moment_in": BY_NAME["MomentIn(%d/%m/%Y %H:%M, America/Sao_Paulo)"],
    "word": BY_NAME["BooleanIn(sim, não)"],
}
OPTIONAL: dict[str, Any] = {name: (field_type | None, None) for name, field_type in CALLED.items()}
READY: type[BaseModel] = create_model("Ready", __base__=Ready, **OPTIONAL)

TABLE = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("lote", sa.Text, primary_key=True),
    sa.Column("linha", sa.Integer, primary_key=True),
    *columns_from_model(READY),
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
    *('"1.234,56"', '"05/01/2026"', '"05/01/2026 09:00"', '"123e4567-e89b-12d3-a456-426614174000"', '"Sim"'),
    *('["a", "b"]', '["a\\u0000"]', '{"a": [1e16, null]}', '{"a": "2026-01-05T09:00:00Z"}', '{"\\u0000": 1}'),
]


@pytest.mark.parametrize("field", READY.model_fields)
def test_columns_store_every_accepted_value(database_url: str, engine: sa.Engine, field: str) -> None:
    rows = [f'{{"{field}":{value}}}'.encode() for value in VALUES]
    validation = RowValidation(
        "a", received=len(rows), max_rejected_ratio=2, today=datetime.now(UTC).date(), contract=READY
    )
    store = Store(database_url, engine)

    result = store.store(RowStream(TABLE.columns.keys(), validation.accepted(rows), TABLE))

    assert result.success, error_of(result)
    stored = store.rows()  # read back, too
    assert 0 < len(stored) < len(rows)
    assert len(stored) + len(validation.rejected) == len(rows)


SAO_PAULO = ZoneInfo("America/Sao_Paulo")
UUID_TEXT = "123e4567-e89b-12d3-a456-426614174000"
IN_12_2 = "must be a number with at most 10 digits before the decimal point and 2 after it"
WITH_COMMA = (
    'must be text with a decimal comma, such as "1.234,56", with at most 10 digits before the decimal point and 2 '
    "after it"
)
NO_DATE = "must be a date in the form YYYY-MM-DD"
NO_DATE_IN = "must be a date in the form %d/%m/%Y, such as 31/01/2026"
NO_MOMENT = "must be a timestamp from 1970 on, with time zone: 2026-01-05T09:00:00+01:00"
NO_LOCAL_MOMENT = "must be a timestamp without time zone: 2026-01-05T09:00:00"
NO_MOMENT_IN = (
    "must be a timestamp from 1970 on in the form %d/%m/%Y %H:%M, such as 31/01/2026 00:00, at an hour that the "
    "clocks of America/Sao_Paulo show once"
)
IN_SAO_PAULO = "MomentIn(%d/%m/%Y %H:%M, America/Sao_Paulo)"
NO_UUID = f"must be a UUID: {UUID_TEXT}"
NO_JSON = "must be JSON without NUL, NaN and infinity"


@cache
def adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter[Any](BY_NAME[name])


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("Text", "TEXT"),
        ("LongText", "TEXT"),
        ("Integer", "INTEGER"),
        ("BigInteger", "BIGINT"),
        ("Number", "DOUBLE PRECISION"),
        ("Money", "NUMERIC(12, 2)"),
        ("DecimalOf(30, 10)", "NUMERIC(30, 10)"),
        ("DecimalComma(12, 2)", "NUMERIC(12, 2)"),
        ("Date", "DATE"),
        ("DateIn(%d/%m/%Y)", "DATE"),
        ("Moment", "TIMESTAMP WITH TIME ZONE"),
        ("LocalMoment", "TIMESTAMP WITHOUT TIME ZONE"),
        (IN_SAO_PAULO, "TIMESTAMP WITH TIME ZONE"),
        ("UUID", "UUID"),
        ("Bool", "BOOLEAN"),
        ("BooleanIn(sim, não)", "BOOLEAN"),
        ("Json", "JSONB"),
    ],
)
def test_a_type_has_a_column_alone_and_in_a_list(name: str, column: str) -> None:
    model = create_model("Ready", x=(BY_NAME[name] | None, None), xs=(list[BY_NAME[name]], ...))  # type: ignore[valid-type]  # chosen at run time

    alone, listed = columns_from_model(model)

    assert (sql(alone.type), alone.nullable) == (column, True)
    assert (sql(listed.type), listed.nullable) == ("JSONB" if column == "JSONB" else f"{column}[]", False)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("LongText", '""', ""),
        ("LongText", f'"{"x" * 5000}"', "x" * 5000),
        ("DecimalOf(12, 2)", "12.5", Decimal("12.5")),
        ("DecimalOf(12, 2)", "-12", Decimal(-12)),
        ("DecimalOf(12, 2)", "1.25e2", Decimal(125)),
        ("DecimalOf(12, 2)", '"-9999999999.99"', Decimal("-9999999999.99")),
        ("DecimalOf(12, 2)", '"+0012.500"', Decimal("12.5")),
        ("DecimalOf(12, 2)", '".5"', Decimal("0.5")),
        ("DecimalOf(12, 2)", '"1E+3"', Decimal(1000)),
        ("DecimalOf(30, 10)", "12345678901234567890", Decimal(12345678901234567890)),
        ("DecimalOf(30, 10)", "12345.1234567891", Decimal("12345.1234567891")),
        ("DecimalOf(30, 10)", '"12345678901234567.0123456789"', Decimal("12345678901234567.0123456789")),
        ("DecimalOf(3, 3)", "0.125", Decimal("0.125")),
        ("DecimalOf(5, 0)", "99999.0", Decimal(99999)),
        ("DecimalComma(12, 2)", '"1.234,56"', Decimal("1234.56")),
        ("DecimalComma(12, 2)", '"-1.234.567,8"', Decimal("-1234567.8")),
        ("DecimalComma(12, 2)", '"1234,56"', Decimal("1234.56")),
        ("DecimalComma(12, 2)", '"1.234"', Decimal(1234)),
        ("Date", '"2024-02-29"', date(2024, 2, 29)),
        ("Date", '"0001-01-01"', date(1, 1, 1)),
        ("DateIn(%d/%m/%Y)", '"29/02/2024"', date(2024, 2, 29)),
        ("DateIn(%d/%m/%Y)", '"5/1/2026"', date(2026, 1, 5)),
        ("DateIn(%m/%Y)", '"02/2024"', date(2024, 2, 1)),
        ("DateIn(%d/%m/%Y %H:%M)", '"29/02/2024 00:00"', date(2024, 2, 29)),
        ("Moment", '"2026-01-05T09:00:00Z"', datetime(2026, 1, 5, 9, tzinfo=UTC)),
        ("Moment", '"2026-01-05 09:00+0100"', datetime(2026, 1, 5, 8, tzinfo=UTC)),
        ("Moment", '"2026-01-05T09:00:00.1234560Z"', datetime(2026, 1, 5, 9, 0, 0, 123456, UTC)),
        ("LocalMoment", '"2026-01-05T09:00:00.5"', datetime(2026, 1, 5, 9, 0, 0, 500000)),
        ("LocalMoment", '"0001-01-01 00:00"', datetime(1, 1, 1)),
        (IN_SAO_PAULO, '"05/01/2026 09:00"', datetime(2026, 1, 5, 9, tzinfo=SAO_PAULO)),
        (IN_SAO_PAULO, '"18/02/2018 00:30"', datetime(2018, 2, 18, 3, 30, tzinfo=UTC)),
        (
            "MomentIn(%d/%m/%Y %H:%M:%S.%f %z)",
            '"05/01/2026 09:00:00.000001 -0330"',
            datetime(2026, 1, 5, 9, 0, 0, 1, timezone(-timedelta(hours=3.5))),
        ),
        ("UUID", f'"{UUID_TEXT}"', UUID(UUID_TEXT)),
        ("UUID", f'"{UUID_TEXT.upper()}"', UUID(UUID_TEXT)),
        ("Bool", "true", True),
        ("BooleanIn(sim, não)", '"SIM"', True),
        ("BooleanIn(sim, não)", '"Não"', False),
        ("BooleanIn(1, 0)", "1", True),
        ("BooleanIn(1, 0)", '"0"', False),
        ("Json", '{"a": [1, "\\\\u0000", null]}', {"a": [1, "\\u0000", None]}),
    ],
)
def test_a_type_reads_its_form(name: str, text: str, value: object) -> None:
    assert adapter(name).validate_json(text) == value


@pytest.mark.parametrize(
    ("name", "texts", "message"),
    [
        ("LongText", ['"a\\u0000b"', "1", "null"], "must be text without NUL"),
        ("Integer", ['"1"', "1.0", "true"], "Input should be a valid integer"),
        ("Number", ['"1"', "true"], "Input should be a valid number"),
        (
            "DecimalOf(12, 2)",
            [
                *("12.505", '"12.505"', "10000000000", '"1e10"', '"1_000"', '" 1"', '"1,5"', '"1."', '"NaN"'),
                *("NaN", "1e999", "true", "[]", '""', f'"1.{"0" * 5000}"'),
            ],
            IN_12_2,
        ),
        (
            "DecimalOf(30, 10)",
            ["12345678901234567.25", "1e25", "0.12345678901"],  # read as doubles
            "must be a number with at most 20 digits before the decimal point and 10 after it",
        ),
        (
            "DecimalComma(12, 2)",
            ['"1.23,4"', '"12.34,5"', '".234,5"', '"1,2,3"', '"1,234.5"', '"0,005"', '"5,"', '""', "1.5"],
            WITH_COMMA,
        ),
        (
            "Date",
            ['"05/01/2026"', '"2026-02-30"', '"0000-01-01"', '"2026-01-05T00:00:00"', '"0"', "0"],
            NO_DATE,
        ),
        (
            "DateIn(%d/%m/%Y)",
            [
                '"2026-01-05"',
                '"31/02/2026"',
                '"05/01/26"',
                '"05/01/2026 "',
                '"05/01/2026\\n"',
                '"01/01/0000"',
                "5",
            ],
            NO_DATE_IN,
        ),
        (
            "DateIn(%d/%m/%Y %H:%M)",
            ['"05/01/2026 00:01"'],
            "must be a date in the form %d/%m/%Y %H:%M, such as 31/01/2026 00:00",
        ),
        (
            "Moment",
            [
                *(
                    '"2026-01-05T09:00:00"',
                    '"2026-01-05"',
                    '"1969-12-31T23:59:59Z"',
                    '"9999-12-31T00:00:00Z"',
                ),
                *('"2026-01-05T09:00:00.1234567Z"', '"2026-01-05T23:59:60Z"', '"1767603600"', "1767603600"),
            ],
            NO_MOMENT,
        ),
        (
            "LocalMoment",
            [
                '"2026-01-05T09:00:00Z"',
                '"2026-01-05"',
                '"2026-01-05T24:00:00"',
                '"2026-01-05T09:00:00.0000001"',
            ],
            NO_LOCAL_MOMENT,
        ),
        (
            IN_SAO_PAULO,
            [
                '"04/11/2018 00:30"',  # skipped
                '"17/02/2018 23:30"',  # repeated
                *('"05/01/1969 09:00"', '"31/12/9999 00:00"', '"05/01/2026"', '"2026-01-05 09:00"', "5"),
            ],
            NO_MOMENT_IN,
        ),
        (
            "UUID",
            [f'"{UUID_TEXT[:-1]}"', f'"{{{UUID_TEXT}}}"', f'"{UUID_TEXT.replace("-", "")}"', "1"],
            NO_UUID,
        ),
        ("Bool", ["1", "0", '"true"', "null"], "must be true or false"),
        ("BooleanIn(sim, não)", ['"talvez"', '""', "true", "1", "[]"], "must be one of: n, não, s, sim"),
        ("BooleanIn(1, 0)", ["2", "1.0", "true", '"01"'], "must be one of: 0, 1"),
        ("Json", ['"a\\u0000b"', '{"\\u0000": 1}', '"\\\\\\u0000"', "[NaN]", "1e999"], NO_JSON),
    ],
)
def test_a_type_refuses_other_forms_in_one_sentence(name: str, texts: list[str], message: str) -> None:
    for text in texts:
        with pytest.raises(ValidationError) as refused:
            adapter(name).validate_json(text)
        assert [error["msg"] for error in refused.value.errors()] == [message], text


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("Text", "a", "a"),
        ("LongText", "", ""),
        ("Integer", "12", 12),
        ("BigInteger", str(2**63 - 1), 2**63 - 1),
        ("Number", "0.1", 0.1),
        ("Money", "12.50", Decimal("12.5")),
        ("Money", "9999999999.99", Decimal("9999999999.99")),
        ("DecimalOf(30, 10)", "12345678901234567.0123456789", Decimal("12345678901234567.0123456789")),
        ("DecimalComma(12, 2)", "-1.234,56", Decimal("-1234.56")),
        ("Date", "2026-01-05", date(2026, 1, 5)),
        ("DateIn(%d/%m/%Y)", "05/01/2026", date(2026, 1, 5)),
        ("Moment", "2026-01-05T09:00:00Z", datetime(2026, 1, 5, 9, tzinfo=UTC)),
        ("LocalMoment", "2026-01-05 09:00:00", datetime(2026, 1, 5, 9)),
        (IN_SAO_PAULO, "05/01/2026 09:00", datetime(2026, 1, 5, 12, tzinfo=UTC)),
        ("UUID", UUID_TEXT, UUID(UUID_TEXT)),
        ("Bool", "true", True),
        ("Bool", "0", False),
        ("BooleanIn(sim, não)", "S", True),
        ("BooleanIn(1, 0)", "0", False),
    ],
)
def test_a_type_reads_csv_fields(name: str, field: str, value: object) -> None:
    model = create_model("Ready", x=(BY_NAME[name] | None, None), named=(dict[str, BY_NAME[name]], {}))  # type: ignore[valid-type]  # chosen at run time

    row: Any = model.model_validate_strings({"x": field, "named": {"a": field}})

    assert (row.x, row.named) == (value, {"a": value})


@pytest.mark.parametrize(
    ("name", "field", "message"),
    [
        ("Money", "12.5000000000000000001", "Decimal input should have no more than 12 digits in total"),
        ("Money", "12,50", "Input should be a valid number"),
        ("Money", "1_000", "Input should be a valid number"),
        ("Money", f"1.{'0' * 5000}", "Input should be a valid number"),
        ("DecimalOf(12, 2)", "12.5000000000000000001", IN_12_2),
        ("DecimalComma(12, 2)", "12.5", WITH_COMMA),
        ("Date", "05/01/2026", NO_DATE),
        ("Moment", "2026-01-05T09:00:00", NO_MOMENT),
        ("Bool", "sim", "must be true or false"),
        ("Number", "nan", "Input should be a finite number"),
        ("LongText", "a\x00b", "must be text without NUL"),
    ],
)
def test_a_type_refuses_csv_fields(name: str, field: str, message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        adapter(name).validate_strings(field)
    assert [error["msg"] for error in refused.value.errors()] == [message]


@settings(max_examples=500, deadline=None)
@given(st.integers(-(10**15), 10**15), st.integers(-2, 16))
def test_a_decimal_is_exact_or_refused(digits: int, scale: int) -> None:
    number = Decimal(digits).scaleb(-scale)
    fits = number == number.quantize(Decimal("0.01")) and abs(number) < 10**10

    for text in (f"{number:f}", f'"{number:f}"', str(number), f'"{number}"'):
        try:
            found = adapter("DecimalOf(12, 2)").validate_json(text)
        except ValidationError:
            assert not fits, text
        else:
            assert fits, text
            assert found == number


def test_a_type_takes_more_bounds() -> None:
    amount = BY_NAME["DecimalOf(12, 2)"]
    model = create_model("Priced", price=(amount | None, Field(gt=0)))

    with pytest.raises(ValidationError, match="Input should be greater than 0"):
        model.model_validate_json('{"price": 0}')


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: contracts.DecimalOf(2, 3), r"NUMERIC\(2, 3\): expected 1 <= precision <= 1000"),
        (lambda: contracts.DecimalComma(1001, 0), r"NUMERIC\(1001, 0\): expected"),
        (lambda: contracts.DateIn("%d/%m"), "Format '%d/%m' has no year"),
        (lambda: contracts.DateIn("%d/%m/%Y %z"), "not midnight"),
        (lambda: contracts.DateIn("%d/%m/%Y %-H"), "bad directive"),
        (lambda: contracts.MomentIn("%d/%m/%Y %H:%M"), "expected either %z in it, or a zone"),
        (lambda: contracts.MomentIn("%d/%m/%Y %z", zone="UTC"), "expected either %z in it, or a zone"),
        (lambda: contracts.BooleanIn(true={"s"}, false={"S"}), "expected different words for each"),
        (lambda: contracts.BooleanIn(true={"s"}, false=set()), "expected different words for each"),
    ],
)
@pytest.mark.filterwarnings("ignore:Parsing dates involving a day of month without a year:DeprecationWarning")
def test_a_type_without_a_meaning_is_refused_at_once(make: Any, message: str) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match=message):
        make()


@pytest.fixture
def ready(transaction: sa.Connection) -> list[tuple[type[BaseModel], sa.Table]]:
    """A model with a field and a list of each type, and its table."""
    models = [
        create_model("Ready", x=(field_type | None, ...), xs=(list[field_type], []))  # type: ignore[valid-type]  # chosen at run time
        for field_type in BY_NAME.values()
    ]
    tables = [
        sa.Table(
            f"ready_{number}",
            sa.MetaData(),
            sa.Column("id", sa.Integer),
            *columns_from_model(model),
            prefixes=["TEMPORARY"],
        )
        for number, model in enumerate(models)
    ]
    for table in tables:
        table.create(transaction)
    return list(zip(models, tables, strict=True))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(JSON_VALUES, min_size=100, max_size=100))
@example(VALUES)
def test_what_a_type_accepts_its_column_holds(
    transaction: sa.Connection, ready: list[tuple[type[BaseModel], sa.Table]], values: list[str]
) -> None:
    for model, table in ready:
        accepted = accepted_values(model, values)
        converters = converters_from_model(model)
        transaction.execute(table.delete())
        copy_rows(
            transaction,
            table,
            table.columns.keys(),
            (
                (index, *(converters.get(field, lambda same: same)(value) for field, value in row))
                for index, row in enumerate(accepted)
            ),
        )

        stored = transaction.execute(sa.select(*table.columns[1:]).order_by(table.c.id)).all()

        assert [tuple(row) for row in stored] == [(row.x, row.xs) for row in accepted]


def accepted_values(model: type[BaseModel], values: list[str]) -> list[Any]:
    """Return the rows that the model accepts, in JSON or as text."""
    accepted = list[Any]()
    for text in values:
        with suppress(ValidationError):
            accepted.append(model.model_validate_json(f'{{"x": {text}, "xs": [{text}, {text}]}}'))
        with suppress(ValidationError):
            found = json.loads(text)
            accepted.append(model.model_validate_strings({"x": found if isinstance(found, str) else text}))
    return accepted
