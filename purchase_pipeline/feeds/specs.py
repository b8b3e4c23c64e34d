"""Assets that are described, not computed here: the API of a feed, and what those of tables have in common.

A pool limits how many runs use the API or the database at once: set its limit with `dagster instance concurrency set
orders_api 4`, or in the UI under Deployment > Concurrency. By default a pool admits as many runs as there may be
at once (`default_limit` in `dagster.yaml`).
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import httpx
import sqlalchemy as sa

from purchase_pipeline.feeds.declaration import FeedDeclaration
from purchase_pipeline.feeds.descriptions import api_description
from purchase_pipeline.ingest.sources.function import FunctionSource
from purchase_pipeline.ingest.sources.http import HttpSource
from purchase_pipeline.ingest.sources.variables import Deferred, name_of_variable
from purchase_pipeline.postgres.materialization import column_schema


def table_spec(table: sa.Table, description: str, links: Mapping[str, Any], **more: Any) -> dg.AssetSpec:  # noqa: ANN401  (as AssetSpec)
    """Return the spec of a table's asset, with its columns and its links to documentation and code."""
    return dg.AssetSpec(
        table.name,
        description=description,
        metadata={
            "dagster/table_name": f"public.{table.name}",
            "dagster/column_schema": column_schema(table),
            **links,
        },
        **more,
    )


def api_spec(feed: FeedDeclaration) -> dg.AssetSpec:
    """Return the external asset of a feed's source: where the lineage begins."""
    source, metadata = feed.source, dict[str, Any]()
    if isinstance(source, HttpSource):
        metadata = {
            "url": _address(source.url),
            "request": f"{source.method} {source.path or '/'}",
            "params": source.params,
        }
    elif isinstance(source, FunctionSource):
        function = source.function
        metadata = {"function": f"{function.__module__}.{getattr(function, '__qualname__', repr(function))}"}
    return dg.AssetSpec(
        feed.api_asset,
        description=api_description(feed),
        group_name=feed.group,
        kinds={"api"} if isinstance(source, HttpSource) else {"python"},
        owners=list(feed.owners),
        tags=dict(feed.tags),
        metadata={**metadata, **feed.pages},
    )


def _address(url: str | Deferred) -> dg.MetadataValue[Any]:
    """Return the name of the variable that has the API's URL, or a link without what may be secret in it."""
    if variable := name_of_variable(url):
        return dg.MetadataValue.text(variable)
    shown = httpx.URL(str(url)).copy_with(userinfo=b"", query=None, fragment=None)
    return dg.MetadataValue.url(str(shown))
