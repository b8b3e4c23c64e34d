"""The run launcher of many machines: runs are Celery tasks, and a run whose worker is gone is found and resumed.

dagster-celery's own launcher (0.29) believes what the result store says, where a task of a killed worker is STARTED for
ever, and a run that could not report its end is a SUCCESS for ever. So the workers are asked as well.
"""

from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
import kombu.exceptions
import redis.exceptions
from celery import states
from dagster_celery.config import TASK_EXECUTE_JOB_NAME, TASK_RESUME_JOB_NAME
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

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

_ANSWER_SECONDS = 2.0
# One question to all workers is good for all runs of a poll.
_FRESH_SECONDS = 3.0
# A worker answers within milliseconds, and its last events are in the storage soon after its task has ended.
_GONE_SECONDS = 10.0
# A worker that lost the broker tries again after 2 s, 4 s, ..., and until then does not hear the question.
_RECONNECT_SECONDS = 30.0
# In the queue, as all workers are busy, or as a killed one had taken it.
_QUEUED_SECONDS = 120.0

_BROKER_IS_SILENT = (kombu.exceptions.OperationalError, redis.exceptions.RedisError, OSError)


class WatchfulCeleryRunLauncher(CeleryRunLauncher):
    """Hands runs to Celery's workers, and finds those whose worker is gone."""

    def __init__(self, **config: Any) -> None:  # noqa: ANN401  # what dagster.yaml says
        super().__init__(**config)
        self._doubts = GracePeriods()
        self._running_tasks = frozenset[str]()
        self._asked_at = self._silent_at = float("-inf")

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Tell whether a started run's worker lives. While the broker is silent nobody can tell: then it does."""
        doubt = None
        # Silence costs seconds, and is true of all runs of a poll.
        if monotonic() - self._silent_at > _FRESH_SECONDS:
            try:
                doubt = self._doubt_about(run)
            except _BROKER_IS_SILENT:
                self._silent_at = monotonic()
        if monotonic() - self._silent_at < _RECONNECT_SECONDS:
            doubt = None
        return self._doubts.answer(run.run_id, doubt)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Hand the run to a worker. dagster-celery's own registers the task anew each time, of which Celery warns."""
        run = context.dagster_run
        arguments = ExecuteRunArgs(_origin_of(run), run.run_id, self._instance.get_ref())
        self._hand_over(run, TASK_EXECUTE_JOB_NAME, execute_job_args_packed=pack_value(arguments))

    def resume_run(self, context: ResumeRunContext) -> None:
        """Hand the run to another worker, which does its steps again: each finds what was done, or replaces it.

        dagster-celery's own (0.29) calls the task with the name of another task's argument, and always fails.
        """
        run = context.dagster_run
        self._doubts.forget(run.run_id)
        arguments = ResumeRunArgs(_origin_of(run), run.run_id, self._instance.get_ref())
        self._hand_over(run, TASK_RESUME_JOB_NAME, resume_job_args_packed=pack_value(arguments))

    def _hand_over(self, run: dg.DagsterRun, task: str, **arguments: object) -> None:
        self._instance.add_run_tags(run.run_id, {LAUNCHED_BY_TAG: self._broker_address()})
        self._launch_celery_task_run(run, self.celery.signature(task, kwargs=arguments, immutable=True), task)

    def _doubt_about(self, run: dg.DagsterRun) -> MissingWorker | None:
        """Look for the run's task, where it was handed over by way of the same broker, by a launcher of this kind."""
        task_id = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if run.tags.get(LAUNCHED_BY_TAG) != self._broker_address() or task_id is None:
            return None
        if task_id in self._tasks_of_workers():
            return None
        state = self.celery.AsyncResult(task_id).state
        if state == states.PENDING:
            return MissingWorker("No worker has begun its task.", _QUEUED_SECONDS)
        if state == states.STARTED:
            return MissingWorker("No worker has its task any more.", _GONE_SECONDS)
        return MissingWorker(f"Its task has ended ({state}), and it has not said how.", _GONE_SECONDS)

    def _broker_address(self) -> str:
        """Return where the broker is, without a password: all hosts of one deployment say the same."""
        parts = urlsplit(self.broker or "")
        return f"celery:{parts.netloc.rpartition('@')[2]}{parts.path}"

    def _tasks_of_workers(self) -> frozenset[str]:
        """Return the ids of the tasks that workers say they are at."""
        if monotonic() - self._asked_at > _FRESH_SECONDS:
            answers = self.celery.control.inspect(timeout=_ANSWER_SECONDS).active() or {}
            self._running_tasks = frozenset(task["id"] for tasks in answers.values() for task in tasks)
            self._asked_at = monotonic()
        return self._running_tasks


def _origin_of(run: dg.DagsterRun) -> JobPythonOrigin:
    if run.job_code_origin is None:
        raise dg.DagsterInvariantViolationError(f"Run {run.run_id} does not say where its job's code is.")
    return run.job_code_origin
