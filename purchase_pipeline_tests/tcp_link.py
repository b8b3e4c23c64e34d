"""One connection through the TCP proxy: its bytes, the policies that decide on them, and the ways to break it."""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import TypeAlias, cast

_CHUNK_BYTES = 1 << 14
_LINGER_NOT = struct.pack("ii", 1, 0)  # closing sends RST, and what was not sent is dropped


class Way(Enum):
    """Which way bytes go."""

    UP = "from the client to the server"
    DOWN = "from the server to the client"


@dataclass(frozen=True)
class Verdict:
    """What becomes of a chunk: after a pause its first bytes pass (None: all), then something happens to the link.

    It happens once a link. What is left of the chunk passes after it, if the link can still pass anything.
    """

    passes: int | None = None
    pause_seconds: float = 0.0
    then: "Callable[[Link], None] | None" = None


class Link:
    """One connection through the proxy, and the ways to break it. The proxy's own thread alone may call these.

    Attributes:
        client_port: the client's end, by which `psutil.net_connections` knows its process.
        bytes: what has passed, each way.
        struck: whether a policy's `then` has happened.
    """

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client_port: int = client.get_extra_info("peername")[1]
        self.bytes = dict.fromkeys(Way, 0)
        self.struck = False
        self._ends = {Way.DOWN: client, Way.UP: server}
        self._swallowing = False
        for end in self._ends.values():
            end.transport.set_write_buffer_limits(high=0)  # passed is then sent

    def cut(self) -> None:
        """End the connection in order: FIN both ways, after what has passed."""
        for end in self._ends.values():
            end.close()

    def reset(self) -> None:
        """Tear the connection down: RST both ways."""
        for end in self._ends.values():
            sock = cast("socket.socket", end.get_extra_info("socket"))
            if sock.family == socket.AF_INET and sock.fileno() >= 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            end.transport.abort()

    def swallow(self) -> None:
        """Keep the connection open and pass nothing on from now on, either way, not even its end."""
        self._swallowing = True

    async def carry(self, way: Way, source: asyncio.StreamReader, policy: "Policy") -> None:
        """Pass chunks on, one way, until their end; a connection that breaks on one side breaks on the other."""
        try:
            while chunk := await source.read(_CHUNK_BYTES):
                await self._judge(way, chunk, Verdict() if self.struck else policy(self, way, chunk))
            if self._is_passable(way):
                self._ends[way].write_eof()
        except OSError:
            if not self._swallowing:
                self.reset()

    async def _judge(self, way: Way, chunk: bytes, verdict: Verdict) -> None:
        if verdict.pause_seconds:
            await asyncio.sleep(verdict.pause_seconds)
        await self._pass(way, chunk[: verdict.passes])
        if verdict.then is not None and not self.struck:
            self.struck = True
            verdict.then(self)
            await self._pass(way, chunk[verdict.passes :])

    async def _pass(self, way: Way, chunk: bytes) -> None:
        if chunk and self._is_passable(way):
            self.bytes[way] += len(chunk)
            self._ends[way].write(chunk)
            await self._ends[way].drain()

    def _is_passable(self, way: Way) -> bool:
        return not (self._swallowing or self._ends[way].is_closing())


Policy: TypeAlias = Callable[[Link, Way, bytes], Verdict]
"""Is shown each chunk of one connection before it passes; the link's counts do not hold it yet."""


def let_pass(link: Link, way: Way, chunk: bytes) -> Verdict:  # noqa: ARG001
    """Let everything pass."""
    return Verdict()


Act: TypeAlias = Callable[[Link], None]
"""What happens at the chosen place: `Link.cut`, `Link.reset`, `Link.swallow`, or a function of the caller's."""


def at_byte(number: int, way: Way, act: Act) -> Policy:
    """Let so many bytes pass that way, then act."""

    def policy(link: Link, going: Way, chunk: bytes) -> Verdict:
        left = number - link.bytes[way]
        return Verdict(left, then=act) if going is way and len(chunk) >= left else Verdict()

    return policy


def at_once(act: Act) -> Policy:
    """Act at the first byte, which does not pass."""
    return lambda link, going, chunk: Verdict(0, then=act)  # noqa: ARG005


def slow(way: Way, *, bytes_per_second: float = inf, delay_seconds: float = 0.0) -> Policy:
    """Hold each chunk that way back: for its size, at this pace, and for a fixed time."""

    def policy(link: Link, going: Way, chunk: bytes) -> Verdict:  # noqa: ARG001
        if going is not way:
            return Verdict()
        return Verdict(pause_seconds=delay_seconds + len(chunk) / bytes_per_second)

    return policy
