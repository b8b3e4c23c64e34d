"""The contract for many rows: what passes is good, what does not is for the contract itself to judge, and to explain.

msgspec reads rows three times as fast as pydantic does. Values repeat: each is judged once, by the contract's own
field, and remembered for all rows that have it.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

_FORMS: dict[Any, type] = {str: str, int: int, date: str, Decimal: float}
"""What JSON has for a field's type."""

_MOST_REMEMBERED = 50_000  # values a field, some hundred bytes each: all days of a century and more
_REFUSED = object()


class Passed(NamedTuple):
    """The rows that passed: their places among those that were sifted, and their values, by the contract's fields."""

    places: Sequence[int]
    columns: Sequence[Sequence[Any]]


class Sieve:
    """Lets rows through that the contract accepts, as on one day; keeps no row of a contract that it cannot read.

    It reads fields that say all by themselves: a validator beside them, an alias, or a type that it has no form for
    leaves every row to the contract.
    """

    def __init__(self, contract: type[BaseModel], today: date) -> None:
        self._fields = [_Field(contract, field, today) for field in contract.model_fields.values()]
        self._row = _row_of(contract)
        self._read = msgspec.json.Decoder(self._row).decode if self._row else None

    def passed(self, raw_rows: Sequence[bytes]) -> Passed:
        """Return the rows that pass. A day is the text that it came as; other values are what the contract makes."""
        places, rows = list[int](), []
        if self._read is not None:
            for place, raw in enumerate(raw_rows):
                try:
                    rows.append(msgspec.structs.astuple(self._read(raw)))
                except (ValueError, RecursionError):
                    continue
                places.append(place)
        if not rows:
            return Passed((), [()] * len(self._fields))
        refused = set[int]()
        columns = [
            field.judged(column, refused)
            for field, column in zip(self._fields, zip(*rows, strict=True), strict=True)
        ]
        if refused:
            good = [place for place in range(len(rows)) if place not in refused]
            return Passed([places[place] for place in good], [[c[place] for place in good] for c in columns])
        return Passed(places, columns)


@lru_cache(maxsize=1)
def sieve_for(contract: type[BaseModel], today: date) -> Sieve:
    """Return the sieve that remembers what it saw: one for all lots that a process judges on a day."""
    return Sieve(contract, today)


def _row_of(contract: type[BaseModel]) -> type[msgspec.Struct] | None:
    """Return what reads the contract's rows; None where its fields do not say all."""
    decorators, fields = contract.__pydantic_decorators__, contract.model_fields
    if decorators.field_validators or decorators.model_validators:
        return None
    if any(field.annotation not in _FORMS or field.validation_alias for field in fields.values()):
        return None
    forms = [(name, _FORMS[field.annotation]) for name, field in fields.items()]
    return msgspec.defstruct("Row", forms, forbid_unknown_fields=True, gc=False)


class _Field:
    """One field of the contract, and what it said of values before."""

    def __init__(self, contract: type[BaseModel], field: FieldInfo, today: date) -> None:
        adapter = TypeAdapter[Any](field.rebuild_annotation(), config=contract.model_config)
        self._validate = adapter.validator.validate_python
        self._context = {"today": today}
        self._stays_text = field.annotation is date
        self._known: dict[Any, Any] = {}

    def judged(self, column: Sequence[Any], refused: set[int]) -> list[Any]:
        """Return the values that the column's become; add the places of those that are refused."""
        known = self._known
        try:
            return list(map(known.__getitem__, column))
        except KeyError:
            self._learn(set(column))
        values = [known.get(value, _REFUSED) for value in column]
        refused.update(place for place, value in enumerate(values) if value is _REFUSED)
        return values

    def _learn(self, values: set[Any]) -> None:
        if len(self._known) > _MOST_REMEMBERED:
            self._known.clear()
        for value in values - self._known.keys():
            try:
                judged = self._validate(value, context=self._context)
            except ValidationError:
                continue
            self._known[value] = value if self._stays_text else judged
