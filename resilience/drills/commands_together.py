"""A drill: eight commands at once, of which one is killed, on a server that each of them may start and stop."""

import random
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

from purchase_pipeline_tests.live_stack import LiveStack
from purchase_pipeline_tests.serving import free_port
from resilience.drills.outcome import Outcome

_COMMANDS = ("status", "verify", "rejects", "rejects", "verify", "rejects", "verify", "rejects")
_LATEST_START_SECONDS = 2.0
_LATEST_KILL_SECONDS = 6.0


def commands_together(times: int, folder: Path) -> Outcome:
    """Run the commands, begun within two seconds, kill one, and count the others that fail.

    A round is healed when all others were right, and the server is stopped once nobody uses it: at once, or, where it
    was the killed one's to stop, after the next command.
    """
    stack = LiveStack(folder / "home")
    try:
        loaded = stack.command("ingest", "--lots", "3", "--rows", "100", "--api-port", str(free_port()))
        if loaded.returncode:
            raise RuntimeError(f"the drill has no lots: {loaded.stderr}")
        rounds = [_round(stack) for _ in range(times)]
    finally:
        stack.command("reset", "--yes")
    lost = sum(failed for failed, _, _ in rounds)
    healed = sum(healed for _, healed, _ in rounds)
    return Outcome(
        times=times,
        lost=lost,
        doubled=0,
        healed=healed,
        seconds=[seconds for _, _, seconds in rounds],
        note=f"{times} x 8 commands",
    )


def _round(stack: LiveStack) -> tuple[int, bool, float]:
    """Return how many commands failed that were not killed, whether all is well, and the seconds from the kill."""
    victim = random.randrange(len(_COMMANDS))  # noqa: S311
    killed_at = list[float]()
    failures = list[str]()

    def run(number: int, command: str) -> None:
        sleep(random.uniform(0, _LATEST_START_SECONDS))  # noqa: S311
        log = stack.home.parent / f"{number}.log"
        log.unlink(missing_ok=True)
        process = stack.spawn(command, log=log)
        if number == victim:
            sleep(random.uniform(0, _LATEST_KILL_SECONDS))  # noqa: S311
            process.kill()
            killed_at.append(monotonic())
        if process.wait() and number != victim:
            failures.append(f"{command} ended with {process.returncode}: {log.read_text()}")

    threads = [Thread(target=run, args=each) for each in enumerate(_COMMANDS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for failure in failures:
        print(failure, flush=True)
    if stack.server.is_running():
        stack.command("rejects")
    stopped = not stack.server.is_running()
    return len(failures), not failures and stopped, monotonic() - killed_at[0]
