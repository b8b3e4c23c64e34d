"""The suite as pytest runs it: a test class, with a test for each behaviour."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, NoReturn

import dagster as dg
import pytest

from io_manager_conformance.catalogue import BEHAVIOURS, RACES, demand_of
from io_manager_conformance.subject import Subject

_ATTEMPTS = 50


class Conformance:
    """The tests of one IO manager with one type of frames: subclass it, and define the fixture `subject`.

    Attributes:
        title: the IO manager's name, for the table.
        frames: the frames' name, for the table.
        distributions: the packages whose versions are recorded with the results, besides Dagster.
        unsupported: behaviours that the IO manager does not claim, with the reason: they are skipped.
        known_failures: behaviours that it claims and fails, with the reason: a test fails as soon as it has one.
    """

    title: ClassVar[str]
    frames: ClassVar[str]
    distributions: ClassVar[Sequence[str]] = ()
    unsupported: ClassVar[Mapping[str, str]] = {}
    known_failures: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture(scope="class")
    @classmethod
    def instance(cls) -> Iterator[dg.DagsterInstance]:
        """A Dagster instance in memory, for all subjects of the class."""
        with dg.DagsterInstance.ephemeral() as instance:
            yield instance

    @pytest.fixture
    def subject(self) -> Subject:
        """The IO manager, on a database that is empty for each test."""
        raise NotImplementedError(f"{type(self).__name__} must define the fixture `subject`.")

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        """Make a test of each behaviour, with a mark on those that are known to be missing."""
        if unknown := {*cls.unsupported, *cls.known_failures} - BEHAVIOURS.keys():
            message = f"{cls.__name__} names behaviours that do not exist: {', '.join(sorted(unknown))}."
            raise pytest.UsageError(f"{message} `python -m io_manager_conformance behaviours` lists them.")
        metafunc.parametrize(
            "behaviour", [pytest.param(name, marks=cls._marks_of(name)) for name in BEHAVIOURS]
        )

    @classmethod
    def _marks_of(cls, behaviour: str) -> Sequence[pytest.MarkDecorator]:
        reason = cls.unsupported.get(behaviour)
        return [pytest.mark.skip(reason=f"unsupported: {reason}")] if reason else []

    def test_behaviour(self, behaviour: str, subject: Subject) -> None:
        """Try a behaviour."""
        if reason := self.known_failures.get(behaviour):
            _expect_failure(behaviour, subject, reason)
        try:
            BEHAVIOURS[behaviour](subject)
        except Exception as error:
            error.add_note(f"{behaviour}: {demand_of(behaviour)}")
            raise


def _expect_failure(behaviour: str, subject: Subject, reason: str) -> NoReturn:
    """Try a behaviour that must fail; a race, until it is lost."""
    # The mark `xfail` would also excuse a fixture that fails.
    for _ in range(_ATTEMPTS if behaviour in RACES else 1):
        try:
            BEHAVIOURS[behaviour](subject)
        except Exception:  # noqa: BLE001  (an IO manager may raise anything)
            pytest.xfail(reason)
    pytest.fail(f"{behaviour} passes: remove it from known_failures ({reason}).")
