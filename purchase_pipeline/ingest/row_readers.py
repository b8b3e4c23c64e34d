"""Readers of raw rows: from the bytes of a page's rows to the contract's objects."""

import json
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from types import NoneType
from typing import Annotated, Any, Protocol, get_args, get_origin

import orjson
from pydantic import AliasChoices, AliasPath, BaseModel, create_model
from pydantic_core import from_json, to_json

from purchase_pipeline.contracts import FromRequest
from purchase_pipeline.ingest.csv_rows import parsed_records
from purchase_pipeline.ingest.formats import Csv
from purchase_pipeline.ingest.row_splitter import RowSplitter

Context = Mapping[str, Any]

SYSTEM_ERRORS = (MemoryError, OSError)
"""Errors raised during validation that are not the row's fault; a retry may succeed."""


class InvalidRowError(Exception):
    """A row is invalid as a whole, before its fields are validated."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.field = field


class RowReader(Protocol):
    """Reads the rows of a page."""

    def parsed(self, raw_rows: Sequence[bytes]) -> Iterable[Any]:
        """Return what `validated` takes for each row."""

    def validated(self, parsed: Any) -> BaseModel:  # noqa: ANN401
        """Return the contract's object.

        Raises:
            InvalidRowError, ValidationError: the row is invalid.
        """

    def members(self, parsed: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return a row's members, each of which `validated` takes alone."""


class JsonReader:
    """Reads rows of JSON."""

    def __init__(self, contract: type[BaseModel], context: Context) -> None:
        self._validate = contract.__pydantic_validator__.validate_json
        self._context = dict(context)
        self._names = {*_optional_by_name(contract), *_roots(contract)}

    def parsed(self, raw_rows: Sequence[bytes]) -> Iterable[bytes]:
        """Return the rows: JSON is parsed by pydantic."""
        return raw_rows

    def validated(self, parsed: bytes) -> BaseModel:
        """Return the contract's object; it would be that of the last of several members with a name."""
        row: BaseModel = self._validate(parsed, context=self._context)
        if twice := _doubled_name(parsed, self._names):
            raise InvalidRowError(f"{twice}: must not occur twice in an object", twice)
        return row

    def members(self, parsed: bytes) -> dict[str, bytes]:
        """Return an object for each member."""
        row = from_json(parsed)
        return {name: to_json({name: value}) for name, value in row.items()} if isinstance(row, dict) else {}


class CsvReader:
    """Reads rows of CSV, whose fields are named by the header. An empty field is None if the contract allows it."""

    def __init__(
        self, contract: type[BaseModel], context: Context, row_format: Csv, splitter: RowSplitter
    ) -> None:
        self._validate = _strings_validator(contract)
        self._context = dict(context)
        self._delimiter = row_format.delimiter
        self._splitter = splitter
        self._contract = contract
        self._columns: tuple[int, tuple[str, ...], itemgetter[Any], list[str]] | None = None

    def parsed(self, raw_rows: Sequence[bytes]) -> Iterable[dict[str, str] | str]:
        """Return each row's fields by name, or the reason why it is not valid."""
        count, names, values_of, optional = self._columns = self._columns or self._named_columns()
        rows = list[dict[str, str] | str]()
        for fields in parsed_records(raw_rows, self._delimiter):
            if isinstance(fields, str):
                rows.append(fields)
            elif len(fields) != count:
                rows.append(f"expected {count} fields, found {len(fields)}")
            else:
                row = dict(zip(names, values_of(fields), strict=False))
                for name in optional:
                    if not row[name]:
                        del row[name]
                rows.append(row)
        return rows

    def validated(self, parsed: dict[str, str] | str) -> BaseModel:
        """Return the contract's object."""
        if isinstance(parsed, str):
            raise InvalidRowError(parsed)
        row: BaseModel = self._validate(parsed, context=self._context)
        return row

    def members(self, parsed: dict[str, str] | str) -> dict[str, dict[str, str]]:
        """Return each field alone."""
        return {} if isinstance(parsed, str) else {name: {name: value} for name, value in parsed.items()}

    def _named_columns(self) -> tuple[int, tuple[str, ...], "itemgetter[Any]", list[str]]:
        header = self._splitter.header or ()
        known = _optional_by_name(self._contract)
        is_needed = known.__contains__ if self._contract.model_config.get("extra") != "forbid" else bool
        places = [place for place, name in enumerate(header) if is_needed(name)]
        names = tuple(header[place] for place in places)
        one = slice(places[0], places[0] + 1) if places else slice(0)  # itemgetter of an index gives no tuple
        values_of = itemgetter(*places) if len(places) > 1 else itemgetter(one)
        return len(header), names, values_of, [name for name in names if known.get(name)]


