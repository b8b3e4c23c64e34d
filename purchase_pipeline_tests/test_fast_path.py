"""The fast path accepts only rows that the contract accepts."""

import tracemalloc
from datetime import date
from decimal import Decimal
from typing import Self

import pytest
from pydantic import ConfigDict, Field, model_validator

from purchase_pipeline.contracts import CompraSchema
from purchase_pipeline.ingest.fast_path import FastPath
from purchase_pipeline_tests.builders import FIELDS, OwnRuleOfAField, a_raw_compra, judged_values

TODAY = date(2026, 11, 24)


class OwnRuleOfARow(CompraSchema):
    """A contract with a model validator."""

    @model_validator(mode="after")
    def _born_before_buying(self) -> Self:
        if self.birthday_client >= self.date_purchase:
            raise ValueError("bought before birth")
        return self


class OwnAlias(CompraSchema):
    """A contract with an aliased field."""

    brand: str = Field(alias="marca")


class TrimmedTexts(CompraSchema):
    """A contract that changes values."""

    model_config = ConfigDict(str_strip_whitespace=True)


def passed(contract: type[CompraSchema], *raw_rows: bytes) -> list[tuple[int, *tuple[object, ...]]]:
    """Return the accepted rows: indexes and values."""
    indexes, columns = FastPath(contract, TODAY).passed(raw_rows)
    return list(zip(indexes, *columns, strict=True))


def test_good_rows_pass_with_their_values() -> None:
    rows = [a_raw_compra(), a_raw_compra(store="8", price="12"), a_raw_compra()]

    assert passed(CompraSchema, *rows) == [
        (0, *judged_values()),
        (1, *judged_values(store=8, price=Decimal("12.0"))),
        (2, *judged_values()),
    ]


def test_invalid_rows_are_left_to_full_validation() -> None:
    bad = [
        b"{",
        a_raw_compra(price="-1"),
        a_raw_compra(date_purchase='"2026-11-25"'),
        a_raw_compra(job="null"),
    ]

    good = a_raw_compra()
    assert [place for place, *_ in passed(CompraSchema, *bad, good, *bad, good)] == [4, 9]
    assert passed(CompraSchema, *bad) == []
    assert passed(CompraSchema) == []


def test_a_refused_value_is_refused_again() -> None:
    fast_path = FastPath(CompraSchema, TODAY)
    rows = [a_raw_compra(price="-1"), a_raw_compra()]

    assert [fast_path.passed(rows).indexes for _ in range(3)] == [[1], [1], [1]]


def test_more_values_than_the_cache_holds_are_validated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("purchase_pipeline.ingest.fast_path._MOST_BYTES", 1_000)
    fast_path = FastPath(CompraSchema, TODAY)

    for number in range(1, 30, 3):
        rows = [a_raw_compra(store=str(store)) for store in (0, number, number + 1, number + 2)]
        assert fast_path.passed(rows).columns[FIELDS.index("store")] == [
            str(number),
            str(number + 1),
            str(number + 2),
        ]


def test_the_cache_is_bounded_for_long_unique_values() -> None:
    fast_path = FastPath(CompraSchema, TODAY)

    def sift(texts: range) -> int:
        raw_rows = [a_raw_compra(job=f'"{text:01000}"') for text in texts]
        return len(fast_path.passed(raw_rows).indexes)

    assert sift(range(500)) == 500
    tracemalloc.start()
    try:
        passed_rows = sum(sift(range(first, first + 500)) for first in range(500, 20_500, 500))
        remembered, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert passed_rows == 20_000
    assert remembered < 8_000_000  # for 20 MB of values


def test_an_integer_and_a_boolean_are_distinct() -> None:
    assert len(passed(CompraSchema, a_raw_compra(store="1"), a_raw_compra(store="true"))) == 1
    assert len(passed(CompraSchema, a_raw_compra(store="1"), a_raw_compra(store="1.0"))) == 1


def test_values_changed_by_the_contract_are_changed() -> None:
    ((_, *values),) = passed(TrimmedTexts, a_raw_compra(brand='" LG "'))

    assert tuple(values) == judged_values(brand="LG")


@pytest.mark.parametrize("contract", [OwnRuleOfAField, OwnRuleOfARow, OwnAlias])
def test_a_contract_with_validators_has_no_fast_path(contract: type[CompraSchema]) -> None:
    assert passed(contract, a_raw_compra()) == []


@pytest.mark.parametrize(
    ("raw", "passes"),
    [
        (a_raw_compra(), True),
        (a_raw_compra() + b" \r", True),
        (a_raw_compra().replace(b'":', b'": ').replace(b',"', b', "'), True),
        (a_raw_compra(job='"a, b"'), True),
        (a_raw_compra(job='"a,"'), False),
        (a_raw_compra().replace(b'"job"', b'"\rjob"'), False),
        (a_raw_compra().replace(b'"job"', b'"job "'), False),
        (a_raw_compra().replace(b'"job"', b' "job"'), False),
        (a_raw_compra(job='"PIX"').replace(b'"job"', b'"payment_type"', 1), False),
        (a_raw_compra(price='1},"price":2'), False),
        (a_raw_compra(price="1}"), False),
        (a_raw_compra() + b"}", False),
        (b"{" + a_raw_compra(), False),
        (a_raw_compra(without=["job"]), False),
        (a_raw_compra()[:-1] + b',"price":2}', False),
        (a_raw_compra(job='"\x01"'), False),
    ],
)
def test_only_rows_with_exact_members_pass(raw: bytes, *, passes: bool) -> None:
    assert (len(passed(CompraSchema, raw)) == 1) is passes


def test_members_of_two_lines_do_not_make_a_row() -> None:
    head, tail = a_raw_compra().split(b',"price"')

    assert passed(CompraSchema, head, b'"price"' + tail, a_raw_compra())[0][0] == 2
