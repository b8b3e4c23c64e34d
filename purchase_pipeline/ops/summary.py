"""The end of `up` and `ingest`: what is loaded, what is not, what to look at next."""

import os
import shutil
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.ingest.ledger import LoadedPartition, totals
from purchase_pipeline.ingest.printable import few, quantity
from purchase_pipeline.ops.lines import print_text
from purchase_pipeline.stack.services import OWN_DEFINITIONS

_PROGRAM = "purchase-pipeline"


def print_summary(
    console: Console, target: Collection[str], batches: Iterable[LoadedPartition], seconds: float
) -> None:
    """Print what a run of `up` or `ingest` has loaded, and what is missing."""
    known = list(batches)
    received, loaded, rejected = totals(known)
    balanced = all(batch.balanced for batch in known)
    console.print()
    print_text(
        console,
        Text.assemble(
            (f"{len(known)} of {len(target)} batches loaded", "bold"),
            f" in {seconds:.1f} s: {quantity(received, 'row')} received = {loaded:,} loaded + {rejected:,} rejected",
            "." if balanced else (f"  - not balanced; see `{program()} status`.", "red"),
        ),
    )
    loaded_keys = {batch.key for batch in known}
    if missing := [key for key in target if key not in loaded_keys]:
        print_text(console, Text(f"Not loaded: {few(missing)}.", "red"))


def print_next_steps(
    console: Console,
    feed: Feed,
    batches: Iterable[LoadedPartition],
    *,
    module: str = OWN_DEFINITIONS,
    ui: str = "",
) -> None:
    """Print the commands that show what was loaded, as they can be typed here."""
    known = list(batches)
    if not known:
        return
    own = module == OWN_DEFINITIONS
    command = program() if own else f"{program()} -m {module} --feed {feed.name}"
    steps = {
        f"{command} status": "rows by batch",
        f"{command} rejects --by reason": "why rows failed" if totals(known).rejected else "",
        f"{command} report": "charts of the sales" if own else "",
        f"{command} sql": "saved queries" if own else "",
        ui: "assets and runs" if ui else "",
    }
    shown = {step: what for step, what in steps.items() if what}
    width = max(map(len, shown))
    for number, (step, what) in enumerate(shown.items()):
        print_text(console, Text(f"{'' if number else 'Next:':7}{step:{width}}  {what}"))


def program() -> str:
    """Return the name of the command line as it can be typed here: with its folder if that is not on the PATH."""
    typed = Path(sys.argv[0])
    if shutil.which(_PROGRAM) or typed.name != _PROGRAM:
        return _PROGRAM
    shortest = os.path.relpath(typed)
    return str(typed) if shortest.startswith(os.pardir) else shortest
