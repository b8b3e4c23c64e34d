"""`tabela_compras` in parts by the hash of its lots, or in one piece again, while it is read and loaded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic, sleep
from typing import TypeVar

import psycopg
import sqlalchemy as sa
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from purchase_pipeline.database import database_in_use, database_url
from purchase_pipeline.postgres.connections import engine_for, transaction
from purchase_pipeline.postgres.parts import Shape
from purchase_pipeline.postgres.repartition import CannotRepartitionError, Repartition, Swapped
from purchase_pipeline.postgres.schema.tables import create_if_missing, placed
from purchase_pipeline.postgres.statements import Name
from purchase_pipeline.settings import Settings
from purchase_pipeline.tables import TABELA_COMPRAS

DEFAULT_PARTS = 16

_TABLE = Name("public", TABELA_COMPRAS.name)
_LOT = TABELA_COMPRAS.c.lote.name
_PATIENCE_SECONDS = 600.0
_PAUSE_SECONDS = 3.0  # in which those who stood in line behind us are served
_HELD = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
_GIVE_UP = "`purchase-pipeline partition --abandon` gives up what was begun; the table stays as it is."

T = TypeVar("T")


def run_partition(settings: Settings, console: Console, parts: int | None, *, keep: bool) -> None:
    """Put the table into that many parts, or in one piece (0), from wherever an earlier run was stopped.

    `parts` None: whatever was begun; else into parts, as many as they may be.

    Raises:
        CannotRepartitionError: nothing, or nothing more, was done; what to do is said.
    """
    with _repartition(settings) as table:
        if not _begin(table, parts, console):
            console.print(f"{_TABLE.name} is in {table.shape} already; nothing to do.", highlight=False)
            return
        table.mark_rest()
        console.print(f"Copying {len(table.left())} lots ...", highlight=False)
        rows = _copy(table, console)
        with console.status("Comparing the copy with the table ..."):
            table.settle()
            table.compare()
        swapped = _swap(table, console, keep=keep)
        console.print(
            f"[green]✓[/] {_TABLE.name} is in {table.shape} now. {rows + swapped.rows:,} rows were copied, and the "
            f"lots counted in both; readers waited for {swapped.seconds * 1000:.0f} ms.",
            highlight=False,
            soft_wrap=True,
        )


def run_abandon(settings: Settings, console: Console) -> None:
    """Give up what a run has begun."""
    with _repartition(settings) as table:
        if table.begun is None:
            console.print("Nothing is begun; nothing to give up.")
            return
        _patiently(table.abandon, console, "give up")
        console.print(f"Given up. {_TABLE.name} is as it was: in {table.shape}.", highlight=False)


@contextmanager
def _repartition(settings: Settings) -> Iterator[Repartition]:
    with database_in_use(settings):
        engine = engine_for(database_url(settings)).execution_options(postgresql_readonly=False)
        with transaction(engine) as connection:
            create_if_missing(connection, [placed(TABELA_COMPRAS, *_TABLE)])
        with engine.connect() as connection:
            yield Repartition(connection, _TABLE, _LOT)


def _begin(table: Repartition, parts: int | None, console: Console) -> bool:
    """Begin, or go on with what was begun; return False if the table is as wanted."""
    begun, shape = table.begun, table.shape
    if begun is not None:
        if parts is not None and parts != begun.parts:
            raise CannotRepartitionError(
                f"{_TABLE.name} is on its way into {begun}: run this again without --parts or --plain. {_GIVE_UP}"
            )
        console.print(f"Going on where an earlier run stood: into {begun}.", highlight=False)
        return True
    if shape is not None and _is_as_wanted(shape, parts):
        return False
    _patiently(partial(table.begin, DEFAULT_PARTS if parts is None else parts), console, "begin")
    return True


def _is_as_wanted(shape: Shape, parts: int | None) -> bool:
    if shape.by and parts and parts != shape.parts:
        raise CannotRepartitionError(
            f"{_TABLE.name} is in {shape} already. For another number of parts, put it in one piece first: "
            "`purchase-pipeline partition --plain`."
        )
    return bool(shape.by) if parts is None else shape.parts == parts


def _copy(table: Repartition, console: Console) -> int:
    """Copy slice by slice until none is left, not even of those that are written meanwhile; return the rows."""
    rows = 0
    with Progress(
        TextColumn("lots"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("lots", total=None, rows=0)
        done = 0
        while left := table.left():
            progress.update(task, total=done + len(left))
            for lote in left:
                rows += _patiently(partial(table.copy, lote), console, f"copy {lote}")
                done += 1
                progress.update(task, advance=1, rows=rows)
    return rows


def _swap(table: Repartition, console: Console, *, keep: bool) -> Swapped:
    copied = 0
    while True:
        swapped = _patiently(partial(table.swap, keep=keep), console, "put the copy in place")
        if swapped is not None:
            return swapped._replace(rows=copied + swapped.rows)
        copied += _copy(table, console)


def _patiently(step: Callable[[], T], console: Console, what: str) -> T:
    """Take a step for which somebody may hold a lock too long; give those behind us their turn, and try again.

    Raises:
        CannotRepartitionError: the lock was not to be had.
    """
    deadline, told = monotonic() + _PATIENCE_SECONDS, False
    while True:
        try:
            return step()
        except sa.exc.OperationalError as error:
            if not isinstance(error.orig, _HELD):
                raise
            if monotonic() > deadline:
                raise CannotRepartitionError(
                    f"{_TABLE.name} is held by somebody's long transaction, so that it was not possible to {what}. "
                    f"What is copied stays: run this again, and it goes on. {_GIVE_UP}"
                ) from error
        if not told:
            console.print(f"Somebody reads or writes {_TABLE.name} at length; waiting to {what} ...")
            told = True
        sleep(_PAUSE_SECONDS)
