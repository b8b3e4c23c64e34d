"""The main job at its pace: 50 lots, one in 5 s, then the stack at rest with its UI on."""

import subprocess
from collections import defaultdict
from itertools import pairwise
from time import monotonic, sleep, time

from benchmarks.command import an_empty_home, require_success, started
from benchmarks.figures import Figure, Measured
from benchmarks.lot_waits import percentile_95, read_commits, read_waits
from benchmarks.stack_usage import CONNECTION, POSTGRES, RUN, Usage, core_shares, is_part, stack_usage
from purchase_pipeline_tests.live_stack import LiveStack
from purchase_pipeline_tests.serving import free_port
from purchase_pipeline_tests.waiting import wait_for

LOTS = 50
_ROWS = 10_000
_EVERY_SECONDS = 5
_MOST_SECONDS = 265

_SAMPLE_SECONDS = 10
_WARM_SECONDS = 20  # until all that starts has imported what it needs
_IDLE_SECONDS = 60
_START_SECONDS = 120.0

_NOTES = (
    "One campaign, whatever the rounds: the values of a wait are the lots', those of memory are samples 10 s apart.",
    "Tick to commit counts from the start of the sensor's tick to the lot's entry in the ledger; the phases are parts.",
    "The campaign's seconds are the command's, from an empty home: the start and the stop of everything included.",
    "At rest: `up` with its UI, all lots loaded, nobody looking at it; shares of one core over 60 s.",
    "Memory is resident memory, in which what processes share counts in each; of PostgreSQL as a whole it is divided.",
)


def run(rounds: int, lots: int = LOTS) -> Measured:  # noqa: ARG001  # one campaign says it: each of its lots is a round
    """Run one campaign, then start the stack again in the same home and leave it alone."""
    with an_empty_home() as home:
        figures = [*_campaign(home, lots), *_rest(home, lots)]
    return Measured("cadence", figures, notes=_NOTES)


def _campaign(home: LiveStack, lots: int) -> list[Figure]:
    began_at = time()
    with started(home, *_words(lots), "--no-ui", "--exit-when-done") as up:
        samples = _sampled_until_end(home, up)
        whole = time() - began_at
        require_success(home, up)
    home.server.start()  # which `up` has stopped
    waits, commits = read_waits(home), read_commits(home)
    whole_waits = [sum(wait.values()) for wait in waits]
    return [
        Figure(f"campaign of {lots} lots", "s", [whole], at_most=_MOST_SECONDS),
        Figure("from commit to commit", "s", [later - earlier for earlier, later in pairwise(commits)]),
        Figure("tick to commit", "s", whole_waits),
        Figure("tick to commit, 95th percentile", "s", [percentile_95(whole_waits)]),
        Figure("tick to commit, longest", "s", [max(whole_waits)]),
        *(Figure(f"tick to commit: {phase}", "s", [wait[phase] for wait in waits]) for phase in waits[0]),
        *_memory_figures("campaign", samples),
    ]


def _rest(home: LiveStack, lots: int) -> list[Figure]:
    home.server.stop()
    with started(home, *_words(lots), "--port", str(free_port())):
        wait_for(lambda: "stays up" in home.log.read_text(), "the end of the campaign", _START_SECONDS)
        sleep(_WARM_SECONDS)
        samples = [stack_usage(home)]
        began = monotonic()
        for _ in range(_IDLE_SECONDS // _SAMPLE_SECONDS):
            sleep(_SAMPLE_SECONDS)
            samples.append(stack_usage(home))
        shares = core_shares(samples[0], samples[-1], monotonic() - began)
    shares = {name: share for name, share in shares.items() if not is_part(name)}
    return [
        Figure("at rest, whole stack", "% of a core", [sum(shares.values())]),
        *(Figure(f"at rest, {name}", "% of a core", [share]) for name, share in shares.items()),
        *_memory_figures("at rest", samples),
    ]


def _sampled_until_end(home: LiveStack, up: "subprocess.Popen[bytes]") -> list[dict[str, Usage]]:
    """Wait for the end of `up`; return what its services used meanwhile, once all had started."""
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
            mib[f"{name}, each" if _is_told_each(name) else name].append(_told_mib(name, usage))
        connections.append(sum(usage.processes for name, usage in sample.items() if CONNECTION in name))
    return [
        *(Figure(f"{when}, memory of {name}", "MiB", values) for name, values in mib.items()),
        Figure(f"{when}, connections to {POSTGRES}", "", connections),
    ]


def _told_mib(name: str, usage: Usage) -> float:
    if _is_told_each(name):
        return usage.resident_mib / usage.processes
    return usage.shared_out_mib if name == POSTGRES else usage.resident_mib


def _is_told_each(name: str) -> bool:
    return name == RUN or is_part(name)


def _words(lots: int) -> list[str]:
    sizes = ["--lots", str(lots), "--rows", str(_ROWS), "--every", str(_EVERY_SECONDS)]
    return ["up", *sizes, "--api-port", str(free_port())]
