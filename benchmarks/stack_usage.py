"""What the stack takes of the machine: processor time and memory, process by process."""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

import psutil

from benchmarks.command import cpu_seconds
from purchase_pipeline_tests.live_stack import LiveStack

POSTGRES = "PostgreSQL"
CONNECTION = "connection of"
RUN = "run"
_MIB = 1 << 20


class Usage(NamedTuple):
    """What processes of one name have used.

    Attributes:
        processes: how many they are.
        cpu_seconds: since they started, that of their ended children included.
        resident_mib: what each has resident, added up: what they share counts in each.
        shared_out_mib: the same, but what processes share divided among them.
    """

    processes: int
    cpu_seconds: float
    resident_mib: float
    shared_out_mib: float


def stack_usage(home: LiveStack) -> dict[str, Usage]:
    """Return what is used by `up`, by each service, by runs, by PostgreSQL, and by each kind of its processes."""
    by_name = defaultdict[str, list[Usage]](list)
    for process in home.running():
        with suppress(psutil.NoSuchProcess):
            by_name[_name_of(process)].append(_usage_of(process))
    for process in _server_processes(home):
        with suppress(psutil.NoSuchProcess):
            usage, kind = _usage_of(process), kind_of(" ".join(process.cmdline()))
            for name in (POSTGRES, f"{POSTGRES}'s {kind}"):
                by_name[name].append(usage)
    return {name: Usage(*map(sum, zip(*usages, strict=True))) for name, usages in by_name.items()}


def is_part(name: str) -> bool:
    """Tell whether a name is of one kind of PostgreSQL's processes, which PostgreSQL as a whole counts too."""
    return name.startswith(f"{POSTGRES}'s ")


def kind_of(title: str) -> str:
    """Return what a PostgreSQL process is, by its title: `postgres: cluster: io worker 1` is an `io worker`.

    A connection is told by its role, whatever it does just now. The first process keeps its command line as title.
    """
    if not title.startswith("postgres: "):
        return "first process"
    words = title.rpartition(": ")[2].split()
    if "[local]" in words:
        return f"{CONNECTION} {words[0]}"
    return " ".join(word for word in words if not word.isdigit())


def core_shares(before: Mapping[str, Usage], after: Mapping[str, Usage], seconds: float) -> dict[str, float]:
    """Return the share of one core, in percent, that each name took between; those that are there at both moments."""
    return {
        name: 100 * (after[name].cpu_seconds - before[name].cpu_seconds) / seconds
        for name in before
        if name in after
    }


def _server_processes(home: LiveStack) -> list[psutil.Process]:
    first = home.postmaster()
    with suppress(psutil.NoSuchProcess):
        return [first, *first.children()] if first else []
    return []


def _name_of(process: psutil.Process) -> str:
    if "spawn_main" in " ".join(process.cmdline()):
        return RUN
    return process.environ().get("PURCHASE_SERVICE", "up")


def _usage_of(process: psutil.Process) -> Usage:
    memory = process.memory_full_info()
    shared_out = getattr(memory, "pss", memory.rss)  # Linux alone counts what is shared
    return Usage(1, cpu_seconds(process), memory.rss / _MIB, shared_out / _MIB)
