"""A Dagster pipeline that loads batches from an HTTP API into PostgreSQL."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from purchase_pipeline.feeds.component import FeedComponent

__all__ = ["FeedComponent"]


def __dir__() -> list[str]:
    """Return the component's name too, by which Dagster finds it (entry point `dagster_dg_cli.registry_modules`)."""
    return [*globals(), *__all__]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Imported on demand: most of the package does not load Dagster.
    from purchase_pipeline.feeds.component import FeedComponent  # noqa: PLC0415

    return FeedComponent
