"""How a backup is described on the console."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from purchase_pipeline.ingest.landing.backend import BUCKET_SCHEME
from purchase_pipeline.ingest.printable import few, quantity
from purchase_pipeline.ops.backups.archive import Backup
from purchase_pipeline.ops.backups.saving import Saved
from purchase_pipeline.ops.lines import print_text
from purchase_pipeline.ops.summary import program


def print_saved(console: Console, file: Path, saved: Saved) -> None:
    """Print what was saved, what is not in the file, and what to do with it."""
    print_text(console, f"Saved {file}, {file.stat().st_size / 1e6:,.1f} MB:")
    for line in _content(saved.backup):
        print_text(console, line, indent=2)
    if saved.differing:
        print_text(
            console,
            f"{few(saved.differing)}: landed again and not loaded since, so `verify` will report it after a restore.",
        )
    print_text(console, "It has what the API sent, personal data included. Keep a copy on another machine.")


def print_restored(console: Console, file: Path, backup: Backup) -> None:
    """Print what was restored, and the next step."""
    print_text(console, f"Restored {file}, saved {backup.created_at:%Y-%m-%d %H:%M:%S} UTC:")
    for line in _content(backup):
        print_text(console, line, indent=2)
    print_text(console, f"Next:  {program()} verify  every row, against its landed file")


def _content(backup: Backup) -> Iterator[str]:
    for table in backup.tables:
        schema = "" if table.schema_name == "public" else f"{table.schema_name}."
        yield f"{schema}{table.name}: {quantity(table.rows, 'row')}"
    yield "Dagster's history"
    if backup.landed_files is not None:
        yield quantity(backup.landed_files, "landed file")
    elif backup.landing.startswith(BUCKET_SCHEME):
        yield f"without the landed files, which are in {backup.landing}"
