"""All behaviours, by promise and by name.

Every public function of a module of `promises/` is one: its name is true of an IO manager that has it, its docstring
says what it demands and why, and it raises for an IO manager that does not have it.
"""

from collections.abc import Callable, Mapping, Sequence
from inspect import getdoc, isfunction
from types import ModuleType

from io_manager_conformance.promises import (
    atomicity,
    concurrency,
    dimensions,
    metadata,
    partitions,
    tables,
    time_windows,
    values,
)
from io_manager_conformance.subject import Subject

Behaviour = Callable[[Subject], None]


def _behaviours_of(promise: ModuleType) -> Sequence[Behaviour]:
    return [
        member
        for name, member in vars(promise).items()
        if isfunction(member) and member.__module__ == promise.__name__ and not name.startswith("_")
    ]


PROMISES: Mapping[str, Sequence[Behaviour]] = {
    (promise.__doc__ or "").strip().removesuffix("."): _behaviours_of(promise)
    for promise in (tables, partitions, time_windows, dimensions, atomicity, concurrency, values, metadata)
}
"""Behaviours by promise, in a sentence that begins with its name and a colon."""

BEHAVIOURS: Mapping[str, Behaviour] = {
    behaviour.__name__: behaviour for promise in PROMISES.values() for behaviour in promise
}
"""All behaviours, by name."""

RACES = {race.__name__ for race in _behaviours_of(concurrency)}
"""The behaviours that an IO manager without them still shows now and then."""


def demand_of(behaviour: str) -> str:
    """Return what a behaviour demands, and why."""
    return getdoc(BEHAVIOURS[behaviour]) or ""


def title_of(behaviour: str) -> str:
    """Return a behaviour's name as a sentence."""
    return behaviour.replace("_", " ").capitalize()
