"""Traps on the wire: the worker of a chosen lot is killed at a chosen place."""

import re
import threading
from time import monotonic

import psutil

from purchase_pipeline.settings import DATABASE_NAME
from purchase_pipeline_tests.tcp_link import Link, Policy, Verdict, Way
from purchase_pipeline_tests.tcp_proxy import client_process
from resilience.drills.lot_points import FIRST_COPY, Place, Point
from resilience.drills.postgres_wire import PostgresWire

_LOTE = re.compile(rb"[?&](?:lote|day)=([\w-]+)")
_LENGTH = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)


class Trap:
    """Waits for one lot's worker at one place, and kills it there, once."""

    def __init__(self, lote: str, point: Point) -> None:
        self.lote = lote
        self.point = point
        self.worker: psutil.Process | None = None
        self.sprung_at = 0.0
        self._sprung = threading.Event()

    @property
    def is_set(self) -> bool:
        """Whether it still waits."""
        return not self._sprung.is_set()

    def wait(self, seconds: float) -> bool:
        """Return whether the kill came in so many seconds."""
        return self._sprung.wait(seconds)

    def spring(self, link: Link) -> None:
        """Kill the worker; what had not passed is lost with it."""
        if self.worker is not None and self.is_set:
            self.worker.kill()
            link.cut()
            self.sprung_at = monotonic()
            self._sprung.set()


class Traps:
    """The traps that are set, and the policies by which the two proxies spring them.

    Attributes:
        copy_bytes: payload of the newest whole COPY of accepted rows.
    """

    def __init__(self) -> None:
        self.copy_bytes = 0
        self._set: dict[str, Trap] = {}

    def set(self, trap: Trap) -> None:
        """Set a trap, in place of the lot's last."""
        self._set[trap.lote] = trap

    def on_api(self) -> Policy:
        """Return a policy for a connection to the API."""
        return _ApiWatch(self).verdict_on

    def on_database(self) -> Policy:
        """Return a policy for a connection to the server."""
        return _DatabaseWatch(self).verdict_on

    def for_lote(self, lote: str) -> Trap | None:
        """Return the trap that waits for a lot."""
        trap = self._set.get(lote)
        return trap if trap is not None and trap.is_set else None

    def for_client(self, link: Link) -> Trap | None:
        """Return the trap that waits for the process at the client's end."""
        waiting = [trap for trap in self._set.values() if trap.is_set and trap.worker is not None]
        if not waiting:
            return None
        process = client_process(link)
        return next((trap for trap in waiting if trap.worker == process), None)


class _ApiWatch:
    """Follows one connection to the API: its request names the lot, its client is the lot's worker."""

    def __init__(self, traps: Traps) -> None:
        self._traps = traps
        self._trap: Trap | None = None
        self._due: float | None = None

    def verdict_on(self, link: Link, way: Way, chunk: bytes) -> Verdict:
        if way is Way.UP:
            return self._asked(link, chunk)
        trap = self._trap
        if trap is None or trap.point.place is not Place.ANSWER:
            return Verdict()
        if self._due is None and (length := _LENGTH.search(chunk)):
            head = chunk.index(b"\r\n\r\n") + 4
            self._due = link.bytes[way] + head + int(length[1]) * trap.point.share
        if self._due is None or link.bytes[way] + len(chunk) < self._due:
            return Verdict()
        return Verdict(int(self._due) - link.bytes[way], then=trap.spring)

    def _asked(self, link: Link, chunk: bytes) -> Verdict:
        if (lote := _LOTE.search(chunk)) and (trap := self._traps.for_lote(lote[1].decode())):
            self._trap, trap.worker = trap, client_process(link)
            if trap.point.place is Place.REQUEST:
                return Verdict(then=trap.spring)
        return Verdict()


class _DatabaseWatch:
    """Follows one connection to the server."""

    def __init__(self, traps: Traps) -> None:
        self._traps = traps
        self._wire = PostgresWire()
        self._trap: Trap | None = None
        self._known = False

    def verdict_on(self, link: Link, way: Way, chunk: bytes) -> Verdict:
        statements = len(self._wire.statements)
        if way is Way.UP:
            self._wire.feed(chunk)
        if not self._known and self._wire.user:
            self._known = True
            if self._wire.database == DATABASE_NAME:
                self._trap = self._traps.for_client(link)
            return self._verdict(Place.CONNECT, chunk)
        if way is Way.DOWN:
            self._note_copy()
            return self._verdict(Place.STATEMENT_ANSWER, chunk)
        if len(self._wire.statements) > statements:
            return self._verdict(Place.STATEMENT, chunk)
        return self._verdict(Place.COPY_DATA, chunk)

    @property
    def _said(self) -> str:
        return self._wire.statements[-1] if self._wire.statements else ""

    def _verdict(self, place: Place, chunk: bytes) -> Verdict:
        trap = self._trap
        if trap is None or trap.point.place is not place or not self._is_there(trap.point):
            return Verdict()
        if place is not Place.COPY_DATA:
            return Verdict(None if trap.point.passes else 0, then=trap.spring)
        beyond = self._wire.copy_bytes - int(self._traps.copy_bytes * trap.point.share)
        return Verdict(max(0, len(chunk) - beyond), then=trap.spring) if beyond >= 0 else Verdict()

    def _is_there(self, point: Point) -> bool:
        copied = bool(self._wire.copy_bytes)
        if point.place is Place.STATEMENT_ANSWER and copied != point.after_data:
            return False
        if point.after_data and not copied:
            return False
        return bool(point.statement.match(self._said))

    def _note_copy(self) -> None:
        """Remember the size of a COPY of accepted rows when its end is answered."""
        if FIRST_COPY.match(self._said) and self._wire.copy_bytes:
            self._traps.copy_bytes = self._wire.copy_bytes
