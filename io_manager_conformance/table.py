"""The results as Markdown: who keeps which promise, and why not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from io_manager_conformance.catalogue import BEHAVIOURS, PROMISES, demand_of, title_of
from io_manager_conformance.results import Finding, Outcome, Results

_MARKS = {Outcome.PASSES: "yes", Outcome.FAILS: "**no**", Outcome.UNSUPPORTED: "n/a"}
_NOT_RUN = "not run"


def markdown(results: Sequence[Results]) -> str:
    """Return the tables and the reasons."""
    columns = _merged(results)
    parts = (_summary(columns), _behaviours(columns), _reasons(columns), _versions(columns))
    return "\n".join(line for part in parts for line in (*part, "")).rstrip()


def demands() -> str:
    """Return what each behaviour demands, and why."""
    lines = []
    for promise, behaviours in PROMISES.items():
        lines += [f"**{promise}.**", ""]
        lines += [f"- `{one.__name__}`: {demand_of(one.__name__)}" for one in behaviours] + [""]
    return "\n".join(lines).rstrip()


def _merged(results: Sequence[Results]) -> Sequence[Results]:
    """Return one column for the frames with which an IO manager has the same outcomes."""
    columns: dict[tuple[str, Sequence[tuple[str, Finding]]], Results] = {}
    for one in results:
        key = one.title, tuple(one.behaviours.items())
        known = columns.get(key)
        columns[key] = (
            replace(
                known, frames=f"{known.frames}, {one.frames}", versions={**known.versions, **one.versions}
            )
            if known
            else one
        )
    return list(columns.values())


def _heading(*cells: str) -> Iterator[str]:
    yield _row(*cells)
    yield "|---" * len(cells) + "|"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _summary(columns: Sequence[Results]) -> Iterator[str]:
    yield from _heading("IO manager", "All", *(promise.partition(":")[0] for promise in PROMISES))
    for column in columns:
        counts = [
            _count(column.behaviours, [one.__name__ for one in behaviours])
            for behaviours in PROMISES.values()
        ]
        total = _count(column.behaviours, list(BEHAVIOURS))
        yield _row(f"{column.title}, {column.frames}", f"**{total}**", *counts)


def _count(found: Mapping[str, Finding], names: Sequence[str]) -> str:
    """Count what passes, of what is claimed: unsupported behaviours are neither."""
    outcomes = [found[name].outcome for name in names if name in found]
    claimed = [outcome for outcome in outcomes if outcome is not Outcome.UNSUPPORTED]
    missing = len(outcomes) - len(claimed)
    counted = f"{claimed.count(Outcome.PASSES)} of {len(claimed)}" if claimed else ""
    return ", ".join(part for part in (counted, f"{missing} n/a" if missing else "") if part) or _NOT_RUN


def _behaviours(columns: Sequence[Results]) -> Iterator[str]:
    yield from _heading("Behaviour", *(f"{one.title}<br>{one.frames}" for one in columns))
    for promise, behaviours in PROMISES.items():
        yield _row(f"**{promise.partition(':')[0]}**", *("" for _ in columns))
        for one in behaviours:
            yield _row(title_of(one.__name__), *(_mark(column, one.__name__) for column in columns))


def _mark(column: Results, behaviour: str) -> str:
    found = column.behaviours.get(behaviour)
    return _MARKS[found.outcome] if found else _NOT_RUN


def _reasons(columns: Sequence[Results]) -> Iterator[str]:
    for column in columns:
        reasons: dict[Finding, list[str]] = {}
        for behaviour, finding in column.behaviours.items():
            if finding.outcome is not Outcome.PASSES:
                reasons.setdefault(finding, []).append(title_of(behaviour))
        if reasons:
            yield f"**{column.title}, {column.frames}**"
            yield ""
        for finding, behaviours in sorted(reasons.items(), key=lambda entry: entry[0].outcome):
            yield f"- {_MARKS[finding.outcome]}, {finding.reason}: {'; '.join(behaviours)}"
        if reasons:
            yield ""


def _versions(columns: Sequence[Results]) -> Iterator[str]:
    yield from _heading("IO manager", "tested with")
    for column in columns:
        versions = ", ".join(f"{name} {number}" for name, number in column.versions.items())
        yield _row(f"{column.title}, {column.frames}", versions)
