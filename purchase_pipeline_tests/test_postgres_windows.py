"""Time windows where clocks are set back: distinguished, or rejected by name."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres import UnusableMetadataError
from purchase_pipeline.postgres.slices.partitions import dimensions_of
from purchase_pipeline_tests.storing import Store, error_of, metadata_of

BY_TIME = {"partition_expr": "at"}


@pytest.fixture
def store(database_url: str, engine: sa.Engine) -> Store:
    """An empty database."""
    return Store(database_url, engine)


def hours_of(day: str, zone: str) -> dg.HourlyPartitionsDefinition:
    return dg.HourlyPartitionsDefinition(f"{day}-00:00", end_date=f"{day}-06:00", timezone=zone)


def moments(*times: datetime) -> pd.DataFrame:
    return pd.DataFrame({"at": list(times)})


def inside(definition: dg.TimeWindowPartitionsDefinition, key: str, *, zoned: bool) -> datetime:
    """Return a moment of the partition, in local time or as an instant."""
    start = definition.time_window_for_partition_key(key).start
    moment = (start.astimezone(ZoneInfo("UTC")) + timedelta(minutes=10)).astimezone(start.tzinfo)
    return moment if zoned else moment.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("day", "zone", "key"),
    [
        ("2024-11-03", "America/New_York", "2024-11-03-01:00"),
        ("2024-11-03", "America/New_York", "2024-11-03-01:00-0500"),
        ("2024-10-27", "Europe/Berlin", "2024-10-27-02:00"),
        ("2024-10-27", "Europe/Berlin", "2024-10-27-02:00+0100"),
        ("2024-04-07", "Australia/Lord_Howe", "2024-04-07-01:00"),
        ("2024-04-07", "Australia/Lord_Howe", "2024-04-07-01:30+1030"),
        ("2018-02-17", "America/Sao_Paulo", "2018-02-17-23:00"),
        ("2018-02-17", "America/Sao_Paulo", "2018-02-17-23:00-0300"),
        ("2024-11-03", "America/Havana", "2024-11-03-00:00-0500"),
    ],
)
@pytest.mark.parametrize("expression", ["at", "CAST(at AS TIMESTAMP)"])
def test_an_hour_that_comes_twice_is_refused_for_times_without_a_zone(
    store: Store, day: str, zone: str, key: str, expression: str
) -> None:
    start = (datetime.fromisoformat(day) - timedelta(days=1)).strftime("%Y-%m-%d-%H:%M")
    end = (datetime.fromisoformat(day) + timedelta(days=1)).strftime("%Y-%m-%d-%H:%M")
    hours = dg.HourlyPartitionsDefinition(start, end_date=end, timezone=zone)
    metadata, frame = {"partition_expr": expression}, moments(inside(hours, key, zoned=False))

    result = store.store(frame, metadata, hours, key)

    assert f"clocks in {zone} are set back at the partition from" in error_of(result)
    assert "Use a column of TIMESTAMP WITH TIME ZONE, or partitions in UTC" in error_of(result)
    assert sa.inspect(store.engine).get_table_names() == []


@pytest.mark.parametrize("zoned", [True, False])
@pytest.mark.parametrize(
    ("day", "zone"),
    [
        ("2024-11-03", "America/New_York"),
        ("2024-03-10", "America/New_York"),
        ("2024-10-27", "Europe/Berlin"),
        ("2024-03-31", "Europe/Berlin"),
        ("2024-04-07", "Australia/Lord_Howe"),
        ("2018-11-04", "America/Sao_Paulo"),
        ("2024-11-03", "UTC"),
    ],
)
def test_hours_that_the_clock_shows_once_are_replaced_one_by_one(
    store: Store, day: str, zone: str, *, zoned: bool
) -> None:
    hours = hours_of(day, zone)
    # Where clocks are set by half an hour, Dagster lists keys at the end that it knows no window of.
    windows = {key: hours.time_window_for_partition_key(key) for key in hours.get_partition_keys()[:5]}
    keys = [key for key, window in windows.items() if zoned or not any(map(comes_twice, window))]
    assert len(keys) >= 3

    for _ in range(2):
        for key in keys:
            result = store.store(moments(inside(hours, key, zoned=zoned)), BY_TIME, hours, key)
            assert result.success, error_of(result)

    assert len(store.rows()) == len(keys)


@pytest.mark.parametrize("zoned", [True, False])
@pytest.mark.parametrize(
    ("days", "zone"),
    [
        (["2024-11-02", "2024-11-03", "2024-11-04"], "America/New_York"),
        (["2018-11-03", "2018-11-04", "2018-11-05"], "America/Sao_Paulo"),
        (["2018-02-17", "2018-02-18"], "America/Sao_Paulo"),
        (["2024-11-03", "2024-11-04"], "America/Havana"),
        (["2024-03-30", "2024-03-31", "2024-04-01"], "Asia/Beirut"),
        (["2024-04-06", "2024-04-07", "2024-10-06"], "Australia/Lord_Howe"),
    ],
)
def test_days_on_which_clocks_are_set_are_replaced_one_by_one(
    store: Store, days: list[str], zone: str, *, zoned: bool
) -> None:
    partitions = dg.DailyPartitionsDefinition("2018-01-01", end_date="2025-01-01", timezone=zone)
    for _ in range(2):
        for day in days:
            window = partitions.time_window_for_partition_key(day)
            last = (window.end.astimezone(ZoneInfo("UTC")) - timedelta(minutes=1)).astimezone(
                window.end.tzinfo
            )
            times = [inside(partitions, day, zoned=True), last]
            frame = moments(*(time if zoned else time.replace(tzinfo=None) for time in times))
            assert store.store(frame, BY_TIME, partitions, day).success

    assert len(store.rows()) == 2 * len(days)


def test_midnight_that_the_clock_skips_is_the_beginning_of_its_day(store: Store) -> None:
    days = dg.DailyPartitionsDefinition("2018-11-01", end_date="2018-11-10", timezone="America/Sao_Paulo")

    for _ in range(2):
        for day in ("2018-11-03", "2018-11-04"):
            assert store.store(moments(datetime.fromisoformat(day)), BY_TIME, days, day).success

    assert store.rows() == [(datetime(2018, 11, 3),), (datetime(2018, 11, 4),)]


def test_a_range_with_an_hour_that_comes_twice_is_counted_by_instants_or_refused(store: Store) -> None:
    hours = hours_of("2024-10-27", "Europe/Berlin")
    keys = hours.get_partition_keys()
    times = [inside(hours, key, zoned=True) for key in keys]

    result = store.store(moments(*times, times[2]), BY_TIME, hours, (keys[0], keys[-1]))

    counts = [metadata_of(result, key)["dagster/partition_row_count"] for key in keys]
    assert counts == [1, 1, 2, *[1] * (len(keys) - 3)]
    before = store.rows()
    naive = moments(*(time.replace(tzinfo=None) for time in times))
    result = store.store(naive, BY_TIME | {"schema": "naive"}, hours, (keys[0], keys[-1]))
    assert "clocks in Europe/Berlin are set back" in error_of(result)
    assert store.rows() == before


def test_a_range_that_leaves_out_an_hour_where_clocks_are_set_back_is_refused() -> None:
    hours = hours_of("2024-11-03", "America/New_York")
    definition = dg.MultiPartitionsDefinition({"at": hours, "shop": dg.StaticPartitionsDefinition(["a"])})
    keys = [f"{hour}|a" for hour in ("2024-11-03-00:00", "2024-11-03-01:00-0500")]

    with pytest.raises(UnusableMetadataError, match="do not cover all combinations"):
        dimensions_of(definition, {"at": "at", "shop": "shop"}, keys)


def comes_twice(bound: datetime) -> bool:
    first, second = (bound.replace(fold=fold).utcoffset() for fold in (0, 1))
    assert first is not None
    assert second is not None
    return first > second and (bound.fold == 1 or bound.minute == 30)
