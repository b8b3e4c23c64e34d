"""Feeds: declared sources, each loaded into a table and a quarantine, partition by partition.

Names are imported on first use: the command line lists its commands without loading Dagster.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from purchase_pipeline.feeds.feed import Feed
    from purchase_pipeline.ingest.formats import Csv, Json, NdJson
    from purchase_pipeline.ingest.retention import Retention
    from purchase_pipeline.ingest.sources.auth import ApiKey, BasicAuth, BearerToken, OAuth2ClientCredentials
    from purchase_pipeline.ingest.sources.function import FunctionSource
    from purchase_pipeline.ingest.sources.http import HttpSource
    from purchase_pipeline.ingest.sources.pages import (
        Cursor,
        LinkHeader,
        NextLink,
        NoPages,
        Offset,
        PageNumber,
    )
    from purchase_pipeline.ingest.sources.request import Page, PartitionRequest
    from purchase_pipeline.ingest.writing import Since, Write

_MODULES = {
    "Feed": "feeds.feed",
    **dict.fromkeys(("Csv", "Json", "NdJson"), "ingest.formats"),
    **dict.fromkeys(("ApiKey", "BasicAuth", "BearerToken", "OAuth2ClientCredentials"), "ingest.sources.auth"),
    "FunctionSource": "ingest.sources.function",
    "HttpSource": "ingest.sources.http",
    **dict.fromkeys(
        ("Cursor", "LinkHeader", "NextLink", "NoPages", "Offset", "PageNumber"), "ingest.sources.pages"
    ),
    **dict.fromkeys(("Page", "PartitionRequest"), "ingest.sources.request"),
    "Retention": "ingest.retention",
    **dict.fromkeys(("Since", "Write"), "ingest.writing"),
}

__all__ = [
    "ApiKey",
    "BasicAuth",
    "BearerToken",
    "Csv",
    "Cursor",
    "Feed",
    "FunctionSource",
    "HttpSource",
    "Json",
    "LinkHeader",
    "NdJson",
    "NextLink",
    "NoPages",
    "OAuth2ClientCredentials",
    "Offset",
    "Page",
    "PageNumber",
    "PartitionRequest",
    "Retention",
    "Since",
    "Write",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"purchase_pipeline.{_MODULES[name]}"), name)
    globals()[name] = found
    return found
