"""The contract for many rows: what passes is good, what does not is for the contract itself to judge, and to explain.

msgspec reads rows three times as fast as pydantic does. Values repeat: each is judged once, by the contract's own
field, and remembered for all rows that have it.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from sys import getsizeof
from typing import Any, NamedTuple

import msgspec
from pydantic import BaseModel, TypeAdapter, ValidationError

_FORMS: dict[Any, type] = {str: str, int: int, date: str, Decimal: float}
"""What JSON has for a field's type."""

_MOST_BYTES = 4 << 20
"""Remembered of a field: room for all days of half a century; a lot of long texts that never repeat needs no more."""

_ENTRY_BYTES = 100  # what remembering a value costs beside the value
_REFUSED = object()


class Passed(NamedTuple):
    """The rows that passed: their places among those that were sifted, and their values, by the contract's fields."""

    places: Sequence[int]
    columns: Sequence[Sequence[Any]]


class Sieve:
    """Lets rows through that the contract accepts, as on one day.

    It reads fields that say all by themselves: for a validator beside them, an alias, or a type that it has no form
    for, it lets no row through.
    """

    def __init__(self, contract: type[BaseModel], today: date) -> None:
        self._fields = [_Field(contract, name, today) for name in contract.model_fields]
        row = _row_of(contract)
        self._read = msgspec.json.Decoder(row).decode if row else None

    def passed(self, raw_rows: Sequence[bytes]) -> Passed:
        """Return the rows that pass. A day is the text that it came as; other values are what the contract makes."""
        places, rows = list[int](), list[msgspec.Struct]()
        if self._read is not None:
            for place, raw in enumerate(raw_rows):
                try:
                    rows.append(self._read(raw))
                except (ValueError, RecursionError):
                    continue
                places.append(place)
        refused = set[int]()
        columns = [field.judged(rows, refused) for field in self._fields]
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

    def __init__(self, contract: type[BaseModel], name: str, today: date) -> None:
        field = contract.model_fields[name]
        adapter = TypeAdapter[Any](field.rebuild_annotation(), config=contract.model_config)
        self._validate = adapter.validator.validate_python
        self._context = {"today": today}
        self._stays_text = field.annotation is date
        self._value_in = attrgetter(name)
        self._known: dict[Any, Any] = {}
        self._bytes = 0

    def judged(self, rows: Sequence[msgspec.Struct], refused: set[int]) -> list[Any]:
        """Return what the field's value becomes in each row; add the places of rows in which it is refused."""
        known = self._known
        try:
            return [known[value] for value in map(self._value_in, rows)]
        except KeyError:
            self._learn(set(map(self._value_in, rows)))
        judged = [known.get(value, _REFUSED) for value in map(self._value_in, rows)]
        refused.update(place for place, value in enumerate(judged) if value is _REFUSED)
        return judged

    def _learn(self, values: set[Any]) -> None:
        if self._bytes > _MOST_BYTES:
            self._known.clear()
            self._bytes = 0
        for value in values - self._known.keys():
            try:
                judged = self._validate(value, context=self._context)
            except ValidationError:
                continue
            self._known[value] = value if self._stays_text else judged
            self._bytes += getsizeof(value) + _ENTRY_BYTES
