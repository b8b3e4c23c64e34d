"""Faults on the wire between the pipeline and PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import dagster as dg

from purchase_pipeline_tests.pipelines import a_pipeline
from purchase_pipeline_tests.tcp_link import Link, Policy, Verdict, Way, let_pass, slow
from purchase_pipeline_tests.tcp_proxy import TcpProxy, proxied
from resilience.drills.lot_bench import DATABASE, LotBench, a_database, an_api
from resilience.drills.outcome import Drill, Outcome
from resilience.drills.postgres_wire import (
    PostgresWire,
    at_copy_byte,
    instead_of_answer_to_commit,
    instead_of_commit,
)
from resilience.drills.trials import Fault, HasStruck, outcome_of_struck, try_once

_ROWS = 2_000
_DEFECTS = 0.01

PolicyFor: TypeAlias = Callable[[int], Policy]
"""Makes a connection's policy, given how many bytes the lot's COPYs have."""


@contextmanager
def a_lot_on_the_wire(folder: Path) -> Iterator[tuple[LotBench, TcpProxy, int]]:
    """Load a lot through a proxy before PostgreSQL; give the bench, the proxy, and the bytes that were copied."""
    with (
        a_database(folder) as database,
        an_api(_DEFECTS) as (api, api_url),
        proxied(database.socket) as proxy,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        pipeline = a_pipeline(api_url, folder / "landing", database.url_through(proxy.port))
        bench = LotBench(
            lote="lote-0001",
            rows=_ROWS,
            api=api,
            api_url=api_url,
            database=database,
            pipeline=pipeline,
            instance=instance,
        )
        wires: list[PostgresWire] = []
        proxy.policy_for = lambda: _listening(wires)
        first = bench.next_version()
        if not bench.load(refetch=True) or not bench.holds(first):
            raise RuntimeError("The lot could not be loaded before anything was broken")
        bench.held = first
        proxy.policy_for = lambda: let_pass
        yield bench, proxy, max(wire.copy_bytes for wire in wires)


def _listening(wires: list[PostgresWire]) -> Policy:
    wire = PostgresWire()
    wires.append(wire)

    def policy(link: Link, way: Way, chunk: bytes) -> Verdict:  # noqa: ARG001
        if way is Way.UP:
            wire.feed(chunk)
        return Verdict()

    return policy


def on_the_wire(proxy: TcpProxy, policy_for: Callable[[], Policy]) -> Fault:
    """Return the fault that gives every new connection this policy."""

    @contextmanager
    def fault(_: LotBench) -> Iterator[HasStruck]:
        before = len(proxy.links)
        proxy.policy_for = policy_for
        yield lambda: any(link.struck for link in proxy.links[before:])
        proxy.policy_for = lambda: let_pass

    return fault


def _run(policy_for: PolicyFor, times: int, folder: Path) -> Outcome:
    with a_lot_on_the_wire(folder) as (bench, proxy, copied):
        fault = on_the_wire(proxy, partial(policy_for, copied))
        return outcome_of_struck(times, lambda: try_once(bench, fault))


def _reset_at(share: float, copied: int) -> Policy:
    return at_copy_byte(round(share * copied), DATABASE, Link.reset)


def _slow() -> Policy:
    late, throttled = slow(Way.DOWN, delay_seconds=0.02), slow(Way.UP, bytes_per_second=1_000_000)

    def policy(link: Link, way: Way, chunk: bytes) -> Verdict:
        link.struck = True
        return (late if way is Way.DOWN else throttled)(link, way, chunk)

    return policy


def _drill(name: str, fault: str, policy_for: PolicyFor, *, full: int = 100, short: int = 3) -> Drill:
    return Drill(name, fault, full=full, short=short, run=partial(_run, policy_for))


DRILLS = (
    *(
        _drill(
            f"reset-at-{percent}-percent-of-copy",
            f"PostgreSQL's connection reset at {percent} % of COPY",
            partial(_reset_at, percent / 100),
            short=3 if percent == 50 else 0,
        )
        for percent in (1, 50, 99)
    ),
    _drill(
        "reset-before-commit",
        "PostgreSQL's connection reset just before COMMIT",
        lambda _: instead_of_commit(DATABASE, Link.reset),
        short=0,
    ),
    _drill(
        "reset-between-commit-and-answer",
        "PostgreSQL's connection reset between COMMIT and its response",
        lambda _: instead_of_answer_to_commit(DATABASE, Link.reset),
    ),
    _drill(
        "slow-postgres-wire",
        "Every PostgreSQL response 20 ms late, COPY at 1 MB/s",
        lambda _: _slow(),
        short=0,
    ),
)
