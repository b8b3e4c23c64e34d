"""`up` at its normal pace: 50 batches, one every 5 s, then the idle stack with its UI."""

import subprocess
from collections import defaultdict
from itertools import pairwise
from time import monotonic, sleep, time

from benchmarks.command import an_empty_home, require_success, started
from benchmarks.figures import Figure, Measured
from benchmarks.lot_waits import percentile_95, read_commits, read_waits
from benchmarks.stack_usage import CONNECTION, POSTGRES, RUN, Usage, core_shares, is_part, stack_usage
from purchase_pipeline_tests.drills.live_stack import LiveStack
from purchase_pipeline_tests.drills.waiting import wait_for
from purchase_pipeline_tests.serving import free_port

LOTS = 50
_ROWS = 10_000
_EVERY_SECONDS = 5
_MOST_SECONDS = 265

_SAMPLE_SECONDS = 10
_WARM_SECONDS = 20  # until all services have finished importing
_IDLE_SECONDS = 60
_START_SECONDS = 120.0

_NOTES = (
    "One run of `up`, regardless of rounds: waits have one value per batch, memory has one sample every 10 s.",
    "Tick to commit: from the start of the sensor's tick to the batch's ledger entry; the phases are parts of it.",
    "The time of the command starts with an empty home and includes starting and stopping all services.",
    "Idle: `up` with its UI, all batches loaded, no page open; percentages of one core over 60 s.",
    "Memory is resident memory; shared memory counts in each process, but is divided in the total of PostgreSQL.",
)


def run(rounds: int, lots: int = LOTS) -> Measured:  # noqa: ARG001  # one run is enough: each of its batches is a round
    """Load all batches, then start the stack again in the same home and leave it idle."""
    with an_empty_home() as home:
        figures = [*_loading(home, lots), *_idle(home, lots)]
    return Measured("cadence", figures, notes=_NOTES)


def _loading(home: LiveStack, lots: int) -> list[Figure]:
    began_at = time()
    with started(home, *_words(lots), "--no-ui", "--exit-when-done") as up:
        samples = _sampled_until_end(home, up)
        whole = time() - began_at
        require_success(home, up)
    home.server.start()  # `up` stopped it
    waits, commits = read_waits(home), read_commits(home)
    whole_waits = [sum(wait.values()) for wait in waits]
    return [
        Figure(f"`up`, {lots} batches", "s", [whole], at_most=_MOST_SECONDS),
        Figure("commit to commit", "s", [later - earlier for earlier, later in pairwise(commits)]),
        Figure("tick to commit", "s", whole_waits),
        Figure("tick to commit, 95th percentile", "s", [percentile_95(whole_waits)]),
        Figure("tick to commit, longest", "s", [max(whole_waits)]),
        *(Figure(f"tick to commit: {phase}", "s", [wait[phase] for wait in waits]) for phase in waits[0]),
        *_memory_figures("loading", samples),
    ]


def _idle(home: LiveStack, lots: int) -> list[Figure]:
    home.server.stop()
    with started(home, *_words(lots), "--port", str(free_port())):
        wait_for(lambda: "keeps running" in home.log.read_text(), "the end of loading", _START_SECONDS)
        sleep(_WARM_SECONDS)
        samples = [stack_usage(home)]
        began = monotonic()
        for _ in range(_IDLE_SECONDS // _SAMPLE_SECONDS):
            sleep(_SAMPLE_SECONDS)
            samples.append(stack_usage(home))
        shares = core_shares(samples[0], samples[-1], monotonic() - began)
    shares = {name: share for name, share in shares.items() if not is_part(name)}
    return [
        Figure("idle, whole stack", "% of a core", [sum(shares.values())]),
        *(Figure(f"idle, {name}", "% of a core", [share]) for name, share in shares.items()),
        *_memory_figures("idle", samples),
    ]


def _sampled_until_end(home: LiveStack, up: "subprocess.Popen[bytes]") -> list[dict[str, Usage]]:
    """Wait for the end of `up`; return samples of its resource usage, from when all services have started."""
    samples = list[dict[str, Usage]]()
    wait_seconds = _WARM_SECONDS
    while True:
        try:
            up.wait(wait_seconds)
        except subprocess.TimeoutExpired:
            samples.append(stack_usage(home))
            wait_seconds = _SAMPLE_SECONDS
        else:
            return samples


def _memory_figures(when: str, samples: list[dict[str, Usage]]) -> list[Figure]:
    mib, connections = defaultdict[str, list[float]](list), list[float]()
    for sample in samples:
        for name, usage in sample.items():
            mib[f"{name}, each" if _is_shown_each(name) else name].append(_shown_mib(name, usage))
        connections.append(sum(usage.processes for name, usage in sample.items() if CONNECTION in name))
    return [
        *(Figure(f"{when}, memory of {name}", "MiB", values) for name, values in mib.items()),
        Figure(f"{when}, connections to {POSTGRES}", "", connections),
    ]


def _shown_mib(name: str, usage: Usage) -> float:
    if _is_shown_each(name):
        return usage.resident_mib / usage.processes
    return usage.shared_out_mib if name == POSTGRES else usage.resident_mib


def _is_shown_each(name: str) -> bool:
    return name == RUN or is_part(name)


def _words(lots: int) -> list[str]:
    sizes = ["--lots", str(lots), "--rows", str(_ROWS), "--every", str(_EVERY_SECONDS)]
    return ["up", *sizes, "--api-port", str(free_port())]
