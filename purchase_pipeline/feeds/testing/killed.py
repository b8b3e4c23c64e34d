"""A load that is killed before it commits: in a child process, by SIGKILL."""

import gc
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from typing import Any

import sqlalchemy as sa

from purchase_pipeline.feeds.testing.stage import Stage, named
from purchase_pipeline.ingest.ledger import LEDGER
from purchase_pipeline.ingest.printable import quantity

_LONGEST_SECONDS = 120.0
_NOT_KILLED = 0


def require_nothing_of_a_killed_load(stage: Stage, key: str, answer: Callable[[], object]) -> None:
    """Load a partition in a process that is killed with all rows written, and none committed.

    Args:
        stage: with an empty database.
        key: the partition.
        answer: starts to answer requests; called after the fork, which would not copy a thread.

    Raises:
        AssertionError: rows, or an entry in the ledger, are left; or the load was not one transaction.
    """
    # A fork, as the feed need not be importable: it may be declared in a test.
    child = get_context("fork").Process(target=_load_until_commit, args=(stage, key))
    with warnings.catch_warnings(), _without_collection():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads that are not the kit's
        child.start()
    answer()
    child.join(_LONGEST_SECONDS)
    if child.is_alive():
        child.kill()
        child.join()
        raise AssertionError(f"{named(key)}the load did not end within {_LONGEST_SECONDS:g} s.")
    if child.exitcode == _NOT_KILLED:
        raise AssertionError(
            f"{named(key)}the load committed its rows without their entry in {LEDGER.name}: it is not one transaction."
        )
    if child.exitcode != -signal.SIGKILL:
        return  # it failed: the next load, in this process, says why
    for table in stage.feed.tables.both:
        if left := len(stage.rows(table)):
            raise AssertionError(
                f"{named(key)}a load that was killed has left {quantity(left, 'row')} in {table.name}."
            )
    if stage.ledger.counted():
        raise AssertionError(f"{named(key)}a load that was killed is in {LEDGER.name}.")


@contextmanager
def _without_collection() -> Iterator[None]:
    """Keep a child from collecting this process's garbage: a compressor would wait for a thread that was not copied."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _load_until_commit(stage: Stage, key: str) -> None:
    sa.event.listen(sa.Engine, "commit", _killing(stage.feed.tables.accepted.name))
    tempfile.tempdir = str(stage.settings.home)  # where nothing outlives the check
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123  (until the end)
    exit_code = 1
    with suppress(BaseException):
        stage.load(key)
        exit_code = _NOT_KILLED
    os._exit(exit_code)


def _killing(table: str) -> Callable[[sa.Connection], None]:
    """Return a listener that kills the process before it commits an entry of the table in the ledger."""
    entry = sa.select(sa.func.count()).where(LEDGER.c.asset == table)

    def kill(connection: sa.Connection) -> None:
        if connection.dialect.name == "postgresql" and _has_entry(connection, entry):
            os.kill(os.getpid(), signal.SIGKILL)

    return kill


def _has_entry(connection: sa.Connection, entry: sa.Select[Any]) -> bool:
    found = sa.func.to_regclass(LEDGER.name).is_not(None)
    return bool(connection.scalar(sa.select(found)) and connection.scalar(entry))
