"""Logs of uvicorn's servers in the format of PURCHASE_LOG_FORMAT; Dagster's programs take it as `--log-format`."""

from importlib.resources import files
from typing import Literal

from starlette.types import ASGIApp

from purchase_pipeline.settings import Settings


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
