"""`purchase-pipeline ingest` from an empty home, compared with the loop of the first version."""

from benchmarks import original_loop
from benchmarks.command import Ran, an_empty_home, run_command
from benchmarks.figures import Figure, Measured, Ratio
from purchase_pipeline_tests.serving import free_port

LOTS = 50
_ROWS = 10_000

_NOTES = (
    "The command starts PostgreSQL in an empty folder, and the mock API, loads all lots, and stops both again.",
    f"The loop is timed from request to commit, all warm: the median of {original_loop.LOTS} lots, times {LOTS}.",
    "The loop's API makes each row when it is asked, with Faker, as the first version's did; it checks types alone.",
    "What is promised is a ratio: 10 s where the loop takes 44 s.",
    "PostgreSQL's processor time is what its first process had counted when it was last seen.",
)


def run(rounds: int, lots: int = LOTS) -> Measured:
    """Let both take turns, the other one first each time, after a short `ingest` that is not counted."""
    runs, loops = list[Ran](), list[float]()
    with original_loop.the_original_loop(_ROWS) as seconds_a_lot:
        _ingest(1)
        for number in range(rounds):
            for ours in (True, False) if number % 2 else (False, True):
                if ours:
                    runs.append(_ingest(lots))
                else:
                    loops.append(seconds_a_lot() * lots)
    whole = Figure(f"ingest, {lots} lots", "s", [ran.seconds for ran in runs])
    loop = Figure(f"the first version's loop without its sleeps, {lots} lots", "s", loops)
    figures = [
        whole,
        loop,
        Figure("ingest, command and mock API", "s of processor", [ran.cpu_seconds for ran in runs]),
        Figure("ingest, PostgreSQL", "s of processor", [ran.server_cpu_seconds for ran in runs]),
    ]
    return Measured(
        "ingest", figures, [Ratio("first version's loop / ingest", loop, whole, at_least=4.4)], _NOTES
    )


def _ingest(lots: int) -> Ran:
    """Run the command in an empty home."""
    with an_empty_home() as home:
        words = ["--lots", str(lots), "--rows", str(_ROWS), "--api-port", str(free_port())]
        return run_command(home, "ingest", *words)
