"""`check_feed`: load sample answers by a feed's own definitions, and check everything that must hold."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.feeds.partitions import WHOLE
from purchase_pipeline.feeds.testing.answers import Answer, AnswerServer, bodies_of, unpacked_body
from purchase_pipeline.feeds.testing.killed import require_nothing_of_a_killed_load
from purchase_pipeline.feeds.testing.recorded import RecordedSource
from purchase_pipeline.feeds.testing.report import FeedReport, PartitionReport, Reject
from purchase_pipeline.feeds.testing.rules import require_landed_as_sent, require_rows_as_sent
from purchase_pipeline.feeds.testing.stage import Row, Stage, named
from purchase_pipeline.ingest.ledger import LoadedPartition
from purchase_pipeline.ingest.printable import quantity
from purchase_pipeline.ingest.sources.http import HttpSource

Answers = Mapping[str | None, Answer | None]


def check_feed(
    feed: Feed, answers: Answers | Iterable[str | None] = (None,), database_url: str | None = None
) -> FeedReport:
    """Load partitions of a feed from sample answers, and check that it keeps what a feed promises.

    An `HttpSource` gets the answers from a server on loopback, whatever its URL, without authentication and waits; any
    other source is run as it is. Partitions are loaded by the feed's definitions into a database and a landing that are
    removed afterwards. Any number of rows may be rejected.

    Args:
        feed: the feed.
        answers: for each partition the body of the response, as bytes, as text or as the path of a file; or a list of
            bodies, one for each request. The key of a feed without partitions is None. Without an `HttpSource`, the
            keys of the partitions are enough.
        database_url: a PostgreSQL server, with a role that may create databases; by default the embedded server.

    Returns:
        The counts of each partition, the rows of the table, and the rejected rows with their reasons.

    Raises:
        AssertionError: a load fails; a row is lost, changed or rounded; the landing is not byte-equal to the answer; a
            partition that is loaded again, or another that is loaded, changes a row; a load that is killed before its
            commit leaves anything.
    """
    given = answers if isinstance(answers, Mapping) else dict.fromkeys(answers)
    bodies = {WHOLE if key is None else key: bodies_of(answer) for key, answer in given.items()}
    server = AnswerServer(feed.source, bodies) if isinstance(feed.source, HttpSource) else None
    with server or nullcontext():
        source = RecordedSource(feed.source if server is None else server.source())
        with Stage.open(feed, source, database_url) as stage:
            return _Check(stage, source, server, bodies).report()


class _Tables(NamedTuple):
    """All rows of both tables, but for what differs from run to run."""

    loaded: list[Row]
    rejected: list[Row]


class _Check(NamedTuple):
    """The checks of one call."""

    stage: Stage
    source: RecordedSource
    server: AnswerServer | None
    bodies: Mapping[str, list[bytes]]

    def report(self) -> FeedReport:
        """Check all partitions."""
        keys = list(self.bodies)
        self._require_restart(keys[0])
        for key in keys:
            with nullcontext() if self.stage.feed.partitions is None else self._others_unchanged(key):
                self._load(key)
        for key in keys:
            # The first was requested in the child, whose memory is not ours.
            self._require_same(key, refetch=key == keys[0])
            self._require_same(key, refetch=True)
            if self.server is not None:
                self.server.require_all_sent()
            stored, pages = self.stage.stored_key(key), self.source.sent
            require_landed_as_sent(
                self.stage, stored, pages, [unpacked_body(body) for body in self.bodies[key]]
            )
            require_rows_as_sent(self.stage, stored, pages)
        return self._report()

    def _require_restart(self, key: str) -> None:
        """Kill a load. The next one shows that it leaves nothing in the way."""
        if self.server is not None:
            self.server.turn_to(key)
        require_nothing_of_a_killed_load(
            self.stage, key, self.server.start if self.server is not None else lambda: None
        )

    def _load(self, key: str, *, refetch: bool = False) -> None:
        if self.server is not None:
            self.server.require_no_surplus()
            self.server.turn_to(key)
        try:
            self.stage.load(key, refetch=refetch)
        except AssertionError:
            if self.server is not None:
                self.server.require_no_surplus()  # a better reason
            raise

    def _tables(self) -> _Tables:
        tables = _Tables(*map(self.stage.rows, self.stage.feed.tables.both))
        if not self.stage.feed.has_increments:
            return tables
        # Each load has rejects of its own, and may be the last one that sent a row.
        origin = {self.stage.feed.tables.partition, self.stage.feed.tables.row_number}
        return _Tables([{name: row[name] for name in row.keys() - origin} for row in tables.loaded], [])

    @contextmanager
    def _others_unchanged(self, key: str) -> Iterator[None]:
        before = self._tables()
        yield
        partition = self.stage.feed.tables.partition
        after = _Tables(*([row for row in rows if row[partition] != key] for rows in self._tables()))
        if self.stage.feed.write.merges:  # a row may come again in another partition
            before, after = before._replace(loaded=[]), after._replace(loaded=[])
        if before != after:
            raise AssertionError(
                f"{named(key)}the load changed rows of other partitions: {_difference(before, after)}."
            )

    def _require_same(self, key: str, *, refetch: bool) -> None:
        """Load a partition again, and raise if anything of it is not as it was."""
        before, landed = self._tables(), self.stage.landed(self.stage.stored_key(key))
        self._load(key, refetch=refetch)
        again = self.stage.landed(self.stage.stored_key(key))
        if again.digest != landed.digest:
            raise AssertionError(
                f"{named(key)}the source sent other rows when it was called again: {quantity(again.rows, 'row')}, "
                f"before {landed.rows}. Let its rows depend on the partition alone, not on the time or on what it sent "
                "before, and in a fixed order; or a load that is repeated changes the table."
            )
        if (after := self._tables()) != before:
            raise AssertionError(f"{named(key)}a second load changed rows: {_difference(before, after)}.")

    def _report(self) -> FeedReport:
        found, stored = self.stage.ledger.counted(), {self.stage.stored_key(key): key for key in self.bodies}
        names = self.stage.feed.tables
        return FeedReport(
            {_given(given): _counts(found[key]) for key, given in stored.items()},
            self.stage.rows(names.accepted),
            [
                Reject(
                    _given(stored[row[names.partition]]),
                    row[names.row_number],
                    row["fields"],
                    row["reasons"],
                    row["original"],
                )
                for row in self.stage.rows(names.rejected)
                if row[names.partition] in stored
            ],
        )


def _counts(partition: LoadedPartition) -> PartitionReport:
    counts = PartitionReport(partition.received, partition.loaded, partition.rejected)
    if not partition.balanced:
        raise AssertionError(
            f"{named(partition.key)}{quantity(counts.received, 'row')} received, but {counts.loaded} loaded and "
            f"{counts.rejected} rejected."
        )
    return counts


def _given(key: str) -> str | None:
    """Return a key as it was given."""
    return None if key == WHOLE else key


def _difference(before: _Tables, after: _Tables) -> str:
    """Return the first difference, and the numbers of rows."""
    for name, old, new in zip(("table", "quarantine"), before, after, strict=True):
        if len(old) != len(new):
            return f"the {name} has {quantity(len(new), 'row')}, before {len(old)}"
        for one, other in zip(old, new, strict=True):
            if one != other:
                columns = [column for column in one if one[column] != other[column]]
                return f"{columns[0]} in the {name} is {other[columns[0]]!r}, before {one[columns[0]]!r}"
    return "no difference"
