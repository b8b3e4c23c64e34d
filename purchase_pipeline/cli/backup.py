"""Commands that keep the data: `backup`, `restore`."""

from pathlib import Path

import click
from rich.console import Console

from purchase_pipeline.cli.outcome import read_settings, succeeds

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("file", type=_FILE)
@succeeds
def backup(*, file: Path) -> bool:
    """Save data, ledger, history and landed files to one file.

    \b
    purchase-pipeline backup purchases.zip

    All are of one moment, also while batches are loaded. An existing file is replaced once the new one is complete. Not
    in it: logs, the database `scratch`, and landed files in a bucket or outside of PURCHASE_LANDING. With DATABASE_URL,
    the whole database is saved, by the pg_dump on the PATH.
    """
    from purchase_pipeline.ops.backups.printing import print_saved
    from purchase_pipeline.ops.backups.saving import save_backup

    settings = read_settings()
    with Console(stderr=True).status("Saving ...") as status:
        saved = save_backup(settings, file, status.update)
    print_saved(Console(), file, saved)
    return True


@click.command()
@click.argument("file", type=_FILE)
@click.option("--replace", is_flag=True, help="Replace the data that is there.")
@succeeds
def restore(*, file: Path, replace: bool) -> bool:
    """Restore what `backup` has saved.

    \b
    purchase-pipeline restore purchases.zip             into an empty home
    purchase-pipeline restore --replace purchases.zip   into one with data

    Stop `up` first. The whole file is checked, then all of it is restored or, if anything fails or you interrupt it,
    nothing. Works on another machine, in another folder, and between the embedded server and DATABASE_URL, where tables
    that the backup lacks stay.
    """
    from purchase_pipeline.ops.backups.printing import print_restored
    from purchase_pipeline.ops.backups.restoring import restore_backup

    settings = read_settings()
    with Console(stderr=True).status("Restoring ...") as status:
        restored = restore_backup(settings, file, status.update, replace=replace)
    print_restored(Console(), file, restored)
    return True
