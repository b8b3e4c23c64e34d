"""A TCP proxy that stands between two programs and breaks their connection on demand.

What to break, and where, is a policy's to say: `tcp_link` has some, `postgres_wire` of the lab has more.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, TypeAlias

import psutil

from purchase_pipeline_tests.tcp_link import Link, Policy, Way, let_pass

Upstream: TypeAlias = tuple[str, int] | Path
"""Host and port, or the path of a Unix socket."""

_PATIENCE_SECONDS = 10


class TcpProxy:
    """Listens on a free loopback port; each connection is given the policy that `policy_for()` returns then.

    `policy_for` may be changed at any time, for the connections to come. It and the policies run in the proxy's own
    thread.
    """

    def __init__(self, upstream: Upstream, policy_for: Callable[[], Policy]) -> None:
        self.links: list[Link] = []
        self.policy_for = policy_for
        self.port = 0
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._tasks = set[asyncio.Task[None]]()
        self._listener: socket.socket | None = None

    def run(self) -> None:
        """Turn the loop until `close`."""
        self._loop.run_forever()
        self._loop.close()

    def accept(self) -> None:
        """Take connections; after `refuse`, on the same port again."""
        self._do(self._listen())

    def refuse(self) -> None:
        """Take no connection any more: whoever tries is refused. Those that are open stay."""
        self._do(self._stop_listening())

    def reset_all(self) -> None:
        """Tear down every connection that is open."""
        self._do(self._reset_all())

    def close(self) -> None:
        """Stop, and tear down what is open."""
        self.refuse()
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_SECONDS)

    async def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._listener.settimeout(0)
        self.port = self._listener.getsockname()[1]
        self._loop.add_reader(self._listener, self._take_one, self._listener)

    def _take_one(self, listener: socket.socket) -> None:
        self._start(self._welcome(listener.accept()[0]))

    async def _stop_listening(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reset_all(self) -> None:
        for link in self.links:
            link.reset()

    async def _end(self) -> None:
        await asyncio.sleep(0)  # whoever was let in just now is begun with
        await self._reset_all()
        under_way = list(self._tasks)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await asyncio.sleep(0.01)  # the loop's next turn closes what was torn down

    async def _welcome(self, connection: socket.socket) -> None:
        from_client, client = await asyncio.open_connection(sock=connection)
        try:
            from_server, server = await self._reach()
        except OSError:  # nobody is there: the client sees the same
            client.transport.abort()
            return
        except asyncio.CancelledError:
            client.transport.abort()
            raise
        link, policy = Link(client, server), self.policy_for()
        self.links.append(link)
        try:
            await asyncio.gather(
                link.carry(Way.UP, from_client, policy), link.carry(Way.DOWN, from_server, policy)
            )
        finally:
            link.cut()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._upstream, Path):
            return await asyncio.open_unix_connection(self._upstream)
        return await asyncio.open_connection(*self._upstream)


@contextmanager
def proxied(upstream: Upstream, policy_for: Callable[[], Policy] = lambda: let_pass) -> Iterator[TcpProxy]:
    """Run a proxy in a thread of its own."""
    proxy = TcpProxy(upstream, policy_for)
    thread = Thread(target=proxy.run, name="tcp-proxy", daemon=True)
    thread.start()
    try:
        proxy.accept()
        yield proxy
    finally:
        proxy.close()
        thread.join()


def client_process(link: Link) -> psutil.Process:
    """Return the process at the client's end.

    Raises:
        ProcessLookupError: nobody has that end any more.
    """
    for connection in psutil.net_connections("tcp4"):
        if connection.laddr and connection.laddr.port == link.client_port and connection.pid:
            return psutil.Process(connection.pid)
    raise ProcessLookupError(f"No process holds port {link.client_port}")
