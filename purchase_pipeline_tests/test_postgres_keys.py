"""Partition keys that are equal in their column are rejected, naming both; other spellings of one value work."""

from time import perf_counter

import dagster as dg
import pytest
import sqlalchemy as sa

from purchase_pipeline_tests.direct_io import DirectIOManager, Place
from purchase_pipeline_tests.storing import Store, error_of

BY_KEY = {"partition_expr": "key"}


@pytest.fixture
def store(database_url: str, engine: sa.Engine) -> Store:
    """An empty database."""
    return Store(database_url, engine)


def create(store: Store, kind: str) -> None:
    with store.engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE things (key {kind}, n integer)")


def a_row(kind: str, key: str) -> sa.Select[tuple[object, int]]:
    """Return a query of one row, whose types are PostgreSQL's own."""
    value = sa.bindparam(None, key, type_=sa.Text).op("::")(sa.literal_column(kind))
    return sa.select(value.label("key"), sa.literal(1).label("n"))


@pytest.mark.parametrize(
    ("kind", "key", "other"),
    [
        ("bigint", "1", "01"),
        ("bigint", "+7", "7"),
        ("numeric", "1", "1.0"),
        ("double precision", "100", "1e2"),
        ("date", "2026-01-01", "2026-1-1"),
        ("timestamp", "2026-01-01", "2026-01-01 00:00:00"),
        ("timestamptz", "2026-01-01 00:00+00", "2026-01-01 02:00+02"),
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}"),
        ("char(4)", "a", "a "),
        ("boolean", "true", "yes"),
        ("interval", "1 day", "24 hours"),
        ("inet", "10.0.0.1", "10.0.0.1/32"),
    ],
)
def test_two_keys_of_one_value_are_refused_whichever_is_written(
    store: Store, kind: str, key: str, other: str
) -> None:
    create(store, kind)
    partitions = dg.StaticPartitionsDefinition([key, other])

    for written in (key, other):
        result = store.store(a_row(kind, written), BY_KEY, partitions, written)

        assert f"partition keys {key!r}, {other!r} are equal in column 'key'" in error_of(result)
    assert store.rows() == []


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("timestamp", ["2026-01-01", "2026-01-02"]),
        ("numeric(10,2)", ["1", "2", "1.004", "1.00499"]),
        ("bigint", ["01", "02", "10"]),
        ("bigint", ["1", "2", "other"]),
        ("varchar(2)", ["a", "A"]),
        ("text", ["1", "01", "a", "a "]),
        ("date", ["1 Jan 2026", "2026-01-02"]),
    ],
)
def test_keys_that_mean_different_values_are_written_however_they_are_spelled(
    store: Store, kind: str, keys: list[str]
) -> None:
    create(store, kind)
    partitions = dg.StaticPartitionsDefinition(keys)

    for _ in range(2):
        for key in keys[:2]:
            result = store.store(a_row(kind, key), BY_KEY, partitions, key)
            assert result.success, error_of(result)

    assert len(store.rows()) == 2


def test_a_dimension_of_keys_of_one_value_is_refused(store: Store) -> None:
    create(store, "bigint")
    partitions = dg.MultiPartitionsDefinition(
        {"key": dg.StaticPartitionsDefinition(["1", "01"]), "n": dg.StaticPartitionsDefinition(["1"])}
    )

    result = store.store(
        a_row("bigint", "1"), {"partition_expr": {"key": "key", "n": "n"}}, partitions, "1|1"
    )

    assert "partition keys '1', '01' are equal in column 'key'" in error_of(result)


def test_an_expression_that_makes_one_value_of_two_keys_is_refused(store: Store) -> None:
    create(store, "text")
    partitions = dg.StaticPartitionsDefinition(["2026-01-01", "20260101"])

    result = store.store(
        a_row("text", "2026-01-01"), {"partition_expr": "CAST(key AS date)"}, partitions, "2026-01-01"
    )

    assert "'2026-01-01', '20260101' are equal in column 'CAST(key AS date)'" in error_of(result)


def test_dynamic_keys_are_looked_at_too(store: Store) -> None:
    create(store, "bigint")
    partitions = dg.DynamicPartitionsDefinition(name="numbers")

    @dg.asset(metadata=BY_KEY, partitions_def=partitions)
    def things() -> sa.Select[tuple[object, int]]:
        return a_row("bigint", "1")

    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("numbers", ["1", "01"])
        result = dg.materialize(
            [things],
            instance=instance,
            partition_key="1",
            resources={"io_manager": store.io_manager()},
            raise_on_error=False,
        )

    assert "partition keys '1', '01' are equal" in error_of(result)


def test_a_hundred_thousand_keys_cost_a_write_no_second(store: Store, database_url: str) -> None:
    create(store, "bigint")
    partitions = dg.StaticPartitionsDefinition([str(key) for key in range(100_000)])
    manager = DirectIOManager(database_url)
    seconds = []

    for key in ("7", "8", "9"):
        started = perf_counter()
        manager.write(Place(["things"], BY_KEY, partitions, key), a_row("bigint", key))
        seconds.append(perf_counter() - started)

    print(seconds)
    assert min(seconds) < 1
    assert len(store.rows()) == 3
