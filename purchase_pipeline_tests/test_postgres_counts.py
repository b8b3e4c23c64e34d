"""Row counts of a materialization and of the ledger are exact or absent."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres import Together
from purchase_pipeline_tests.direct_io import DirectIOManager, Place

APPEND = {"write_mode": "append"}
UPSERT = {"write_mode": "upsert", "upsert_keys": ["id"]}
INSERT = {"write_mode": "insert", "upsert_keys": ["id"]}
BY_SHOP = {"partition_expr": "shop"}
SHOPS = dg.StaticPartitionsDefinition(["north", "south", "west"])
LARGE = 2500
"""Rows of `wide`: too many to be counted after a write."""

TABLE, PARTITION = "dagster/row_count", "dagster/partition_row_count"


class Things:
    """The table `things`, written by assets and inspected directly."""

    def __init__(self, database_url: str, engine: sa.Engine) -> None:
        self._io, self._engine = DirectIOManager(database_url), engine

    def run(self, statements: str) -> None:
        with self._engine.begin() as connection:
            connection.exec_driver_sql(statements)

    def made_by_hand(self, name: str, rows: int) -> None:
        self.run(
            f"""CREATE TABLE things AS SELECT '{name}' AS shop, n::bigint AS id, repeat('x', 1800) AS text
            FROM generate_series(1, {rows}) AS n"""  # noqa: S608
        )

    def select(self, query: str) -> list[tuple[Any, ...]]:
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    def write(self, value: object, *, at: Place) -> tuple[int | None, int | None]:
        """Return the materialization's counts of the table and of the partition."""
        reported = self._io.write(at, value)
        table, partition = (reported[name].value if name in reported else None for name in (TABLE, PARTITION))
        return table, partition


@pytest.fixture
def things(database_url: str, engine: sa.Engine) -> Things:
    """An empty database."""
    return Things(database_url, engine)


def wide(shop: str, rows: int, first: int = 0) -> pd.DataFrame:
    return pd.DataFrame({"shop": shop, "id": range(first, first + rows), "text": "x" * 1800})


def shop(name: str, metadata: Mapping[str, Any] = BY_SHOP, key: str = "things", last: str = "") -> Place:
    return Place([key], metadata, SHOPS, name, last)


def whole(metadata: Mapping[str, Any] | None = None, key: str = "things") -> Place:
    return Place([key], metadata or {})


def test_a_large_table_that_the_io_manager_made_has_the_sum_of_its_slices(things: Things) -> None:
    assert things.write(wide("north", LARGE), at=shop("north")) == (LARGE, LARGE)
    assert things.write(wide("south", 3), at=shop("south")) == (LARGE + 3, 3)
    assert things.write(wide("north", LARGE + 1), at=shop("north")) == (LARGE + 4, LARGE + 1)

    both = pd.concat([wide("north", LARGE), wide("south", 1), wide("west", 2)])
    assert things.write(both, at=shop("north", last="west")) == (LARGE + 3, None)
    assert things.select("SELECT partition, rows FROM slice_ledger ORDER BY 1") == [
        ("north", LARGE),
        ("south", 1),
        ("west", 2),
    ]


def test_a_table_made_by_hand_counts_as_one_of_the_io_managers_if_it_is_empty(things: Things) -> None:
    things.run("CREATE TABLE things (shop text, id bigint, text text)")

    assert things.write(wide("north", LARGE), at=shop("north")) == (LARGE, LARGE)
    assert things.write(wide("south", 1), at=shop("south")) == (LARGE + 1, 1)


@pytest.mark.parametrize("rows_before", [3, LARGE])
def test_rows_from_before_the_first_write_are_counted_or_the_count_is_left_out(
    things: Things, rows_before: int
) -> None:
    things.made_by_hand("east", rows_before)
    known = rows_before < LARGE

    assert things.write(wide("north", 2), at=shop("north")) == (rows_before + 2 if known else None, 2)
    assert things.write(wide("south", 1), at=shop("south")) == (rows_before + 3 if known else None, 1)


@pytest.mark.parametrize("rows_before", [3, LARGE])
def test_rows_appended_to_others_that_nobody_noted_are_not_taken_for_all(
    things: Things, rows_before: int
) -> None:
    things.made_by_hand("north", rows_before)
    known = rows_before < LARGE
    places = [shop("north", {**APPEND, **BY_SHOP}), whole(APPEND, key="things")]

    for number, place in enumerate(places, 1):
        total = rows_before + 2 * number if known else None
        assert things.write(wide("north", 2), at=place) == (total, total if place.partitions else None)


def test_rows_appended_to_a_large_table_of_the_io_managers_are_added(things: Things) -> None:
    at = {**APPEND, **BY_SHOP}
    things.write(wide("north", LARGE), at=shop("north", at))

    assert things.write(wide("north", 2), at=shop("north", at)) == (LARGE + 2, LARGE + 2)
    assert things.write(wide("south", 1), at=shop("south", at)) == (LARGE + 3, 1)


