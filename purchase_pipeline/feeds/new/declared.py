"""Objects as Python and YAML declare them: a source's pages, format, authentication."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pydantic import BaseModel

from purchase_pipeline.ingest.formats import Csv, Json, NdJson
from purchase_pipeline.ingest.sources.auth import ApiKey
from purchase_pipeline.ingest.sources.pages import Cursor, LinkHeader, NextLink, Offset, PageNumber

_KINDS: Mapping[type, str] = {
    ApiKey: "api_key",
    Csv: "csv",
    Cursor: "cursor",
    Json: "json",
    LinkHeader: "link",
    NdJson: "ndjson",
    NextLink: "next",
    Offset: "offset",
    PageNumber: "page",
}
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
    if type(value) not in _KINDS:
        return value
    main, *others = given(value).values() or (True,)
    names = [*given(value)][1:]
    return {_KINDS[type(value)]: main, **dict(zip(names, others, strict=True))}
