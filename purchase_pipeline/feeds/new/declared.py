"""Objects as Python and YAML declare them: a source's pages, format, authentication."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pydantic import BaseModel

_ALWAYS = {"path", "param", "delimiter"}


def given(value: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the attributes of a dataclass or model that say something."""
    if isinstance(value, BaseModel):
        defaults = {name: each.default for name, each in type(value).model_fields.items() if name != "type"}
    else:
        defaults = {each.name: each.default for each in fields(value)}
    return {
        name: getattr(value, name)
        for name, default in defaults.items()
        if name in _ALWAYS or getattr(value, name) != default
    }


def in_python(value: Any) -> str:  # noqa: ANN401
    """Return an expression: `NextLink("links.next")`."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{in_python(name)}: {in_python(each)}' for name, each in value.items())}}}"
    if isinstance(value, list | tuple):
        inner = "".join(f"{in_python(each)}, " for each in value)
        return f"({inner.rstrip()})" if isinstance(value, tuple) else f"[{inner.removesuffix(', ')}]"
    if isinstance(value, bool | int):
        return repr(value)
    words = [f"{name}={in_python(each)}" for name, each in given(value).items()]
    if not isinstance(value, BaseModel) and words:  # dataclasses take their first attribute by position
        words[0] = words[0].partition("=")[2]
    return f"{type(value).__name__}({', '.join(words)})"


def in_yaml(value: Any) -> Any:  # noqa: ANN401
    """Return what YAML has for it: `{next: links.next}`."""
    # Imported on demand: Dagster takes a second.
    from purchase_pipeline.feeds.yaml.source import AUTH, FORMATS, PAGES  # noqa: PLC0415

    for name, kind in {**AUTH, **FORMATS, **PAGES}.items():
        if type(value) is kind.build:
            attributes = given(value)
            return {name: attributes.pop(kind.main, True), **attributes}
    return value
