"""Failed runs on the terminal: a reason is printed once, then how long it lasts, then that it is over."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from rich.console import Console
from rich.text import Text

from purchase_pipeline.feeds.backlog import FailedRun
from purchase_pipeline.ingest.printable import duration, few, printable, quantity
from purchase_pipeline.ops.lines import print_text

_API_AWAY = "ApiUnavailableError"
_FIRST_REMINDER_SECONDS = 15.0
_LONGEST_REMINDER_SECONDS = 300.0


@dataclass
class _Trouble:
    """What has failed for one reason since `began`."""

    began: float
    is_api: bool
    reminded: float
    interval: float = _FIRST_REMINDER_SECONDS
    runs: int = 0
    keys: dict[str, None] = field(default_factory=dict)

    @property
    def is_of_one_batch(self) -> bool:
        """Whether only one batch fails for this reason: its attempts become rare soon."""
        return not self.is_api and len(self.keys) == 1


class Failures:
    """Prints failed runs, without repeating a reason that a person has just read."""

    def __init__(self, console: Console, clock: Callable[[], float] = monotonic) -> None:
        self._console = console
        self._clock = clock
        self._troubles: dict[str, _Trouble] = {}
        self._attempts = Counter[str]()

    def failed(self, run: FailedRun, outlook: str, *, is_retried: bool) -> None:
        """Print a failed run. Those of several batches that fail for one reason and are retried are only counted.

        Args:
            run: the run, with its reason.
            outlook: what happens next.
            is_retried: whether this command tries again; if not, each run is named.
        """
        self._attempts[run.what] += 1
        now = self._clock()
        known = self._troubles.get(run.reason)
        trouble = known or _Trouble(now, run.error == _API_AWAY, now)
        trouble.runs += 1
        trouble.keys[run.what] = None
        if known is None:
            self._troubles[run.reason] = trouble
            print_failure(self._console, run, outlook)
        elif not is_retried or trouble.is_of_one_batch:
            print_text(self._console, _headline(run, f" for the same reason; {outlook}"))
        elif now - trouble.reminded >= trouble.interval:
            trouble.reminded = now
            trouble.interval = min(2 * trouble.interval, _LONGEST_REMINDER_SECONDS)
            self._remind(run, trouble, now - trouble.began, outlook)

    def loaded(self, key: str) -> int:
        """Note that a batch is loaded, and return how often it had failed before."""
        ended = {reason: trouble for reason, trouble in self._troubles.items() if key in trouble.keys}
        if any(trouble.is_api for trouble in ended.values()):
            ended |= {reason: trouble for reason, trouble in self._troubles.items() if trouble.is_api}
            began = min(trouble.began for trouble in ended.values() if trouble.is_api)
            lasted = duration(self._clock() - began)
            print_text(self._console, Text(f"The API is available again after {lasted}.", "green"))
        for reason, trouble in ended.items():
            trouble.keys.pop(key, None)
            if trouble.is_api or not trouble.keys:
                del self._troubles[reason]
        return self._attempts.pop(key, 0)

    def _remind(self, run: FailedRun, trouble: _Trouble, seconds: float, outlook: str) -> None:
        lasted = duration(seconds)
        what = (
            f"The API is still unavailable after {lasted}"
            if trouble.is_api
            else f"Still failing for the same reason after {lasted}"
        )
        counted = f": {quantity(trouble.runs, 'failed run')} of {few(list(trouble.keys))}"
        print_text(
            self._console,
            Text.assemble((f"✗ {what}", "red"), f"{counted}. {printable(run.what)}: {outlook}."),
        )


def print_failure(console: Console, run: FailedRun, outlook: str) -> None:
    """Print a failed run, its reason (indented, so that it cannot pass for our own output) and what happens next."""
    print_text(console, _headline(run, f"; {outlook}"))
    for line in run.reason.expandtabs().split("\n"):
        print_text(console, line, indent=2)


def _headline(run: FailedRun, rest: str) -> Text:
    attempt = f"attempt {run.attempt}, " if run.attempt else ""
    return Text.assemble(
        (f"✗ {printable(run.what)} failed", "red"), f" ({attempt}run {run.run_id[:8]}){rest}"
    )
