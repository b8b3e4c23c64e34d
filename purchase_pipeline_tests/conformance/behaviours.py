"""The conformance kit: behaviours that any partitioned Dagster IO manager for tables could be held to.

Every public function of a chapter is one: it takes a `Subject` of its own, with an empty database, its name is true of
an IO manager that has it, and it raises for one that has it not.

    @pytest.mark.parametrize("behaviour", BEHAVIOURS)
    def test_my_io_manager(behaviour: str, empty_database: Database) -> None:
        BEHAVIOURS[behaviour](MySubject(empty_database))
"""

from collections.abc import Callable, Mapping, Sequence
from inspect import isfunction
from types import ModuleType

from purchase_pipeline_tests.conformance import (
    atomicity,
    concurrency,
    dimensions,
    metadata,
    partitions,
    tables,
    time_windows,
    values,
)
from purchase_pipeline_tests.conformance.subject import Subject

Behaviour = Callable[[Subject], None]


def _behaviours_of(chapter: ModuleType) -> Sequence[Behaviour]:
    return [
        member
        for name, member in vars(chapter).items()
        if isfunction(member) and member.__module__ == chapter.__name__ and not name.startswith("_")
    ]


CHAPTERS: Mapping[str, Sequence[Behaviour]] = {
    (chapter.__doc__ or "").partition(":")[0]: _behaviours_of(chapter)
    for chapter in (
        tables,
        partitions,
        time_windows,
        dimensions,
        atomicity,
        concurrency,
        values,
        metadata,
    )
}
"""Behaviours by subject."""

BEHAVIOURS: Mapping[str, Behaviour] = {
    behaviour.__name__: behaviour for chapter in CHAPTERS.values() for behaviour in chapter
}
"""All behaviours, by name."""
