"""What a client says to PostgreSQL, read off the bytes: no more of the protocol than a fault's place needs.

Protocol: https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import struct

from purchase_pipeline_tests.tcp_link import Act, Link, Policy, Verdict, Way

_PROTOCOL_3 = 3  # the upper half of the version; what asks for encryption, or cancels, has 1234 there
_QUERY, _PARSE, _COPY_DATA = b"Q", b"P", b"d"


class PostgresWire:
    """One connection, as seen in the bytes of its client so far.

    Attributes:
        database: from the startup packet, as is `user`; "" before it.
        statements: their texts, in order, simple and prepared.
        copy_bytes: payload of all the connection's COPYs so far.
        commit_sent: whether the last statement is a COMMIT.
    """

    def __init__(self) -> None:
        self.database = self.user = ""
        self.statements: list[str] = []
        self.copy_bytes = 0
        self._unread = b""

    @property
    def commit_sent(self) -> bool:
        """Whether the last statement is a COMMIT."""
        return bool(self.statements) and self.statements[-1].upper() == "COMMIT"

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes; of a message that is not whole yet, COPY's data count as they come."""
        self._unread += chunk
        while (rest := self._read_message(self._unread)) is not None:
            self._unread = rest

    def _read_message(self, unread: bytes) -> bytes | None:
        """Read one whole message off the front and return what follows it; None if there is none."""
        head = 1 if self.user else 0  # only the startup packet has no letter
        if len(unread) < head + 4:
            return None
        (length,) = struct.unpack_from("!i", unread, head)
        if len(unread) < head + length:
            return None
        body = unread[head + 4 : head + length]
        if head:
            self._understand(unread[:1], body)
        else:
            self._start(body)
        return unread[head + length :]

    def _start(self, body: bytes) -> None:
        (version,) = struct.unpack_from("!i", body)
        if version >> 16 == _PROTOCOL_3:
            words = body[4:].decode().split("\0")
            options = dict(zip(words[::2], words[1::2], strict=False))
            self.user = options["user"]
            self.database = options.get("database", self.user)

    def _understand(self, letter: bytes, body: bytes) -> None:
        if letter == _COPY_DATA:
            self.copy_bytes += len(body)
        elif letter == _QUERY:
            self.statements.append(body.split(b"\0")[0].decode())
        elif letter == _PARSE:
            self.statements.append(body.split(b"\0")[1].decode())


def at_copy_byte(number: int, database: str, act: Act) -> Policy:
    """Act when so many bytes of COPY have passed on a connection to that database."""
    wire = PostgresWire()

    def policy(link: Link, way: Way, chunk: bytes) -> Verdict:  # noqa: ARG001
        if way is Way.DOWN:
            return Verdict()
        wire.feed(chunk)
        beyond = wire.copy_bytes - number
        if wire.database != database or beyond < 0 or not wire.copy_bytes:
            return Verdict()
        return Verdict(max(0, len(chunk) - beyond), then=act)

    return policy


def instead_of_commit(database: str, act: Act) -> Policy:
    """Act in place of a COMMIT on a connection to that database, which has copied something; the server gets none."""
    wire = PostgresWire()

    def policy(link: Link, way: Way, chunk: bytes) -> Verdict:  # noqa: ARG001
        if way is Way.UP:
            wire.feed(chunk)
            if wire.commit_sent and wire.database == database and wire.copy_bytes:
                return Verdict(0, then=act)
        return Verdict()

    return policy


def instead_of_answer_to_commit(database: str, act: Act) -> Policy:
    """Let the COMMIT of a connection that has copied pass, and act in place of its answer: it is committed."""
    wire = PostgresWire()

    def policy(link: Link, way: Way, chunk: bytes) -> Verdict:  # noqa: ARG001
        if way is Way.UP:
            wire.feed(chunk)
        elif wire.commit_sent and wire.copy_bytes and wire.database == database:
            return Verdict(0, then=act)
        return Verdict()

    return policy
