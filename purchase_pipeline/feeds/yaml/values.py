"""Values of YAML attributes: templates that Dagster renders, names of variables, texts that look like numbers."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_template(value: object) -> bool:
    """Return whether a value is a text that Dagster renders, such as `{{ env.NAME }}`."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


class OrTemplate:
    """Accept a template instead of the annotated type."""

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Skip the type's validation for templates."""
        return core_schema.no_info_wrap_validator_function(
            lambda value, validate: value if is_template(value) else validate(value), handler(source)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add text to the types. A list of types gives clearer errors than alternatives."""
        of = handler(schema)
        alternatives = of.pop("anyOf", [of])
        if any(set(one) - {"type", "title", "description"} for one in alternatives):
            return (
                {**of, "anyOf": [*alternatives, {"type": "string"}]}
                if len(alternatives) > 1
                else _or_text(of)
            )
        return _or_text({**of, "type": [one["type"] for one in alternatives]}) if alternatives != [{}] else of


def _or_text(schema: JsonSchemaValue) -> JsonSchemaValue:
    types = schema.get("type", [])
    return {**schema, "type": [*dict.fromkeys([*([types] if isinstance(types, str) else types), "string"])]}


def variable_name(name: object) -> str:
    """Return the name of an environment variable.

    Raises:
        ValueError: the text is something else, such as the secret itself.
    """
    if isinstance(name, str) and _VARIABLE.fullmatch(name):
        return name
    raise ValueError(
        "must be the name of an environment variable, such as ORDERS_API_TOKEN: it is read when it is used, so that "
        "the secret is not in the definitions"
    )


def _text(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Variable = Annotated[
    str,
    BeforeValidator(variable_name),
    WithJsonSchema({"type": "string", "pattern": f"^{_VARIABLE.pattern}$"}),
]
Word = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": ["string", "number"]})]
"""A text, which YAML may take for a number."""
