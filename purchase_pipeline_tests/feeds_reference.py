"""The reference of feeds in docs/feeds.md, made from the code.

`python -m purchase_pipeline_tests.feeds_reference` writes it.
"""

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

from pydantic import BaseModel

from purchase_pipeline import feeds
from purchase_pipeline.feeds.declaration import FeedDeclaration
from purchase_pipeline_tests.documents import PROJECT
from purchase_pipeline_tests.marked_section import with_section

PAGE = PROJECT / "docs" / "feeds.md"
BEGIN, END = "<!-- attributes: begin -->", "<!-- attributes: end -->"
CHAPTERS = {
    "Feed": ["Feed"],
    "Writing": ["Write", "Since"],
    "Retention": ["Retention"],
    "Sources": ["HttpSource", "FunctionSource", "PartitionRequest", "Page"],
    "Authentication": ["BearerToken", "ApiKey", "BasicAuth", "OAuth2ClientCredentials"],
    "Pages": ["NoPages", "LinkHeader", "NextLink", "PageNumber", "Offset", "Cursor"],
    "Formats": ["Json", "NdJson", "Csv"],
}
_NOT_SHOWN = ("ClassVar", "Literal['csv']", "Literal['json']", "Literal['ndjson']")


def markdown() -> str:
    """Return the reference."""
    return "\n".join(
        line for chapter, names in CHAPTERS.items() for line in _chapter(chapter, names)
    ).rstrip()


def attributes_of(name: str) -> dict[str, tuple[str, str, str]]:
    """Return type, default and description of each attribute of a class."""
    declared = _declared(name)
    texts = _descriptions(declared)
    return {
        field: (kind, _default(declared, field), texts.get(field, ""))
        for field, kind in _annotations(declared).items()
        if not kind.startswith(_NOT_SHOWN)
    }


def _chapter(title: str, names: list[str]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    for name in names:
        if name != title:
            yield f"### `{name}`"
            yield ""
        yield _summary(_declared(name))
        yield ""
        if attributes := attributes_of(name):
            yield "| attribute | type | default | |"
            yield "|---|---|---|---|"
            for field, (kind, default, text) in attributes.items():
                shown = f"`{_in_cell(default)}`" if default else "required"
                yield f"| `{field}` | `{_in_cell(kind)}` | {shown} | {_in_cell(text)} |"
            yield ""


def _declared(name: str) -> type[Any]:
    """Return the class that declares the attributes; a feed's are those of its declaration."""
    found: type[Any] = FeedDeclaration if name == "Feed" else getattr(feeds, name)
    return found


def _summary(declared: type[Any]) -> str:
    return " ".join((inspect.getdoc(declared) or "").partition("\n\n")[0].split())


def _descriptions(declared: type[Any]) -> dict[str, str]:
    section = re.search(r"^Attributes:\n((?:    .*\n?)+)", inspect.getdoc(declared) or "", re.MULTILINE)
    entries = re.findall(
        r"^(\w+(?:, \w+)*): (.*(?:\n +.*)*)", dedent(section[1]) if section else "", re.MULTILINE
    )
    return {name: " ".join(text.split()) for names, text in entries for name in names.split(", ")}


def _annotations(declared: type[Any]) -> dict[str, str]:
    (tree,) = ast.parse(dedent(inspect.getsource(declared))).body
    assert isinstance(tree, ast.ClassDef)
    return {
        node.target.id: ast.unparse(node.annotation)
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def _default(declared: type[Any], name: str) -> str:
    """Return a default as code; '' for a required attribute."""
    if issubclass(declared, BaseModel):
        return repr(declared.model_fields[name].default)
    (field,) = [one for one in dataclasses.fields(declared) if one.name == name]
    made = field.default_factory
    default = field.default if made is dataclasses.MISSING else made()
    return "" if default is dataclasses.MISSING else repr(default)


def _in_cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(with_section(PAGE.read_text(), BEGIN, END, markdown()))
