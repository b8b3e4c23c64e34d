"""Dagster's web server with same-origin protection: `python -m purchase_pipeline.stack.webserver`.

Plain `dagster-webserver` accepts requests from any web page, and mutations by GET: an image tag could start runs.
"""

from collections.abc import Collection
from typing import Any

import click
import dagster as dg
from dagster_webserver.version import __version__
from dagster_webserver.webserver import DagsterWebserver
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount

from purchase_pipeline.settings import current_settings
from purchase_pipeline.stack.dagster_internals import (
    BaseWorkspaceRequestContext,
    WorkspaceOpts,
    WorkspaceProcessContext,
    configure_loggers,
    setup_interrupt_handlers,
    workspace_options,
    workspace_opts_to_load_target,
)
from purchase_pipeline.stack.log_format import run_quietly
from purchase_pipeline.stack.pages import ROUTES
from purchase_pipeline.stack.ports import LOOPBACK
from purchase_pipeline.stack.same_origin import SameOriginMiddleware

_POLL_MILLISECONDS = 2_000
_POOL_RECYCLE_SECONDS = 3_600


class SameOriginWebserver(DagsterWebserver[WorkspaceProcessContext, BaseWorkspaceRequestContext]):
    """Dagster's web server, which refuses cross-origin requests and GraphQL by GET."""

    def __init__(
        self, context: WorkspaceProcessContext, path_prefix: str, allowed_hosts: Collection[str]
    ) -> None:
        self._allowed_hosts = allowed_hosts
        super().__init__(context, path_prefix, _POLL_MILLISECONDS)

    def build_middleware(self) -> list[Middleware]:
        """Check a request's origin first."""
        guard = Middleware(SameOriginMiddleware, allowed_hosts=self._allowed_hosts)
        return [guard, *super().build_middleware()]

    def build_routes(self) -> list[BaseRoute]:
        """Serve our pages, and what is left as Dagster does: its UI has any path."""
        prefix = self._app_path_prefix
        ours = [Mount(prefix, routes=ROUTES)] if prefix else ROUTES
        return [*ours, *super().build_routes()]  # type: ignore[no-untyped-call]  # Dagster left it so

    async def graphql_http_endpoint(self, request: Request) -> Response:
        """Serve queries by POST, and the playground by GET (Dagster decides by the Accept header)."""
        if request.method != "POST" and "text/html" not in request.headers.get("accept", ""):
            return PlainTextResponse("Send GraphQL by POST.\n", status_code=405, headers={"Allow": "POST"})
        response: Response = await super().graphql_http_endpoint(request)
        return response


@click.command("webserver", context_settings={"auto_envvar_prefix": "DAGSTER_WEBSERVER"})
@click.option("--host", "-h", default=LOOPBACK, show_default=True, help="Address to listen on.")
@click.option("--port", "-p", default=3000, show_default=True, help="Port to listen on.")
@click.option("--path-prefix", "-l", default="", help="Path below which a reverse proxy serves it: /dagster")
@click.option("--db-statement-timeout", default=15_000, show_default=True, help="Milliseconds.")
@click.option("--db-pool-max-overflow", default=20, show_default=True, help="Connections beyond those kept.")
@click.option("--read-only", is_flag=True, help="Show everything, change nothing.")
@workspace_options
def main(  # noqa: PLR0913  (one a documented option)
    *,
    host: str,
    port: int,
    path_prefix: str,
    db_statement_timeout: int,
    db_pool_max_overflow: int,
    read_only: bool,
    **workspace: Any,  # noqa: ANN401  (as Dagster's option group hands them on)
) -> None:
    """Serve Dagster's UI, with protection against cross-origin requests.

    Set the host names of a reverse proxy in PURCHASE_ALLOWED_HOSTS.
    """
    settings = current_settings()
    configure_loggers(formatter=settings.log_format)
    setup_interrupt_handlers()
    target = workspace_opts_to_load_target(WorkspaceOpts.extract_from_cli_options(workspace))
    with dg.DagsterInstance.get() as instance:
        instance.optimize_for_webserver(db_statement_timeout, _POOL_RECYCLE_SECONDS, db_pool_max_overflow)
        with WorkspaceProcessContext(instance, target, version=__version__, read_only=read_only) as context:
            hosts = [host, *settings.allowed_hosts]
            app = SameOriginWebserver(context, path_prefix, hosts).create_asgi_app()
            run_quietly(app, host, port, settings)


if __name__ == "__main__":
    main()
