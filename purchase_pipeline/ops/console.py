"""Terminal output of `up` and `ingest` while they load: a line for each batch, a progress bar, failures."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, KeysView
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from purchase_pipeline.feeds.backlog import Backlog, FailedRun, NewCommits, Taken
from purchase_pipeline.ingest.ledger import LoadedPartition
from purchase_pipeline.ingest.printable import printable, quantity
from purchase_pipeline.ops.failures import Failures
from purchase_pipeline.ops.lines import print_text

FAILURES_TO_GIVE_UP = 3
_QUEUED_SECONDS = 5.0  # a run starts within that time, unless others are before it

Outlook = Callable[[dg.RunRecord], str]
"""Says what happens after a failed run."""


class LiveProgress:
    """Prints a line for each loaded batch; on a terminal, with a progress bar below."""

    def __init__(self, console: Console, target: int) -> None:
        self._console = console
        self._failures = Failures(console)
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

    def loaded(self, number: int, batch: LoadedPartition, taken: Taken | None) -> None:
        """Show a batch that has just been committed for the first time."""
        self._show(f"{number:{self._width}}/{max(number, self._target)}", batch, taken)
        self._advance([batch])

    def loaded_again(self, batch: LoadedPartition, taken: Taken | None) -> None:
        """Show a batch that was counted before: somebody wiped or materialized it."""
        self._show("again".rjust(2 * self._width + 1), batch, taken)

    def failed(self, run: FailedRun, outlook: str, *, is_retried: bool) -> None:
        """Show a failed run, its reason and what happens next."""
        self._failures.failed(run, outlook, is_retried=is_retried)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        print_text(self._console, text)

    def _show(self, number: str, batch: LoadedPartition, taken: Taken | None) -> None:
        failed = self._failures.loaded(batch.key)
        rejected = f"[yellow]{batch.rejected:,} rejected[/]" if batch.rejected else "0 rejected"
        self._console.print(
            f"[green]✓[/] {number}  {printable(batch.key)}  "
            f"{quantity(batch.loaded, 'row'):>14}  {rejected}  {_seconds(taken)}"
            + (f"  (after {quantity(failed, 'failure')})" if failed else ""),
            highlight=False,
        )

    def _advance(self, batches: list[LoadedPartition]) -> None:
        task = self._progress.tasks[0]
        rows = task.fields["rows"] + sum(batch.loaded for batch in batches)
        self._progress.update(self._task, advance=len(batches), rows=rows)


def _seconds(taken: Taken | None) -> str:
    if taken is None:
        return ""
    queued = f"  (queued {taken.queued:.0f} s)" if taken.queued >= _QUEUED_SECONDS else ""
    return f"{taken.ran:6.1f} s{queued}"


class BacklogWatch:
    """Shows each commit once when it is made, and each failure since `begun` once when it happens."""

    def __init__(  # noqa: PLR0913  (one for each setting)
        self,
        backlog: Backlog,
        progress: LiveProgress,
        loaded: dict[str, LoadedPartition],
        *,
        again: Collection[str] = (),
        begun: datetime,
        taken: Callable[[LoadedPartition], Taken | None],
        outlook: Outlook,
        is_retried: bool,
    ) -> None:
        self._backlog = backlog
        self._progress = progress
        self._commits = NewCommits(backlog, loaded, again)
        self._taken = taken
        self._outlook = outlook
        self._is_retried = is_retried
        self._shown: set[str] = set()
        self._begun = self._counted_from = begun
        self._counted = loaded.keys() - set(again)
        progress.already_loaded(loaded[key] for key in self._counted)

    @property
    def missing(self) -> KeysView[str]:
        """The batches that are not loaded yet, or not loaded again."""
        return self._commits.missing

    def look(self) -> int:
        """Show what is new, and return how many batches are loaded."""
        for record in self._failures_since(datetime.now(UTC)):
            run = self._backlog.explain(record.dagster_run)
            self._progress.failed(run, self._outlook(record), is_retried=self._is_retried)
        for batch in self._commits.poll():
            if batch.key in self._counted:
                self._progress.loaded_again(batch, self._taken(batch))
            else:
                self._counted.add(batch.key)
                self._progress.loaded(self._commits.loaded, batch, self._taken(batch))
        return self._commits.loaded

    def _failures_since(self, now: datetime) -> Iterator[dg.RunRecord]:
        """Yield failures that were not shown yet, also after the clock was set back."""
        self._begun, self._counted_from = min(self._begun, now), min(self._counted_from, now)
        for record in self._backlog.failures(self._begun):
            if record.dagster_run.run_id not in self._shown:
                self._shown.add(record.dagster_run.run_id)
                yield record

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
