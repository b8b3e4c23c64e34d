"""The benchmarks from a shell: `python -m benchmarks --help`."""

import argparse
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.catalogue import BENCHMARKS, benchmark
from benchmarks.report import measured_lines, written_into
from benchmarks.results import keep, kept, result_of

_RESULTS = Path("docs/performance")
_DOCUMENT = Path("docs/performance.md")
_QUICK_ROUNDS = 5


def main(words: Sequence[str] | None = None) -> int:
    """Do what the words ask, and return the exit code: 1 if a promise is not kept, or `--check` finds a gross loss."""
    asked = _parser().parse_args(words)
    if asked.list:
        for name, sentence in BENCHMARKS.items():
            print(f"{name:<14}{sentence}")
        return 0
    if asked.table:
        return _write_table(asked.results)
    # Stopped by a signal, it still removes what it started; a shell in the background would have SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if asked.check:
        return _check(asked.rounds or _QUICK_ROUNDS, asked.results)
    return _run(_chosen(asked.names, every=asked.all), asked.rounds or 7, asked.results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure how fast it is: medians over rounds, in which what is compared takes turns.",
        epilog="A ratio of one run holds on another machine, and on a busy one; seconds do not. Most need the packages "
        "of requirements-bench.lock (`make bench` installs them); `quick` does with requirements-dev.lock.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="benchmarks to run; --list names them")
    parser.add_argument("--list", action="store_true", help="list the benchmarks")
    parser.add_argument("--all", action="store_true", help="run every one; most of an hour")
    parser.add_argument(
        "--rounds", type=int, metavar="N", help="rounds of each [7], at least 1; more, less noise"
    )
    parser.add_argument(
        "--results", type=Path, default=_RESULTS, help="folder to keep results in [%(default)s]"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="run `quick`, keep nothing, and exit 1 only if a ratio is twice as bad as the one kept in --results",
    )
    parser.add_argument(
        "--table",
        action="store_true",
        help=f"write what is kept into {_DOCUMENT}, and draw its picture (which needs requirements-bench.lock)",
    )
    return parser


def _chosen(names: Sequence[str], *, every: bool) -> list[str]:
    if unknown := set(names) - BENCHMARKS.keys():
        raise SystemExit(f"No such benchmark: {', '.join(sorted(unknown))}. --list names them.")
    if not (names or every):
        raise SystemExit("Name a benchmark, or say --all; --help explains.")
    return list(names) or list(BENCHMARKS)


def _run(names: Sequence[str], rounds: int, folder: Path) -> int:
    from benchmarks.machine import this_machine  # noqa: PLC0415  # --list and --help need no server

    machine, all_kept = this_machine(), True
    print(machine.described(), flush=True)
    for name in names:
        print(f"\n{name}: {BENCHMARKS[name]}, {rounds} rounds", flush=True)
        measured = benchmark(name)(rounds)
        keep(result_of(measured, rounds, datetime.now(UTC).date(), machine), folder)
        print(*measured_lines(measured), sep="\n", flush=True)
        all_kept = all_kept and measured.kept
    return 0 if all_kept else 1


def _check(rounds: int, folder: Path) -> int:
    from benchmarks.quick import gross_losses, run  # noqa: PLC0415

    measured = run(rounds)
    print(*measured_lines(measured), sep="\n", flush=True)
    losses = [
        loss for recorded in kept(folder, ["quick"]) for loss in gross_losses(measured, recorded.measured)
    ]
    print(*(f"Twice as bad as recorded: {loss}" for loss in losses), sep="\n")
    return 1 if losses else 0


def _write_table(folder: Path) -> int:
    from benchmarks.picture import draw  # noqa: PLC0415

    results = kept(folder, list(BENCHMARKS))
    _DOCUMENT.write_text(written_into(_DOCUMENT.read_text(), results))
    for result in results:
        if result.benchmark == "data_path":
            draw(result.measured, folder / "data_path.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
