"""The fast path accepts only rows that the contract accepts, with the same values."""

import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Annotated, Any, Self
from uuid import UUID

import pytest
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationInfo,
    field_validator,
    model_validator,
)

from purchase_pipeline.contracts import BooleanIn, CompraSchema, FromRequest, Text
from purchase_pipeline.ingest.column_rules import texts_by_form
from purchase_pipeline.ingest.formats import NDJSON, Csv
from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.sources.request import Page
from purchase_pipeline.ingest.validation import RejectedRow, RowValidation
from purchase_pipeline.postgres import CopyText
from purchase_pipeline_tests.builders import OwnRuleOfAField, a_raw_compra, judged_values
from purchase_pipeline_tests.bulk_contracts import TYPES, Make, a_contract, csv_row, json_row
from purchase_pipeline_tests.landed import land_page

TODAY = date(2026, 11, 24)
ROWS = 1_200
WITHOUT_RULES = {
    *("not_digits", "quiet", "bounded", "digits", "month", "moment_in", "words", "literal", "colour")
}


def both_ways(
    folder: Path, contract: type[BaseModel], page: Page
) -> tuple[list[Sequence[Any]], list[Sequence[Any]], int, list[RejectedRow]]:
    """Validate a page by the contract alone, and in bulk.

    Return the accepted rows of both, how many took the fast path, and the rejected ones, which are the same.
    """
    landing = landing_at(str(folder))
    landed = land_page(landing, "p\t\\1", page)

    def validated(*, in_bulk: bool) -> tuple[list[Sequence[Any]], int, list[RejectedRow]]:
        validation = RowValidation(
            landed.partition, contract=contract, received=landed.rows, today=TODAY, max_rejected_ratio=2
        )
        with landing.open_rows(landed) as raw_rows:
            batches = list(validation.accepted(raw_rows, in_bulk=in_bulk))
        fast = sum(batch.rows for batch in batches if isinstance(batch, CopyText))
        return [row for batch in batches for row in batch], fast, validation.rejected

    alone, none, rejected = validated(in_bulk=False)
    in_bulk, fast, rejected_in_bulk = validated(in_bulk=True)
    assert none == 0
    assert rejected_in_bulk == rejected
    return alone, in_bulk, fast, rejected


def as_read(text: str | None, like: object) -> object:
    """Return what PostgreSQL reads from a text, for a value of that class."""
    if text is None or isinstance(like, bool):
        return {"true": True, "false": False}.get(str(text))
    if isinstance(like, datetime):
        return datetime.fromisoformat(text)
    return type(like)(text) if isinstance(like, float | UUID) else text


def assert_same(alone: Sequence[Sequence[Any]], in_bulk: Sequence[Sequence[Any]]) -> None:
    """Check that two ways of validation accept the same rows, with values that PostgreSQL reads as the same."""
    assert [row[1] for row in in_bulk] == [row[1] for row in alone]
    for judged, fast in zip(alone, in_bulk, strict=True):
        read = [
            as_read(text, like) if isinstance(text, str | None) else text
            for text, like in zip(fast, judged, strict=True)
        ]
        if read != list(judged):
            assert [number(value) for value in read] == [number(value) for value in judged]


def number(value: object) -> object:
    return (
        Decimal(value) if isinstance(value, str) and re.fullmatch(r"-?[\d.]+(E[+-]?\d+)?", value) else value
    )


def a_page(kind: str, random: Random, makers: dict[str, Make], odd: float = 0.04) -> Page:
    if kind == "json":
        return Page(NDJSON, [json_row(random, makers, odd) + b"\n" for _ in range(ROWS)])
    delimiter = random.choice(",;|\t")
    header = delimiter.join(makers).encode() + b"\n"
    records = (csv_row(random, makers, delimiter, odd) + b"\n" for _ in range(ROWS))
    return Page(Csv(delimiter=delimiter), [header, *records])


@pytest.mark.parametrize("kind", ["json", "csv"])
@pytest.mark.parametrize("name", TYPES)
def test_a_type_accepts_in_bulk_what_it_accepts(name: str, kind: str, tmp_path: Path) -> None:
    random = Random(f"{name} {kind}")  # noqa: S311  (reproducible, not secret)
    contract, makers = a_contract(random, [name])

    alone, in_bulk, fast, _ = both_ways(tmp_path, contract, a_page(kind, random, makers))

    assert_same(alone, in_bulk)
    assert fast > 0


@pytest.mark.parametrize("kind", ["json", "csv"])
@pytest.mark.parametrize("seed", range(10))
def test_a_contract_accepts_in_bulk_what_it_accepts(seed: int, kind: str, tmp_path: Path) -> None:
    random = Random(f"{seed} {kind}")  # noqa: S311  (as above)
    contract, makers = a_contract(random, random.sample(list(TYPES), random.randrange(2, 7)))

    alone, in_bulk, _, _ = both_ways(tmp_path, contract, a_page(kind, random, makers))

    assert_same(alone, in_bulk)


