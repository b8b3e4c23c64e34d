"""The format of the services' logs: text, or a JSON object a line, by the setting PURCHASE_LOG_FORMAT."""

from importlib.resources import files
from typing import Literal

from starlette.types import ASGIApp

from purchase_pipeline.settings import Settings

_OF_DAGSTER = {"text": "colored", "json": "json"}


def dagster_log_format(settings: Settings) -> str:
    """Return the name of the format, as `--log-format` of Dagster's programs takes it."""
    return _OF_DAGSTER[settings.log_format]


def uvicorn_log_config(settings: Settings) -> str | None:
    """Return the file that makes uvicorn log as Dagster does; None for uvicorn's own format."""
    if settings.log_format == "text":
        return None
    return str(files("purchase_pipeline.stack").joinpath("uvicorn_json.json"))


def run_quietly(
    app: ASGIApp, host: str, port: int, settings: Settings, *, lifespan: Literal["auto", "off"] = "auto"
) -> None:
    """Serve an application until terminated, and log its warnings."""
    import uvicorn  # noqa: PLC0415  (the code server, which needs the format too, serves no HTTP)

    log_config = uvicorn_log_config(settings) or uvicorn.config.LOGGING_CONFIG
    uvicorn.run(app, host=host, port=port, lifespan=lifespan, log_config=log_config, log_level="warning")
