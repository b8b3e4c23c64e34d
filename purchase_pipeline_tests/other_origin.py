"""A page of another origin, as any web page that somebody has open: what it sends to Dagster's UI or the API."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
from playwright.sync_api import Browser
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from purchase_pipeline_tests.browsers import watched_page
from purchase_pipeline_tests.serving import served

_LAUNCH = """mutation { launchRun(executionParams: {
  selector: {repositoryName: "__repository__", repositoryLocationName: "purchase_pipeline", jobName: %s,
    assetSelection: %s}
  runConfigData: %s, executionMetadata: {tags: [{key: "from", value: "another origin"}%s]}
}) { __typename } }"""
_LAUNCHED = (
    '{ runsOrError(filter: {tags: [{key: "from", value: "another origin"}]}) { ... on Runs { count } } }'
)
_REPORT = '[{path: ["sales_report"]}]'
_PARTITION = ', {key: "dagster/partition", value: "lote-0001"}'


@dataclass
class OtherOrigin:
    """Another site, `http://elsewhere.localhost:port`: its page is what `body` says, and it notes what it is asked."""

    body: str = ""
    requested: list[str] = field(default_factory=list)
    address: str = ""

    async def _answer(self, request: Request) -> Response:
        self.requested.append(request.url.path)
        if request.url.path.startswith("/gerar_compra"):
            return JSONResponse([])
        return HTMLResponse(f"<!doctype html><title>Elsewhere</title><body>{self.body}</body>")

    def pictures(self, running: Browser, *addresses: str) -> None:
        """Show the page with pictures of some addresses, and wait until each has loaded or failed."""
        self.body = "".join(f'<img src="{address}">' for address in addresses).replace("&", "&amp;")
        self.run(running, "() => 0")

    def run(self, running: Browser, script: str, *words: str) -> object:
        """Show the page, wait until all of it is loaded, and run a script in it."""
        with watched_page(running) as watched:
            watched.page.goto(self.address, wait_until="load")
            return watched.page.evaluate(script, list(words))


@contextmanager
def other_origin() -> Iterator[OtherOrigin]:
    """Serve another site for as long as a test needs it."""
    site = OtherOrigin()
    with served(Starlette(routes=[Route("/{path:path}", site._answer)])) as url:  # noqa: SLF001  (its own)
        site.address = url.replace("127.0.0.1", "elsewhere.localhost")
        yield site


def launches(dagster: str, api: str, *, file: str, database: str) -> list[str]:
    """Return two addresses that start a run where GraphQL is taken by GET.

    One sends the pipeline to another API for a batch that it has; the other has the report overwrite a file.
    """
    elsewhere = {
        "resources": {"purchases_source": {"config": {"base_url": api}}},
        "ops": {"raw_purchases": {"config": {"refetch": True}}},
    }
    overwrite = {"resources": {"report_file": {"config": {"path": file, "database_url": database}}}}
    return [
        _by_get(dagster, _launch("ingest_lote", "null", elsewhere, _PARTITION)),
        _by_get(dagster, _launch("__ASSET_JOB", _REPORT, overwrite)),
        _by_get(dagster, _launch("__ASSET_JOB", _REPORT, {})),
    ]


def launched(dagster: str) -> int:
    """Return how many runs a page of another origin has started."""
    answer = httpx.post(f"{dagster}/graphql", json={"query": _LAUNCHED}, timeout=60).raise_for_status()
    count: int = answer.json()["data"]["runsOrError"]["count"]
    return count


def _launch(job: str, assets: str, config: dict[str, Any], tags: str = "") -> str:
    return _LAUNCH % (json.dumps(job), assets, json.dumps(json.dumps(config)), tags)


def _by_get(dagster: str, query: str) -> str:
    return f"{dagster}/graphql?{urlencode({'query': query})}"
