"""Dagster's in-memory instances at a third of their cost, which is most of a short run's.

Four changes. The 90 migrations are read once. A storage keeps its connections: Dagster's opens one for each statement.
Of its steps' events, a run stores failures alone; its result has all. A run that is given no instance gets one that an
earlier run has left, emptied.
"""

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.execution import execute_in_process
from dagster._core.storage.event_log import in_memory as event_log
from dagster._core.storage.event_log.schema import SqlEventLogStorageMetadata
from dagster._core.storage.root import TemporaryLocalArtifactStorage
from dagster._core.storage.runs import in_memory as runs
from dagster._core.storage.runs.schema import RunStorageSqlMetadata

_read_migrations, _migrations = ScriptDirectory.from_config, dict[str | None, ScriptDirectory]()
_store_event = event_log.InMemoryEventLogStorage.store_event
_left = list[dg.DagsterInstance]()


def make_cheaper() -> None:
    """Change Dagster in this process."""
    ScriptDirectory.from_config = staticmethod(_migrations_once)  # type: ignore[method-assign]
    event_log.create_engine = runs.create_engine = _engine  # type: ignore[attr-defined, assignment]
    event_log.InMemoryEventLogStorage.store_event = _store_what_is_read  # type: ignore[method-assign]
    execute_in_process.ephemeral_instance_if_missing = _instance  # type: ignore[attr-defined, assignment]


def _migrations_once(config: Config) -> ScriptDirectory:
    location = config.get_main_option("script_location")
    if location not in _migrations:
        _migrations[location] = _read_migrations(config)
    return _migrations[location]


def _engine(url: str, **_: object) -> sa.Engine:
    # Threads take turns with a connection.
    return sa.create_engine(f"{url}&check_same_thread=false", poolclass=sa.QueuePool)


def _store_what_is_read(storage: event_log.InMemoryEventLogStorage, entry: dg.EventLogEntry) -> None:
    event = entry.dagster_event
    if event and (event.is_job_event or event.is_step_failure or event.asset_key):
        _store_event(storage, entry)  # type: ignore[no-untyped-call]


@contextmanager
def _instance(given: dg.DagsterInstance | None) -> Iterator[dg.DagsterInstance]:
    if given is not None:
        yield given
        return
    instance = _left.pop() if _left else _new_instance()
    yield instance
    _empty(instance)
    _left.append(instance)


def _new_instance() -> dg.DagsterInstance:
    instance = dg.DagsterInstance.ephemeral()
    atexit.register(instance.dispose)
    return instance


def _empty(instance: Any) -> None:  # noqa: ANN401  (its storages' engines are private)
    for storage, metadata in (
        (instance.run_storage, RunStorageSqlMetadata),
        (instance.event_log_storage, SqlEventLogStorageMetadata),
    ):
        with storage._engine.begin() as connection:  # noqa: SLF001
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
    instance._local_artifact_storage.dispose()  # noqa: SLF001
    instance._local_artifact_storage = TemporaryLocalArtifactStorage()  # type: ignore[no-untyped-call]  # noqa: SLF001
