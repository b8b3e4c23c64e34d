"""MissingWorker about a run's worker: borne for some time, not for ever."""

from time import monotonic
from typing import NamedTuple

from purchase_pipeline.stack.dagster_internals import CheckRunHealthResult, WorkerStatus


class MissingWorker(NamedTuple):
    """Why a worker may be gone, and how long that may be so before it counts as gone."""

    reason: str
    bearable_seconds: float


class GracePeriods:
    """Answers run monitoring, which fails or resumes a run at once for any answer but RUNNING and SUCCESS.

    So doubt is answered with RUNNING, and remembered.
    """

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def answer(self, run_id: str, doubt: MissingWorker | None) -> CheckRunHealthResult:
        """Say that a run's worker lives, or is gone once it has been doubted for too long."""
        if doubt is None:
            self.forget(run_id)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        doubted_for = monotonic() - self._since.setdefault(run_id, monotonic())
        if doubted_for < doubt.bearable_seconds:
            return CheckRunHealthResult(WorkerStatus.RUNNING, doubt.reason)
        self.forget(run_id)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, doubt.reason)

    def forget(self, run_id: str) -> None:
        """MissingWorker no more."""
        self._since.pop(run_id, None)