def test_a_whole_large_table_is_counted_through_every_mode(things: Things) -> None:
    assert things.write(wide("", LARGE), at=whole(UPSERT)) == (LARGE, None)
    assert things.write(wide("", 10, LARGE - 5), at=whole(UPSERT)) == (LARGE + 5, None)
    assert things.write(wide("", 10, LARGE), at=whole(INSERT)) == (LARGE + 10, None)
    assert things.write(wide("", 1, -1), at=whole(APPEND)) == (LARGE + 11, None)
    assert things.write(wide("", LARGE), at=whole()) == (LARGE, None)

    assert things.select("SELECT rows FROM slice_ledger") == [(LARGE,)]


@pytest.mark.parametrize("size", [20, LARGE])
def test_an_upsert_of_partitions_whose_rows_may_move_is_counted_or_has_no_count(
    things: Things, size: int
) -> None:
    metadata = {**UPSERT, **BY_SHOP}
    things.write(wide("north", size), at=shop("north", metadata))

    counts = things.write(wide("south", 10, size - 5), at=shop("south", metadata))

    assert counts == ((size + 5, 10) if size < LARGE else (None, None))


@pytest.mark.parametrize("rows", [4, LARGE])
@pytest.mark.parametrize(
    ("then", "first", "counted"),
    [
        (dg.WeeklyPartitionsDefinition("2025-12-28"), "2026-01-04", 2),
        (dg.DailyPartitionsDefinition("01.01.2026", fmt="%d.%m.%Y"), "05.01.2026", 2),
        (dg.DailyPartitionsDefinition("2026-01-01", timezone="America/New_York"), "2026-01-05", 2),
    ],
)
def test_slices_of_another_cut_are_not_added_to_those_of_before(
    things: Things, then: dg.PartitionsDefinition[str], first: str, counted: int, rows: int
) -> None:
    days, metadata = dg.DailyPartitionsDefinition("2026-01-01"), {"partition_expr": "day"}
    for day, count in ((2, rows), (5, 3)):
        frame = wide("", count).assign(day=datetime(2026, 1, day, 12))
        things.write(frame, at=Place(["things"], metadata, days, f"2026-01-0{day}"))

    frame = wide("", counted).assign(day=datetime(2026, 1, 5, 12))
    counts = things.write(frame, at=Place(["things"], metadata, then, first))

    assert counts == (rows + counted if rows < LARGE else None, counted)


@pytest.mark.parametrize("rows", [4, LARGE])
def test_a_table_written_whole_before_it_was_partitioned_has_no_slice_twice(
    things: Things, rows: int
) -> None:
    things.write(wide("north", rows), at=whole())

    assert things.write(wide("south", 2), at=shop("south")) == (rows + 2 if rows < LARGE else None, 2)
    assert things.write(wide("north", 1), at=shop("north")) == (3 if rows < LARGE else None, 1)


def test_a_partitioned_table_that_is_written_whole_has_the_rows_written(things: Things) -> None:
    things.write(wide("north", LARGE), at=shop("north"))

    assert things.write(wide("south", LARGE + 7), at=whole()) == (LARGE + 7, None)
    assert things.write(wide("north", 1), at=whole(APPEND)) == (None, None)  # north's entry remains


@pytest.mark.parametrize("rows", [4, LARGE])
def test_two_assets_of_one_table_do_not_each_take_it_for_theirs(things: Things, rows: int) -> None:
    def named(prefix: str, name: str) -> Place:
        return Place([prefix, "things"], {**BY_SHOP, "schema": "public"}, SHOPS, name)

    known = rows < LARGE
    assert things.write(wide("north", rows), at=named("a", "north")) == (rows, rows)
    assert things.write(wide("south", 2), at=named("b", "south")) == (rows + 2 if known else None, 2)
    assert things.write(wide("west", 3), at=named("a", "west")) == (rows + 5 if known else None, 3)
    assert things.write(wide("north", rows), at=named("b", "north")) == (rows + 5 if known else None, rows)


@pytest.mark.parametrize(
    "interference",
    [
        """CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN DELETE FROM things WHERE shop = 'north' AND id < 5; RETURN NULL; END $$;
        CREATE TRIGGER away AFTER INSERT ON things FOR EACH STATEMENT EXECUTE FUNCTION away()""",
        """CREATE TABLE shops (name text PRIMARY KEY); INSERT INTO shops VALUES ('north'), ('south');
        ALTER TABLE things ADD FOREIGN KEY (shop) REFERENCES shops ON DELETE CASCADE;
        DELETE FROM shops WHERE name = 'north'""",
        "ALTER TABLE things SET UNLOGGED; DELETE FROM things",
        "CREATE TABLE child () INHERITS (things)",
    ],
)
def test_rows_that_something_else_may_take_away_are_not_added_up(things: Things, interference: str) -> None:
    things.write(wide("north", LARGE), at=shop("north"))
    things.run(interference)

    assert things.write(wide("south", 2), at=shop("south")) == (None, 2)


def test_entries_of_a_table_that_was_dropped_are_not_those_of_its_successor(things: Things) -> None:
    things.write(wide("north", LARGE), at=shop("north"))
    things.run("DROP TABLE things")

    assert things.write(wide("south", LARGE), at=shop("south")) == (LARGE, LARGE)


