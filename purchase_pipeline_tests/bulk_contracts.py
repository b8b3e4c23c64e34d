"""Contracts for the fast path of validation, and rows for them: valid ones, odd ones and broken ones."""

import csv
import io
import json
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, NaiveDatetime, create_model

from purchase_pipeline.contracts import (
    UUID,
    BigInteger,
    Bool,
    BooleanIn,
    Date,
    DateIn,
    DecimalComma,
    DecimalOf,
    Integer,
    LocalMoment,
    LongText,
    Moment,
    MomentIn,
    Money,
    Number,
    PurchaseDate,
    Text,
)

Make = Callable[[Random], Any]


class Colour(StrEnum):
    """An enumeration."""

    RED = "red"
    BLUE = "blue"


def _day(random: Random) -> date:
    return date(1880, 1, 1) + timedelta(days=random.randrange(60_000))


def _moment(random: Random) -> datetime:
    return datetime(1960, 1, 1) + timedelta(seconds=random.random() * 3e9)


def _word(random: Random) -> str:
    return "".join(random.choices("abzXé ç\t\\\"\u2003\u00a0'\U0001f600\x1c", k=random.randrange(9)))


def _no_shouting(value: str) -> str:
    if value.isupper():
        raise ValueError("no shouting")
    return value


TYPES: dict[str, tuple[Any, Make]] = {
    "text": (Text, _word),
    "long_text": (LongText, _word),
    "plain_text": (str, _word),
    "short": (Annotated[str, Field(min_length=2, max_length=5)], _word),
    "code": (
        Annotated[str, Field(pattern=r"^[A-Z]{2}-\d{1,3}(\.[xy])?$")],
        lambda r: r.choice(["AB-1", "AB-123.x", "AB-\u0661", "ab-1", "AB-1\n"]),
    ),
    "not_digits": (
        Annotated[str, Field(pattern=r"^[^\d\s]+$")],
        lambda r: r.choice(["ab", "a1", "\u0661", "a\x0bb", "a b", "é"]),
    ),
    "quiet": (Annotated[str, AfterValidator(_no_shouting)], lambda r: r.choice(["a", "A", "aB", "", "É"])),
    "integer": (Integer, lambda r: r.randrange(-(2**32), 2**32)),
    "big": (BigInteger, lambda r: r.randrange(-(2**64), 2**64)),
    "plain_int": (int, lambda r: r.choice([r.randrange(-9, 9), 2**63, -(2**63), 10**30, 1.0, "7", True])),
    "bounded": (Annotated[int, Field(gt=3, le=90, multiple_of=3)], lambda r: r.randrange(100)),
    "positive": (Annotated[int, Field(ge=1, lt=50)], lambda r: r.randrange(-5, 60)),
    "number": (
        Number,
        lambda r: r.choice([r.random(), r.uniform(-1e9, 1e9), 5, 1e300, 1e-300, 2**60 + 1, -0.0]),
    ),
    "plain_float": (float, lambda r: r.choice([r.random(), 7, "1.5", 1e22])),
    "ratio": (Annotated[float, Field(ge=0, lt=1)], lambda r: r.uniform(-0.2, 1.2)),
    "money": (Money, lambda r: round(r.uniform(-10, 1e11), r.randrange(4))),
    "decimal": (DecimalOf(12, 2), lambda r: round(r.uniform(-1e11, 1e11), r.randrange(4))),
    "decimal_text": (DecimalOf(20, 6), lambda r: str(round(r.uniform(-1e9, 1e9), r.randrange(8)))),
    "whole": (DecimalOf(10, 0), lambda r: r.choice([r.randrange(10**11), 5.0, "12"])),
    "plain_decimal": (Decimal, lambda r: r.choice([r.random(), "1.50", 7, 0.1, 1e17])),
    "digits": (
        Annotated[Decimal, Field(max_digits=5)],
        lambda r: str(round(r.uniform(-1e3, 1e3), r.randrange(5))),
    ),
    "comma": (
        DecimalComma(12, 2),
        lambda r: r.choice(["1,5", "1.234,56", "12.34,5", "1,234", "-7", "+7,10", "1.5,0", "0,00"]),
    ),
    "day": (Date, lambda r: str(_day(r))),
    "bought": (PurchaseDate, lambda r: str(_day(r))),
    "plain_day": (
        date,
        lambda r: r.choice([str(_day(r)), "2026-02-30", "2026-01-05T00:00:00", "1704153600", 5]),
    ),
    "brazilian": (
        DateIn("%d/%m/%Y"),
        lambda r: r.choice([f"{_day(r):%d/%m/%Y}", "31/02/2026", "1/2/2026", "05/01/0000"]),
    ),
    "american": (DateIn("%m-%d-%Y"), lambda r: f"{_day(r):%m-%d-%Y}"),
    "month": (DateIn("%m/%Y"), lambda r: f"{_day(r):%m/%Y}"),
    "moment": (
        Moment,
        lambda r: (
            _moment(r)
            .replace(tzinfo=UTC)
            .isoformat()
            .replace("+00:00", r.choice(["Z", "+00:00", "+05:30", "-14:00", "+1400", "-23:59"]))
        ),
    ),
    "local": (
        LocalMoment,
        lambda r: _moment(r).isoformat(r.choice("T "), r.choice(["auto", "seconds", "minutes"])),
    ),
    "aware": (AwareDatetime, lambda r: _moment(r).replace(tzinfo=UTC).isoformat()),
    "naive": (NaiveDatetime, lambda r: r.choice([_moment(r).isoformat(), "2026-01-05", 5])),
    "moment_in": (MomentIn("%d/%m/%Y %H:%M", "America/Sao_Paulo"), lambda r: f"{_moment(r):%d/%m/%Y %H:%M}"),
    "uuid": (UUID, lambda r: r.choice([str(uuid.uuid4()), uuid.uuid4().hex, str(uuid.uuid4()).upper()])),
    "plain_uuid": (
        uuid.UUID,
        lambda r: r.choice([str(uuid.uuid4()), uuid.uuid4().hex, "urn:uuid:" + str(uuid.uuid4())]),
    ),
    "flag": (Bool, lambda r: r.choice([True, False, 0, "true"])),
    "plain_flag": (bool, lambda r: r.choice([True, False, 1, "yes"])),
    "words": (
        BooleanIn(true={"sim", "s", 1}, false={"não", "n", 0}),
        lambda r: r.choice(["sim", "NÃO", "n", 1, "x"]),
    ),
    "literal": (Literal["a", "b"], lambda r: r.choice("abc")),
    "colour": (Colour, lambda r: r.choice(["red", "blue", "green"])),
}
"""Types of fields, each with a function that makes values for it, most of which are valid."""

