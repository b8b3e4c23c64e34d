"""The run launcher for several machines: runs are Celery tasks, and runs of lost workers are detected and resumed.

dagster-celery's launcher (0.29) relies on the result store alone. There the task of a killed worker stays STARTED
forever, and a run that could not report its end stays SUCCESS. So this one also inspects the workers.
"""

from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import dagster as dg

from purchase_pipeline import needs_extra
from purchase_pipeline.launchers.health import GracePeriods, MissingWorker
from purchase_pipeline.stack.dagster_internals import (
    CheckRunHealthResult,
    ExecuteRunArgs,
    JobPythonOrigin,
    LaunchRunContext,
    ResumeRunArgs,
    ResumeRunContext,
    pack_value,
)
from purchase_pipeline.stack.run_ownership import LAUNCHED_BY_TAG

with needs_extra("scale", "The Celery run launcher"):
    import kombu.exceptions
    import redis.exceptions
    from celery import states
    from dagster_celery.config import TASK_EXECUTE_JOB_NAME, TASK_RESUME_JOB_NAME
    from dagster_celery.launcher import CeleryRunLauncher
    from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

_RESPONSE_SECONDS = 2.0
# One inspection of the workers serves all runs of a poll.
_FRESH_SECONDS = 3.0
# A worker responds within milliseconds, and stores its last events soon after its task ended.
_GONE_SECONDS = 10.0
# A worker that lost the broker reconnects after 2 s, 4 s, ..., and does not respond until then.
_RECONNECT_SECONDS = 30.0
# Queued because all workers are busy, or prefetched by a killed one.
_QUEUED_SECONDS = 120.0

_BROKER_ERRORS = (kombu.exceptions.OperationalError, redis.exceptions.RedisError, OSError)


class WatchfulCeleryRunLauncher(CeleryRunLauncher):
    """Launches runs as Celery tasks, and detects lost workers."""

    def __init__(self, **config: Any) -> None:  # noqa: ANN401  # from dagster.yaml
        super().__init__(**config)
        self._grace_periods = GracePeriods()
        self._running_tasks = frozenset[str]()
        self._inspected_at = self._unavailable_at = float("-inf")

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Check the worker of a started run. While the broker is unavailable, assume that it is alive."""
        missing = None
        # A timeout takes seconds and applies to all runs of a poll, so do not repeat it.
        if monotonic() - self._unavailable_at > _FRESH_SECONDS:
            try:
                missing = self._missing_worker(run)
            except _BROKER_ERRORS:
                self._unavailable_at = monotonic()
        if monotonic() - self._unavailable_at < _RECONNECT_SECONDS:
            missing = None
        return self._grace_periods.check(run.run_id, missing)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Submit the run as a task. dagster-celery's launcher registers the task each time, and Celery warns."""
        run = context.dagster_run
        arguments = ExecuteRunArgs(_origin_of(run), run.run_id, self._instance.get_ref())
        self._submit(run, TASK_EXECUTE_JOB_NAME, execute_job_args_packed=pack_value(arguments))

    def resume_run(self, context: ResumeRunContext) -> None:
        """Submit the run to another worker, which repeats its steps; they are idempotent.

        dagster-celery's launcher (0.29) passes a wrong argument name, and always fails.
        """
        run = context.dagster_run
        self._grace_periods.forget(run.run_id)
        arguments = ResumeRunArgs(_origin_of(run), run.run_id, self._instance.get_ref())
        self._submit(run, TASK_RESUME_JOB_NAME, resume_job_args_packed=pack_value(arguments))

    def _submit(self, run: dg.DagsterRun, task: str, **arguments: object) -> None:
        self._instance.add_run_tags(run.run_id, {LAUNCHED_BY_TAG: self._broker_address()})
        self._launch_celery_task_run(run, self.celery.signature(task, kwargs=arguments, immutable=True), task)

    def _missing_worker(self, run: dg.DagsterRun) -> MissingWorker | None:
        """Look up the task of a run submitted by this kind of launcher to the same broker."""
        task_id = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if run.tags.get(LAUNCHED_BY_TAG) != self._broker_address() or task_id is None:
            return None
        if task_id in self._tasks_of_workers():
            return None
        state = self.celery.AsyncResult(task_id).state
        if state == states.PENDING:
            return MissingWorker("No worker has started its task.", _QUEUED_SECONDS)
        if state == states.STARTED:
            return MissingWorker("No worker is running its task.", _GONE_SECONDS)
        return MissingWorker(
            f"Its task has ended ({state}) without reporting the run's result.", _GONE_SECONDS
        )

    def _broker_address(self) -> str:
        """Return the broker's address without its password, the same on all hosts of a deployment."""
        parts = urlsplit(self.broker or "")
        return f"celery:{parts.netloc.rpartition('@')[2]}{parts.path}"

    def _tasks_of_workers(self) -> frozenset[str]:
        """Return the ids of the tasks that workers are running."""
        if monotonic() - self._inspected_at > _FRESH_SECONDS:
            replies = self.celery.control.inspect(timeout=_RESPONSE_SECONDS).active() or {}
            self._running_tasks = frozenset(task["id"] for tasks in replies.values() for task in tasks)
            self._inspected_at = monotonic()
        return self._running_tasks


def _origin_of(run: dg.DagsterRun) -> JobPythonOrigin:
    if run.job_code_origin is None:
        raise dg.DagsterInvariantViolationError(f"Run {run.run_id} has no job code origin.")
    return run.job_code_origin
