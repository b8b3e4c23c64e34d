"""Campaigns on several hosts, from a shell: `python -m purchase_pipeline_tests.hosts --help`."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from purchase_pipeline_tests.hosts.campaign import campaign
from purchase_pipeline_tests.hosts.report import keep, written_into

_RESULTS = Path("docs/scaling")
_DOCUMENT = Path("docs/scaling.md")


def main(words: Sequence[str] | None = None) -> int:
    """Do what the words ask, and return the exit code: 1 if a row was lost or doubled."""
    asked = _parser().parse_args(words)
    if asked.table:
        _DOCUMENT.write_text(written_into(_DOCUMENT.read_text(), asked.results))
        return 0
    # Stopped by a signal, it still removes the hosts; a shell in the background would have SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    clean = True
    for workers in asked.workers:
        report = campaign(workers, asked.lots, asked.rows, with_faults=not asked.calm)
        print(report.model_dump_json(indent=1), flush=True)
        keep(report, asked.results)
        clean = clean and report.clean
    return 0 if clean else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m purchase_pipeline_tests.hosts",
        description="Load lots on several hosts, each a network namespace, and strike them. Needs root, and Redis.",
    )
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[3], help="worker hosts; a campaign for each number [3]"
    )
    parser.add_argument("--lots", type=int, default=60, help="lots [%(default)s]")
    parser.add_argument("--rows", type=int, default=10_000, help="rows in a lot [%(default)s]")
    parser.add_argument("--calm", action="store_true", help="strike nothing: measure how fast they are")
    parser.add_argument(
        "--results", type=Path, default=_RESULTS, help="folder to keep results in [%(default)s]"
    )
    parser.add_argument(
        "--table", action="store_true", help=f"write the kept results' tables into {_DOCUMENT}"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
