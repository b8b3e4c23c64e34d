"""What holds of a loaded partition: each row landed as sent, and is stored as the contract says, or rejected whole."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from pydantic import AliasChoices, AliasPath, BaseModel
from pydantic.fields import FieldInfo

from purchase_pipeline.feeds.testing.recorded import SentPage
from purchase_pipeline.feeds.testing.rows import Number, SentRow, sent_rows
from purchase_pipeline.feeds.testing.stage import Row, Stage, named
from purchase_pipeline.ingest.formats import Csv
from purchase_pipeline.ingest.landing.manifest import LandedPartition
from purchase_pipeline.ingest.landing.pages import PageRows
from purchase_pipeline.ingest.printable import quantity
from purchase_pipeline.ingest.row_readers import CsvReader, JsonReader, RowReader
from purchase_pipeline.ingest.validation import storable_text
from purchase_pipeline.postgres.frames.model_values import nested_json
from purchase_pipeline.postgres.schema.types import family

_PLAIN_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_SHOWN = 200

Validated = tuple[bytes, BaseModel | None]
"""A row's text, and the contract's object; None if it is invalid."""


def require_landed_as_sent(
    stage: Stage, key: str, pages: Sequence[SentPage], bodies: Sequence[bytes]
) -> None:
    """Raise if the landed file is not, byte by byte, what was sent; `bodies` is empty if that is not known before."""
    sent = b"".join(bytes(page.content) for page in pages)
    expected = b"".join(bodies) if bodies else sent
    for what, found in (("the source hands over", sent), ("the landed file has", stage.landed_bytes(key))):
        if found != expected:
            at = next(
                (i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b),
                min(len(found), len(expected)),
            )
            raise AssertionError(
                f"{named(key)}{what} other bytes than the answer, from byte {at} on: "
                f"{found[at : at + 40]!r} instead of {expected[at : at + 40]!r}."
            )


def require_rows_as_sent(stage: Stage, key: str, pages: Sequence[SentPage]) -> None:
    """Raise if a row is lost, changed, or stored otherwise than the contract says."""
    sent = [row for page in pages for row in sent_rows(page)]
    validated = list(_validated(stage, stage.landed(key)))
    tables = stage.feed.tables
    loaded, rejected = (
        {row[tables.row_number]: row for row in stage.rows(table, key)} for table in tables.both
    )
    if len(sent) != len(validated):
        raise AssertionError(
            f"{named(key)}{quantity(len(sent), 'row')} were sent, but the landed file has {len(validated)}."
        )
    for number, (row, (text, valid)) in enumerate(zip(sent, validated, strict=True), start=1):
        where = f"{named(key)}row {number}"
        if not row.is_row(text):
            raise AssertionError(f"{where} landed as {_shown(text)}, but was sent as {_shown(row.content)}.")
        one, other = (table.name for table in tables.both)
        if number in loaded and number in rejected:
            raise AssertionError(f"{where} is both in {one} and in {other}.")
        if number in rejected:
            _require_kept(where, text, rejected[number])
        elif valid is None and number in loaded:
            raise AssertionError(f"{where} is in {one}, but the contract refuses it.")
        elif valid is None or (number not in loaded and not stage.feed.write.merges):
            raise AssertionError(f"{where} is neither in {one} nor in {other}.")
        elif number in loaded:  # else it has the keys of another row, which is newer
            _require_stored(where, valid, loaded[number], tables.accepted)
            _require_not_rounded(where, row, valid)
    if surplus := sorted((loaded.keys() | rejected.keys()) - set(range(1, len(sent) + 1))):
        raise AssertionError(
            f"{named(key)}row {surplus[0]} is stored, but only {quantity(len(sent), 'row')} were sent."
        )


def _validated(stage: Stage, landed: LandedPartition) -> Iterator[Validated]:
    """Yield each landed row with what the contract makes of it, row by row."""
    contract = stage.feed.tables.contract
    with stage.landing.open_rows(landed) as rows:
        for page in rows.pages():
            reader: RowReader | None = None
            for text in page.rows:
                reader = reader or _reader(contract, page, {"today": landed.received_on})
                yield text, _valid(reader, text)


def _reader(contract: type[BaseModel], page: PageRows, context: dict[str, Any]) -> RowReader:
    context = {**context, "variables": page.page.variables}
    if isinstance(page.page.format, Csv):
        return CsvReader(contract, context, page.page.format, page.splitter)
    return JsonReader(contract, context)


def _valid(reader: RowReader, text: bytes) -> BaseModel | None:
    try:
        (parsed,) = reader.parsed([text])
        return reader.validated(parsed)
    except Exception:  # noqa: BLE001  # a validator may raise anything
        return None


def _require_kept(where: str, text: bytes, rejected: Row) -> None:
    if rejected["original"] != storable_text(text) or rejected["original_sha256"] != sha256(text).hexdigest():
        raise AssertionError(
            f"{where} is in the quarantine as {_shown(rejected['original'])}, but was sent as {_shown(text)}."
        )
    if not rejected["reasons"]:
        raise AssertionError(f"{where} is in the quarantine without a reason.")


def _require_stored(where: str, valid: BaseModel, stored: Row, table: sa.Table) -> None:
    for name in type(valid).model_fields:
        expected = getattr(valid, name)
        is_json = family(table.columns[name].type) == "json"
        same = _is_same_json if is_json else _is_same
        if not same(expected, stored[name]):
            raise AssertionError(
                f"{where}: {table.name}.{name} has {stored[name]!r}, but the contract made {expected!r}."
            )


def _is_same_json(expected: Any, stored: Any) -> bool:  # noqa: ANN401
    text = nested_json(expected)
    return bool(stored == (None if text is None else json.loads(text)))


def _is_same(expected: Any, stored: Any) -> bool:  # noqa: ANN401
    if isinstance(expected, list | tuple) and isinstance(stored, list):
        return len(expected) == len(stored) and all(map(_is_same, expected, stored))
    if isinstance(expected, Enum):
        expected = expected.value
    if _is_number(expected) and _is_number(stored):
        return _decimal(expected) == _decimal(stored) or expected != expected  # noqa: PLR0124  (NaN)
    return bool(expected == stored) or (stored is not None and str(expected) == str(stored))


def _require_not_rounded(where: str, row: SentRow, valid: BaseModel) -> None:
    """Raise if a number has lost digits. One that became another, of another unit, has not."""
    for name, field in type(valid).model_fields.items():
        value = getattr(valid, name)
        for sent in (row.member(path) for path in _paths(name, field)):
            digits = sent.digits if isinstance(sent, Number) else sent
            if not _is_number(value) or not isinstance(digits, str) or not _PLAIN_NUMBER.fullmatch(digits):
                continue
            last = _decimal(value).as_tuple().exponent
            is_exact = float(digits) == value if isinstance(value, float) else Decimal(digits) == value
            if (
                not is_exact
                and isinstance(last, int)
                and abs(Decimal(digits) - _decimal(value)) < Decimal(10) ** last
            ):
                raise AssertionError(
                    f"{where}: the contract rounds {name} from {digits} to {value}. Refuse such a value, or declare "
                    "a field that holds it."
                )


def _paths(name: str, field: FieldInfo) -> Iterable[tuple[str | int, ...]]:
    alias = field.validation_alias
    for choice in alias.choices if isinstance(alias, AliasChoices) else [alias or name]:
        yield tuple(choice.path) if isinstance(choice, AliasPath) else (choice,)


def _is_number(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _decimal(number: float | Decimal) -> Decimal:
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def _shown(value: Any) -> str:  # noqa: ANN401
    shown = value.decode(errors="backslashreplace") if isinstance(value, bytes) else repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
