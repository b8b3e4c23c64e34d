"""Purchases for tests: a row as the API sends it, and the values that it becomes."""

import json
from collections.abc import Collection
from datetime import date
from decimal import Decimal

from pydantic import field_validator

from purchase_pipeline.contracts import CompraSchema

FIELDS = (
    "date_purchase",
    "client_name",
    "client_lastname",
    "state",
    "birthday_client",
    "job",
    "payment_type",
    "store",
    "category",
    "product",
    "brand",
    "price",
)
"""The original's twelve, in its order; written out, so that the contract has something to be held against."""

_COMPRA: dict[str, object] = {
    "date_purchase": "2024-03-09",
    "client_name": "Ana Beatriz",
    "client_lastname": "Sá",
    "state": "Espírito Santo",
    "birthday_client": "1987-11-23",
    "job": "Ator",
    "payment_type": "PIX",
    "store": 7,
    "category": "Moda",
    "product": "Relógio Smartwatch G8",
    "brand": "Xiaomi",
    "price": 999.0,
}

_STORED = {
    "date_purchase": date(2024, 3, 9),
    "birthday_client": date(1987, 11, 23),
    "price": Decimal("999.0"),
}


class OwnRuleOfAField(CompraSchema):
    """A contract to which somebody has added a rule beside a field."""

    @field_validator("brand")
    @classmethod
    def _no_shouting(cls, brand: str) -> str:
        if brand.isupper():
            raise ValueError("no shouting")
        return brand


def a_compra(**changes: object) -> dict[str, object]:
    """Return one good purchase, with some values changed or added."""
    return _COMPRA | changes


def a_raw_compra(*, without: Collection[str] = (), **json_texts: str) -> bytes:
    """Return one good purchase as it travels; changed values are given as JSON texts, so that any can be bad."""
    texts = {name: json.dumps(value, ensure_ascii=False) for name, value in _COMPRA.items()} | json_texts
    members = (f"{json.dumps(name)}:{text}" for name, text in texts.items() if name not in without)
    return "{{{}}}".format(",".join(members)).encode("utf-8", "surrogateescape")


def stored_values(**changes: object) -> tuple[object, ...]:
    """Return the values that the good purchase is stored with, in the fields' order."""
    return tuple((_COMPRA | _STORED | changes).values())


def judged_values(**changes: object) -> tuple[str, ...]:
    """Return the texts that the good purchase is written as."""
    return tuple(map(str, stored_values(**changes)))
