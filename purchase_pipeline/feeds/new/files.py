"""The files of a new feed: its declaration in Python or YAML, a test, and the sample that the test reads."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from purchase_pipeline import PipelineError, contracts, feeds
from purchase_pipeline.feeds.new.columns import Column, keys_of
from purchase_pipeline.feeds.new.declared import in_python, in_yaml
from purchase_pipeline.feeds.new.partitions import Partitioning
from purchase_pipeline.feeds.new.places import Places, require_new
from purchase_pipeline.feeds.new.shape import Shape
from purchase_pipeline.ingest.sources.auth import ApiKey, BearerToken
from purchase_pipeline.ingest.sources.http import HttpSource
from purchase_pipeline.ingest.sources.pages import NoPages

_TEMPLATES = Environment(
    loader=PackageLoader("purchase_pipeline.feeds.new"),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=StrictUndefined,
    autoescape=False,  # noqa: S701  (Python and YAML)
)
_ATTRIBUTES = ("path", "params", "headers", "auth", "rows", "pages", "format")
_LONGEST_LINE = 100


class TemplateInNameError(PipelineError):
    """A name in the response is a template."""


class NewFeed(NamedTuple):
    """What is to be written."""

    name: str
    source: HttpSource
    shape: Shape
    columns: Sequence[Column]
    partitions: Partitioning


def write(feed: NewFeed, places: Places) -> list[Path]:
    """Write the declaration, the test and the sample, and return their paths, relative to the current folder.

    Raises:
        FileExistsAlreadyError: one exists.
    """
    test = places.tests / f"test_{feed.name}.py"
    sample = places.tests / f"{feed.name}_sample.{feed.shape.row_format.type}"
    known = {
        "name": feed.name,
        "model": f"{feed.name.title().replace('_', '')}Row",
        "host": feed.source.url,
        "today": datetime.now(UTC).date(),
        "keys": [column.name for column in keys_of(feed.columns)],
        "source": {
            name: value
            for name in _ATTRIBUTES
            if (value := getattr(feed.source, name)) and not isinstance(value, NoPages)
        },
        "sample": sample.name,
        "key": in_python(feed.partitions.request.key) if feed.partitions.python else None,
        "module": places.module,
        "yaml": os.path.relpath(places.declaration, places.tests) if places.is_yaml else "",
    }
    contents = {
        places.declaration: (_yaml if places.is_yaml else _python)(feed, known).encode(),
        test: _rendered("test.py", known).encode(),
        sample: feed.shape.sample(),
    }
    require_new(*contents)
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return [Path(os.path.relpath(path)) for path in contents]


def _rendered(template: str, known: Mapping[str, Any]) -> str:
    return _TEMPLATES.get_template(f"{template}.jinja").render(known)


def _python(feed: NewFeed, known: Mapping[str, Any]) -> str:
    columns = [
        {"name": each.name, "note": each.kind.words(as_yaml=False)[1], "field": _field(each)}
        for each in feed.columns
    ]
    source = {name: in_python(value) for name, value in known["source"].items()}
    fields, values = " ".join(each["field"] for each in columns), " ".join(source.values())
    imports = [
        _import("pydantic", _used(("AliasPath", "BaseModel", "Field"), f"{fields} BaseModel")),
        "",
        _import("purchase_pipeline.contracts", _used(contracts.__all__, fields)),
        _import("purchase_pipeline.feeds", _used(feeds.__all__, f"{values} Feed HttpSource")),
    ]
    more = {"columns": columns, "url": in_python(feed.source.url), "source": source, "imports": imports}
    return _rendered("pipeline.py", {**known, **more, "partitions": feed.partitions.python})


def _used(names: Iterable[str], code: str) -> list[str]:
    without_texts = re.sub(r'"(\\.|[^"\\])*"', "", code)
    return [name for name in names if re.search(rf"\b{name}\b", without_texts)]


def _import(module: str, names: Sequence[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= _LONGEST_LINE:
        return line
    return "\n".join([f"from {module} import (", *(f"    {name}," for name in names), ")"])


def _field(column: Column) -> str:
    of = f"{column.kind.python} | None" if column.is_optional else column.kind.python
    if column.path == (column.name,):
        return f"{of} = None" if column.is_optional else of
    steps = ", ".join(map(in_python, column.path))
    default = "default=None, " if column.is_optional else ""
    return (
        f"{of} = Field({default}validation_alias={steps if len(column.path) == 1 else f'AliasPath({steps})'})"
    )


def _yaml(feed: NewFeed, known: Mapping[str, Any]) -> str:
    source = {"url": feed.source.url} | {name: in_yaml(each) for name, each in known["source"].items()}
    variables = []
    if isinstance(feed.source.auth, BearerToken):
        del source["auth"]
        source["token"] = feed.source.auth.token
        variables = [feed.source.auth.token]
    elif isinstance(feed.source.auth, ApiKey):
        variables = [feed.source.auth.key]
    columns = [
        {"note": each.kind.words(as_yaml=True)[1], "line": _line(each.name, each.yaml)}
        for each in feed.columns
    ]
    more = {"columns": columns, "source": source, "partitions": feed.partitions.yaml, "line": _line}
    return _rendered("defs.yaml", {**known, **more, "variables": variables})


def _line(name: str, value: object) -> str:
    """Return a member in one line of YAML.

    Raises:
        TemplateInNameError: Dagster would evaluate it.
    """
    line = yaml.safe_dump(
        {name: value}, allow_unicode=True, width=10_000, default_flow_style=True, sort_keys=False
    )
    if any(mark in line for mark in ("{{", "{%", "{#")):
        raise TemplateInNameError(f"{line.strip()} would be a template in YAML.", hint="Leave out --yaml.")
    return line.strip()[1:-1]