_BLANKS = b" \t\r\n"


def _doubled_name(raw: bytes, read: Container[str]) -> str:
    """Return a name that occurs twice in an object of a row, in the members that are read; empty if there is none."""
    try:
        # Each name ends so; texts only add to the count.
        if raw.translate(None, _BLANKS).count(b'":') == _names_in(orjson.loads(raw)):
            return ""
    except orjson.JSONDecodeError:  # stricter than pydantic: NaN
        pass
    try:
        members = json.loads(raw, object_pairs_hook=list, parse_int=str)
        return _first_doubled([member for member in members if member[0] in read])
    except (ValueError, RecursionError):  # laxer or stricter than pydantic, which has accepted it
        return ""


def _first_doubled(value: Any) -> str:  # noqa: ANN401
    """Return a name that occurs twice in an object, which is a list of its members."""
    if not isinstance(value, list):
        return ""
    names = [each[0] for each in value if isinstance(each, tuple)]
    twice = [name for name in names if names.count(name) > 1]
    within = (each[1] if isinstance(each, tuple) else each for each in value)
    return twice[0] if twice else next(filter(None, map(_first_doubled, within)), "")


def _names_in(value: Any) -> int:  # noqa: ANN401
    within = list(value.values()) if type(value) is dict else value
    names = len(value) if type(value) is dict else 0
    for one in within if type(within) is list else ():
        if type(one) is dict or type(one) is list:
            names += _names_in(one)
    return names


@lru_cache(maxsize=64)
def _optional_by_name(contract: type[BaseModel]) -> dict[str, bool]:
    """Return the names under which the contract takes fields, and whether each may be None."""
    found = dict[str, bool]()
    by_name = contract.model_config.get("populate_by_name") or contract.model_config.get("validate_by_name")
    for name, field in contract.model_fields.items():
        alias = field.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias or name]
        names = [choice for choice in choices if isinstance(choice, str)]
        found |= dict.fromkeys([*names, name] if by_name else names, allows_none(field.annotation))
    return found


@lru_cache(maxsize=64)
def _roots(contract: type[BaseModel]) -> list[str]:
    """Return the names of the members within which the contract takes fields."""
    aliases = [field.validation_alias for field in contract.model_fields.values()]
    paths = [
        path for alias in aliases for path in (alias.choices if isinstance(alias, AliasChoices) else [alias])
    ]
    return [str(path.path[0]) for path in paths if isinstance(path, AliasPath)]


@lru_cache(maxsize=64)
def require_from_request_outermost(contract: type[BaseModel]) -> None:
    """Raise if a value from the request would not be taken.

    Raises:
        TypeError: `FromRequest` is within the field's type, or the field has a default.
    """
    for name, field in contract.model_fields.items():
        is_outermost = any(isinstance(each, FromRequest) for each in field.metadata)
        if _is_within(field.annotation) or (is_outermost and not field.is_required()):
            raise TypeError(
                f"{contract.__name__}.{name}: FromRequest annotates the whole type of a field without a default: "
                "Annotated[Integer | None, FromRequest(...)]."
            )


def _is_within(annotation: Any) -> bool:  # noqa: ANN401
    return any(isinstance(each, FromRequest) or _is_within(each) for each in get_args(annotation))


def allows_none(annotation: Any) -> bool:  # noqa: ANN401
    """Return whether None is a value of the type."""
    if get_origin(annotation) is Annotated:
        return allows_none(get_args(annotation)[0])
    return NoneType in get_args(annotation)


@lru_cache(maxsize=64)
def _strings_validator(contract: type[BaseModel]) -> Callable[..., BaseModel]:
    """Return a validator of texts, for which None is the default of every field that may be None."""
    fields: dict[str, Any] = {}
    for name, field in contract.model_fields.items():
        from_request = any(isinstance(each, FromRequest) for each in field.metadata)
        if field.is_required() and not from_request and allows_none(field.annotation):
            fields[name] = (Annotated[field.annotation, field], None)
    lenient = create_model(contract.__name__, __base__=contract, **fields) if fields else contract
    return lenient.__pydantic_validator__.validate_strings
