"""Every fault that the soak draws from: of processes, and of the connections between them."""

import random
import signal
from collections.abc import Callable, Mapping
from time import sleep
from typing import TypeAlias

import psutil

from purchase_pipeline_tests.tcp_link import Link, Policy, Way, at_byte, let_pass, slow
from purchase_pipeline_tests.tcp_proxy import TcpProxy
from purchase_pipeline_tests.waiting import kill
from resilience.drills.led_stack import LedStack

_LONGEST_AWAY_SECONDS = 10.0
_MOST_BYTES = 2_000_000  # a lot is 2 MB on the wire
_SPOILT_CONNECTIONS = 5


class RandomPolicies:
    """Disturbs the next few connections at each call of `spoil`."""

    def __init__(self) -> None:
        self._left = 0

    def spoil(self) -> None:
        """Have the next connections cut, reset, silenced or slowed at a random byte."""
        self._left = _SPOILT_CONNECTIONS

    def next(self) -> Policy:
        """Return the next connection's policy."""
        if not self._left:
            return let_pass
        self._left -= 1
        way = random.choice(list(Way))  # noqa: S311
        if random.random() < 0.25:  # noqa: S311
            return slow(way, bytes_per_second=500_000, delay_seconds=0.01)
        act = random.choice([Link.cut, Link.reset, Link.swallow])  # noqa: S311
        return at_byte(int(_MOST_BYTES * random.random() ** 3), way, act)  # noqa: S311  (most queries are short)


Fault: TypeAlias = Callable[[LedStack, RandomPolicies], bool]
"""Strikes, and returns whether there was anything to strike."""


def _kill_worker(led: LedStack, policies: RandomPolicies) -> bool:  # noqa: ARG001
    return kill(led.stack.workers()) > 0


def _kill_code_server(led: LedStack, policies: RandomPolicies) -> bool:  # noqa: ARG001
    return kill(led.stack.code_servers()) > 0


def _kill_worker_and_code_server(led: LedStack, policies: RandomPolicies) -> bool:  # noqa: ARG001
    workers = led.stack.workers()
    return bool(workers) and kill([*led.stack.code_servers(), *workers]) > 0


def _kill_daemon(led: LedStack, policies: RandomPolicies) -> bool:  # noqa: ARG001
    return kill(led.stack.daemons()) > 0


def _kill_up(led: LedStack, policies: RandomPolicies) -> bool:  # noqa: ARG001
    struck = kill([led.stack.up_process()])
    led.stack.up.wait()
    led.stack.start()
    return struck > 0


def _kill_all(led: LedStack, policies: RandomPolicies) -> bool:  # noqa: ARG001
    struck = kill(led.stack.running())
    led.stack.up.wait()
    led.stack.start()
    return struck > 0


def _postgres_by(blow: signal.Signals) -> Fault:
    def strike(led: LedStack, policies: RandomPolicies) -> bool:  # noqa: ARG001
        postmaster = led.stack.postmaster()
        if postmaster is None:
            return False
        postmaster.send_signal(blow)
        psutil.wait_procs([postmaster], timeout=30)
        sleep(random.uniform(0, _LONGEST_AWAY_SECONDS))  # noqa: S311
        led.stack.server.start()  # a given server has somebody who starts it again
        return True

    return strike


def _reset_all(proxy: Callable[[LedStack], TcpProxy]) -> Fault:
    def strike(led: LedStack, policies: RandomPolicies) -> bool:  # noqa: ARG001
        proxy(led).reset_all()
        return True

    return strike


def _refuse(proxy: Callable[[LedStack], TcpProxy]) -> Fault:
    def strike(led: LedStack, policies: RandomPolicies) -> bool:  # noqa: ARG001
        proxy(led).refuse()
        sleep(random.uniform(0, _LONGEST_AWAY_SECONDS))  # noqa: S311
        proxy(led).accept()
        return True

    return strike


def _spoil(led: LedStack, policies: RandomPolicies) -> bool:  # noqa: ARG001
    policies.spoil()
    return True


FAULTS: Mapping[str, Fault] = {
    "run workers killed": _kill_worker,
    "code server killed": _kill_code_server,
    "run workers and code server killed": _kill_worker_and_code_server,
    "daemon killed": _kill_daemon,
    "up killed": _kill_up,
    "up killed with all that it started": _kill_all,
    "PostgreSQL stopped at once": _postgres_by(signal.SIGQUIT),
    "PostgreSQL killed": _postgres_by(signal.SIGKILL),
    "all connections to the data reset": _reset_all(lambda led: led.to_server),
    "all connections to the API reset": _reset_all(lambda led: led.to_api),
    "connections to the data refused": _refuse(lambda led: led.to_server),
    "connections to the API refused": _refuse(lambda led: led.to_api),
    "five connections cut, reset, silenced or slowed": _spoil,
}