_ODD: tuple[Any, ...] = (
    None,
    "",
    " ",
    "\x00",
    0,
    -1,
    1.5,
    True,
    [],
    {},
    [1],
    {"a": 1},
    "NaN",
    "x" * 1001,
    "2026-01-05",
    10**40,
    "é\u2028",
)
_BROKEN: tuple[Callable[[bytes], bytes], ...] = (
    lambda row: row[:-1],
    lambda row: row + row,
    lambda row: row[:-1] + b',"a0":1,"a0":2}',
    lambda row: row.replace(b":", b": ").replace(b",", b" , "),
    lambda row: b" " + row + b" \r",
    lambda row: row.replace(b'"', b"", 1),
    lambda row: row[:-1] + b',"more":{"x":[1,{"x":2}]}}',
    lambda row: row.replace(b"1", b"NaN", 1),
    lambda row: row.replace(b"a", b"\xff", 1),
    lambda row: row.replace(b"a0", b"\\u00610", 1),
    lambda row: row[:-1] + b',"z":[{}',
)
_NOT_ROWS = (b'"q":1}]}', b"null", b"[]", b"{}", b'{"a":1}{"a":2}')


def a_contract(random: Random, names: Sequence[str]) -> tuple[type[BaseModel], dict[str, Make]]:
    """Return a contract with fields of these types, and what makes a value for each name in a row."""
    fields: dict[str, Any] = {}
    makers: dict[str, Make] = {}
    for place, name in enumerate(names):
        field_type, make = TYPES[name]
        alias = random.choice([None, None, f"A {place}", f"é{place}"])
        shape = random.randrange(4)
        if shape == 0:
            fields[f"a{place}"] = (field_type | None, Field(validation_alias=alias))
        elif shape == 1:
            fields[f"a{place}"] = (field_type | None, Field(default=None, validation_alias=alias))
        else:
            fields[f"a{place}"] = (field_type, Field(validation_alias=alias))
        makers[alias or f"a{place}"] = make
    config = ConfigDict(strict=random.random() < 0.5, extra=random.choice(["ignore", "ignore", "forbid"]))
    if random.random() < 0.1:
        config["str_strip_whitespace"] = True
    return create_model("Row", __config__=config, **fields), makers


def json_row(random: Random, makers: dict[str, Make], odd: float = 0.04) -> bytes:
    """Return a row of JSON, in which a value is odd with that probability."""
    members = [
        (name, random.choice(_ODD) if random.random() < odd else make(random))
        for name, make in makers.items()
    ]
    if random.random() < 0.1:
        random.shuffle(members)
    if random.random() < odd:
        members = members[1:]
    row = json.dumps(dict(members), ensure_ascii=random.random() < 0.3, separators=(",", ":")).encode()
    if random.random() < odd / 4:
        return random.choice(_NOT_ROWS)
    return random.choice(_BROKEN)(row) if random.random() < odd / 2 else row


def csv_row(random: Random, makers: dict[str, Make], delimiter: str, odd: float = 0.04) -> bytes:
    """Return a record of CSV, likewise."""
    values = [
        "" if random.random() < 0.05 else str(random.choice(_ODD) if random.random() < odd else make(random))
        for make in makers.values()
    ]
    text = io.StringIO()
    csv.writer(
        text,
        delimiter=delimiter,
        lineterminator="",
        quoting=random.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    ).writerow(values)
    row = text.getvalue().encode("utf-8", "replace")
    broken = (
        row[:-2],
        row + delimiter.encode() + b"x",
        row.replace(b"a", b'"', 1),
        row + b"\r",
        row.replace(b"a", b"\xff"),
        row.replace(b"a", b"\r"),
    )
    return random.choice(broken) if random.random() < odd else row
