"""What the shell completes on Tab: batches, feeds, saved queries. Nothing here imports Dagster, which takes seconds."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from purchase_pipeline.settings import Settings

_PURCHASES = "purchases"


def batch_names(context: click.Context, option: click.Parameter, typed: str) -> list[str]:  # noqa: ARG001  (click's signature)
    """Return the batches of the purchases; those of another feed are known to its module only."""
    settings = _settings()
    if settings is None or context.find_root().params.get("module") is not None:
        return []
    return [name for name in settings.lote_names if name.startswith(typed)]


def feed_names(context: click.Context, option: click.Parameter, typed: str) -> list[str]:  # noqa: ARG001
    """Return the purchases, or with `-m` the feeds that have a folder of landed partitions."""
    settings = _settings()
    if context.params.get("module") is None or settings is None:
        names = [_PURCHASES]
    else:
        landing = Path(settings.landing_location)
        names = (
            sorted(entry.name for entry in landing.iterdir() if entry.is_dir()) if landing.is_dir() else []
        )
    return [name for name in names if name.startswith(typed)]


def query_names(context: click.Context, argument: click.Parameter, typed: str) -> list[str]:  # noqa: ARG001
    """Return the saved queries."""
    from purchase_pipeline.ops.queries import saved_queries

    return [name for name in saved_queries() if name.startswith(typed)]


def _settings() -> "Settings | None":
    from pydantic import ValidationError

    from purchase_pipeline.settings import current_settings

    try:
        return current_settings()
    except ValidationError:  # the command itself says which
        return None
