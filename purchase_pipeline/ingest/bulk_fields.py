"""The fields of a contract for the fast path: where a field is in a row, and which of its values are surely valid."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import permutations
from typing import Any
from uuid import UUID

import orjson
from pydantic import BaseModel
from pydantic_core import SchemaError, SchemaValidator

from purchase_pipeline.contracts import FromRequest
from purchase_pipeline.ingest.column_rules import CSV, Array, Texts, text_array, texts_by_form
from purchase_pipeline.ingest.row_readers import SYSTEM_ERRORS, allows_none
from purchase_pipeline.ingest.storable import Check, checks_of
from purchase_pipeline.postgres.frames.model_values import Converter, converters_from_model
from purchase_pipeline.postgres.schema.models import columns_from_model
from purchase_pipeline.postgres.schema.types import family

_HARMLESS = {"title", "strict", "extra_fields_behavior", "frozen"}
"""Settings of a model that change no value of a field."""

_BY_NAME = {"populate_by_name", "validate_by_name", "validate_by_alias"}
_MOST_KNOWN = 50_000
_IN_TEXT: dict[type, Callable[[Any], str]] = {
    **dict.fromkeys((str, int, date, Decimal, UUID), str),
    bool: lambda value: "true" if value else "false",
    float: repr,
    datetime: datetime.isoformat,
}
_NOT_TEXTS = {"json", "array", "bytes", "time", "interval", "timestamp", "other"}
"""Families of columns whose values have no text here. Of a naive timestamp, PostgreSQL would ignore the zone."""


@dataclass(frozen=True)
class BulkField:
    """A field of a contract.

    Attributes:
        path: names that lead to its value in a row.
        null: whether null is valid; None: only if the member is present. A missing one is read as null.
        optional: whether an empty field of a CSV is null.
        rules: texts of the values that are surely valid, by the form in which they are received.
        constant: returns its text from the variables of a request; None if it is a member of the row.
    """

    name: str
    path: tuple[str, ...]
    null: bool | None
    optional: bool
    rules: Mapping[str, Texts]
    constant: Callable[[Mapping[str, Any]], str | None] | None = None

    @property
    def may_be_empty(self) -> bool:
        """Whether an empty field of a CSV, or none, is a valid null."""
        return self.optional and self.null is not False


def bulk_fields(contract: type[BaseModel], today: date) -> list[BulkField]:
    """Return all fields; none if a field has no rule or shares a member, or if a row is valid or not as a whole."""
    core = contract.__pydantic_core_schema__
    while core["type"] == "definitions":
        core = core["schema"]
    rows = core.get("schema", {})
    own = (
        core.get("custom_init") or core.get("root_model") or core.get("post_init") or core["type"] != "model"
    )
    if own or rows["type"] != "model-fields" or rows.keys() & {"extras_schema", "extras_keys_schema"}:
        return []
    try:
        fields = [*_fields(contract, rows["fields"], core.get("config", {}), today)]
    except SchemaError:  # a field that refers to a definition, such as a model that contains itself
        return []
    paths = [field.path for field in fields if field.constant is None]
    shared = any(one[: len(other)] == other for one, other in permutations(paths, 2))  # read in one form only
    return fields if len(fields) == len(contract.model_fields) and not shared else []


def _fields(
    contract: type[BaseModel], schemas: Mapping[str, Any], config: Mapping[str, Any], today: date
) -> Iterator[BulkField]:
    checks, converters = checks_of(contract), converters_from_model(contract)
    families = {column.name: family(column.type) for column in columns_from_model(contract)}
    for name, field in schemas.items():
        schema, info, alias = field["schema"], contract.model_fields[name], field.get("validation_alias")
        has_text = families[name] not in _NOT_TEXTS
        validation = _FieldValidation(schema, config, today, checks.get(name), converters.get(name))
        if any(isinstance(each, FromRequest) for each in info.metadata):
            if has_text:
                yield BulkField(name, (), null=None, optional=True, rules={}, constant=validation.constant)
            continue
        rules = texts_by_form(schema, today) if config.keys() <= _HARMLESS else {}
        if has_text and not _sees_more(schema):
            rules = {**validation.rules(), **rules}
        path = () if alias is not None and config.keys() & _BY_NAME else _path(name, alias)
        if path and rules:
            yield BulkField(name, path, _null(schema), allows_none(info.annotation), rules)


def _path(name: str, alias: Any) -> tuple[str, ...]:  # noqa: ANN401  # pydantic-core's forms
    """Return the names that lead to a value; none if there are several ways."""
    if alias is None or isinstance(alias, str):
        return (alias or name,)
    choices = alias if isinstance(alias[0], list) else [alias]
    paths = {".".join(map(str, path)): tuple(path) for path in choices}
    *_, names = paths.values()
    return names if len(paths) == 1 and all(isinstance(each, str) for each in names) else ()


def _null(schema: Mapping[str, Any]) -> bool | None:
    """Return whether null is valid; None if only a present one is."""
    if schema["type"] == "default":
        return _null(schema["schema"]) is not False and schema.get("default", ...) is None
    return None if schema["type"] == "nullable" else False


def _sees_more(schema: Any) -> bool:  # noqa: ANN401  # any part of a schema
    """Return whether a validator sees more than the value."""
    if isinstance(schema, dict):
        return schema.get("type") == "with-info" or any(map(_sees_more, schema.values()))
    return isinstance(schema, list) and any(map(_sees_more, schema))


class _FieldValidation:
    """Validates distinct values by pydantic, where no rule is known."""

    def __init__(
        self,
        schema: Any,  # noqa: ANN401  # pydantic-core's
        config: Any,  # noqa: ANN401  # likewise
        today: date,
        check: Check | None,
        convert: Converter | None,
    ) -> None:
        self._validator = SchemaValidator(schema, config)
        self._context = {"today": today}
        self._check, self._convert = check, convert

    def rules(self) -> dict[str, Texts]:
        """Return rules for values that Arrow reads without loss."""

        def of_json(value: Any) -> Any:  # noqa: ANN401
            return self._validator.validate_json(orjson.dumps(value), context=self._context)

        def of_csv(value: Any) -> Any:  # noqa: ANN401
            return self._validator.validate_strings(value, context=self._context)

        return {**dict.fromkeys(("text", "integer", "boolean"), self._rule(of_json)), CSV: self._rule(of_csv)}

    def constant(self, variables: Mapping[str, Any]) -> str | None:
        """Return the text of a value that is in the context.

        Raises:
            ValueError: it is not valid.
        """
        context = {**self._context, "variables": variables}
        value = self._validator.validate_json(b"null", context=context)
        return None if value is None else self._text(value)

    def _rule(self, validated: Callable[[Any], Any]) -> Texts:
        @lru_cache(maxsize=_MOST_KNOWN, typed=True)  # True is not 1
        def text(value: Any) -> str | None:  # noqa: ANN401
            try:
                return self._text(validated(value))
            except SYSTEM_ERRORS:
                raise
            except Exception:  # noqa: BLE001  # left to full validation, which explains the error
                return None

        def texts(values: Array) -> Array:
            encoded = values.dictionary_encode()
            return text_array(map(text, encoded.dictionary.to_pylist())).take(encoded.indices)

        return texts

    def _text(self, value: Any) -> str:  # noqa: ANN401
        if self._check is not None:
            self._check(value)
        plain = value if self._convert is None else self._convert(value)
        return _IN_TEXT[type(plain)](plain)
