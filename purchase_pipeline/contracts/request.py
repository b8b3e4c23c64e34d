"""Values that are known from the request only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationError, ValidationInfo
from pydantic_core import CoreSchema, PydanticCustomError, SchemaValidator, core_schema

FROM_REQUEST = "from_request"
"""Type of the validation errors of `FromRequest`."""


@dataclass(frozen=True)
class FromRequest:
    """Take a field's value from the request: a value of `for_each`, or another variable of the row's page.

    The variable is text, and is validated as a field of a CSV is. The row need not have the field; if it does, its
    value is ignored.
    """

    variable: str

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Replace the input by the variable in the validation's context."""
        validate_strings: Callable[..., Any] = SchemaValidator(handler(source)).validate_strings

        def validated(_: object, info: ValidationInfo) -> Any:  # noqa: ANN401
            variables = (info.context or {}).get("variables", {})
            if self.variable not in variables:
                raise PydanticCustomError(
                    FROM_REQUEST, "the request has no variable {variable}", {"variable": self.variable}
                )
            try:
                return validate_strings(str(variables[self.variable]), context=info.context)
            except ValidationError as error:
                detail = error.errors()[0]
                seen = {"reason": f"{detail['msg']} (saw {detail['input']!r})"}
                raise PydanticCustomError(FROM_REQUEST, "{reason}", seen) from error

        return core_schema.with_default_schema(
            core_schema.with_info_plain_validator_function(validated), default=None, validate_default=True
        )
