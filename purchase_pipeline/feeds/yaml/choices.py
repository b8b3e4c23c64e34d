"""Attributes that choose one of several kinds: authentication, pages, formats, partitions."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import dagster as dg
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from purchase_pipeline.feeds.yaml.attributes import Attributes, in_one_line
from purchase_pipeline.feeds.yaml.values import is_template


class Kind(NamedTuple):
    """One of several kinds.

    Attributes:
        build: called with the attributes.
        attributes: their model.
        main: the attribute that may be given as the kind's own value; empty if none.
    """

    build: Callable[..., Any]
    attributes: type[Attributes]
    main: str = ""

    @property
    def properties(self) -> dict[str, Any]:
        """The JSON schemas of the attributes."""
        properties: dict[str, Any] = self.attributes.model_json_schema().get("properties", {})
        return properties


class Choice:
    """A kind by its name: `csv`, `{csv: ";"}`, `{csv: {delimiter: ";"}}` or `{csv: ";", encoding: latin-1}`.

    Annotates a field. Validation returns what is written, or the built object in the context `BUILD`.
    """

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = kinds

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate by the chosen kind."""
        return core_schema.with_info_plain_validator_function(self._validated)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema of all kinds together, whose errors are clearer than those of alternatives."""
        return self._json_schema()

    @property
    def _accepted(self) -> str:
        known = (f"{name} ({', '.join(kind.properties)})" for name, kind in self._kinds.items())
        return f"accepted: {', '.join(text.replace(' ()', '') for text in known)}"

    def _validated(self, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401
        if is_template(value) or not isinstance(value, str | Mapping | None):
            return value  # rendered, or built by a template: `{{ dg.DailyPartitionsDefinition(...) }}`
        name, given = self._chosen(value)
        try:
            attributes = self._kinds[name].attributes.model_validate(given, context=info.context)
            return self._kinds[name].build(**attributes.given()) if info.context else value
        except ValidationError as error:
            raise ValueError(f"{name}: {in_one_line(error)}") from error
        except (dg.DagsterError, TypeError, ValueError) as error:
            raise ValueError(f"{name}: {error}") from error

    def _chosen(self, value: str | Mapping[str, Any] | None) -> tuple[str, Mapping[str, Any]]:
        given = {value: True} if isinstance(value, str) else dict(value or {})
        names = [name for name in given if name in self._kinds]
        if len(names) != 1:
            raise ValueError(f"must be exactly one kind; {self._accepted}")
        main = given.pop(names[0])
        if isinstance(main, Mapping):
            return names[0], {**main, **given}
        if main is True:
            return names[0], given
        if not self._kinds[names[0]].main:
            raise ValueError(f"{names[0]}: must be attributes; {self._accepted}")
        return names[0], {self._kinds[names[0]].main: main, **given}

    def _json_schema(self) -> JsonSchemaValue:
        properties: dict[str, Any] = {}
        for kind in self._kinds.values():
            properties |= kind.properties
        for name, kind in self._kinds.items():
            # The kind's name may be that of an attribute: `{offset: ...}`.
            properties[name] = {
                "type": ["string", "boolean", "object"],
                "properties": kind.properties,
                "additionalProperties": False,
                "description": kind.attributes.__doc__,
            }
        return {
            "type": ["object", "string"],
            "properties": properties,
            "additionalProperties": False,
            "minProperties": 1,
        }


class ChoiceByType(Choice):
    """A kind by the attribute `type`: `{type: daily, start_date: "2026-01-01"}`."""

    def _chosen(self, value: str | Mapping[str, Any] | None) -> tuple[str, Mapping[str, Any]]:
        given = dict(value) if isinstance(value, Mapping) else {"type": value}
        name = given.pop("type", None)
        if name not in self._kinds:
            raise ValueError(f"type: unknown {name!r}; accepted: {', '.join(self._kinds)}")
        return str(name), given

    def _json_schema(self) -> JsonSchemaValue:
        properties: dict[str, Any] = {"type": {"enum": list(self._kinds)}}
        for kind in self._kinds.values():
            properties |= {name: schema for name, schema in kind.properties.items() if name not in properties}
        return {
            "type": ["object", "string"],
            "properties": properties,
            "additionalProperties": False,
            "required": ["type"],
        }
