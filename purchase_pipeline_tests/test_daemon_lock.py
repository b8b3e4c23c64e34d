"""A storage has one daemon at a time; a killed one releases the lock."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import time

import dagster as dg
import psycopg
import pytest
import sqlalchemy as sa
from dagster._daemon.types import DaemonHeartbeat

from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.stack import daemon_lock
from purchase_pipeline.stack.daemon_lock import DaemonLock, only_daemon
from purchase_pipeline.stack.lock import DaemonRunningError
from purchase_pipeline_tests.bouncer import a_bouncer

HOLDS_UNTIL_KILLED = """
import sys
import time

from purchase_pipeline.stack.daemon_lock import only_daemon

with only_daemon(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""

HOLDERS = """
    SELECT count(*), count(backend_xmin) FROM pg_stat_activity WHERE application_name LIKE 'purchase-pipeline up%'
"""


@contextmanager
def another_up(storage_url: str) -> Iterator["subprocess.Popen[str]"]:
    """Hold a storage's lock in another process, killed afterwards."""
    words = [sys.executable, "-c", HOLDS_UNTIL_KILLED, storage_url]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_daemon_is_refused_with_the_holder_of_the_lock(database_url: str) -> None:
    with (
        another_up(database_url) as holder,
        pytest.raises(DaemonRunningError) as refusal,
        only_daemon(database_url),
    ):
        pass
    assert f"purchase-pipeline up, process {holder.pid} on {os.uname().nodename}, since 20" in str(
        refusal.value
    )
    assert "DAGSTER_POSTGRES_URL" in str(refusal.value)

    with only_daemon(database_url):
        pass


def test_another_storage_is_free(database_url: str, server_url: str) -> None:
    with another_up(database_url), only_daemon(server_url):
        pass


def test_another_schema_of_the_same_database_is_another_storage(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE SCHEMA theirs")
    theirs = sa.make_url(database_url).update_query_dict({"options": "-csearch_path=theirs"})

    with another_up(theirs.render_as_string(hide_password=False)), only_daemon(database_url):
        pass


def test_a_password_is_not_shown(database_url: str) -> None:
    secret = database_url.replace("@", ":hunter2@", 1)

    with another_up(database_url), pytest.raises(DaemonRunningError) as refusal, only_daemon(secret):
        pass

    assert "hunter2" not in str(refusal.value)


def ends_sessions(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'purchase-pipeline up%'"
        )


def test_a_lost_lock_is_acquired_again(database_url: str) -> None:
    with only_daemon(database_url) as lock:
        ends_sessions(database_url)
        lock.hold()

        with pytest.raises(DaemonRunningError), only_daemon(database_url):
            pass


def test_losing_the_lock_to_another_process_is_reported(database_url: str) -> None:
    with only_daemon(database_url) as lock:
        ends_sessions(database_url)
        with (
            another_up(database_url) as winner,
            pytest.raises(DaemonRunningError, match=f"process {winner.pid} on"),
        ):
            lock.hold()


def test_the_lock_is_the_same_behind_a_pooler(server_url: str, database_url: str) -> None:
    with a_bouncer(server_url, default_pool_size=2) as bouncer:
        pooled = bouncer.url(database_url)
        with another_up(pooled):
            for url in (pooled, database_url):
                with pytest.raises(DaemonRunningError, match="purchase-pipeline up"), only_daemon(url):
                    pass
        with another_up(database_url), pytest.raises(DaemonRunningError), only_daemon(pooled):
            pass
        with only_daemon(pooled) as lock:
            lock.hold()
        with only_daemon(database_url):
            pass


@pytest.mark.parametrize("pooled", [False, True])
def test_the_lock_blocks_nobody_and_survives_timeouts(
    server_url: str, database_url: str, *, pooled: bool
) -> None:
    database = sa.make_url(database_url).database
    limits = (
        "idle_in_transaction_session_timeout = '200ms'",
        "default_transaction_isolation = 'repeatable read'",
    )
    with psycopg.connect(server_url, autocommit=True) as connection:
        for limit in limits:
            connection.execute(f"ALTER DATABASE {database} SET {limit}".encode())
    with (
        a_bouncer(server_url, default_pool_size=2) as bouncer,
        only_daemon(bouncer.url(database_url) if pooled else database_url) as lock,
        engine_for(database_url).connect() as connection,
    ):
        connection.execute(sa.text("SELECT pg_sleep(0.6)"))
        lock.hold()
        ((count, snapshots),) = connection.execute(sa.text(HOLDERS))
    assert (count, snapshots) == (1, 0)


def beat(instance: dg.DagsterInstance, daemon_id: str) -> None:
    instance.add_daemon_heartbeat(DaemonHeartbeat(time(), "SENSOR", daemon_id, []))


def test_a_second_daemon_is_detected_by_its_heartbeats(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(daemon_lock, "_POLL_SECONDS", 0.0)
    lock = DaemonLock("postgresql://bia:segredo@db/dagster")
    with dg.DagsterInstance.ephemeral() as instance:
        for daemon_id in ("predecessor", "ours", "ours", "ours, restarted", "theirs"):
            beat(instance, daemon_id)
            lock.watch(instance)

        beat(instance, "ours, restarted")
        with pytest.raises(DaemonRunningError, match="not started by `up`") as reported:
            lock.watch(instance)

    assert "segredo" not in str(reported.value)