@pytest.mark.parametrize("name", TYPES)
def test_values_are_validated_one_by_one_only_where_no_rule_is_known(name: str) -> None:
    schema = TypeAdapter(TYPES[name][0]).core_schema

    assert bool(texts_by_form(schema, TODAY)) == (name not in WITHOUT_RULES)


class OwnRuleOfARow(CompraSchema):
    """A contract with a model validator."""

    @model_validator(mode="after")
    def _born_before_buying(self) -> Self:
        if self.birthday_client >= self.date_purchase:
            raise ValueError("bought before birth")
        return self


class SeesOtherFields(CompraSchema):
    """A contract with a field that is valid or not by another one."""

    @field_validator("store")
    @classmethod
    def _of_lg(cls, value: int, info: ValidationInfo) -> int:
        if info.data and info.data["payment_type"] == "PIX" and value == 7:
            raise ValueError("closed")
        return value


class FirstOfTwo(CompraSchema):
    """A contract with a field under two names."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)
    brand: Text = Field(validation_alias="marca")


class AnyNumbers(CompraSchema):
    """A contract whose further members are validated."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, int] = Field(init=False)


@pytest.mark.parametrize("contract", [OwnRuleOfARow, SeesOtherFields, FirstOfTwo, AnyNumbers])
def test_a_contract_that_sees_the_whole_row_has_no_fast_path(
    contract: type[BaseModel], tmp_path: Path
) -> None:
    page = Page(NDJSON, [b"\n".join([a_raw_compra()] * ROWS)])

    alone, in_bulk, fast, _ = both_ways(tmp_path, contract, page)

    assert fast == 0
    assert_same(alone, in_bulk)


