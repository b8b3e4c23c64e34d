"""What the stack takes of the machine: processor time and memory, process by process."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

import psutil

from benchmarks.command import cpu_seconds
from purchase_pipeline_tests.drills.live_stack import LiveStack

POSTGRES = "PostgreSQL"
_MIB = 1 << 20


class Usage(NamedTuple):
    """What processes of one name have used.

    Attributes:
        cpu_seconds: since they started, that of their ended children included.
        resident_mib: what each has resident, added up: what they share counts in each.
        shared_out_mib: the same, but what processes share divided among them.
    """

    cpu_seconds: float
    resident_mib: float
    shared_out_mib: float


def stack_usage(home: LiveStack) -> dict[str, Usage]:
    """Return what is used by `up`, by each service, by PostgreSQL as a whole, and by each kind of its processes."""
    by_name: dict[str, list[psutil.Process]] = {}
    for process in home.running():
        with suppress(psutil.NoSuchProcess):
            name = process.environ().get("PURCHASE_SERVICE", "up").replace("_", " ")
            by_name.setdefault(name, []).append(process)
    if first := home.postmaster():
        by_name[POSTGRES] = [first]
        for child in first.children():
            by_name[POSTGRES].append(child)
            with suppress(psutil.NoSuchProcess):
                by_name.setdefault(f"{POSTGRES}'s {kind_of(child.cmdline()[0])}", []).append(child)
    return {name: _usage(processes) for name, processes in by_name.items()}


def kind_of(title: str) -> str:
    """Return what a PostgreSQL process is, by its title: `postgres: cluster: io worker 1` is an `io worker`.

    A connection is told by its role, whatever it does just now.
    """
    words = title.rpartition(": ")[2].split()
    if "[local]" in words:
        return f"connection of {words[0]}"
    return " ".join(word for word in words if not word.isdigit())


def core_shares(before: Mapping[str, Usage], after: Mapping[str, Usage], seconds: float) -> dict[str, float]:
    """Return the share of one core, in percent, that each name took between; those that are there at both moments."""
    return {
        name: 100 * (after[name].cpu_seconds - before[name].cpu_seconds) / seconds
        for name in before
        if name in after
    }


def _usage(processes: Iterable[psutil.Process]) -> Usage:
    cpu, resident, shared_out = 0.0, 0.0, 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            cpu += cpu_seconds(process)
            memory = process.memory_full_info()
            resident += memory.rss / _MIB
            shared_out += getattr(memory, "pss", memory.rss) / _MIB  # Linux alone counts what is shared
    return Usage(cpu, resident, shared_out)
