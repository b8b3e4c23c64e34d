"""The local stack's storage of Dagster: it keeps connections, and asks once which tables and columns there are."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import pytest
import sqlalchemy as sa

from purchase_pipeline_tests.waiting import wait_until


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is sent to the server."""
    sent = list[str]()

    def note(*call: object) -> None:
        sent.append(str(call[2]))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def sessions(engine: sa.Engine) -> list[int]:
    with engine.connect() as connection:
        query = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return sorted(connection.scalars(sa.text(query)))


def look(instance: dg.DagsterInstance) -> None:
    """Ask each of the three storages something."""
    instance.get_run_records(limit=1)
    instance.get_asset_records()
    instance.all_instigator_state()


def test_the_catalog_is_read_once(instance: dg.DagsterInstance) -> None:
    look(instance)

    with statements() as sent:
        look(instance)

    assert len(sent) >= 3
    assert [statement for statement in sent if "pg_catalog" in statement] == []


def test_tables_are_looked_for_once_in_a_process(instance: dg.DagsterInstance) -> None:
    look(instance)
    with statements() as sent, dg.DagsterInstance.from_ref(instance.get_ref()):
        pass

    assert sent == []


def test_connections_are_kept(instance: dg.DagsterInstance, engine: sa.Engine) -> None:
    look(instance)
    before = sessions(engine)

    look(instance)

    assert sessions(engine) == before
    assert 1 <= len(before) <= 3


def test_an_instance_that_is_closed_keeps_none(instance: dg.DagsterInstance, engine: sa.Engine) -> None:
    """A code server opens one for each look at its runs."""
    look(instance)
    gc.disable()
    try:
        with dg.DagsterInstance.from_ref(instance.get_ref()) as another:
            look(another)
            assert len(sessions(engine)) > 3
    finally:
        gc.enable()

    wait_until(lambda: len(sessions(engine)) <= 3)


def test_a_connection_that_the_server_ended_is_replaced_unnoticed(
    instance: dg.DagsterInstance, engine: sa.Engine
) -> None:
    look(instance)
    before = sessions(engine)
    with engine.connect() as connection:
        for session in before:
            connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": session})

    look(instance)

    assert set(sessions(engine)).isdisjoint(before)


def test_what_a_migration_adds_is_seen(instance: dg.DagsterInstance, engine: sa.Engine) -> None:
    storage = instance.event_log_storage
    assert not storage.has_table("added")  # type: ignore[attr-defined]  # PostgreSQL's

    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE added ()"))

    assert storage.has_table("added")  # type: ignore[attr-defined]


DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-06")


@dg.asset(partitions_def=DAYS, check_specs=[dg.AssetCheckSpec("good", asset="days")])
def days() -> Iterator[dg.MaterializeResult[None]]:
    yield dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])


@dg.asset(partitions_def=DAYS, deps=[days])
def later() -> None: ...


def stored_by_a_run(
    instance: dg.DagsterInstance, engine: sa.Engine
) -> dict[str, list[sa.Row[tuple[object, ...]]]]:
    """What a run of several partitions leaves in Dagster's tables, save its id and moments."""
    keys = DAYS.get_partition_keys()
    run = dg.materialize(
        [days, later],
        instance=instance,
        tags={"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]},
    ).run_id
    queries = {
        "events": """
            SELECT dagster_event_type, asset_key, partition, step_key FROM event_logs
            WHERE run_id = :run AND dagster_event_type LIKE 'ASSET%' ORDER BY id""",
        "planned messages": """
            SELECT replace(event::jsonb #>> '{dagster_event,message}', :run, '') FROM event_logs
            WHERE run_id = :run AND dagster_event_type LIKE '%PLANNED' ORDER BY id""",
        "assets": """
            SELECT k.asset_key, k.last_run_id = :run, last_materialization::jsonb #>> '{event_log_entry,run_id}' = :run,
                e.partition, e.dagster_event_type, e.timestamp = last_materialization_timestamp
            FROM asset_keys k JOIN event_logs e ON e.id = (last_materialization::jsonb ->> 'storage_id')::bigint
            ORDER BY 1""",
        "tags": """
            SELECT t.asset_key, t.key, e.partition, t.event_timestamp = e.timestamp
            FROM asset_event_tags t JOIN event_logs e ON e.id = t.event_id WHERE e.run_id = :run ORDER BY t.id""",
        "checks": """
            SELECT c.asset_key, check_name, c.partition, execution_status, e.dagster_event_type,
                e.timestamp = evaluation_event_timestamp, e.event = evaluation_event
            FROM asset_check_executions c LEFT JOIN event_logs e ON e.id = evaluation_event_storage_id
            WHERE c.run_id = :run ORDER BY c.id""",
    }
    with engine.connect() as connection:
        return {
            what: list(connection.execute(sa.text(query), {"run": run})) for what, query in queries.items()
        }


def test_events_stored_in_a_batch_are_those_stored_one_by_one(
    instance: dg.DagsterInstance, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "0")
    one_by_one = stored_by_a_run(instance, engine)
    instance.wipe_assets([days.key, later.key])
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    with statements() as sent:
        in_batches = stored_by_a_run(instance, engine)

    assert in_batches == one_by_one
    assert {what: len(rows) for what, rows in in_batches.items()} == {
        "events": 22,
        "planned messages": 11,
        "assets": 2,
        "tags": 10,
        "checks": 6,
    }
    inserts = [
        statement
        for statement in sent
        if statement.startswith("INSERT INTO event_logs") and "SELECT" in statement
    ]
    assert len(inserts) == 3  # what is planned, and the materializations of each asset


def test_planned_partitions_are_known_before_the_run(
    instance: dg.DagsterInstance, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    job = dg.Definitions(
        [days, later], jobs=[dg.define_asset_job("all_days", [days, later])]
    ).resolve_job_def("all_days")
    keys = DAYS.get_partition_keys()
    run = instance.create_run_for_job(
        job,
        tags={"dagster/asset_partition_range_start": keys[1], "dagster/asset_partition_range_end": keys[3]},
    )

    storage = instance.event_log_storage
    planned = [key for key in keys if storage.get_latest_planned_materialization_info(days.key, key)]
    assert planned == keys[1:4]
    last = storage.get_latest_planned_materialization_info(later.key)
    assert last is not None
    assert last.run_id == run.run_id
    checks = """
        SELECT check_name, c.partition, execution_status, e.event = c.evaluation_event
        FROM asset_check_executions c JOIN event_logs e ON e.id = evaluation_event_storage_id ORDER BY c.id"""
    with engine.connect() as connection:
        stored = [tuple(row) for row in connection.execute(sa.text(checks))]
    assert stored == [("good", key, "PLANNED", True) for key in keys[1:4]]