def test_a_small_table_is_counted_whatever_was_done_to_it_by_hand(things: Things) -> None:
    things.write(wide("north", 4), at=shop("north"))
    things.run("DELETE FROM things WHERE id = 1; INSERT INTO things VALUES ('west', 1, ''), ('west', 2, '')")

    assert things.write(wide("south", 2), at=shop("south")) == (7, 2)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_hours_around_a_change_of_clocks_are_counted_in_a_range_as_they_are(
    things: Things, zone: str
) -> None:
    hours = dg.HourlyPartitionsDefinition("2026-01-01-00:00", timezone=zone)
    day = {
        "Europe/Berlin": "2026-10-25",
        "America/New_York": "2026-11-01",
        "Australia/Lord_Howe": "2026-04-05",
    }[zone]
    keys = [key for key in hours.get_partition_keys(datetime(2027, 1, 1, tzinfo=UTC)) if key.startswith(day)]
    starts = [hours.time_window_for_partition_key(key).start.timestamp() for key in keys]
    instants = [datetime.fromtimestamp(start, UTC) + timedelta(minutes=5) for start in starts]
    frame = pd.DataFrame({"at": [at for number, at in enumerate(instants, 1) for _ in range(number)]})

    things.write(frame, at=Place(["things"], {"partition_expr": "at"}, hours, keys[0], keys[-1]))

    noted = dict(things.select("SELECT partition, rows FROM slice_ledger"))
    assert [noted[key] for key in keys] == list(range(1, len(keys) + 1))


def test_tables_of_one_transaction_are_counted_each(things: Things) -> None:
    for name, rows in (("north", LARGE), ("south", 2)):
        together = Together(wide(name, rows), {"others": wide(name, rows + 1)})
        counts = things.write(together, at=shop(name))

    assert counts == (LARGE + 2, 2)
    assert together.written["others"][TABLE] == LARGE + 4


# The ledger

_OLD_LEDGER = """
    CREATE TABLE slice_ledger (asset text, partition text, run_id text NOT NULL, rows bigint NOT NULL,
    source_rows bigint, digest text, committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (asset, partition)); INSERT INTO slice_ledger VALUES ('things', 'west', 'old', 9)"""


def test_the_ledger_notes_what_became_of_merged_rows(things: Things) -> None:
    metadata = {**UPSERT, "newest": "text"}
    things.write(wide("", 3), at=whole(metadata))
    things.write(wide("", 4, 1), at=whole(metadata))
    merged = "SELECT rows, rows_inserted, rows_updated, rows_unchanged, rows_older FROM slice_ledger"
    assert things.select(merged) == [(5, 2, 0, 2, 0)]

    things.write(wide("", 4), at=whole())

    assert things.select(merged) == [(4, None, None, None, None)]


def test_a_ledger_of_an_older_version_gets_the_new_columns_and_keeps_its_entries(things: Things) -> None:
    things.run(_OLD_LEDGER)

    assert things.write(wide("north", 2), at=shop("north")) == (2, 2)

    entries = things.select("SELECT partition, rows, table_oid IS NULL FROM slice_ledger ORDER BY 1")
    assert entries == [("north", 2, False), ("west", 9, True)]


def test_entries_of_an_older_version_are_not_added_up_for_a_large_table(things: Things) -> None:
    things.run(_OLD_LEDGER)

    assert things.write(wide("north", LARGE), at=shop("north")) == (
        LARGE,
        LARGE,
    )  # new, so that it was counted
    assert things.write(wide("south", 1), at=shop("south")) == (None, 1)


def test_a_write_that_fails_leaves_the_old_ledger_as_it_was(things: Things) -> None:
    things.run(_OLD_LEDGER)
    broken = Together(wide("north", 1), {"others": pd.DataFrame({"shop": ["north"], "id": ["a\0b"]})})

    with pytest.raises(ValueError, match=r"table public\.others, row 1"):
        things.write(broken, at=shop("north"))

    assert things.select("SELECT * FROM slice_ledger WHERE partition = 'north'") == []
    columns = things.select(
        "SELECT count(*) FROM information_schema.columns WHERE table_name = 'slice_ledger'"
    )
    assert columns == [(7,)]


def test_writers_that_find_an_old_ledger_at_once_change_it_once(database_url: str, things: Things) -> None:
    things.run(_OLD_LEDGER)

    def write(number: int) -> None:
        DirectIOManager(database_url).write(Place([f"things_{number}"]), wide("", 1))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(12)))

    assert len(things.select("SELECT rows_inserted FROM slice_ledger")) == 13


def test_a_table_of_the_ledgers_name_that_is_somebody_elses_keeps_its_columns(things: Things) -> None:
    things.run("CREATE TABLE slice_ledger (entry text)")

    with pytest.raises(ValueError, match="cannot be used as the ledger"):
        things.write(wide("", 1), at=whole())

    assert things.select(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'slice_ledger'"
    ) == [("entry",)]
