"""The Celery application of the workers: `celery --app purchase_pipeline.launchers.celery_app worker`.

Its configuration is the run launcher's. The pipeline is imported before the first run, so that forked worker
processes start quickly.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from celery import Celery
from celery.signals import setup_logging
from dagster_celery.config import TASK_EXECUTE_JOB_NAME, TASK_RESUME_JOB_NAME

from purchase_pipeline.launchers.celery import WatchfulCeleryRunLauncher
from purchase_pipeline.settings import current_settings
from purchase_pipeline.stack.dagster_instance import keep_connections
from purchase_pipeline.stack.dagster_internals import (
    ExecuteRunArgs,
    JsonSerializableValue,
    ResumeRunArgs,
    _execute_run_command_body,
    _resume_run_command_body,
    unpack_value,
)
from purchase_pipeline.stack.log_format import json_handler, use_log_format


def _app() -> Celery:
    with dg.DagsterInstance.get() as instance:
        launcher = instance.run_launcher
        if not isinstance(launcher, WatchfulCeleryRunLauncher):
            raise TypeError(
                f"The run launcher in {instance.root_directory}/dagster.yaml is {type(launcher).__name__}, expected "
                "WatchfulCeleryRunLauncher. See deploy/scale/dagster.yaml."
            )
        return launcher.celery


app = _app()


def _log_json(loglevel: int, **_: object) -> None:
    """Log as the other services do; a receiver of the signal replaces Celery's own formats."""
    logging.basicConfig(level=loglevel, handlers=[json_handler()])


if current_settings().log_format == "json":
    setup_logging.connect(_log_json)
    use_log_format(current_settings())


# Like dagster-celery's tasks, which however open a connection per statement: fifty a run.
@app.task(name=TASK_EXECUTE_JOB_NAME, track_started=True)
def execute_job(execute_job_args_packed: JsonSerializableValue) -> int:
    """Execute a run, and return 1 if it failed."""
    args = unpack_value(execute_job_args_packed, as_type=ExecuteRunArgs)
    with _instance() as instance:
        return _execute_run_command_body(args.run_id, instance, _ignore, set_exit_code_on_failure=True)


@app.task(name=TASK_RESUME_JOB_NAME, track_started=True)
def resume_job(resume_job_args_packed: JsonSerializableValue) -> int:
    """Resume a run whose worker was lost, and return 1 if it failed."""
    args = unpack_value(resume_job_args_packed, as_type=ResumeRunArgs)
    with _instance() as instance:
        return _resume_run_command_body(args.run_id, instance, _ignore, set_exit_code_on_failure=True)


@contextmanager
def _instance() -> Iterator[dg.DagsterInstance]:
    """Open the instance for one run, so that connections broken by an outage are not reused."""
    with dg.DagsterInstance.get() as instance:
        keep_connections(instance)
        yield instance


def _ignore(event: dg.DagsterEvent) -> None:
    """Drop the event: Dagster's storage already has it."""
