"""Policies for the TCP proxy that need to understand nothing of what passes."""

from collections.abc import Callable
from math import inf
from typing import TypeAlias

from purchase_pipeline_tests.tcp_link import Link, Policy, Verdict, Way

Act: TypeAlias = Callable[[Link], None]
"""What happens at the chosen place: `Link.cut`, `Link.reset`, `Link.swallow`, or a function of the caller's."""


def at_byte(number: int, way: Way, act: Act) -> Policy:
    """Let so many bytes pass that way, then act."""

    def policy(link: Link, going: Way, chunk: bytes) -> Verdict:
        left = number - link.bytes[way]
        return Verdict(left, then=act) if going is way and len(chunk) >= left else Verdict()

    return policy


def before_pattern(pattern: bytes, way: Way, act: Act) -> Policy:
    """Act when these bytes are about to pass that way; what stands before them passes."""
    place = pattern_finder(pattern)

    def policy(link: Link, going: Way, chunk: bytes) -> Verdict:  # noqa: ARG001
        found = place(chunk) if going is way else None
        return Verdict() if found is None else Verdict(max(0, found), then=act)

    return policy


def instead_of_answer_to(pattern: bytes, way: Way, act: Act) -> Policy:
    """Let these bytes pass that way, and act in place of what comes back: the other side has understood by then."""
    place, asked = pattern_finder(pattern), False

    def policy(link: Link, going: Way, chunk: bytes) -> Verdict:  # noqa: ARG001
        nonlocal asked
        if going is way:
            asked = asked or place(chunk) is not None
        elif asked:
            return Verdict(0, then=act)
        return Verdict()

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


def pattern_finder(pattern: bytes) -> Callable[[bytes], int | None]:
    """Return a function that is fed chunks and says where in a chunk the pattern begins.

    A place below 0 lies in the chunk before, whose bytes have passed.
    """
    tail = b""

    def place(chunk: bytes) -> int | None:
        nonlocal tail
        seen = tail + chunk
        found = seen.find(pattern) - len(tail) if pattern in seen else None
        tail = seen[-(len(pattern) - 1) :] if len(pattern) > 1 else b""
        return found

    return place
