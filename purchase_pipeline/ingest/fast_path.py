"""The contract for many rows: what passes is good, what does not is for the contract itself to judge, and to explain.

A row travels as its members, `"store":7` beside `"brand":"LG"`, and members repeat: each is validated once, by the
contract's own field, and known by its bytes in all rows that have it. Ten thousand rows have few members to parse.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from sys import getsizeof
from typing import Any, NamedTuple

from pydantic import BaseModel, TypeAdapter

_COMPACT = b',"'  # between members, as most write JSON
_SPACED = b', "'  # as Python's own `json` does
_BLANKS = b" \t\r\n"  # JSON's: RFC 8259, 2
_WRITTEN_AS_TEXTS = (str, int, date, Decimal)

NO_ROWS_FAULT = (MemoryError, OSError)
"""What a rule of a contract may raise that says nothing of the row: the next try may fare better."""

_MOST_BYTES = 4 << 20
"""Remembered of a field: room for all days of half a century; a lot of long texts that never repeat needs no more."""

_ENTRY_BYTES = 100  # what remembering a member costs beside the member
_REFUSED = object()


class Passed(NamedTuple):
    """The rows that passed: their places among those that were sifted, and their values, by the contract's fields."""

    places: Sequence[int]
    columns: Sequence[Sequence[Any]]


class FastPath:
    """Lets rows through that the contract accepts, as on one day.

    It reads members that stand in the order of the contract's fields, all of them, and no other: such members, each
    accepted by its field, make a row that the contract accepts. Where more than its fields judges a row, or a field
    has another name in JSON, it lets no row through.
    """

    def __init__(self, contract: type[BaseModel], today: date) -> None:
        names = list(contract.model_fields)
        self._members = [
            _Member(contract, name, today, opens=name == names[0], closes=name == names[-1]) for name in names
        ]
        self._fields_say_all = _fields_say_all(contract)

    def passed(self, raw_rows: Sequence[bytes]) -> Passed:
        """Return the rows that pass: what the contract makes of each value, as a text that PostgreSQL reads."""
        places, rows = list[int](), list[list[bytes]]()
        count = len(self._members)
        for place, raw in enumerate(raw_rows if self._fields_say_all else ()):
            members = raw.split(_COMPACT)
            if len(members) != count:
                members = raw.split(_SPACED)
            if len(members) == count:
                places.append(place)
                rows.append(members)
        by_field = zip(*rows, strict=True) if rows else [()] * count
        refused = set[int]()
        columns = [
            member.validated(texts, refused) for member, texts in zip(self._members, by_field, strict=True)
        ]
        if refused:
            good = [place for place in range(len(rows)) if place not in refused]
            return Passed([places[place] for place in good], [[c[place] for place in good] for c in columns])
        return Passed(places, columns)


@lru_cache(maxsize=1)
def fast_path_for(contract: type[BaseModel], today: date) -> FastPath:
    """Return the sieve that remembers what it saw: one for all lots that a process judges on a day."""
    return FastPath(contract, today)


def as_text(value: Any) -> Any:  # noqa: ANN401
    """Return a value as the text that PostgreSQL reads; of a type that psycopg writes otherwise, as it is."""
    return str(value) if type(value) in _WRITTEN_AS_TEXTS else value


def _fields_say_all(contract: type[BaseModel]) -> bool:
    decorators = contract.__pydantic_decorators__
    return not (
        decorators.field_validators
        or decorators.model_validators
        or contract.__pydantic_post_init__
        or any(field.validation_alias for field in contract.model_fields.values())
    )


class _Member:
    """One field of the contract as it stands in a row's text, and what was said of its values before.

    `opens`, `closes`: the member takes in the row's opening or closing brace, which it is never seen without.
    """

    def __init__(
        self, contract: type[BaseModel], name: str, today: date, *, opens: bool, closes: bool
    ) -> None:
        field = contract.model_fields[name]
        adapter = TypeAdapter[Any](field.rebuild_annotation(), config=contract.model_config)
        self._validate = adapter.validator.validate_json
        self._context = {"today": today}
        self._opening = (b'{"' if opens else b"") + name.encode() + b'":'
        self._closing = b"}" if closes else b""
        self._known: dict[bytes, Any] = {}
        self._bytes = 0

    def validated(self, members: Sequence[bytes], refused: set[int]) -> list[Any]:
        """Return what the field's value becomes in each row; add the places of rows in which it is refused."""
        known = self._known
        try:
            return [known[member] for member in members]
        except KeyError:
            self._learn(set(members))
        validated = [known.get(member, _REFUSED) for member in members]
        refused.update(place for place, value in enumerate(validated) if value is _REFUSED)
        return validated

    def _learn(self, members: set[bytes]) -> None:
        if self._bytes > _MOST_BYTES:
            self._known.clear()
            self._bytes = 0
        for member in members - self._known.keys():
            # Blanks are JSON's own only behind a row: before a member they would stand inside its name's quotes.
            text = member.rstrip(_BLANKS) if self._closing else member
            if not (text.startswith(self._opening) and text.endswith(self._closing)):
                continue
            value = text[len(self._opening) : len(text) - len(self._closing)]
            try:
                validated = self._validate(value, context=self._context)
            except NO_ROWS_FAULT:
                raise
            except Exception:  # noqa: BLE001, S112  # the whole contract judges, and explains, such a row
                continue
            self._known[member] = as_text(validated)
            self._bytes += getsizeof(member) + getsizeof(validated) + _ENTRY_BYTES
