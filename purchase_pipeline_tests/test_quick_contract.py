"""The quick contract passes over nothing that the contract's author wrote, wherever it is written."""

from datetime import date
from typing import Self

import pytest
from pydantic import ValidationError, field_validator, model_validator

from purchase_pipeline.contracts import CompraSchema
from purchase_pipeline.quick_contract import judge_on
from purchase_pipeline_tests.builders import FIELDS, a_raw_compra, judged_values

TODAY = date(2026, 11, 24)


class OwnRuleOfAField(CompraSchema):
    """A contract with a rule beside a field."""

    @field_validator("brand")
    @classmethod
    def _no_shouting(cls, brand: str) -> str:
        if brand.isupper():
            raise ValueError("no shouting")
        return brand


class OwnRuleOfARow(CompraSchema):
    """A contract with a rule over two fields."""

    @model_validator(mode="after")
    def _born_before_buying(self) -> Self:
        if self.birthday_client >= self.date_purchase:
            raise ValueError("bought before birth")
        return self


@pytest.mark.parametrize("contract", [CompraSchema, OwnRuleOfAField, OwnRuleOfARow])
def test_a_good_row_becomes_the_same_values_whatever_the_contract_is_made_of(
    contract: type[CompraSchema],
) -> None:
    values = judge_on(TODAY, contract)(a_raw_compra())

    assert values == dict(zip(FIELDS, judged_values(), strict=True))


@pytest.mark.parametrize(
    ("contract", "raw", "reason"),
    [
        (OwnRuleOfAField, a_raw_compra(brand='"LG"'), "no shouting"),
        (OwnRuleOfARow, a_raw_compra(birthday_client='"2024-03-10"'), "bought before birth"),
    ],
)
def test_a_rule_that_is_no_fields_own_is_kept(contract: type[CompraSchema], raw: bytes, reason: str) -> None:
    assert judge_on(TODAY, CompraSchema)(raw)

    with pytest.raises(ValidationError, match=reason):
        judge_on(TODAY, contract)(raw)
