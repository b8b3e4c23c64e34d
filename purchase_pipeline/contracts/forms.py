"""How a field type requires the form of a value and explains what it refuses."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


# Hashed by identity: on Python 3.11 and 3.12 `Money | None` hashes its annotations, and `schema` is a dict.
@dataclass(frozen=True, eq=False)
class ReceivedAs:
    """Require the form in which a value is received, before the annotated type parses it.

    Strict mode alone accepts the string `"12.50"` as a decimal, and `"1704153600"` (seconds) as a date. Both steps run
    inside pydantic-core.
    """

    schema: CoreSchema

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Chain the form's schema and the annotated type's."""
        return core_schema.chain_schema([self.schema, handler(source)])


@dataclass(frozen=True)
class Explained:
    """Replace the validation errors of the annotated type by one message."""

    message: str

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Wrap the type's schema with the message."""
        return explained(handler(source), self.message)


def explained(schema: CoreSchema, message: str) -> CoreSchema:
    """Return the schema with one message for all its errors."""
    return core_schema.custom_error_schema(schema, "form", custom_error_message=message)


def passes(
    pattern: str, *rewrites: tuple[str, str], forms: Collection[str] = ("text", "csv")
) -> dict[str, Any]:
    """Return metadata of a schema for the fast path of validation (`ingest/column_rules.py`).

    It says that the schema passes on each text that matches the pattern, with these replacements of one regular
    expression after the other. A rule that is true of some texts only may say so by a narrower pattern.
    """
    return {"passes": pattern, "rewrites": rewrites, "forms": forms}


def text_like(pattern: str | None = None, longest: int | None = None) -> CoreSchema:
    """Return the schema of a text, which matches the pattern and has at most that many characters."""
    return core_schema.str_schema(strict=True, pattern=pattern, max_length=longest)


def received(*steps: CoreSchema) -> CoreSchema:
    """Convert a JSON value or a CSV field to a Python object, for steps that are strict about its class."""
    return core_schema.chain_schema([core_schema.any_schema(), *steps])


def first_of(*choices: CoreSchema) -> CoreSchema:
    """Return a schema that tries others in order."""
    return core_schema.union_schema(list(choices), mode="left_to_right")


INTEGER_IN_JSON = received(core_schema.int_schema(strict=True))
FLOAT_IN_JSON = received(core_schema.float_schema(strict=True))
