"""Why a run failed: the error message, from whichever Dagster event carries it."""

import dagster as dg

from purchase_pipeline.stack.dagster_internals import SerializableErrorInfo, UserFailureData

_NO_ERROR = "the run ended without an error; its worker process may have been killed"
# Closest to the cause first: a step, what surrounds the steps (resources, definitions), the run's process.
_ERROR_EVENTS = (
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.ENGINE_EVENT,
)


def reason_of(run_id: str, instance: dg.DagsterInstance) -> str:
    """Return the last recorded error closest to the cause, without Dagster's wrapping.

    A killed process records no error; then return Dagster's message about the end of the run, if any.
    """
    errors: dict[dg.DagsterEventType, str] = {}
    ends = []
    for record in instance.all_logs(run_id, of_type=set(_ERROR_EVENTS)):
        event = record.dagster_event
        if event is None:
            continue
        data = event.event_specific_data
        if isinstance(failure := getattr(data, "user_failure_data", None), UserFailureData):
            errors[event.event_type] = (failure.description or "").strip()
        elif error := getattr(data, "error", None):
            errors[event.event_type] = _innermost(error).message.strip()
        elif event.event_type == dg.DagsterEventType.RUN_FAILURE and event.message:
            ends.append(event.message.strip())
    return next(
        (errors[kind] for kind in _ERROR_EVENTS if kind in errors), " ".join([_NO_ERROR, *map(_quoted, ends)])
    )


def _innermost(error: SerializableErrorInfo) -> SerializableErrorInfo:
    while error.cause and (error.cls_name or "").startswith("Dagster"):
        error = error.cause
    return error


def _quoted(text: str) -> str:
    return f"({text})"
