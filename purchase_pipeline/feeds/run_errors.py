"""Why a run failed: the error message, from whichever Dagster event carries it."""

from typing import NamedTuple

import dagster as dg

from purchase_pipeline.stack.dagster_internals import SerializableErrorInfo, UserFailureData

_NO_ERROR = "the run ended without an error; its worker process may have been killed"
# Closest to the cause first: a step, what surrounds the steps (resources, definitions), the run's process.
_ERROR_EVENTS = (
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.ENGINE_EVENT,
)


_SAY_ENOUGH = ("purchase_pipeline.", f"{dg.Failure.__module__}.{dg.Failure.__name__}:")


class Reason(NamedTuple):
    """What happened, and the name of the error's class; '' if no error was recorded."""

    message: str
    error: str = ""


def reason_of(run_id: str, instance: dg.DagsterInstance) -> Reason:
    """Return the last recorded error closest to the cause, without Dagster's wrapping.

    A killed process records no error; then return Dagster's message about the end of the run, if any.
    """
    errors: dict[dg.DagsterEventType, Reason] = {}
    ends = []
    for record in instance.all_logs(run_id, of_type=set(_ERROR_EVENTS)):
        event = record.dagster_event
        if event is None:
            continue
        data = event.event_specific_data
        error: SerializableErrorInfo | None = getattr(data, "error", None)
        if isinstance(failure := getattr(data, "user_failure_data", None), UserFailureData):
            name = _innermost(error).cls_name if error else None
            errors[event.event_type] = Reason((failure.description or "").strip(), name or "")
        elif error:
            errors[event.event_type] = _as_reason(_innermost(error))
        elif event.event_type == dg.DagsterEventType.RUN_FAILURE and event.message:
            ends.append(event.message.strip())
    return next(
        (errors[kind] for kind in _ERROR_EVENTS if kind in errors),
        Reason(" ".join([_NO_ERROR, *map(_quoted, ends)])),
    )


def _innermost(error: SerializableErrorInfo) -> SerializableErrorInfo:
    while error.cause and (error.cls_name or "").startswith("Dagster"):
        error = error.cause
    return error


def _as_reason(error: SerializableErrorInfo) -> Reason:
    """Begin with what happened: the name of the class follows, and of our own errors is left out."""
    raised, name = error.message.strip(), error.cls_name or ""
    qualified, separator, message = raised.partition(": ")
    if not separator or not name or not qualified.endswith(name):
        return Reason(raised, name)
    if raised.startswith(_SAY_ENOUGH):
        return Reason(message, name)
    first, *rest = message.split("\n")
    return Reason("\n".join([f"{first} ({name})", *rest]), name)


def _quoted(text: str) -> str:
    return f"({text})"
