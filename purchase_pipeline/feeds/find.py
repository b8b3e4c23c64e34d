"""Find the feeds of a module of Dagster definitions."""

import os
import sys
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import dagster as dg

from purchase_pipeline import PipelineError
from purchase_pipeline.feeds.declaration import FEED_KEY
from purchase_pipeline.feeds.feed import Feed


class UnknownFeedError(PipelineError):
    """The module cannot be loaded, or does not have the feed."""


def find_feed(module: str, name: str | None) -> Feed:
    """Return a feed of a module's definitions.

    Args:
        module: importable from the current folder, as for `dagster dev -m`.
        name: the feed's name; not needed if there is only one.

    Raises:
        UnknownFeedError: the module cannot be imported, or has no such feed.
    """
    feeds = {feed.name: feed for feed in find_feeds(module)}
    if name is None and len(feeds) == 1:
        return next(iter(feeds.values()))
    if name in feeds:
        return feeds[name]
    known = ", ".join(sorted(feeds)) or "none"
    raise UnknownFeedError(
        f"{module} has no feed {name!r}." if name else f"{module} has {len(feeds)} feeds.",
        hint=f"Name one with --feed. Feeds of {module}: {known}.",
    )


def find_feeds(module: str) -> list[Feed]:
    """Return all feeds of a module's definitions.

    Raises:
        UnknownFeedError: the module cannot be imported.
    """
    return list(_feeds(_imported(module)))


def _imported(module: str) -> ModuleType:
    if (folder := os.getcwd()) not in sys.path:  # noqa: PTH109  (as Python's -m)
        sys.path.insert(0, folder)
    try:
        return import_module(module)
    except ImportError as error:
        raise UnknownFeedError(
            f"Cannot import {module}: {error}.",
            hint="Name a module, such as my_project.definitions, with -m.",
        ) from error


def _feeds(module: ModuleType) -> Iterator[Feed]:
    for value in vars(module).values():
        if isinstance(value, Feed):
            yield value
        elif isinstance(definitions := _definitions(value), dg.Definitions):
            yield from _declared(definitions)


def _declared(definitions: dg.Definitions) -> Iterator[Feed]:
    """Yield the feeds of definitions, each of which is a resource of them."""
    for key, resource in (definitions.resources or {}).items():
        if key.endswith(FEED_KEY) and isinstance(resource, dg.ResourceDefinition):
            feed = resource.resource_fn(None)  # type: ignore[call-arg, arg-type]  # a constant
            if isinstance(feed, Feed):
                yield feed


def _definitions(value: object) -> object:
    """Return the definitions that a module's attribute is, or that it makes when it is called (`@dg.definitions`)."""
    return value() if type(value).__name__ == "LazyDefinitions" and callable(value) else value
