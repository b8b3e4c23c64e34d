"""A failed run is explained by the error that was raised."""

import sys
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._utils.error import serializable_error_info_from_exc_info

from purchase_pipeline.feeds.run_errors import Reason, reason_of
from purchase_pipeline.ingest.sources.errors import ApiUnavailableError

MISSING = Reason("No module named 'socksio' (ModuleNotFoundError)", "ModuleNotFoundError")
KILLED = "the run ended without an error; its worker process may have been killed"


def _import_what_is_missing() -> None:
    raise ModuleNotFoundError("No module named 'socksio'")


@dg.resource
def cannot_be_made(context: dg.InitResourceContext) -> None:  # noqa: ARG001
    _import_what_is_missing()


@dg.op(required_resource_keys={"client"})
def asks(context: dg.OpExecutionContext) -> None:
    pass


@dg.op
def fails() -> None:
    _import_what_is_missing()


@dg.op
def gives_up() -> None:
    raise dg.Failure("lote-0001: the API is away") from TimeoutError("10 s")


@dg.op
def is_refused() -> None:
    raise ApiUnavailableError("lote-0001: returned 503 Service Unavailable.")


@dg.op
def fails_in_two_lines() -> None:
    raise ValueError("disk full: /data\nLINE 1: COPY")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


def failed_run(
    instance: dg.DagsterInstance, *ops: dg.OpDefinition, **resources: dg.ResourceDefinition
) -> str:
    @dg.job(resource_defs=resources)
    def fated() -> None:
        for each in ops:
            each()

    done = fated.execute_in_process(instance=instance, raise_on_error=False)
    assert not done.success
    return done.run_id


def ended_run(instance: dg.DagsterInstance, message: str) -> str:
    """A run that Dagster ended because its process was killed or never started."""

    @dg.job
    def nothing() -> None:
        pass

    run = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED)
    instance.report_run_failed(run, message)
    return run.run_id


def test_an_error_in_a_step_is_the_reason(instance: dg.DagsterInstance) -> None:
    assert reason_of(failed_run(instance, fails), instance) == MISSING


def test_an_error_in_a_resource_is_the_reason(instance: dg.DagsterInstance) -> None:
    assert reason_of(failed_run(instance, asks, client=cannot_be_made), instance) == MISSING


def test_the_message_of_a_failure_is_preferred_to_its_cause(instance: dg.DagsterInstance) -> None:
    assert reason_of(failed_run(instance, gives_up), instance) == ("lote-0001: the API is away", "Failure")


def test_an_error_of_ours_is_told_by_its_message_alone(instance: dg.DagsterInstance) -> None:
    assert reason_of(failed_run(instance, is_refused), instance) == (
        "lote-0001: returned 503 Service Unavailable.",
        "ApiUnavailableError",
    )


def test_the_class_of_another_error_follows_the_first_line_of_its_message(
    instance: dg.DagsterInstance,
) -> None:
    reason = reason_of(failed_run(instance, fails_in_two_lines), instance)

    assert reason.message == "disk full: /data (ValueError)\nLINE 1: COPY"


def test_an_error_around_the_runs_process_is_the_reason(instance: dg.DagsterInstance) -> None:
    run_id = ended_run(instance, "It could not begin.")
    run = instance.get_run_by_id(run_id)
    try:
        _import_what_is_missing()
    except ModuleNotFoundError:
        error = serializable_error_info_from_exc_info(sys.exc_info())
    instance.report_engine_event("Starting failed.", run, EngineEventData.engine_error(error))

    assert reason_of(run_id, instance) == MISSING


def test_a_killed_run_is_explained_by_dagsters_message(
    instance: dg.DagsterInstance,
) -> None:
    run_id = ended_run(instance, "Its process is gone.")

    assert reason_of(run_id, instance) == (f"{KILLED} (Its process is gone.)", "")
