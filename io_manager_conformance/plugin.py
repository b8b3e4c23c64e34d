"""pytest's side of the results: `--conformance-json FOLDER` writes a file for each tested IO manager."""

import platform
from collections import defaultdict
from importlib.metadata import version
from inspect import isclass
from pathlib import Path

import pytest

from io_manager_conformance.catalogue import BEHAVIOURS
from io_manager_conformance.results import Finding, Outcome, Results
from io_manager_conformance.suite import Conformance


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    help_text = "write the results of the conformance suite, one JSON file for each IO manager"
    parser.getgroup("conformance").addoption(
        "--conformance-json", metavar="FOLDER", type=Path, help=help_text
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect results where all reports arrive: with pytest-xdist, not in its workers."""
    folder = config.getoption("--conformance-json")
    if folder and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Collector(folder))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note with each test what its report has to say: a worker sends nothing else."""
    for item in items:
        suite = getattr(item, "cls", None)
        if isclass(suite) and issubclass(suite, Conformance) and isinstance(item, pytest.Function):
            behaviour = str(item.callspec.params["behaviour"])
            about = {"title": suite.title, "frames": suite.frames, "behaviour": behaviour}
            packages = ("dagster", *suite.distributions)
            versions = {"python": platform.python_version(), **{name: version(name) for name in packages}}
            reason = suite.unsupported.get(behaviour) or suite.known_failures.get(behaviour, "")
            item.user_properties.append(("conformance", {**about, "versions": versions, "reason": reason}))


class _Collector:
    """Turns reports into results."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._findings: defaultdict[tuple[str, str], dict[str, Finding]] = defaultdict(dict)
        self._versions: dict[tuple[str, str], dict[str, str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the outcome of a behaviour: of its call, or of a setup after which there is none."""
        about = dict(report.user_properties).get("conformance")
        if isinstance(about, dict) and (
            report.when == "call" or (report.when == "setup" and not report.passed)
        ):
            subject = about["title"], about["frames"]
            self._versions[subject] = about["versions"]
            self._findings[subject][about["behaviour"]] = _finding(report, about["reason"])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the files, with the behaviours in the order of the catalogue."""
        for (title, frames), found in self._findings.items():
            findings = {name: found[name] for name in BEHAVIOURS if name in found}
            path = Results(title, frames, self._versions[title, frames], findings).write(self._folder)
            terminalreporter.write_line(f"Wrote {path}")


def _finding(report: pytest.TestReport, reason: str) -> Finding:
    if hasattr(report, "wasxfail"):
        return Finding(Outcome.FAILS, reason)
    if report.skipped:
        return Finding(Outcome.UNSUPPORTED, reason)
    if report.passed:
        return Finding(Outcome.PASSES)
    crash = getattr(report.longrepr, "reprcrash", None)
    return Finding(Outcome.FAILS, crash.message.splitlines()[0] if crash else report.longreprtext)
