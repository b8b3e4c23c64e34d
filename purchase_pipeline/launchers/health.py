"""Grace period before a missing worker counts as lost."""

from time import monotonic
from typing import NamedTuple

from purchase_pipeline.stack.dagster_internals import CheckRunHealthResult, WorkerStatus


class MissingWorker(NamedTuple):
    """Why a worker seems to be missing, and its grace period."""

    reason: str
    grace_seconds: float


class GracePeriods:
    """Delays reports of missing workers to run monitoring, which fails or resumes a run at once.

    A missing worker is reported as RUNNING during its grace period.
    """

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def check(self, run_id: str, missing: MissingWorker | None) -> CheckRunHealthResult:
        """Return NOT_FOUND once the worker has been missing for its grace period, else RUNNING."""
        if missing is None:
            self.forget(run_id)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        missing_for = monotonic() - self._since.setdefault(run_id, monotonic())
        if missing_for < missing.grace_seconds:
            return CheckRunHealthResult(WorkerStatus.RUNNING, missing.reason)
        self.forget(run_id)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, missing.reason)

    def forget(self, run_id: str) -> None:
        """Reset the grace period of a run."""
        self._since.pop(run_id, None)
