"""Dagster's PostgreSQL storage, which keeps its connections, remembers its schema and stores events in batches.

Dagster's own connects for each statement, and reads the catalog before most: a quarter of the CPU time of `up`.
"""

from collections.abc import Callable, Mapping, Sequence
from multiprocessing import parent_process
from typing import Any, ParamSpec, Self

import dagster as dg

from purchase_pipeline import needs_extra
from purchase_pipeline.stack.dagster_internals import (
    AssetCheckExecutionsTable,
    ConfigurableClassData,
    SqlEventLogStorageTable,
    serialize_value,
)

with needs_extra("app", "Dagster's storage in PostgreSQL"):
    from dagster_postgres import (
        DagsterPostgresStorage,
        PostgresEventLogStorage,
        PostgresRunStorage,
        PostgresScheduleStorage,
    )
    from dagster_postgres.utils import create_pg_engine, pg_url_from_config

P = ParamSpec("P")

_QUESTIONS = (
    "has_asset_key_col",
    "has_backfill_id_column",
    "has_backfill_tags_table",
    "has_built_index",
    "has_bulk_action_job_name_column",
    "has_bulk_actions_selector_cols",
    "has_instigators_table",
    "has_run_stats_index_cols",
    "has_secondary_index_table",
    "has_table",
)
"""Methods of the three storages that read the catalog at each call."""

_WITH_TABLES = set[str]()
"""URLs of databases in which this process has found Dagster's tables, or has created them."""

_BATCHED = {
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
}


class BatchingEventLogStorage(PostgresEventLogStorage):
    """Stores the events of a batch in one statement a table.

    Dagster's own stores planned materializations one by one, compiles a statement for each batch, and serializes the
    event of a planned check for each partition: together a tenth of the CPU time of 240 small partitions.
    """

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store events as `store_event` does each in turn, with the asset table as the last of each asset leaves it."""
        if not {event.dagster_event_type for event in events} <= _BATCHED:
            super().store_event_batch(events)
            return
        table = SqlEventLogStorageTable
        insert = table.insert().returning(table.c.id, sort_by_parameter_order=True)
        with self._connect() as connection:
            ids = connection.scalars(insert, [self._event_to_row(event) for event in events]).all()
        checks, last_of_assets = (
            list[dict[str, Any]](),
            dict[dg.AssetKey | None, tuple[dg.EventLogEntry, int]](),
        )
        for event, event_id in zip(events, ids, strict=True):
            if event.dagster_event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
                checks += self._planned_checks(event, event_id)
            else:
                last_of_assets[event.get_dagster_event().asset_key] = event, event_id
        with self.index_transaction() as connection:
            self._store_asset_event_tags(connection, events, ids)
            for event, event_id in last_of_assets.values():
                self._store_asset_event(connection, event, event_id)
            if checks:
                connection.execute(AssetCheckExecutionsTable.insert(), checks)

    def _planned_checks(self, event: dg.EventLogEntry, event_id: int) -> list[dict[str, Any]]:
        planned = event.get_dagster_event().asset_check_planned_data
        subset = planned.partitions_subset
        row = {
            "asset_key": planned.asset_key.to_string(),
            "check_name": planned.check_name,
            "run_id": event.run_id,
            "execution_status": "PLANNED",
            "evaluation_event": serialize_value(event),
            "evaluation_event_timestamp": self._event_insert_timestamp(event),  # type: ignore[no-untyped-call]
            "evaluation_event_storage_id": event_id,
        }
        return [{**row, "partition": key} for key in (subset.get_partition_keys() if subset else [None])]


class KeepingPostgresStorage(DagsterPostgresStorage):
    """Keeps one connection of each of the three storages, and what they know about their schema."""

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        # Each of the three looks for its tables with two connections. Once in a process is enough, as each tick of a
        # sensor opens an instance. A process of a run does not look: the run is in the tables.
        super().__init__(
            postgres_url, parent_process() is None and postgres_url not in _WITH_TABLES, inst_data
        )
        _WITH_TABLES.add(postgres_url)
        self._event_log_storage = BatchingEventLogStorage(self.postgres_url, should_autocreate_tables=False)
        self._run_storage.dispose = self._disconnect  # type: ignore[method-assign]  # an instance calls it at its end
        for storage in self._storages:
            # A server that restarts ends the connections that are kept: so each is tried first.
            storage._engine = create_pg_engine(  # noqa: SLF001  (it has no other way in)
                self.postgres_url,
                isolation_level="AUTOCOMMIT",
                pool_size=1,
                max_overflow=-1,
                pool_pre_ping=True,
            )
            for question in _QUESTIONS:
                if hasattr(storage, question):
                    setattr(storage, question, _remembering(getattr(storage, question)))

    @property
    def _storages(self) -> tuple[PostgresRunStorage, PostgresEventLogStorage, PostgresScheduleStorage]:
        return self._run_storage, self._event_log_storage, self._schedule_storage

    def _disconnect(self) -> None:
        for storage in self._storages:
            storage._engine.dispose()  # noqa: SLF001

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """Create the storage that a dagster.yaml describes."""
        return cls(pg_url_from_config(config_value), inst_data)


def _remembering(asks: Callable[P, bool]) -> Callable[P, bool]:
    """Ask until it is true: a migration adds what is missing, and removes nothing."""
    known = set[object]()

    def ask(*args: P.args, **kwargs: P.kwargs) -> bool:
        what = (args, *kwargs.items())
        if what not in known and asks(*args, **kwargs):
            known.add(what)
        return what in known

    return ask
