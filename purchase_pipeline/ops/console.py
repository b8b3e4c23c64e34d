"""Terminal output of `up` and `ingest`: a line for each batch, a progress bar, a summary."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, KeysView
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from purchase_pipeline.feeds.backlog import Backlog, FailedRun, NewCommits
from purchase_pipeline.ingest.ledger import LoadedPartition, totals
from purchase_pipeline.ingest.printable import printable, quantity

FAILURES_TO_GIVE_UP = 3


class LiveProgress:
    """Prints a line for each loaded batch; on a terminal, with a progress bar below."""

    def __init__(self, console: Console, target: int) -> None:
        self._console = console
        self._width = len(str(target))
        self._progress = Progress(
            TextColumn("batches"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rows]:,} rows"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("batches", total=target, rows=0)
        self._target = target

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def already_loaded(self, batches: Iterable[LoadedPartition]) -> None:
        """Count batches that were loaded before."""
        known = list(batches)
        if known:
            self._advance(known)
            rest = "" if len(known) == self._target else "; loading the rest"
            self._console.print(f"{len(known)} of {self._target} batches already loaded{rest}.")

    def loaded(self, number: int, batch: LoadedPartition, seconds: float | None) -> None:
        """Show a batch that has just been committed."""
        took = "" if seconds is None else f"{seconds:6.1f} s"
        rejected = f"[yellow]{batch.rejected:,} rejected[/]" if batch.rejected else "0 rejected"
        self._console.print(
            f"[green]✓[/] {number:{self._width}}/{max(number, self._target)}  {printable(batch.key)}  "
            f"{quantity(batch.loaded, 'row'):>14}  {rejected}  {took}",
            highlight=False,
        )
        self._advance([batch])

    def failed(self, run: FailedRun, outlook: str) -> None:
        """Show a failed run, its reason and what happens next."""
        print_failure(self._console, run, outlook)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        print_line(self._console, text)

    def _advance(self, batches: list[LoadedPartition]) -> None:
        task = self._progress.tasks[0]
        rows = task.fields["rows"] + sum(batch.loaded for batch in batches)
        self._progress.update(self._task, advance=len(batches), rows=rows)


class BacklogWatch:
    """Shows each batch once when it is committed, and each failure once when it happens."""

    def __init__(  # noqa: PLR0913  (one for each setting)
        self,
        backlog: Backlog,
        progress: LiveProgress,
        loaded: dict[str, LoadedPartition],
        *,
        again: Collection[str] = (),
        seconds_taken: Callable[[LoadedPartition], float | None],
        outlook: str,
    ) -> None:
        self._backlog = backlog
        self._progress = progress
        self._commits = NewCommits(backlog, loaded, again)
        self._seconds_taken = seconds_taken
        self._outlook = outlook
        self._shown: set[str] = set()
        self._begun = self._counted_from = datetime.now(UTC)
        progress.already_loaded(one for one in loaded.values() if one.key not in again)

    @property
    def missing(self) -> KeysView[str]:
        """The batches that are not loaded yet, or not loaded again."""
        return self._commits.missing

    def look(self) -> int:
        """Show what is new, and return how many batches are loaded."""
        for batch in self._commits.poll():
            self._progress.loaded(self._commits.loaded, batch, self._seconds_taken(batch))
        self._follow_clock(datetime.now(UTC))
        for record in self._backlog.failures(self._begun):
            if record.dagster_run.run_id not in self._shown:
                self._shown.add(record.dagster_run.run_id)
                self._progress.failed(self._backlog.explain(record.dagster_run), self._outlook)
        return self._commits.loaded

    def _follow_clock(self, now: datetime) -> None:
        """Include failures after the clock was set back."""
        self._begun, self._counted_from = min(self._begun, now), min(self._counted_from, now)

    def reset_failures(self) -> None:
        """Count failures from now on: earlier ones may have a cause that has just been fixed."""
        self._counted_from = datetime.now(UTC)

    def has_given_up(self) -> bool:
        """Tell whether each missing batch has failed `FAILURES_TO_GIVE_UP` times, and none is in progress."""
        failures = self._backlog.own_failures(self._counted_from)
        times = Counter(self._backlog.partition_of(record.dagster_run) for record in failures)
        return all(times[key] >= FAILURES_TO_GIVE_UP for key in self.missing) and not (
            self._backlog.in_progress() & self.missing
        )


def print_line(console: Console, text: str) -> None:
    """Print a line that may contain text from elsewhere, such as a path or a server's message."""
    console.print(Text(printable(text)), soft_wrap=True)


def print_failure(console: Console, run: FailedRun, outlook: str) -> None:
    """Print a failed run, its reason (indented, so that it cannot pass for our own output) and what happens next."""
    failed = (f"✗ {printable(run.what)} failed", "red")
    console.print(Text.assemble(failed, f" (run {run.run_id[:8]}); {outlook}"))
    for line in run.reason.expandtabs().split("\n"):
        print_line(console, f"  {line}")


def print_summary(console: Console, target: int, batches: Iterable[LoadedPartition], seconds: float) -> None:
    """Print what a run of `up` or `ingest` has loaded."""
    known = list(batches)
    received, loaded, rejected = totals(known)
    balanced = all(batch.balanced for batch in known)
    console.print(
        f"\n[bold]{len(known)} of {target} batches loaded[/] in {seconds:.1f} s: "
        f"{quantity(received, 'row')} received = {loaded:,} loaded + {rejected:,} rejected"
        + ("." if balanced else "  [red]- not balanced; see `purchase-pipeline status`.[/]"),
        highlight=False,
        soft_wrap=True,
    )
