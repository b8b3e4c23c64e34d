"""Partitions of every kind, as conditions on a column or expression, in their own time zone."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa

from purchase_pipeline_tests.storing import Store, error_of, metadata_of

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
DAYS = dg.DailyPartitionsDefinition(start_date="2024-01-01", end_date="2024-02-01")
DAYS_THERE = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-02-01", timezone="America/Sao_Paulo")
HOURS = dg.HourlyPartitionsDefinition(start_date="2024-01-01-00:00", end_date="2024-01-02-00:00")
SHOPS = dg.StaticPartitionsDefinition(["it's", 'a "b"', "50% \\ {c},d"])
SHOP_DAYS = dg.MultiPartitionsDefinition({"day": DAYS, "shop": dg.StaticPartitionsDefinition(["it's"])})


@pytest.fixture
def store(database_url: str, engine: sa.Engine) -> Store:
    """An empty database."""
    return Store(database_url, engine)


def stored_days(store: Store) -> list[str]:
    with store.engine.connect() as connection:
        return [
            str(day) for day in connection.execute(sa.text("SELECT day FROM things ORDER BY 1")).scalars()
        ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(date(2024, 1, 1), date(2024, 1, 2), id="date"),
        pytest.param(datetime(2024, 1, 1, 23, 59, 59, 999999), datetime(2024, 1, 2), id="naive"),
        pytest.param(datetime(2024, 1, 1, 23, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC), id="zoned"),
    ],
)
def test_a_day_is_replaced_and_its_neighbour_is_not(store: Store, first: object, second: object) -> None:
    for key, moment in (("2024-01-01", first), ("2024-01-02", second), ("2024-01-01", first)):
        frame = pd.DataFrame({"day": [moment]})
        assert store.store(frame, {"partition_expr": "day"}, DAYS, key).success

    assert len(stored_days(store)) == 2
    for key, moment in (("2024-01-01", first), ("2024-01-02", second)):
        read = store.read(pd.DataFrame, {"partition_expr": "day"}, DAYS, key)
        assert [pd.Timestamp(value) for value in read["day"]] == [pd.Timestamp(moment)]  # type: ignore[arg-type]


def test_the_bounds_of_a_zoned_column_are_instants_whatever_the_sessions_zone(
    store: Store, database_url: str
) -> None:
    late = datetime(2024, 1, 1, 23, 30, tzinfo=SAO_PAULO)  # 02:30 of the next day in UTC
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        name = sa.make_url(database_url).database
        connection.execute(sa.text(f"ALTER DATABASE {name} SET TimeZone = 'Asia/Tokyo'"))

    for _ in range(2):
        store.store(pd.DataFrame({"day": [late]}), {"partition_expr": "day"}, DAYS_THERE, "2024-01-01")

    assert len(stored_days(store)) == 1
    read = store.read(pd.DataFrame, {"partition_expr": "day"}, DAYS_THERE, "2024-01-01")
    assert read["day"].tolist() == [pd.Timestamp(late)]


def test_the_bounds_of_a_column_without_a_zone_are_the_walls_time(store: Store) -> None:
    late = datetime(2024, 1, 1, 23, 30)

    for _ in range(2):
        store.store(pd.DataFrame({"day": [late]}), {"partition_expr": "day"}, DAYS_THERE, "2024-01-01")

    assert stored_days(store) == ["2024-01-01 23:30:00"]


@pytest.mark.parametrize(
    "expression", ["CAST(day AS TIMESTAMP)", "to_timestamp(day, 'YYYY-MM-DD')", "day::date"]
)
def test_an_expression_may_stand_for_a_column(store: Store, expression: str) -> None:
    for _ in range(2):
        result = store.store(
            pd.DataFrame({"day": ["2024-01-01"]}), {"partition_expr": expression}, DAYS, "2024-01-01"
        )
        assert result.success

    assert stored_days(store) == ["2024-01-01"]


@pytest.mark.parametrize(
    ("partitions", "key", "value", "complaint"),
    [
        (
            DAYS,
            "2024-01-01",
            "2024-01-01",
            "partition_expr 'day' is TEXT, but time windows need a DATE or TIMESTAMP",
        ),
        (DAYS, "2024-01-01", 20240101, "partition_expr 'day' is BIGINT"),
        (
            HOURS,
            "2024-01-01-05:00",
            date(2024, 1, 1),
            "is a DATE, which cannot distinguish hours",
        ),
    ],
)
def test_a_column_that_cannot_distinguish_windows_is_refused(
    store: Store, partitions: dg.PartitionsDefinition[str], key: str, value: object, complaint: str
) -> None:
    frame = pd.DataFrame({"day": [value]})

    result = store.store(frame, {"partition_expr": "day"}, partitions, key)

    assert complaint in error_of(result)
    assert sa.inspect(store.engine).get_table_names() == []


@pytest.mark.parametrize("day", [date(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1)])
def test_a_range_of_days_reports_the_rows_of_each(store: Store, day: Any) -> None:  # noqa: ANN401
    days = [day, day, day + timedelta(days=2)]

    result = store.store(
        pd.DataFrame({"day": days}), {"partition_expr": "day"}, DAYS, ("2024-01-01", "2024-01-03")
    )

    assert counts(result, ["2024-01-01", "2024-01-02", "2024-01-03"]) == [2, 0, 1]
    assert ledger(store) == {"2024-01-01": 2, "2024-01-02": 0, "2024-01-03": 1}


def test_a_range_of_keys_reports_the_rows_of_each(store: Store) -> None:
    keys = SHOPS.get_partition_keys()
    frame = pd.DataFrame({"shop": [keys[0], keys[1], keys[1]]})

    result = store.store(frame, {"partition_expr": "shop"}, SHOPS, (keys[0], keys[2]))

    assert counts(result, keys) == [1, 2, 0]
    assert metadata_of(result, keys[0])["dagster/row_count"] == 3


def test_a_range_over_two_dimensions_reports_the_rows_of_each(store: Store) -> None:
    first, second = (f"2024-01-0{day}|it's" for day in (1, 2))
    frame = pd.DataFrame(
        {"day": [date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 2)], "shop": ["it's"] * 3}
    )

    result = store.store(
        frame, {"partition_expr": {"day": "day", "shop": "shop"}}, SHOP_DAYS, (first, second)
    )

    assert counts(result, [first, second]) == [1, 2]


def test_keys_are_compared_as_the_column_reads_them(store: Store) -> None:
    numbers = dg.StaticPartitionsDefinition(["1", "02", "3"])
    for _ in range(2):
        result = store.store(pd.DataFrame({"n": [1, 2, 2]}), {"partition_expr": "n"}, numbers, ("1", "3"))

    assert counts(result, ["1", "02", "3"]) == [1, 2, 0]
    assert store.rows() == [(1,), (2,), (2,)]


def test_the_columns_that_partitions_are_cut_by_get_an_index(store: Store) -> None:
    metadata = {"partition_expr": {"day": "day", "shop": "shop"}}
    frame = pd.DataFrame({"day": [date(2024, 1, 1)], "shop": ["it's"]})

    store.store(frame, metadata, SHOP_DAYS, "2024-01-01|it's")

    (index,) = sa.inspect(store.engine).get_indexes("things")
    assert index["column_names"] == ["day", "shop"]


def counts(result: dg.ExecuteInProcessResult, keys: Sequence[str]) -> list[int]:
    return [metadata_of(result, key)["dagster/partition_row_count"] for key in keys]


def ledger(store: Store) -> Mapping[str, int]:
    with store.engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT partition, rows FROM slice_ledger"))
        return {partition: count for partition, count in rows}  # noqa: C416  # a row is no pair to a type checker
