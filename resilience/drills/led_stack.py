"""A stack led through two proxies: to an API that the drill serves, and to a server that the drill keeps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from purchase_pipeline.settings import DAGSTER_DATABASE_NAME, DATABASE_NAME
from purchase_pipeline_tests.live_stack import LiveStack, dismantle
from purchase_pipeline_tests.tcp_link import Policy, let_pass
from purchase_pipeline_tests.tcp_proxy import TcpProxy, proxied

_SOCKET = ".s.PGSQL.5432"


@dataclass(frozen=True)
class LedStack:
    """The stack, and what stands between it and the world. Dagster's own storage is reached past the proxy."""

    stack: LiveStack
    to_api: TcpProxy
    to_server: TcpProxy


@contextmanager
def led_stack(  # noqa: PLR0913  (one for each choice)
    folder: Path,
    *words: str,
    api_url: str,
    url_variable: str = "PURCHASE_API_URL",
    module: str | None = None,
    on_api: Callable[[], Policy] = lambda: let_pass,
    on_database: Callable[[], Policy] = lambda: let_pass,
) -> Iterator[LedStack]:
    """Start a server, the proxies and `up`; remove them all at the end.

    A connection's policy comes from `on_...`; `module` has the definitions of another feed than the purchases.
    """
    stack = LiveStack(folder / "home", *words, server_home=folder / "server", module=module)
    server = stack.server
    server.start()
    try:
        make_databases(stack)
        with (
            proxied(("127.0.0.1", int(api_url.rpartition(":")[2])), on_api) as to_api,
            proxied(server.socket_folder / _SOCKET, on_database) as to_server,
        ):
            stack.environment |= {
                url_variable: f"http://127.0.0.1:{to_api.port}",
                "DATABASE_URL": f"postgresql://postgres@127.0.0.1:{to_server.port}/{DATABASE_NAME}?sslmode=disable",
                "DAGSTER_POSTGRES_URL": server.url(DAGSTER_DATABASE_NAME),
            }
            stack.start()
            try:
                yield LedStack(stack, to_api, to_server)
            finally:
                dismantle(stack)
    finally:
        server.remove()


def make_databases(stack: LiveStack) -> None:
    """Make the two databases of the pipeline on the server that a stack was given."""
    with stack.connection("postgres") as connection:
        connection.autocommit = True
        for name in (DATABASE_NAME, DAGSTER_DATABASE_NAME):
            connection.execute(f"CREATE DATABASE {name}".encode())
