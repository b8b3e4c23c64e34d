"""Whose a run is: its launcher leaves a tag, and nobody judges a run whose tag is not theirs."""

import os
import socket
from contextlib import suppress
from pathlib import Path

import dagster as dg
import psutil

LAUNCHED_BY_TAG = "purchase_pipeline/launched_by"


def this_launcher() -> str:
    """Return what tells the launcher of this machine and Dagster home from all others."""
    return f"{socket.gethostname()}:{os.environ.get('DAGSTER_HOME', '')}"


def is_from_this_machine(run: dg.DagsterRun) -> bool:
    """Tell whether a launcher of ours on this machine launched a run: its process is here, or is gone."""
    return run.tags.get(LAUNCHED_BY_TAG, "").partition(":")[0] == socket.gethostname()


def has_living_worker(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Tell whether a run's process is on this machine, and runs. This one counts for none: who asks is at no run."""
    pid = _worker_pid(instance, run)
    home = run.tags.get(LAUNCHED_BY_TAG, "").partition(":")[2]
    return pid not in {None, os.getpid()} and _is_of_dagster(pid, home)


def _worker_pid(instance: dg.DagsterInstance, run: dg.DagsterRun) -> int | None:
    """Return the worker's process id, which it wrote as the first event of the run."""
    for record in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = record.dagster_event
        if event and "pid" in event.engine_event_data.metadata:
            return int(str(event.engine_event_data.metadata["pid"].value))
    return None


def _is_of_dagster(pid: int | None, home: str) -> bool:
    """Tell whether a process runs and is of a Dagster home, or of any: its number may have gone to a stranger."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        its_home = process.environ().get("DAGSTER_HOME")
        if its_home is None:  # a command of ours learns it too late for others to see
            return any(Path(word).name == "purchase-pipeline" for word in process.cmdline())
        return its_home == home or not home
    return False