def test_a_validator_of_a_field_is_asked_for_each_value(tmp_path: Path) -> None:
    rows = [a_raw_compra(), a_raw_compra(brand='"LG"')] * (ROWS // 2)

    alone, in_bulk, fast, rejected = both_ways(tmp_path, OwnRuleOfAField, Page(NDJSON, [b"\n".join(rows)]))

    assert fast == len(in_bulk) == len(alone) == len(rejected) == ROWS // 2


def test_rows_in_bulk_keep_their_values_and_order(tmp_path: Path) -> None:
    rows = [a_raw_compra(), a_raw_compra(store="8", price="12"), a_raw_compra(price="1e2")] * ROWS

    _, in_bulk, fast, _ = both_ways(tmp_path, CompraSchema, Page(NDJSON, [b"\n".join(rows)]))

    assert fast == len(rows)
    assert [row[1] for row in in_bulk] == [str(number + 1) for number in range(len(rows))]
    assert_same(
        [
            [*row[:2], *values]
            for row, values in zip(
                in_bulk,
                [
                    judged_values(),
                    judged_values(store=8, price=Decimal(12)),
                    judged_values(price=Decimal(100)),
                ]
                * ROWS,
                strict=True,
            )
        ],
        in_bulk,
    )


@pytest.mark.parametrize(
    "rows",
    [
        [b'{"a":1,"b":[{}', b'{"a":2}]}', b'{"a":3}{"a":4}'],
        [b'{"a":1', b'"b":2}', b'{"a":3},{"a":4}'],
        [b'{"a":1,"b":{', b'"a":5}}', b'{"a":3}{"a":4}'],
    ],
)
def test_rows_that_only_together_are_json_are_rejected(rows: list[bytes], tmp_path: Path) -> None:
    class OneMember(BaseModel):
        a: int

    page = Page(NDJSON, [b"\n".join([b'{"a":1}'] * ROWS + rows + [b'{"a":1}'] * ROWS)])

    alone, in_bulk, fast, rejected = both_ways(tmp_path, OneMember, page)

    assert fast >= ROWS
    assert [row.row_number for row in rejected] == [ROWS + 1, ROWS + 2, ROWS + 3]
    assert_same(alone, in_bulk)


def test_values_of_the_request_and_nested_ones_are_read_in_bulk(tmp_path: Path) -> None:
    class Nested(BaseModel):
        day: Annotated[str, FromRequest("day")]
        name: Text = Field(validation_alias=AliasChoices("customer.name", AliasPath("customer", "name")))
        city: str | None = Field(default=None, validation_alias=AliasPath("customer", "at", "city"))

    rows = [
        *[b'{"customer":{"name":"Ana","at":{"city":"Ub\xc3\xa1"}}}'] * 50,
        b'{"customer":{"name":"Eva"},"customer.name":"Lia"}',
        b'{"customer":{"name":"Bia","at":{}}}',
        b'{"customer":{"name":"Rui","at":null}}',
        b'{"customer":{"at":5,"name":"Leo"}}',
        b'{"customer":null}',
    ]
    page = Page(NDJSON, [b"\n".join(rows * 100)], {"day": "a\tb"})

    alone, in_bulk, fast, rejected = both_ways(tmp_path, Nested, page)

    assert_same(alone, in_bulk)
    assert len(rejected) == 100
    assert fast >= 5_000
    assert in_bulk[0] == ["p\t\\1", "1", "a\tb", "Ana", "Ubá"]


class TwoOfOneMember(BaseModel):
    """A contract with two fields of one member."""

    text: str = Field(validation_alias="x")
    number: int = Field(validation_alias=AliasPath("x"))


class OneWithinAnother(BaseModel):
    """A contract with a field of a member, and one within it."""

    whole: str | None = Field(default=None, validation_alias="c")
    name: str | None = Field(default=None, validation_alias=AliasPath("c", "n"))


@pytest.mark.parametrize("contract", [TwoOfOneMember, OneWithinAnother])
def test_fields_that_share_a_member_have_no_fast_path(contract: type[BaseModel], tmp_path: Path) -> None:
    page = Page(NDJSON, [b'{"x":"5","c":"w"}\n{"x":5,"c":{"n":"k"}}\n' * ROWS])

    alone, in_bulk, fast, _ = both_ways(tmp_path, contract, page)

    assert fast == 0
    assert_same(alone, in_bulk)


def test_a_word_of_one_kind_is_not_one_of_another(tmp_path: Path) -> None:
    class Flag(BaseModel):
        flag: BooleanIn(true={1}, false={0})  # type: ignore[valid-type]

    for number, (value, valid) in enumerate([(b"1", True), (b"true", False), (b'"1"', True)]):
        page = Page(NDJSON, [b'{"flag":%b}\n' % value * ROWS])

        alone, in_bulk, _, rejected = both_ways(tmp_path / str(number), Flag, page)

        assert (len(in_bulk), len(rejected)) == ((ROWS, 0) if valid else (0, ROWS))
        assert_same(alone, in_bulk)


class Tree(BaseModel):
    """A contract that refers to itself."""

    name: str
    parent: "Tree | None" = None


class LongCode(BaseModel):
    """A contract with a pattern that RE2 refuses."""

    name: Annotated[str, Field(pattern=r"^(a{900}b{900}){0,9}[a-z]*$")]


class BeyondItsType(BaseModel):
    """A contract with bounds that no value of a column has."""

    name: str
    n: Annotated[int, Field(lt=10**30, ge=-(2**63))]
    d: Annotated[Decimal, Field(max_digits=5, decimal_places=2, lt=Decimal("7.12345"))]


@pytest.mark.parametrize("contract", [Tree, LongCode, BeyondItsType])
def test_a_contract_without_rules_is_left_to_pydantic(contract: type[BaseModel], tmp_path: Path) -> None:
    page = Page(NDJSON, [b'{"name":"a","n":1,"d":"5.00"}\n{"name":5,"n":0,"d":"8.00"}\n' * ROWS])

    alone, in_bulk, _, rejected = both_ways(tmp_path, contract, page)

    assert len(in_bulk) == len(rejected) == ROWS
    assert_same(alone, in_bulk)


def test_a_variable_that_is_not_valid_rejects_the_rows(tmp_path: Path) -> None:
    class Dated(BaseModel):
        day: Annotated[date, AfterValidator(lambda value: value / 0), FromRequest("day")]

    page = Page(NDJSON, [b"{}\n" * ROWS], {"day": "2026-01-05"})

    assert len(both_ways(tmp_path, Dated, page)[3]) == ROWS


def test_a_page_with_hardly_a_sure_row_is_left_to_the_contract(tmp_path: Path) -> None:
    class Tags(BaseModel):
        tags: list[str]
        n: int

    page = Page(NDJSON, [b'{"tags":["a"],"n":1}\n' * ROWS])

    assert both_ways(tmp_path, Tags, page)[2] == 0


def test_the_fast_path_does_not_load_pandas(tmp_path: Path) -> None:
    probe = (
        "import sys\nfrom pathlib import Path\nfrom random import Random\n"
        "from purchase_pipeline_tests.test_fast_path import *\n"
        "loaded = 'pandas' in sys.modules\n"
        "contract, makers = a_contract(Random(1), list(TYPES))\n"
        "for kind in ('json', 'csv'):\n"
        "    both_ways(Path(sys.argv[1]) / kind, contract, a_page(kind, Random(1), makers))\n"
        "print(loaded, 'pandas' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, str(tmp_path)], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["False", "False"]
