"""Feeds that upsert, insert, continue where they ended, or load late windows again."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.test_utils import freeze_time
from pydantic import BaseModel, SecretStr
from rich.console import Console

from purchase_pipeline.contracts import Integer, LongText, Moment
from purchase_pipeline.feeds import Feed, FunctionSource, HttpSource, Since, Write
from purchase_pipeline.feeds.backlog import Backlog
from purchase_pipeline.feeds.declaration import FeedDeclarationError
from purchase_pipeline.feeds.pruning import Pruning
from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.retention import Retention
from purchase_pipeline.ingest.writing import WriteError
from purchase_pipeline.ops.console import BacklogWatch, LiveProgress
from purchase_pipeline.postgres import SchemaDriftError
from purchase_pipeline.settings import Settings
from purchase_pipeline_tests.changing_source import ChangingSource, LoadedFeed


class Ticket(BaseModel):
    """A ticket that changes."""

    id: Integer
    title: LongText
    changed: Moment
    note: LongText | None = None


DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-04")
FIRST, SECOND, THIRD = "2026-01-01", "2026-01-02", "2026-01-03"
Declare = Callable[..., LoadedFeed]


def ticket(number: int, title: str = "a", hour: int = 0, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"id": number, "title": title, "changed": f"2026-01-01T{hour:02}:00:00Z", **more}


@pytest.fixture
def source() -> ChangingSource:
    """Rows that a test changes."""
    return ChangingSource()


@pytest.fixture
def declare(
    source: ChangingSource, database_url: str, engine: sa.Engine, tmp_path: Path
) -> Iterator[Declare]:
    """Declares a feed of tickets."""
    settings = Settings(landing=str(tmp_path), database_url=SecretStr(database_url))
    with dg.DagsterInstance.ephemeral() as instance:
        declared = {"name": "tickets", "contract": Ticket, "source": FunctionSource(source)}
        yield lambda **attributes: LoadedFeed(Feed(**{**declared, **attributes}), settings, engine, instance)


# Upserts and inserts by partition


def test_rows_are_upserted_over_partitions_and_rejects_kept(declare: Declare, source: ChangingSource) -> None:
    feed = declare(partitions=DAYS, write=Write("upsert", ["id"], "changed"), max_rejected_ratio=1)
    source.rows = {
        FIRST: [ticket(1), ticket(2), {"id": 3}],
        SECOND: [ticket(2, "b", hour=1), ticket(4), ticket(5, "\0")],
    }

    feed.load(FIRST, SECOND)

    assert feed.counts() == [(3, 2, 1), (3, 2, 1)]
    assert feed.stored("id, title, partition_key, row_number") == [
        (1, "a", FIRST, 1),
        (2, "b", SECOND, 1),
        (4, "a", SECOND, 2),
    ]
    assert feed.stored("partition_key, row_number, fields[1]", "tickets_rejected") == [
        (FIRST, 3, "title"),
        (SECOND, 3, "title"),
    ]
    assert feed.differences() == {}


@pytest.mark.parametrize("newest", ["changed", None], ids=["by a field", "by the window"])
def test_an_older_partition_never_overwrites_newer_rows(
    declare: Declare, source: ChangingSource, newest: str | None
) -> None:
    feed = declare(partitions=DAYS, write=Write("upsert", ["id"], newest))
    source.rows = {FIRST: [ticket(1, "old")], SECOND: [ticket(1, "new", hour=1)]}
    feed.load(FIRST, SECOND)

    source.rows[FIRST] = [ticket(1, "old, corrected"), ticket(2)]
    feed.load(FIRST, raw_tickets={"refetch": True})

    assert feed.stored("id, title") == [(1, "new"), (2, "a")]
    assert feed.counts() == [(2, 2, 0), (1, 1, 0)]
    assert feed.differences() == {}


def test_a_row_that_has_not_changed_says_where_it_was_first(declare: Declare, source: ChangingSource) -> None:
    feed = declare(partitions=DAYS, write=Write("upsert", ["id"], "changed"))
    source.rows = {FIRST: [ticket(1)], SECOND: [ticket(2), ticket(1)]}

    feed.load(FIRST, SECOND)

    assert feed.stored("id, partition_key, row_number") == [(1, FIRST, 1), (2, SECOND, 1)]


def test_of_equally_new_rows_the_last_one_stays(declare: Declare, source: ChangingSource) -> None:
    feed = declare(partitions=DAYS, write=Write("upsert", ["id"], "changed"))
    source.rows = {FIRST: [ticket(1, "x", hour=2), ticket(1, "y", hour=2), ticket(1, "z", hour=1)]}

    feed.load(FIRST)

    assert feed.stored("id, title, row_number") == [(1, "y", 2)]
    assert feed.counts() == [(3, 3, 0)]
    assert feed.differences() == {}


def test_events_are_inserted_once(declare: Declare, source: ChangingSource) -> None:
    feed = declare(partitions=DAYS, write=Write("insert", ["id"]))
    source.rows = {FIRST: [ticket(1), ticket(1, "again")], SECOND: [ticket(1, "later"), ticket(2)]}

    feed.load(FIRST, SECOND, FIRST)

    assert feed.stored("id, title, partition_key") == [(1, "a", FIRST), (2, "a", SECOND)]
    assert feed.differences() == {}


def test_a_failed_partition_changes_no_table(declare: Declare, source: ChangingSource) -> None:
    feed = declare(partitions=DAYS, write=Write("upsert", ["id"], "changed"), max_rejected_ratio=0.5)
    source.rows = {FIRST: [ticket(1)], SECOND: [ticket(1, "new", hour=1), {"id": 2}]}
    feed.load(FIRST)

    assert not feed.run(SECOND).success

    assert feed.stored("id, title") == [(1, "a")]
    assert feed.stored("count(*), 1", "tickets_rejected") == [(0, 1)]
    assert feed.counts() == [(1, 1, 0)]


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("DELETE FROM tickets WHERE id = 2", "tickets: 1 row missing (row_number 2)"),
        ("UPDATE tickets SET title = 'edited' WHERE id = 2", "different from the file (row_number 2)"),
        (
            "UPDATE tickets SET changed = '1999-01-01', partition_key = 'x', title = 'x' WHERE id = 2",
            "older than the file (row_number 2)",
        ),
        ("DELETE FROM tickets_rejected", "tickets_rejected has 0 rows, but 1 in the ledger"),
    ],
)
def test_verifying_finds_rows_that_are_not_as_they_were_merged(
    declare: Declare, source: ChangingSource, damage: str, found: str
) -> None:
    feed = declare(partitions=DAYS, write=Write("upsert", ["id"], "changed"), max_rejected_ratio=1)
    source.rows = {FIRST: [ticket(1), ticket(2), {"id": 3}]}
    feed.load(FIRST)
    assert feed.differences() == {}

    feed.execute(damage)

    assert found in " ".join(feed.differences()[FIRST])


def test_a_source_that_goes_back_to_an_older_version_is_no_difference(
    declare: Declare, source: ChangingSource
) -> None:
    feed = declare(partitions=DAYS, write=Write("upsert", ["id"], "changed"))
    source.rows = {FIRST: [ticket(1, "new", hour=2)]}
    feed.load(FIRST)
    source.rows = {FIRST: [ticket(1, "old", hour=1)]}
    feed.load(FIRST, raw_tickets={"refetch": True})

    assert feed.stored("id, title") == [(1, "new")]
    assert feed.differences() == {}


def test_an_emptied_table_is_loaded_again(declare: Declare, source: ChangingSource) -> None:
    feed = declare(partitions=DAYS, write=Write("upsert", ["id"], "changed"))
    source.rows = {FIRST: [ticket(1)]}
    feed.load(FIRST)

    feed.execute("TRUNCATE tickets")

    assert feed.batches == []
    feed.load(FIRST)
    assert feed.stored("id, title") == [(1, "a")]


class TicketWithOwner(Ticket):
    """The contract has gained a field."""

    owner: LongText | None = None


@pytest.mark.parametrize("write", [{}, {"mode": "upsert", "keys": ["id"]}], ids=["replace", "upsert"])
def test_a_column_that_the_contract_gains_is_told_and_may_be_added(
    declare: Declare, source: ChangingSource, write: dict[str, Any]
) -> None:
    source.rows = {FIRST: [ticket(1, owner="ana")]}
    declare(partitions=DAYS, write=Write(**write)).load(FIRST)

    frozen = declare(partitions=DAYS, write=Write(**write), contract=TicketWithOwner)
    assert frozen.differences() == {FIRST: ["tickets has no column owner: the contract has gained it"]}
    with pytest.raises(SchemaDriftError, match="owner"):
        frozen.load(FIRST)

    evolving = declare(partitions=DAYS, write=Write(**write, schema_drift="evolve"), contract=TicketWithOwner)
    evolving.load(FIRST)
    assert evolving.stored("id, owner") == [(1, "ana")]
    assert evolving.differences() == {}


# Feeds without partitions whose rows are added


INCREMENTAL: dict[str, Any] = {"write": Write("upsert", ["id"], "changed"), "max_rejected_ratio": 1}


def test_an_incremental_feed_continues_where_it_ended(declare: Declare, source: ChangingSource) -> None:
    feed = declare(since=Since("changed", overlap=60), **INCREMENTAL)
    source.rows = {"": [ticket(1), ticket(2, hour=3), {"id": 3}]}
    feed.load()
    source.rows = {"": [ticket(2, hour=3), ticket(1, "b", hour=5)]}
    feed.load()
    source.rows = {"": []}
    feed.load()
    feed.load(raw_tickets={"refetch": True})

    assert [request.variables["since"] for request in source.requests] == [
        None,
        datetime(2026, 1, 1, 2, 59, tzinfo=UTC),
        datetime(2026, 1, 1, 4, 59, tzinfo=UTC),
        None,
    ]
    assert feed.counts() == [(3, 2, 1), (2, 2, 0), (0, 0, 0), (0, 0, 0)]
    assert feed.stored("id, title") == [(1, "b"), (2, "a")]
    # The rejects of each load stay.
    assert feed.stored("original, 1", "tickets_rejected") == [('{"id":3}', 1)]
    assert feed.differences() == {}


def test_an_increment_that_has_landed_is_loaded_before_the_next(
    declare: Declare, source: ChangingSource
) -> None:
    feed = declare(since=Since("changed"), **INCREMENTAL)
    source.rows = {"": [ticket(1)]}
    assert feed.run(assets=["raw_tickets"]).success  # as if it had been killed before the load

    feed.load()
    assert (feed.counts(), len(source.requests)) == ([(1, 1, 0)], 1)
    feed.load()
    assert (feed.counts(), len(source.requests)) == ([(1, 1, 0), (1, 1, 0)], 2)


def test_a_refused_increment_is_requested_again(declare: Declare, source: ChangingSource) -> None:
    feed = declare(since=Since("changed"), write=INCREMENTAL["write"], max_rejected_ratio=0.5)
    source.rows = {"": [ticket(1), {"id": 2}]}
    assert not feed.run().success

    source.rows = {"": [ticket(1), ticket(2)]}
    feed.load()

    assert [request.variables["since"] for request in source.requests] == [None, None]
    assert feed.stored("id, title") == [(1, "a"), (2, "a")]


def test_an_older_increment_may_be_loaded_again(declare: Declare, source: ChangingSource) -> None:
    feed = declare(write=Write("upsert", ["id"]))  # the later increment is the newer one
    source.rows = {"": [ticket(1, "old"), ticket(2, "only here")]}
    feed.load()
    source.rows = {"": [ticket(1, "new")]}
    feed.load()
    feed.execute("DELETE FROM tickets WHERE id = 2")

    first = feed.batches[0].key
    tables = ["tickets", "tickets_rejected"]
    assert feed.run(assets=tables, validated_tickets={"increment": first}).success

    assert feed.stored("id, title") == [(1, "new"), (2, "only here")]
    assert feed.differences() == {}


def test_the_newest_increment_stays_landed_when_the_others_are_pruned(
    declare: Declare, source: ChangingSource
) -> None:
    feed = declare(since=Since("changed"), **INCREMENTAL)
    for hour in range(3):
        source.rows = {"": [ticket(1, hour=hour), {"id": 2}]}
        feed.load()
    counts, landing = feed.counts(), landing_at(feed.feed.landing_location(feed.settings))

    pruning = Pruning(feed.feed, Retention(landing_days=1, quarantine_days=1), None)
    later = datetime.now(UTC) + timedelta(days=2)
    *_, freed = pruning.freed(feed.ledger, landing, feed.instance, later)

    assert (freed.files, freed.rejected_rows) == (2, 2)
    newest = landing.newest()
    assert newest is not None
    assert newest.partition == feed.batches[-1].key
    assert (feed.counts(), feed.differences()) == (counts, {})
    feed.load()
    assert feed.counts() == [*counts, counts[-1]]


@pytest.mark.parametrize("emptied", ["DELETE FROM tickets", "DROP TABLE tickets"])
def test_an_emptied_incremental_table_starts_again(
    declare: Declare, source: ChangingSource, emptied: str
) -> None:
    feed = declare(since=Since("changed", first="1970"), **INCREMENTAL)
    source.rows = {"": [ticket(1)]}
    feed.load()
    feed.execute(emptied)
    feed.load()

    assert [request.variables["since"] for request in source.requests] == ["1970", "1970"]
    assert feed.stored("id, title") == [(1, "a")]


@pytest.mark.parametrize(
    ("overlap", "committed", "since"),
    [
        (90, datetime(2026, 1, 1, 0, 1, tzinfo=UTC), datetime(2025, 12, 31, 23, 59, 30, tzinfo=UTC)),
        (2, date(2026, 1, 1), date(2025, 12, 30)),
        (5, 7, 2),
        (0, "x", "x"),
        (5, None, "first"),
    ],
)
def test_an_overlap_is_subtracted(overlap: float, committed: object, since: object) -> None:
    assert Since("field", overlap, "first").after(committed) == since


def test_an_overlap_of_texts_is_refused() -> None:
    with pytest.raises(WriteError, match="overlap of 5 cannot be subtracted from field 'x'"):
        Since("field", 5).after("x")


@pytest.mark.parametrize("write", [INCREMENTAL["write"], Write()], ids=["increments", "whole"])
def test_each_load_of_a_feed_without_partitions_is_shown(
    declare: Declare, source: ChangingSource, write: Write
) -> None:
    feed = declare(write=write, max_rejected_ratio=1)
    backlog, printed = Backlog(feed.feed, feed.ledger, feed.instance), StringIO()
    console, begun = Console(file=printed, width=120), datetime.now(UTC)
    source.rows = {"": [object()]}
    assert not feed.run().success  # before it is watched, as while the services start
    watch = BacklogWatch(
        backlog,
        LiveProgress(console, 0),
        {},
        begun=begun,
        taken=backlog.taken,
        outlook=lambda _: "it will be retried",
        is_retried=True,
    )
    for rows in ([ticket(1), ticket(2)], [ticket(3), {"id": 4}]):
        source.rows = {"": rows}
        feed.load()
        watch.look()
        watch.look()
    source.rows = {"": [object()]}
    assert not feed.run().success
    watch.look()

    loads = [line.split() for line in printed.getvalue().splitlines() if line.startswith("✓")]
    assert [line[-6:-2] for line in loads] == [["2", "rows", "0", "rejected"], ["1", "row", "1", "rejected"]]
    assert all(batch.key in printed.getvalue() for batch in feed.batches)
    assert printed.getvalue().count("✗ ingest_tickets failed") == 2
    assert ("✓ again" in printed.getvalue()) == (write.mode == "replace")


# Windows that are loaded again


def test_late_windows_are_loaded_again_at_the_end_of_later_ones(
    declare: Declare, source: ChangingSource
) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [f"{today + timedelta(number):%Y-%m-%d}" for number in range(-3, 4)]
    feed = declare(partitions=dg.DailyPartitionsDefinition(days[0]), reload_windows=2, every=0.1)
    source.rows = {day: [ticket(1, "at first")] for day in days}

    def requested_in(days: int) -> list[str]:
        """Return the partitions that the sensor requests in some days, and load them then."""
        with freeze_time(datetime.now(UTC) + timedelta(days)):
            with dg.build_sensor_context(
                feed.instance, resources={feed.feed.ledger_key: feed.ledger}
            ) as context:
                result = feed.feed.definitions(feed.settings).resolve_sensor_def(feed.feed.sensor)(context)
            assert isinstance(result, dg.SensorResult)
            keys = [str(request.partition_key) for request in result.run_requests or ()]
            if keys:
                feed.load(*keys)
        which = ", ".join(f"'{key}'" for key in (*keys, ""))
        feed.execute(
            f"UPDATE slice_ledger SET committed_at = now() + interval '{days} days' WHERE partition IN ({which})"  # noqa: S608
        )
        return keys

    assert requested_in(0) == days[:3]
    assert requested_in(0) == []
    source.rows[days[1]] = [ticket(1, "late")]
    assert requested_in(1) == days[1:4]
    assert [title for _, title in feed.stored("partition_key, title")] == [
        "at first",
        "late",
        "at first",
        "at first",
    ]
    assert requested_in(1) == []
    # The sensor was not running on the second day.
    assert requested_in(3) == days[2:6]
    assert requested_in(3) == []


# Declarations


@pytest.mark.parametrize(
    ("attributes", "complaint"),
    [
        ({"write": Write("upsert")}, "An upsert or insert needs a list of keys"),
        ({"write": Write(keys=["id"])}, "replace has none"),
        ({"write": Write("merge", ["id"])}, "expected replace, upsert or insert"),  # type: ignore[arg-type]
        ({"write": Write("upsert", "id")}, "needs a list of keys"),
        ({"write": Write("upsert", ["number"])}, "'number' is not a field of Ticket"),
        ({"write": Write("upsert", ["note"])}, "key 'note' of Ticket may be null"),
        ({"write": Write("upsert", ["id"], "id")}, "is not one of the keys"),
        ({"write": Write("insert", ["id"], "changed")}, "goes with mode 'upsert'"),
        ({"since": Since("changed")}, "for a feed without partitions that upserts or inserts"),
        (
            {"since": Since("changed"), "partitions": DAYS, "write": Write("insert", ["id"])},
            "for a feed without partitions that upserts or inserts",
        ),
        ({"since": Since("when"), "write": Write("insert", ["id"])}, "'when' is not a field"),
        ({"reload_windows": 1}, "for partitions that are time windows"),
        ({"source": HttpSource("http://a", path="/{regoin}")}, r"unknown variable {regoin}"),
        ({"source": HttpSource("http://a", params={"at": ["{start:%d}"]})}, r"unknown variable {start}"),
        ({"source": HttpSource("http://a", body={"since": "{since}"})}, r"unknown variable {since}"),
    ],
)
def test_contradictions_are_refused(declare: Declare, attributes: dict[str, Any], complaint: str) -> None:
    with pytest.raises((WriteError, FeedDeclarationError), match=complaint):
        declare(**attributes)
