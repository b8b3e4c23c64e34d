"""Slices of several tables in one transaction: all are replaced, or none."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres import PerPartition, PostgresIOManager, Together
from purchase_pipeline.postgres.errors import UnusableNameError
from purchase_pipeline.postgres.slices.ledger import ledger_table
from purchase_pipeline_tests.direct_io import DirectIOManager, Place

SHOPS = dg.StaticPartitionsDefinition(["north", "south", "west"])
NORTH = Place(["good"], {"partition_expr": "shop"}, SHOPS, "north")


def frame(shop: str, *ids: int) -> pd.DataFrame:
    return pd.DataFrame({"shop": shop, "id": ids})


def failing(shop: str) -> Iterator[pd.DataFrame]:
    yield frame(shop, 1)
    raise RuntimeError("the source broke off")


@pytest.fixture
def io(database_url: str) -> DirectIOManager:
    """The IO manager of an empty database."""
    return DirectIOManager(database_url)


def rows(engine: sa.Engine, table: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        schema, _, name = table.rpartition(".")
        found = connection.execute(sa.select(sa.text("*")).select_from(sa.table(name, schema=schema or None)))
        return sorted(tuple(row) for row in found)


def noted(engine: sa.Engine) -> list[tuple[Any, ...]]:
    ledger = ledger_table().c
    with engine.connect() as connection:
        found = connection.execute(
            sa.select(ledger.asset, ledger.partition, ledger.rows).order_by(ledger.asset)
        )
        return [tuple(row) for row in found]


def test_both_slices_are_written_and_noted(io: DirectIOManager, engine: sa.Engine) -> None:
    together = Together(frame("north", 1, 2), {"bad": frame("north", 3)})

    metadata = io.write(NORTH, together)

    assert rows(engine, "good") == [("north", 1), ("north", 2)]
    assert rows(engine, "bad") == [("north", 3)]
    assert noted(engine) == [("bad", "north", 1), ("good", "north", 2)]
    assert metadata["dagster/partition_row_count"].value == 2
    assert together.written["bad"]["dagster/partition_row_count"] == 1
    assert str(together.written["bad"]["dagster/table_name"]).endswith(".public.bad")


def test_other_slices_stay_as_they_are(io: DirectIOManager, engine: sa.Engine) -> None:
    south = Place(["good"], {"partition_expr": "shop"}, SHOPS, "south")
    io.write(south, Together(frame("south", 1), {"bad": frame("south", 2)}))

    io.write(NORTH, Together(frame("north", 3), {"bad": frame("north", 4)}))
    io.write(NORTH, Together(frame("north", 5), {"bad": frame("north")}))

    assert rows(engine, "good") == [("north", 5), ("south", 1)]
    assert rows(engine, "bad") == [("south", 2)]


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda: Together(failing("north"), {"bad": frame("north", 9)}), id="in its own table"),
        pytest.param(lambda: Together(frame("north", 9), {"bad": failing("north")}), id="in the one beside"),
    ],
)
def test_a_failure_leaves_both_as_they_were(io: DirectIOManager, engine: sa.Engine, broken: Any) -> None:  # noqa: ANN401
    io.write(NORTH, Together(frame("north", 1, 2), {"bad": frame("north", 3)}))

    with pytest.raises(RuntimeError, match="the source broke off"):
        io.write(NORTH, broken())

    assert rows(engine, "good") == [("north", 1), ("north", 2)]
    assert rows(engine, "bad") == [("north", 3)]
    assert noted(engine) == [("bad", "north", 1), ("good", "north", 2)]


def test_a_companion_table_may_depend_on_what_came_before(io: DirectIOManager, engine: sa.Engine) -> None:
    seen: list[int] = []

    def good() -> Iterator[pd.DataFrame]:
        for number in (1, 2, 3):
            seen.append(number)
            yield frame("north", number)

    io.write(NORTH, Together(good(), {"bad": (frame("north", sum(seen)) for _ in range(1))}))

    assert rows(engine, "bad") == [("north", 6)]


def test_a_companion_table_may_depend_on_the_rows_that_it_replaces(
    io: DirectIOManager, engine: sa.Engine
) -> None:
    def one_more(connection: sa.Connection) -> pd.DataFrame:
        known = connection.scalars(sa.text("SELECT id FROM bad WHERE shop = 'north' ORDER BY id")).all()
        return frame("north", *known, len(known) + 1)

    io.write(NORTH, Together(frame("north", 9), {"bad": frame("north", 1)}))
    for _ in range(2):
        io.write(NORTH, Together(frame("north", 9), {"bad": one_more}))

    assert rows(engine, "bad") == [("north", 1), ("north", 2), ("north", 3)]


def test_a_range_is_counted_by_partition_in_both_tables(io: DirectIOManager, engine: sa.Engine) -> None:
    everywhere = Place(["good"], {"partition_expr": "shop"}, SHOPS, "north", "west")
    good, bad = (
        pd.concat([frame("north", 1), frame("south", 2, 3)]),
        pd.concat([frame("south", 4), frame("west", 5)]),
    )

    io.write(everywhere, Together(good, {"bad": bad}))

    assert sorted(noted(engine)) == [
        ("bad", "north", 0),
        ("bad", "south", 1),
        ("bad", "west", 1),
        ("good", "north", 1),
        ("good", "south", 2),
        ("good", "west", 0),
    ]


def test_partitions_one_by_one_may_be_several_tables_each(io: DirectIOManager, engine: sa.Engine) -> None:
    both = Place(["good"], {"partition_expr": "shop"}, SHOPS, "north", "south")

    io.write(
        both,
        PerPartition(
            (shop, Together(frame(shop, 1), {"bad": frame(shop, 2)})) for shop in ("north", "south")
        ),
    )

    assert rows(engine, "good") == [("north", 1), ("south", 1)]
    assert rows(engine, "bad") == [("north", 2), ("south", 2)]


def test_an_asset_with_a_prefix_keeps_both_in_its_schema(io: DirectIOManager, engine: sa.Engine) -> None:
    io.write(Place(["shop", "good"]), Together(pd.DataFrame({"id": [1]}), {"bad": pd.DataFrame({"id": [2]})}))

    assert [rows(engine, f"shop.{name}") for name in ("good", "bad")] == [[(1,)], [(2,)]]
    with engine.connect() as connection:
        assets = connection.scalars(sa.select(ledger_table("shop").c.asset).order_by(sa.text("1"))).all()
    assert assets == ["shop/bad", "shop/good"]


def test_a_name_that_would_be_cut_is_refused(io: DirectIOManager, engine: sa.Engine) -> None:
    with pytest.raises(UnusableNameError, match="64 bytes"):
        io.write(NORTH, Together(frame("north", 1), {"x" * 64: frame("north", 1)}))

    assert not sa.inspect(engine).has_table("good")


def test_in_a_run_both_assets_are_materialized_once_committed(database_url: str, engine: sa.Engine) -> None:
    @dg.multi_asset(outs={"good": dg.AssetOut(), "bad": dg.AssetOut(dagster_type=dg.Nothing)})
    def validated() -> Iterator[Any]:
        together = Together(pd.DataFrame({"id": [1, 2]}), {"bad": pd.DataFrame({"id": [3]})})
        yield dg.Output(together, "good")
        assert rows(engine, "good") == [(1,), (2,)]
        yield dg.MaterializeResult(asset_key="bad", metadata=together.written["bad"])

    @dg.asset
    def count(bad: pd.DataFrame) -> None:
        assert bad["id"].tolist() == [3]

    result = dg.materialize(
        [validated, count], resources={"io_manager": PostgresIOManager(database_url=database_url)}
    )

    assert result.success
    materialized = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }
    assert materialized["good"]["dagster/row_count"].value == 2
    assert materialized["bad"]["dagster/row_count"].value == 1
