"""Values of a pydantic model as COPY takes them, where they differ from the validated ones."""

import re
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_jsonable_python

from purchase_pipeline.postgres.frames.json_text import json_text
from purchase_pipeline.postgres.schema.models import columns_from_model
from purchase_pipeline.postgres.schema.types import family

Converter = Callable[[Any], Any]

_ANY = TypeAdapter[Any](Any)
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_MARK, _MARK_IN_JSON = "\x00", re.compile(r'"\\u0000"')


def converters_from_model(model: type[BaseModel]) -> dict[str, Converter]:
    """Return a function for each field whose values COPY cannot take: members of an Enum, and what becomes JSONB.

    The functions raise ValueError or TypeError for a value that its column cannot hold.
    """
    return {
        column.name: nested_json if family(column.type) == "json" else plain_values
        for column in columns_from_model(model)
        if family(column.type) == "json" or _has_enum(model.model_fields[column.name].annotation)
    }


def plain_values(value: Any) -> Any:  # noqa: ANN401
    """Return an Enum member's value, also within lists."""
    if isinstance(value, list):
        return [plain_values(one) for one in value]
    return value.value if isinstance(value, Enum) else value


def nested_json(value: Any) -> str | None:  # noqa: ANN401
    """Return a validated value as JSON: models by field name, decimals as exact numbers, dates as ISO text.

    Raises:
        ValueError: NUL, NaN or infinity.
        TypeError: a key is not text.
    """
    if value is None:
        return None
    decimals = list[Decimal]()
    text = json_text(_marked(_ANY.dump_python(value), decimals))
    marks = len(_MARK_IN_JSON.findall(text))
    if marks != len(decimals) or len(_NUL.findall(text)) != marks:
        raise ValueError("PostgreSQL cannot store NUL in JSON")
    numbers = iter(decimals)
    return _MARK_IN_JSON.sub(lambda _: f"{next(numbers):f}", text)


def _marked(value: Any, decimals: list[Decimal]) -> Any:  # noqa: ANN401
    """Return a value as JSON has it; decimals, which the json module cannot write, become marks."""
    if isinstance(value, Enum):
        return _marked(value.value, decimals)
    if isinstance(value, dict):
        return {key: _marked(one, decimals) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(one, decimals) for one in value]
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("PostgreSQL cannot store NaN and infinity in JSON")
    if isinstance(value, Decimal):
        decimals.append(value)
        return _MARK
    return value if value is None or isinstance(value, str | int | float) else to_jsonable_python(value)


def _has_enum(annotation: object) -> bool:
    if isinstance(annotation, type):
        return issubclass(annotation, Enum)
    return any(map(_has_enum, get_args(annotation)))
