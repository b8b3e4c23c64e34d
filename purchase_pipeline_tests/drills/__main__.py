"""The drills from a shell: `python -m purchase_pipeline_tests.drills --help`."""

import argparse
import random
import signal
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from purchase_pipeline_tests.drills.catalogue import DRILLS
from purchase_pipeline_tests.drills.outcome import Drill
from purchase_pipeline_tests.drills.report import Result, keep, kept, result_of, table, written_into
from purchase_pipeline_tests.drills.soak import FAULT_SECONDS

_RESULTS = Path("docs/reliability")
_DOCUMENT = Path("docs/reliability.md")


def main(words: Sequence[str] | None = None) -> int:
    """Do what the words ask, and return the exit code: 1 if anything was lost, doubled or not healed."""
    asked = _parser().parse_args(words)
    if asked.list:
        for drill in DRILLS:
            print(f"{drill.name:<34}{drill.full:>5}{drill.short:>4}  {drill.fault}")
        return 0
    if asked.table:
        _DOCUMENT.write_text(written_into(_DOCUMENT.read_text(), kept(asked.results)))
        return 0
    # Stopped by a signal, it still removes what it started; a shell in the background would have SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return _run(_chosen(asked.names, every=asked.all, short=asked.short), asked)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m purchase_pipeline_tests.drills",
        description="Break the real system, one kind of fault a drill, and count what came of it.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="drills to do; --list names them")
    parser.add_argument("--list", action="store_true", help="list the drills: times in full, times in short")
    parser.add_argument("--all", action="store_true", help="do every drill; hours")
    parser.add_argument(
        "--short", action="store_true", help="do the short version of all that have one; minutes"
    )
    parser.add_argument("--minutes", type=float, help="how long the soak goes on, in place of --times")
    parser.add_argument(
        "--seed", type=int, help="what random moments are drawn from; else a new one, printed"
    )
    parser.add_argument("--times", type=int, help="times, in place of the full version's")
    parser.add_argument(
        "--results", type=Path, default=_RESULTS, help="folder to keep results in [%(default)s]"
    )
    parser.add_argument(
        "--table", action="store_true", help=f"write the kept results' table into {_DOCUMENT}"
    )
    return parser


def _chosen(names: Sequence[str], *, every: bool, short: bool) -> list[Drill]:
    known = {drill.name: drill for drill in DRILLS}
    if unknown := set(names) - known.keys():
        raise SystemExit(f"No such drill: {', '.join(sorted(unknown))}. --list names them.")
    if not (names or every or short):
        raise SystemExit("Name a drill, or say --all or --short; --help explains.")
    chosen = [known[name] for name in names] or list(DRILLS)
    return [drill for drill in chosen if drill.short or not short]


def _run(drills: Sequence[Drill], asked: argparse.Namespace) -> int:
    results: list[Result] = []
    seed = random.randrange(1 << 32) if asked.seed is None else asked.seed  # noqa: S311
    random.seed(seed)
    print(f"--seed {seed}", flush=True)
    for drill in drills:
        minutes = asked.minutes and round(asked.minutes * 60 / FAULT_SECONDS)
        times = minutes or asked.times or (drill.short if asked.short else drill.full)
        print(f"{drill.name}: {drill.fault}, {times} times", flush=True)
        with tempfile.TemporaryDirectory(prefix="drill-") as folder:
            outcome = drill.run(times, Path(folder))
        results.append(result_of(drill, outcome, datetime.now(UTC).date()))
        if not asked.short:
            keep(results[-1], asked.results)
    print(table(results))
    return 0 if all(result.clean for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
