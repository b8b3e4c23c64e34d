"""The suite's command: `python -m io_manager_conformance behaviours`, or `table FILE.json ...`, in Markdown."""

import argparse
from pathlib import Path

from io_manager_conformance.results import Results
from io_manager_conformance.table import demands, markdown


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m io_manager_conformance", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("behaviours", help="what each behaviour demands, and why")
    table = commands.add_parser("table", help="who has which, from the files of --conformance-json")
    table.add_argument("files", nargs="+", type=Path, metavar="FILE.json")
    given = parser.parse_args()
    print(demands() if given.command == "behaviours" else markdown([*map(Results.read, given.files)]))


if __name__ == "__main__":
    main()
