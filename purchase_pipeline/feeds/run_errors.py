"""Why a run failed, in the words of the error that was raised: whichever of Dagster's events carries it."""

import dagster as dg

from purchase_pipeline.stack.dagster_internals import SerializableErrorInfo

_NO_ERROR = "the run ended without a word; its worker process may have been killed"
# The nearest to the cause first: in a step, around the steps (a resource, the definitions), around the run's process.
_TELLING = (
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.ENGINE_EVENT,
)


def reason_of(run_id: str, instance: dg.DagsterInstance) -> str:
    """Return the last error that Dagster recorded nearest to the cause, without Dagster's own wrapping.

    A killed process records none: then it is what Dagster says of the end, if anything.
    """
    errors: dict[dg.DagsterEventType, str] = {}
    ends = []
    for record in instance.all_logs(run_id, of_type=set(_TELLING)):
        event = record.dagster_event
        if event is None:
            continue
        if error := getattr(event.event_specific_data, "error", None):
            errors[event.event_type] = _innermost(error).message.strip()
        elif event.event_type == dg.DagsterEventType.RUN_FAILURE and event.message:
            ends.append(event.message.strip())
    return next(
        (errors[kind] for kind in _TELLING if kind in errors), " ".join([_NO_ERROR, *map(_quoted, ends)])
    )


def _innermost(error: SerializableErrorInfo) -> SerializableErrorInfo:
    while error.cause and (error.cls_name or "").startswith("Dagster"):
        error = error.cause
    return error


def _quoted(text: str) -> str:
    return f"({text})"
