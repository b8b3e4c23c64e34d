"""`purchase-pipeline ingest`, from an empty home and with its server there, compared with the first version's loop."""

from benchmarks import original_loop
from benchmarks.command import Ran, an_empty_home, run_command
from benchmarks.figures import Figure, Measured, Ratio
from purchase_pipeline_tests.serving import free_port

LOTS = 50
_ROWS = 10_000
_MOST_SECONDS = 5

_NOTES = (
    "The command starts PostgreSQL in an empty folder and the mock API, loads all batches, and stops both.",
    "With the server there, it finds an embedded PostgreSQL with empty databases, and leaves it running.",
    f"The loop is timed from request to commit, warm: the median of {original_loop.LOTS} batches, times {LOTS}.",
    "The loop's API generates each row on request, with Faker, as in the first version; the loop checks only types.",
    "The target is a ratio: 10 s if the loop takes 44 s.",
    "PostgreSQL's CPU time is the last value seen of its postmaster.",
)


def run(rounds: int, lots: int = LOTS) -> Measured:
    """Let both take turns in alternating order, after a short uncounted `ingest`."""
    runs, warm, loops = list[Ran](), list[Ran](), list[float]()
    with original_loop.the_original_loop(_ROWS) as seconds_a_lot:
        _ingest(1)
        for number in range(rounds):
            for ours in (True, False) if number % 2 else (False, True):
                if ours:
                    runs.append(_ingest(lots))
                    warm.append(_ingest(lots, "db-url"))
                else:
                    loops.append(seconds_a_lot() * lots)
    whole = Figure(f"ingest, {lots} batches", "s", [ran.seconds for ran in runs])
    loop = Figure(f"the first version's loop without sleeps, {lots} batches", "s", loops)
    figures = [
        whole,
        Figure(
            f"ingest, {lots} batches, the server there",
            "s",
            [ran.seconds for ran in warm],
            at_most=_MOST_SECONDS,
        ),
        loop,
        Figure("ingest, command and mock API", "CPU s", [ran.cpu_seconds for ran in runs]),
        Figure("ingest, PostgreSQL", "CPU s", [ran.server_cpu_seconds for ran in runs]),
    ]
    return Measured(
        "ingest", figures, [Ratio("first version's loop / ingest", loop, whole, at_least=4.4)], _NOTES
    )


def _ingest(lots: int, *before: str) -> Ran:
    """Run the command in an empty home, or after another."""
    with an_empty_home() as home:
        if before:
            run_command(home, *before)
        words = ["--lots", str(lots), "--rows", str(_ROWS), "--api-port", str(free_port())]
        return run_command(home, "ingest", *words)
