"""Command line of the benchmarks: `python -m benchmarks --help`."""

import argparse
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.catalogue import BENCHMARKS, benchmark
from benchmarks.comparison import comparison
from benchmarks.report import measured_lines, report, written_into
from benchmarks.results import keep, kept, result_of

_RESULTS = Path("docs/performance")
_PAGE, _FIGURES = Path("docs/performance.md"), Path("docs/performance/figures.md")
_QUICK_ROUNDS = 5


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmarks and return the exit code: 1 if a target is missed or `--check` finds a regression."""
    asked = _parser().parse_args(words)
    if asked.list:
        for name, sentence in BENCHMARKS.items():
            print(f"{name:<14}{sentence}")
        return 0
    if asked.table:
        return _write_table(asked.results)
    # Clean up after a signal; a background shell would otherwise ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if asked.check:
        return _check(asked.rounds or _QUICK_ROUNDS, asked.results)
    return _run(_chosen(asked.names, every=asked.all), asked.rounds or 7, asked.results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Run benchmarks: medians over rounds, in which the compared methods take turns.",
        epilog="Ratios are comparable between machines and under load; seconds are not. Most benchmarks need "
        "requirements-bench.lock (`make bench` installs it); `quick` needs only requirements-dev.lock.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="benchmarks to run (see --list)")
    parser.add_argument("--list", action="store_true", help="list the benchmarks")
    parser.add_argument("--all", action="store_true", help="run all benchmarks, which takes most of an hour")
    parser.add_argument(
        "--rounds", type=int, metavar="N", help="rounds of each benchmark [7]; more rounds, less noise"
    )
    parser.add_argument(
        "--results", type=Path, default=_RESULTS, help="folder of the recorded results [%(default)s]"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="run `quick`, record nothing, and exit with 1 if a ratio is twice as bad as the one recorded in --results",
    )
    parser.add_argument(
        "--table",
        action="store_true",
        help=f"write the recorded results into {_PAGE} and {_FIGURES}; draw a chart (needs requirements-bench.lock)",
    )
    return parser


def _chosen(names: Sequence[str], *, every: bool) -> list[str]:
    if unknown := set(names) - BENCHMARKS.keys():
        raise SystemExit(f"Unknown benchmark: {', '.join(sorted(unknown))}. See --list.")
    if not (names or every):
        raise SystemExit("Name a benchmark or use --all; see --help.")
    return list(names) or list(BENCHMARKS)


def _run(names: Sequence[str], rounds: int, folder: Path) -> int:
    from benchmarks.machine import this_machine  # noqa: PLC0415  # --list and --help need no server

    machine, all_met = this_machine(), True
    print(machine.described(), flush=True)
    for name in names:
        print(f"\n{name}: {BENCHMARKS[name]}, {rounds} rounds", flush=True)
        measured = benchmark(name)(rounds)
        keep(result_of(measured, rounds, datetime.now(UTC).date(), machine), folder)
        print(*measured_lines(measured), sep="\n", flush=True)
        all_met = all_met and measured.met
    return 0 if all_met else 1


def _check(rounds: int, folder: Path) -> int:
    from benchmarks.quick import regressions, run  # noqa: PLC0415

    measured = run(rounds)
    print(*measured_lines(measured), sep="\n", flush=True)
    worse = [
        line for recorded in kept(folder, ["quick"]) for line in regressions(measured, recorded.measured)
    ]
    print(*(f"Twice as bad as recorded: {line}" for line in worse), sep="\n")
    return 1 if worse else 0


def _write_table(folder: Path) -> int:
    from benchmarks.picture import draw  # noqa: PLC0415

    results = kept(folder, list(BENCHMARKS))
    for page, text in ((_PAGE, comparison(results)), (_FIGURES, report(results))):
        page.write_text(written_into(page.read_text(), text))
    for result in results:
        if result.benchmark == "data_path":
            draw(result.measured, folder / "data_path.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
