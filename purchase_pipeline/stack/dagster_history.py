"""Retention of Dagster's history: finished runs, with their events, check results and captured output.

Dagster's own `retention` knows ticks only, and deleting a run deletes the materializations that it reported. So what
the asset catalog shows of a run is kept: the newest materialization and the newest check result of each partition.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, get_args

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline import PipelineError
from purchase_pipeline.stack.dagster_internals import (
    REPOSITORY_LABEL_TAG,
    AssetCheckExecutionsTable,
    SqlEventLogStorage,
    SqlEventLogStorageTable,
)
from purchase_pipeline.stack.run_ownership import LAUNCHED_BY_TAG

_RUNS_A_PAGE = 500
_End = Literal[
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_CANCELED,
]
_OF_THE_CATALOG = (
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_OBSERVATION,
)
_KEPT_OF_A_LOG = [event.value for event in (*_OF_THE_CATALOG, dg.DagsterEventType.ASSET_CHECK_EVALUATION)]

Owns = Callable[[dg.DagsterRun], bool]


class UnknownStorageError(PipelineError):
    """Dagster's storage is not a SQL database, so its events cannot be deleted."""


class PrunedRun(NamedTuple):
    """A run that was deleted, or whose log was, because the asset catalog shows what it materialized."""

    run_id: str
    what: Literal["run", "log"]


def of_code_location(run: dg.DagsterRun) -> Owns:
    """Return whether another run is of the same code location; runs in a process of ours have none."""
    location = run.tags.get(REPOSITORY_LABEL_TAG)

    def owns(other: dg.DagsterRun) -> bool:
        launched_from = other.tags.get(REPOSITORY_LABEL_TAG)
        return LAUNCHED_BY_TAG in other.tags if launched_from is None else launched_from == location

    return owns


def prune_runs(
    instance: dg.DagsterInstance, before: datetime, *, owns: Owns = lambda _: True, dry_run: bool = False
) -> Iterator[PrunedRun]:
    """Delete the runs that ended before a moment, and the logs of those that the asset catalog shows.

    A failed run is kept whole until something else has run for each of its partitions.

    Args:
        instance: Dagster's instance, with a SQL storage.
        before: the moment.
        owns: whether a run may be deleted.
        dry_run: delete nothing; yield what would be deleted.

    Raises:
        UnknownStorageError: the storage is another one.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise UnknownStorageError(
            f"{type(storage).__name__} is not a SQL storage: its runs cannot be pruned.",
            hint="Unset PURCHASE_RUN_RETENTION_DAYS.",
        )
    shown, without_log = _shown_by_the_catalog(storage)
    for run_id, end in _ended(instance, before, owns):
        without_log.discard(run_id)
        if run_id not in shown:
            if not dry_run:
                _delete_run(instance, storage, run_id)
            yield PrunedRun(run_id, "run")
        elif end is dg.DagsterEventType.RUN_SUCCESS:
            if not dry_run:
                _delete_log(instance, storage, run_id)
            yield PrunedRun(run_id, "log")
    for run_id in _finished(instance, sorted(without_log), before, owns):
        if not dry_run:
            _delete_run(instance, storage, run_id)
        yield PrunedRun(run_id, "run")


def _ended(instance: dg.DagsterInstance, before: datetime, owns: Owns) -> Iterator[tuple[str, _End]]:
    """Yield the runs that have a log and ended before a moment: the event of their end is a part of the log."""
    ends: tuple[_End, ...] = get_args(_End)
    for end in ends:
        cursor, has_more = None, True
        ended = dg.RunStatusChangeRecordsFilter(end, before_timestamp=before.timestamp())
        while has_more:
            page = instance.fetch_run_status_changes(ended, _RUNS_A_PAGE, cursor, ascending=True)
            cursor, has_more = page.cursor, page.has_more
            ids = list(dict.fromkeys(record.run_id for record in page.records))
            runs = {run.run_id: run for run in instance.get_runs(dg.RunsFilter(run_ids=ids))} if ids else {}
            for run_id in ids:
                # One without a run is what an interrupted deletion left.
                if run_id not in runs or (runs[run_id].is_finished and owns(runs[run_id])):
                    yield run_id, end


def _finished(
    instance: dg.DagsterInstance, run_ids: Sequence[str], before: datetime, owns: Owns
) -> Iterator[str]:
    """Yield which of these runs ended before a moment."""
    for first in range(0, len(run_ids), _RUNS_A_PAGE):
        ids = run_ids[first : first + _RUNS_A_PAGE]
        for run in instance.get_runs(dg.RunsFilter(run_ids=ids, updated_before=before)):
            if run.is_finished and owns(run):
                yield run.run_id


def _shown_by_the_catalog(storage: SqlEventLogStorage) -> tuple[set[str], set[str]]:
    """Return the runs with the newest event of an asset's partition or the newest result of a check; and the others."""
    events, checks = SqlEventLogStorageTable.c, AssetCheckExecutionsTable.c
    of_the_catalog = events.dagster_event_type.in_([event.value for event in _OF_THE_CATALOG])
    newest_events = (
        sa.select(sa.func.max(events.id))
        .where(of_the_catalog)
        .group_by(events.dagster_event_type, events.asset_key, events.partition)
    )
    newest_checks = sa.select(sa.func.max(checks.id)).group_by(
        checks.asset_key, checks.check_name, checks.partition
    )
    with storage.index_connection() as connection:
        known = set(connection.scalars(sa.select(events.run_id).where(of_the_catalog).distinct()))
        shown = {
            *connection.scalars(sa.select(events.run_id).where(events.id.in_(newest_events)).distinct()),
            *connection.scalars(sa.select(checks.run_id).where(checks.id.in_(newest_checks)).distinct()),
        }
    return shown, known - shown - {""}  # of events that no run reported


def _delete_run(instance: dg.DagsterInstance, storage: SqlEventLogStorage, run_id: str) -> None:
    """Delete a run; its events last, as by them an interrupted deletion is found again."""
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    with storage.index_connection() as connection:
        connection.execute(
            AssetCheckExecutionsTable.delete().where(AssetCheckExecutionsTable.c.run_id == run_id)
        )
    instance.delete_run(run_id)


def _delete_log(instance: dg.DagsterInstance, storage: SqlEventLogStorage, run_id: str) -> None:
    """Delete what a run logged and printed; keep the run and what the asset catalog shows of it."""
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    events = SqlEventLogStorageTable.c
    log = SqlEventLogStorageTable.delete().where(
        events.run_id == run_id,
        sa.or_(events.dagster_event_type.is_(None), events.dagster_event_type.not_in(_KEPT_OF_A_LOG)),
    )
    # SQLite has a file for each run, and one for what is searched across runs; PostgreSQL a table for both.
    with storage.run_connection(run_id) as of_the_run, storage.index_connection() as of_all:
        of_the_run.execute(log)
        of_all.execute(log)
