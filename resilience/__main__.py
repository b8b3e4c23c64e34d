"""The lab from a shell: `python -m resilience --help`."""

import argparse
import random
import signal
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from resilience.drills import report as drill_report
from resilience.drills.outcome import Drill
from resilience.drills.report import DRILLS, Result
from resilience.drills.soak import FAULT_SECONDS
from resilience.hosts import report as host_report
from resilience.hosts.campaign import campaign

_DOCS = Path("docs")


def main(words: Sequence[str] | None = None) -> int:
    """Do what the words ask, and return the exit code: 1 if anything was lost, doubled or not healed."""
    asked = _parser().parse_args(words)
    # Stopped by a signal, it still removes what it started; a shell in the background would have SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    clean: bool = asked.run(asked)
    return 0 if clean else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m resilience", description="Break the real system, and count what came of it."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    drills = commands.add_parser("drills", help="strike one kind of fault many times")
    drills.add_argument("names", nargs="*", metavar="NAME", help="drills to run")
    drills.add_argument("--list", action="store_true", help="list the drills: times in full, times in short")
    drills.add_argument("--all", action="store_true", help="run every drill; hours")
    drills.add_argument(
        "--short", action="store_true", help="run the short version of all that have one; minutes"
    )
    drills.add_argument("--minutes", type=float, help="how long the soak goes on, in place of --times")
    drills.add_argument(
        "--seed", type=int, help="what random moments are drawn from; else a new one, printed"
    )
    drills.add_argument("--times", type=int, help="times, in place of the full version's")
    drills.set_defaults(run=_drills)
    hosts = commands.add_parser(
        "hosts", help="load lots on several hosts and strike them; needs root, and Redis"
    )
    hosts.add_argument(
        "--workers", type=int, nargs="+", default=[3], help="worker hosts; a campaign each [3]"
    )
    hosts.add_argument("--lots", type=int, default=60, help="lots [%(default)s]")
    hosts.add_argument("--rows", type=int, default=10_000, help="rows in a lot [%(default)s]")
    hosts.add_argument("--calm", action="store_true", help="strike nothing: measure how fast they are")
    hosts.set_defaults(run=_hosts)
    for command in (drills, hosts):
        command.add_argument(
            "--results", type=Path, default=_DOCS, help="folder to keep results in [%(default)s]"
        )
    commands.add_parser("all", help="run every drill in full, then the hosts; hours").set_defaults(run=_all)
    commands.add_parser("table", help="write the kept results into the documents").set_defaults(run=_table)
    return parser


def _all(_: argparse.Namespace) -> bool:
    codes = [main(["drills", "--all"]), main(["hosts"])]
    return not any(codes)


def _drills(asked: argparse.Namespace) -> bool:
    if asked.list:
        for drill in DRILLS:
            print(f"{drill.name:<34}{drill.full:>5}{drill.short:>4}  {drill.fault}")
        return True
    drills = _chosen(asked.names, every=asked.all, short=asked.short)
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
        results.append(drill_report.result_of(drill, outcome, datetime.now(UTC).date()))
        if not asked.short:
            drill_report.keep(results[-1], asked.results / "reliability")
    print(drill_report.table(results))
    return all(result.clean for result in results)


def _chosen(names: Sequence[str], *, every: bool, short: bool) -> list[Drill]:
    known = {drill.name: drill for drill in DRILLS}
    if unknown := set(names) - known.keys():
        raise SystemExit(f"No such drill: {', '.join(sorted(unknown))}. --list names them.")
    if not (names or every or short):
        raise SystemExit("Name a drill, or say --all or --short; --help explains.")
    chosen = [known[name] for name in names] or list(DRILLS)
    return [drill for drill in chosen if drill.short or not short]


def _hosts(asked: argparse.Namespace) -> bool:
    clean = True
    for workers in asked.workers:
        every = 0.1 if asked.calm else 2.0  # calm: as many as they can
        report = campaign(workers, asked.lots, asked.rows, every=every, with_faults=not asked.calm)
        print(report.model_dump_json(indent=1), flush=True)
        host_report.keep(report, asked.results / "scaling")
        clean = clean and report.clean
    return clean


def _table(_: argparse.Namespace) -> bool:
    reliability, scaling = _DOCS / "reliability.md", _DOCS / "scaling.md"
    kept = drill_report.kept(_DOCS / "reliability")
    reliability.write_text(drill_report.written_into(reliability.read_text(), kept))
    scaling.write_text(host_report.written_into(scaling.read_text(), _DOCS / "scaling"))
    return True


if __name__ == "__main__":
    sys.exit(main())
