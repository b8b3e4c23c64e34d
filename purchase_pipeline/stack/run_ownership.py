"""Ownership of runs: a launcher tags its runs, and only checks runs with its own tag."""

import os
import socket
from contextlib import suppress
from pathlib import Path

import dagster as dg
import psutil

LAUNCHED_BY_TAG = ".dagster/launched_by"  # with the prefix of the tags that Dagster's UI hides


def this_launcher() -> str:
    """Return the identity of this launcher: machine and Dagster home."""
    return f"{socket.gethostname()}:{os.environ.get('DAGSTER_HOME', '')}"


def is_from_this_machine(run: dg.DagsterRun) -> bool:
    """Return whether a run was launched on this machine, so that its process is here or has ended."""
    return run.tags.get(LAUNCHED_BY_TAG, "").partition(":")[0] == socket.gethostname()


def has_living_worker(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Return whether a run's process is alive on this machine; the current process does not count."""
    pid = _worker_pid(instance, run)
    home = run.tags.get(LAUNCHED_BY_TAG, "").partition(":")[2]
    return pid not in {None, os.getpid()} and _is_dagster_process(pid, home)


def _worker_pid(instance: dg.DagsterInstance, run: dg.DagsterRun) -> int | None:
    """Return the worker's PID, from the first event of the run."""
    for record in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = record.dagster_event
        if event and "pid" in event.engine_event_data.metadata:
            return int(str(event.engine_event_data.metadata["pid"].value))
    return None


def _is_dagster_process(pid: int | None, home: str) -> bool:
    """Return whether a process is alive and belongs to a Dagster home (or any): the PID may have been reused."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        its_home = process.environ().get("DAGSTER_HOME")
        if its_home is None:  # our own commands set it after their start, where psutil does not see it
            return any(Path(word).name == "purchase-pipeline" for word in process.cmdline())
        return its_home == home or not home
    return False
