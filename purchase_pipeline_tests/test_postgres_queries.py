"""Queries as values: PostgreSQL computes the rows and stores them."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres import PostgresIOManager, Together
from purchase_pipeline.postgres.errors import SchemaDriftError, UnstorableValueError
from purchase_pipeline_tests.direct_io import DirectIOManager, Place

SHOPS = dg.StaticPartitionsDefinition(["north", "south", "west"])
SALES = sa.table("sales", sa.column("shop"), sa.column("product"), sa.column("price", sa.Numeric))
REVENUE = sa.select(SALES.c.product, sa.func.sum(SALES.c.price).label("revenue")).group_by(SALES.c.product)
REVENUE_BY_SHOP = (
    sa.select(SALES.c.shop, sa.func.sum(SALES.c.price).label("revenue"))
    .group_by(SALES.c.shop)
    .order_by(SALES.c.shop)
)
DECLARED = sa.Table(
    "declared",
    sa.MetaData(),
    sa.Column("product", sa.Text, nullable=False, comment="What was sold"),
    sa.Column("revenue", sa.Numeric(6, 2), nullable=False),
)


@pytest.fixture
def io(database_url: str, engine: sa.Engine) -> DirectIOManager:
    """The IO manager of a database with a table of sales."""
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE sales (shop TEXT, product TEXT, price NUMERIC(8, 2))"))
        connection.execute(
            sa.insert(SALES),
            [
                {"shop": shop, "product": product, "price": price}
                for shop, product, price in (
                    ("north", "apple", 1),
                    ("north", "pear", 2),
                    ("south", "apple", Decimal("4.50")),
                )
            ],
        )
    return DirectIOManager(database_url)


def by_shop(first: str, last: str = "") -> Place:
    return Place(["revenue"], {"partition_expr": "shop"}, SHOPS, first, last)


def of_shops(*shops: str) -> sa.Select[Any]:
    return REVENUE_BY_SHOP.where(SALES.c.shop.in_(shops))


def columns_of(engine: sa.Engine, table: str) -> Sequence[tuple[str, str]]:
    return [
        (column["name"], column["type"].compile(engine.dialect))
        for column in sa.inspect(engine).get_columns(table)
    ]


def test_a_querys_rows_are_the_tables(io: DirectIOManager) -> None:
    metadata = io.write(Place(["revenue"]), REVENUE)

    assert sorted(io.read(Place(["revenue"]))) == [("apple", Decimal("5.50")), ("pear", Decimal("2.00"))]
    assert metadata["dagster/row_count"].value == 2
    assert not metadata.keys() & {"rows_written", "bytes_copied", "rows_per_second"}  # known, or not copied


def test_types_are_those_that_postgresql_gives(io: DirectIOManager, engine: sa.Engine) -> None:
    io.write(Place(["revenue"]), REVENUE.add_columns(sa.func.count().label("sales")))

    assert columns_of(engine, "revenue") == [("product", "TEXT"), ("revenue", "NUMERIC"), ("sales", "BIGINT")]


def test_a_declared_table_is_made_as_declared(io: DirectIOManager, engine: sa.Engine) -> None:
    place = Place(["revenue"], {"row_model": f"{__name__}:DECLARED"})

    io.write(place, REVENUE)

    assert columns_of(engine, "revenue") == [("product", "TEXT"), ("revenue", "NUMERIC(6, 2)")]
    (product, _) = sa.inspect(engine).get_columns("revenue")
    assert (product["nullable"], product["comment"]) == (False, "What was sold")


class DeclaringIOManager(PostgresIOManager):
    """Knows the declaration of `revenue`."""

    @staticmethod
    def declared_tables() -> Sequence[sa.Table]:
        """Return it."""
        return [DECLARED.to_metadata(sa.MetaData(), name="revenue")]


@pytest.mark.usefixtures("io")  # which has sold something
def test_a_table_may_be_declared_by_the_io_manager(database_url: str, engine: sa.Engine) -> None:
    @dg.asset
    def revenue() -> sa.Select[Any]:
        return REVENUE

    @dg.asset
    def other() -> sa.Select[Any]:
        return REVENUE

    assert dg.materialize(
        [revenue, other], resources={"io_manager": DeclaringIOManager(database_url=database_url)}
    ).success

    assert columns_of(engine, "revenue") == [("product", "TEXT"), ("revenue", "NUMERIC(6, 2)")]
    assert columns_of(engine, "other") == [("product", "TEXT"), ("revenue", "NUMERIC")]


def test_a_preview_is_sorted_by_the_columns_that_can_be(io: DirectIOManager) -> None:
    numbers = sa.values(sa.column("j", sa.JSON), sa.column("n", sa.Integer), name="numbers").data(
        [("{}", 3), ("{}", 1), ("{}", 2)]
    )

    metadata = io.write(Place(["numbers"], {"preview_rows": 2}), numbers.select())

    assert [row.split(" | ")[1] for row in metadata["preview"].value.splitlines()[2:]] == ["1 |", "2 |"]


def test_the_query_shown_lists_its_partitions_in_order(io: DirectIOManager) -> None:
    metadata = io.write(by_shop("north", "south"), of_shops("north", "south"))

    assert "('north', 'south')" in metadata["Query"].value


def test_one_partition_is_replaced_and_the_others_stay(io: DirectIOManager, engine: sa.Engine) -> None:
    io.write(by_shop("north"), of_shops("north"))
    io.write(by_shop("south"), of_shops("south"))
    with engine.begin() as connection:
        connection.execute(sa.update(SALES).values(price=10))

    metadata = io.write(by_shop("north"), of_shops("north"))

    assert io.read(by_shop("north", "south")) == [("south", Decimal("4.50")), ("north", Decimal("20.00"))]
    assert metadata["dagster/partition_row_count"].value == 1
    assert metadata["dagster/row_count"].value == 2


def test_a_range_of_partitions_is_one_query(io: DirectIOManager) -> None:
    io.write(by_shop("south"), of_shops("south"))

    io.write(by_shop("north", "south"), of_shops("north", "south"))

    assert io.read(by_shop("north", "south")) == [("north", Decimal("3.00")), ("south", Decimal("4.50"))]


def test_a_query_may_read_the_table_that_another_partition_of_is_written(io: DirectIOManager) -> None:
    io.write(by_shop("north"), of_shops("north"))
    revenue = sa.table("revenue", sa.column("shop", sa.Text), sa.column("revenue", sa.Numeric))
    doubled = sa.select(sa.literal("south").label("shop"), (revenue.c.revenue * 2).label("revenue"))

    io.write(by_shop("south"), doubled.where(revenue.c.shop == "north"))

    assert io.read(by_shop("south")) == [("south", Decimal("6.00"))]


@pytest.mark.parametrize(
    "query",
    [
        sa.union_all(sa.select(sa.literal(1).label("number")), sa.select(sa.literal(2).label("number"))),
        sa.text("SELECT * FROM generate_series(1, :last) AS number").bindparams(last=2).columns(),
        sa.values(sa.column("number", sa.Integer), name="numbers").data([(1,), (2,)]).select(),
    ],
    ids=["union", "text", "values"],
)
def test_any_kind_of_query_will_do(io: DirectIOManager, query: sa.SelectBase) -> None:
    io.write(Place(["numbers"]), query)

    assert io.read(Place(["numbers"])) == [(1,), (2,)]


def test_append_and_upsert_go_with_queries(io: DirectIOManager) -> None:
    appended = Place(["appended"], {"write_mode": "append"})
    upserted = Place(["upserted"], {"write_mode": "upsert", "upsert_keys": ["product"]})
    doubled = sa.select(SALES.c.product, (sa.func.sum(SALES.c.price) * 2).label("revenue")).group_by(
        "product"
    )

    for query in (REVENUE.where(SALES.c.product == "apple"), doubled):
        io.write(appended, query)
        io.write(upserted, query)

    assert sorted(io.read(appended)) == [("apple", Decimal("5.50")), ("apple", 11), ("pear", 4)]
    assert sorted(io.read(upserted)) == [("apple", 11), ("pear", 4)]


def test_columns_that_are_not_the_tables_are_refused_and_the_rows_stay(io: DirectIOManager) -> None:
    io.write(Place(["revenue"]), REVENUE)

    with pytest.raises(
        SchemaDriftError, match="column 'sales' \\(BIGINT\\) is in the data, but not in the table"
    ):
        io.write(Place(["revenue"]), REVENUE.add_columns(sa.func.count().label("sales")))

    assert len(io.read(Place(["revenue"]))) == 2


def test_an_evolving_table_follows_the_query(io: DirectIOManager) -> None:
    place = Place(["revenue"], {"schema_drift": "evolve"})
    io.write(place, REVENUE)

    io.write(place, REVENUE.add_columns(sa.func.count().label("sales")))

    assert sorted(io.read(place)) == [("apple", Decimal("5.50"), 2), ("pear", Decimal("2.00"), 1)]


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        (
            sa.select(sa.literal("x").label("product"), sa.literal(12_345).label("revenue")),
            "numeric field overflow",
        ),
        (
            sa.select(sa.null().cast(sa.Text).label("product"), sa.literal(1).label("revenue")),
            "not-null constraint",
        ),
        (sa.text("SELECT 1 AS product, 2 AS product").columns(), "two columns of the query have this name"),
        (sa.text("SELECT 1").columns(), "no name: add a label"),
    ],
)
def test_what_the_table_cannot_hold_is_refused_and_the_rows_stay(
    io: DirectIOManager, query: sa.SelectBase, seen: str
) -> None:
    place = Place(["revenue"], {"row_model": f"{__name__}:DECLARED"})
    io.write(place, REVENUE)

    with pytest.raises(UnstorableValueError, match=seen):
        io.write(place, query)

    assert len(io.read(place)) == 2


def test_the_preview_shows_what_was_stored(io: DirectIOManager) -> None:
    metadata = io.write(Place(["revenue"], {"preview_rows": 1}), REVENUE_BY_SHOP)

    assert metadata["preview"].value == "| shop | revenue |\n| --- | --- |\n| north | 3.00 |"


def test_rows_and_a_query_go_together(io: DirectIOManager) -> None:
    beside = {"shops": sa.select(SALES.c.shop).distinct().where(SALES.c.shop == "north")}

    io.write(by_shop("north"), Together(pd.DataFrame({"shop": ["north"], "revenue": [3.0]}), beside))

    assert io.read(Place(["shops"])) == [("north",)]


def test_a_run_stores_the_query_that_an_asset_returns(io: DirectIOManager, database_url: str) -> None:
    @dg.asset
    def revenue() -> sa.SelectBase:
        return REVENUE

    result = dg.materialize([revenue], resources={"io_manager": PostgresIOManager(database_url=database_url)})

    assert result.success
    assert len(io.read(Place(["revenue"]))) == 2


def test_a_query_of_a_table_that_is_not_there_says_so(io: DirectIOManager) -> None:
    nothing: sa.Select[Any] = sa.select(sa.literal_column("1").label("one")).select_from(sa.table("nowhere"))

    with pytest.raises(
        LookupError, match=r'relation "nowhere" does not exist\. Materialize the asset that writes it first'
    ):
        io.write(Place(["revenue"]), nothing)
