"""The Celery application of the workers: `celery --app purchase_pipeline.launchers.celery_app worker`.

Its configuration is that launcher's, so that both agree. The pipeline is imported before the first run comes: the
worker's processes are forked from this one, and begin warm.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from celery import Celery
from dagster_celery.config import TASK_EXECUTE_JOB_NAME, TASK_RESUME_JOB_NAME

from purchase_pipeline.launchers.celery import WatchfulCeleryRunLauncher
from purchase_pipeline.stack.dagster_instance import keep_connections
from purchase_pipeline.stack.dagster_internals import (
    ExecuteRunArgs,
    JsonSerializableValue,
    ResumeRunArgs,
    _execute_run_command_body,
    _resume_run_command_body,
    unpack_value,
)


def _app() -> Celery:
    with dg.DagsterInstance.get() as instance:
        launcher = instance.run_launcher
        if not isinstance(launcher, WatchfulCeleryRunLauncher):
            raise TypeError(
                f"{instance.root_directory}/dagster.yaml launches runs by {type(launcher).__name__}, not by "
                "WatchfulCeleryRunLauncher: a worker would wait in vain. deploy/scale/dagster.yaml is one that does."
            )
        return launcher.celery


app = _app()


# dagster-celery's own tasks do the same, and open a connection for each statement: fifty a run.
@app.task(name=TASK_EXECUTE_JOB_NAME, track_started=True)
def execute_job(execute_job_args_packed: JsonSerializableValue) -> int:
    """Do a run, and return 1 if it failed."""
    args = unpack_value(execute_job_args_packed, as_type=ExecuteRunArgs)
    with _instance() as instance:
        return _execute_run_command_body(args.run_id, instance, _ignore, set_exit_code_on_failure=True)


@app.task(name=TASK_RESUME_JOB_NAME, track_started=True)
def resume_job(resume_job_args_packed: JsonSerializableValue) -> int:
    """Do a run again whose worker is gone, and return 1 if it failed."""
    args = unpack_value(resume_job_args_packed, as_type=ResumeRunArgs)
    with _instance() as instance:
        return _resume_run_command_body(args.run_id, instance, _ignore, set_exit_code_on_failure=True)


@contextmanager
def _instance() -> Iterator[dg.DagsterInstance]:
    """Open Dagster for one run: what a database that was away has left of connections is not used again."""
    with dg.DagsterInstance.get() as instance:
        keep_connections(instance)
        yield instance


def _ignore(event: dg.DagsterEvent) -> None:
    """Dagster's storage has it."""
