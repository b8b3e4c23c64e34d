"""Orphaned runs are ended; runs of others, and running ones, are left alone."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import psutil
import pytest
from dagster._core.events import EngineEventData
from pydantic import SecretStr

from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.run_ownership import LAUNCHED_BY_TAG, this_launcher
from purchase_pipeline.stack.services import end_orphaned_runs
from purchase_pipeline_tests.waiting_job import waiting

GIVEN = Settings(database_url=SecretStr("postgresql://bia@db/shop"))
EMBEDDED = Settings()
STARTED, FAILURE = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE
NOBODY = 2**22 + 1  # above the highest PID of Linux


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An empty Dagster instance."""
    with dg.instance_for_test() as instance:
        yield instance


@contextmanager
def a_process(**environment: str) -> Iterator[int]:
    words = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with psutil.Popen(
        words, env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        yield process.pid
        process.stdin.close()


def under_way(instance: dg.DagsterInstance, pid: int | None = None, **tags: str) -> str:
    """Create a started run with the PID of its process in its first event."""
    run = instance.create_run_for_job(waiting, status=STARTED, tags=tags)
    if pid is not None:
        instance.report_engine_event("Begun.", run, EngineEventData.in_process(pid))
    return run.run_id


def left(settings: Settings, instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    end_orphaned_runs(settings, instance)
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


@pytest.mark.parametrize("settings", [GIVEN, EMBEDDED])
def test_an_orphaned_local_run_is_ended(settings: Settings, instance: dg.DagsterInstance) -> None:
    ours = {LAUNCHED_BY_TAG: this_launcher()}

    assert left(settings, instance, under_way(instance, NOBODY, **ours)) is FAILURE
    assert left(settings, instance, under_way(instance, None, **ours)) is FAILURE


def test_runs_of_other_launchers_are_left_alone(instance: dg.DagsterInstance) -> None:
    for tags in ({}, {LAUNCHED_BY_TAG: "elsewhere:/opt/dagster"}):
        assert left(GIVEN, instance, under_way(instance, NOBODY, **tags)) is STARTED


def test_a_run_of_another_shell_is_left_alone_while_alive(
    instance: dg.DagsterInstance,
) -> None:
    with a_process(DAGSTER_HOME=os.environ.get("DAGSTER_HOME", "/somewhere")) as pid:
        assert left(EMBEDDED, instance, under_way(instance, pid)) is STARTED
    assert left(EMBEDDED, instance, under_way(instance, NOBODY)) is FAILURE


def test_a_run_of_another_home_is_left_alone_while_alive(
    instance: dg.DagsterInstance,
) -> None:
    theirs = {LAUNCHED_BY_TAG: f"{socket.gethostname()}:/another/home"}
    with a_process(DAGSTER_HOME="/another/home") as pid:
        assert left(GIVEN, instance, under_way(instance, pid, **theirs)) is STARTED
    assert left(GIVEN, instance, under_way(instance, NOBODY, **theirs)) is FAILURE


def test_a_reused_pid_does_not_keep_a_run_alive(
    instance: dg.DagsterInstance,
) -> None:
    with a_process(DAGSTER_HOME="/another/home") as pid:
        ours = {LAUNCHED_BY_TAG: this_launcher()}
        assert left(GIVEN, instance, under_way(instance, pid, **ours)) is FAILURE


def test_the_current_process_does_not_keep_a_run_alive(instance: dg.DagsterInstance) -> None:
    ours = {LAUNCHED_BY_TAG: this_launcher()}

    assert left(GIVEN, instance, under_way(instance, os.getpid(), **ours)) is FAILURE
