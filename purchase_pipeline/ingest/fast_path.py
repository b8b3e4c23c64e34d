"""The fast path of validation: accepts rows in bulk, and leaves the others to the contract's full validation.

A row is split into its JSON members, such as `"store":7`. Members repeat, so each distinct one is validated once, by
the contract's own field, and cached by its bytes: ten thousand rows have few distinct members.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from sys import getsizeof
from typing import Any, NamedTuple

from pydantic import BaseModel, TypeAdapter

from purchase_pipeline.contracts import FromRequest
from purchase_pipeline.ingest.row_readers import doubled_name
from purchase_pipeline.ingest.storable import Check, checks_of
from purchase_pipeline.postgres.frames.model_values import converters_from_model

_COMPACT = b',"'  # separator of most JSON writers
_SPACED = b', "'  # separator of Python's `json`
_BLANKS = b" \t\r\n"  # JSON whitespace (RFC 8259, 2)
_TEXT_TYPES = (str, int, date, Decimal)

SYSTEM_ERRORS = (MemoryError, OSError)
"""Errors raised during validation that are not the row's fault; a retry may succeed."""

_MOST_BYTES = 4 << 20
"""Cache limit of a field: holds every day of half a century."""

_ENTRY_BYTES = 100  # overhead of a cached member
_REFUSED = object()


class Passed(NamedTuple):
    """The accepted rows: their indexes in the batch, and their values, one column per contract field."""

    indexes: Sequence[int]
    columns: Sequence[Sequence[Any]]


class FastPath:
    """Accepts rows that the contract would accept on a given day.

    It handles only rows whose members are exactly the contract's fields, in order. If each field accepts its member,
    the contract accepts the row. A contract with validators, aliased fields, enums, nested
    values or values from the request gets none.
    """

    def __init__(self, contract: type[BaseModel], today: date) -> None:
        names = list(contract.model_fields) if _is_fieldwise(contract) else []
        checks = checks_of(contract) if names else {}
        self._members = [_Member(contract, name, {"today": today}, checks.get(name)) for name in names]

    def passed(self, raw_rows: Sequence[bytes]) -> Passed:
        """Return the accepted rows, with validated values as text for PostgreSQL."""
        indexes, rows = list[int](), list[list[bytes]]()
        count = len(self._members)
        for index, raw in enumerate(raw_rows if count else ()):
            members = raw.split(_COMPACT)
            if len(members) != count:
                members = raw.split(_SPACED)
            if len(members) == count:
                indexes.append(index)
                rows.append(members)
        by_field = zip(*rows, strict=True) if rows else [()] * count
        refused = set[int]()
        columns = [
            member.validated(texts, refused) for member, texts in zip(self._members, by_field, strict=True)
        ]
        if refused:
            good = [index for index in range(len(rows)) if index not in refused]
            return Passed([indexes[index] for index in good], [[c[index] for index in good] for c in columns])
        return Passed(indexes, columns)


@lru_cache(maxsize=4)
def fast_path_for(contract: type[BaseModel], today: date) -> FastPath:
    """Return a cached fast path: one for all batches that a process validates on a day."""
    return FastPath(contract, today)


def as_text(value: Any) -> Any:  # noqa: ANN401
    """Return a value as text for PostgreSQL, or unchanged if psycopg has to dump its type."""
    return str(value) if type(value) in _TEXT_TYPES else value


def _is_fieldwise(contract: type[BaseModel]) -> bool:
    decorators = contract.__pydantic_decorators__
    return not (
        decorators.field_validators
        or decorators.model_validators
        or contract.__pydantic_post_init__
        or any(
            field.validation_alias or any(isinstance(each, FromRequest) for each in field.metadata)
            for field in contract.model_fields.values()
        )
        or converters_from_model(contract)
    )


class _Member:
    """A field of the contract as a JSON member, with a cache of validated values.

    The first member includes the row's opening brace, the last one its closing brace.
    """

    def __init__(
        self,
        contract: type[BaseModel],
        name: str,
        context: dict[str, date],
        check: Check | None,
    ) -> None:
        names = list(contract.model_fields)
        field = contract.model_fields[name]
        adapter = TypeAdapter[Any](field.rebuild_annotation(), config=contract.model_config)
        self._validate = adapter.validator.validate_json
        self._check = check
        self._context = context
        self._opening = (b'{"' if name == names[0] else b"") + name.encode() + b'":'
        self._closing = b"}" if name == names[-1] else b""
        self._known: dict[bytes, Any] = {}
        self._bytes = 0

    def validated(self, members: Sequence[bytes], refused: set[int]) -> list[Any]:
        """Return the field's validated value in each row; add the indexes of rejected rows to `refused`."""
        known = self._known
        try:
            return [known[member] for member in members]
        except KeyError:
            self._learn(set(members))
        validated = [known.get(member, _REFUSED) for member in members]
        refused.update(index for index, value in enumerate(validated) if value is _REFUSED)
        return validated

    def _learn(self, members: set[bytes]) -> None:
        if self._bytes > _MOST_BYTES:
            self._known.clear()
            self._bytes = 0
        for member in members - self._known.keys():
            # Whitespace is insignificant only after a row; before a member it would be inside the quotes of its name.
            text = member.rstrip(_BLANKS) if self._closing else member
            if not (text.startswith(self._opening) and text.endswith(self._closing)):
                continue
            value = text[len(self._opening) : len(text) - len(self._closing)]
            try:
                validated = self._validate(value, context=self._context)
                if self._check is not None:
                    self._check(validated)
                if b"{" in value and doubled_name(value):
                    continue
            except SYSTEM_ERRORS:
                raise
            except Exception:  # noqa: BLE001, S112  # left to full validation, which explains the error
                continue
            self._known[member] = as_text(validated)
            self._bytes += getsizeof(member) + getsizeof(validated) + _ENTRY_BYTES
