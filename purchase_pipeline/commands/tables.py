"""Commands about how tables are kept: `partition`."""

import click
from psycopg.errors import InsufficientPrivilege
from rich.console import Console
from sqlalchemy.exc import ProgrammingError

from purchase_pipeline.commands.outcome import newest_settings, succeeds

_MOST_PARTS = 1024


@click.command()
@click.option(
    "--parts",
    type=click.IntRange(2, _MOST_PARTS),
    help="Number of parts, for good; enough for 50 million rows in each.  [default: 16]",
)
@click.option("--plain", is_flag=True, help="Put it in one piece again.")
@click.option("--keep-old", is_flag=True, help="Keep the old table, as tabela_compras_old.")
@click.option("--abandon", is_flag=True, help="Give up what a stopped run has begun.")
@succeeds
def partition(*, parts: int | None, plain: bool, keep_old: bool, abandon: bool) -> bool:
    """Keep tabela_compras in parts, by the hash of the lot.

    For tables of 100 million rows and more. Lots may be loaded and read meanwhile. A copy is made beside the table, lot
    by lot; lots that are loaded meanwhile are copied again; then lots are counted in both, and the copy takes the
    table's place, which readers wait for, for a moment. It needs room for a second table. Stopped in whatever way, it
    goes on where it stood when it is run again.

    \b
    purchase-pipeline partition                     into 16 parts; a table that is not there yet is made so
    purchase-pipeline partition --parts 64          for a thousand million rows
    purchase-pipeline partition --plain             the way back

    Exit code 0 when the table is as wanted, also if it was before; else 1, and what to do is said.
    """
    from purchase_pipeline.partitioning import run_abandon, run_partition  # noqa: PLC0415
    from purchase_pipeline.postgres.repartition import CannotRepartitionError  # noqa: PLC0415

    if sum((parts is not None, plain, abandon)) > 1 or (abandon and keep_old):
        raise click.UsageError(
            "--parts, --plain and --abandon exclude each other; --keep-old goes with the first two."
        )
    settings, console = newest_settings(), Console()
    try:
        if abandon:
            run_abandon(settings, console)
        else:
            run_partition(settings, console, 0 if plain else parts, keep=keep_old)
    except CannotRepartitionError as error:
        raise click.ClickException(str(error)) from error
    except ProgrammingError as error:
        if not isinstance(error.orig, InsufficientPrivilege):
            raise
        raise click.ClickException(
            f"{error.orig.diag.message_primary}. It takes the role that owns tabela_compras, or a member of that role."
        ) from error
    return True
