"""Logs in the format of PURCHASE_LOG_FORMAT, where Dagster's option `--log-format` does not reach.

These are uvicorn's servers, and the console logger of runs and sensors.
"""

import logging
from collections.abc import MutableMapping
from importlib.resources import files
from typing import Any, Literal

from starlette.types import ASGIApp

from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.dagster_internals import dagster_log, get_structlog_json_formatter


def uvicorn_log_config(settings: Settings) -> str | None:
    """Return the file that makes uvicorn log as Dagster does; None for uvicorn's own format."""
    if settings.log_format == "colored":
        return None
    return str(files("purchase_pipeline.stack").joinpath("uvicorn_json.json"))


def run_quietly(
    app: ASGIApp, host: str, port: int, settings: Settings, *, lifespan: Literal["auto", "off"] = "auto"
) -> None:
    """Serve an application until terminated, and log its warnings."""
    import uvicorn  # noqa: PLC0415  (`up` and `ingest` need only the file)

    log_config = uvicorn_log_config(settings) or uvicorn.config.LOGGING_CONFIG
    uvicorn.run(app, host=host, port=port, lifespan=lifespan, log_config=log_config, log_level="warning")


def use_log_format(settings: Settings) -> None:
    """Let runs and sensors of this process log in the format; in Dagster (1.13) theirs is always text."""
    if settings.log_format == "json":
        dagster_log.coloredlogs.install = _install_json  # type: ignore[attr-defined]  # where its function looks


def _install_json(*, logger: logging.Logger, **_: object) -> None:
    logger.addHandler(json_handler())


def json_handler() -> logging.Handler:
    """Return a handler that writes as `--log-format json` does, to stderr."""
    formatter = get_structlog_json_formatter()
    formatter.processors = (_name_the_run, *formatter.processors)
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    return handler


def _name_the_run(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace Dagster's objects, which are not JSON, by the names of the run and the step."""
    about = entry.pop("dagster_meta", None) or {}
    for name in ("dagster_event", "dagster_event_batch_metadata"):
        entry.pop(name, None)
    named = ("run_id", "job_name", "step_key", "repository_name", "instigator_name")
    return {**entry, **{name: about[name] for name in named if about.get(name)}}
