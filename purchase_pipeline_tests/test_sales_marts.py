"""The marts equal an independent computation over the same purchases."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa

from mock_api.app import create_app
from purchase_pipeline.sales.lineage import column_lineage
from purchase_pipeline.sales.marts import MARTS
from purchase_pipeline.sales.queries import customers_by_month_and_store
from purchase_pipeline.sales.tables import SALES_BY_LOT
from purchase_pipeline_tests.pipelines import a_pipeline, ingest, sum_up, update_marts
from purchase_pipeline_tests.serving import served

LOTS = ("lote-0001", "lote-0002", "lote-0003")
SUMS = {"purchases": ("price", "size"), "revenue": ("price", "sum")}
SUMMED = {
    "revenue_by_day": ["day"],
    "revenue_by_month_and_category": ["month", "category"],
    "revenue_by_state": ["state"],
    "revenue_by_store": ["store"],
    "revenue_by_payment_type": ["payment_type"],
}
RANKED = {"top_products": ["product", "brand", "category"], "top_brands": ["brand"]}


@pytest.fixture(scope="module")
def mock_api_url() -> Iterator[str]:
    """The mock API."""
    with served(create_app()) as url:
        yield url


@pytest.fixture
def pipeline(mock_api_url: str, database_url: str, tmp_path: Path) -> dg.Definitions:
    """The pipeline with nothing loaded."""
    return a_pipeline(mock_api_url, tmp_path, database_url)


def load(pipeline: dg.Definitions, *lots: str, rows: int = 3000, refetch: bool = False) -> None:
    for lote in lots:
        assert ingest(pipeline, lote, rows=rows, refetch=refetch).success


def refresh(pipeline: dg.Definitions) -> None:
    assert update_marts(pipeline).success


def table(engine: sa.Engine, name: str, *by: str) -> pd.DataFrame:
    """Read a table, sorted, with exact decimals and its column order."""
    with engine.connect() as connection:
        rows = connection.execute(sa.select(sa.text("*")).select_from(sa.table(name))).mappings().all()
    return pd.DataFrame([dict(row) for row in rows]).sort_values(list(by), ignore_index=True)


def assert_same(found: pd.DataFrame, computed: pd.DataFrame) -> None:
    assert list(found.columns) == list(computed.columns)
    assert found.astype(object).values.tolist() == computed.astype(object).values.tolist()


def purchases(engine: sa.Engine) -> pd.DataFrame:
    found = table(engine, "tabela_compras", "lote", "linha")
    return found.assign(day=found.date_purchase, month=[day.replace(day=1) for day in found.date_purchase])


def test_sums_and_ranks(pipeline: dg.Definitions, engine: sa.Engine) -> None:
    load(pipeline, *LOTS)

    assert sum_up(pipeline, LOTS[0], LOTS[-1]).success
    refresh(pipeline)

    for mart, by in SUMMED.items():
        assert_same(table(engine, mart, *by), purchases(engine).groupby(by, as_index=False).agg(**SUMS))
    for mart, by in RANKED.items():
        computed = purchases(engine).groupby(by, as_index=False).agg(**SUMS)
        order = [False] + [True] * len(by)
        computed = computed.sort_values(["revenue", *by], ascending=order, ignore_index=True)
        computed.insert(0, "rank", range(1, len(computed) + 1))
        assert_same(table(engine, mart, "rank"), computed.head(100))
    customers = {"customers_by_age_band", "customers_by_month_and_store", "sales_by_month_and_store"}
    assert SUMMED.keys() | RANKED.keys() | customers == {mart.table.name for mart in MARTS}


def age(born: object, day: object) -> int:
    return int(day.year - born.year - ((day.month, day.day) < (born.month, born.day)))  # type: ignore[attr-defined]


def test_customers_by_age(pipeline: dg.Definitions, engine: sa.Engine) -> None:
    load(pipeline, *LOTS)
    with engine.begin() as connection:  # a customer with two purchases, and one with a birthday
        connection.execute(
            sa.text(
                "UPDATE tabela_compras SET client_name = 'Ana', client_lastname = 'Souza',"
                " birthday_client = '2000-02-29' WHERE lote = 'lote-0001' AND linha <= 2"
            )
        )
        connection.execute(
            sa.text(
                "UPDATE tabela_compras SET birthday_client = (SELECT max(date_purchase) FROM tabela_compras)"
                " - INTERVAL '25 years' + INTERVAL '1 day' WHERE linha = 3"
            )
        )

    assert sum_up(pipeline, LOTS[0], LOTS[-1]).success
    refresh(pipeline)

    found = purchases(engine)
    newest = found.date_purchase.max()
    customers = found.groupby(["client_name", "client_lastname", "birthday_client"], as_index=False).agg(
        **SUMS
    )
    ages = customers.birthday_client.map(lambda born: age(born, newest))
    bands = pd.cut(ages, [0, 18, 25, 35, 45, 55, 65, 200], right=False, labels=[0, 18, 25, 35, 45, 55, 65])
    computed = (
        customers.assign(from_age=bands.astype(int))
        .groupby("from_age", as_index=False)
        .agg(customers=("revenue", "size"), purchases=("purchases", "sum"), revenue=("revenue", "sum"))
    )
    labels = {0: "0-17", 18: "18-24", 25: "25-34", 35: "35-44", 45: "45-54", 55: "55-64", 65: "65+"}
    computed.insert(0, "age_band", computed.from_age.map(labels))
    assert_same(table(engine, "customers_by_age_band", "from_age"), computed)
    assert len(customers) < len(found)


def test_the_marts_by_month_and_store(pipeline: dg.Definitions, engine: sa.Engine) -> None:
    load(pipeline, *LOTS)
    with engine.begin() as connection:  # customers who return, in other stores and months too
        connection.execute(
            sa.text(
                "UPDATE tabela_compras SET client_name = 'Ana', client_lastname = 'Souza',"
                " birthday_client = '1980-02-29' WHERE linha <= 40"
            )
        )

    sum_up(pipeline, LOTS[0], LOTS[-1])
    refresh(pipeline)

    found = purchases(engine).sort_values(["date_purchase", "lote", "linha"], ignore_index=True)
    cuts = table(engine, "sales_by_month_and_store", "cut")
    for cut, by in {
        "day": ["day"],
        "product": ["product", "brand", "category"],
        "state": ["state"],
        "payment type": ["payment_type"],
    }.items():
        keys = ["month", "store", *by]
        mart = cuts[cuts.cut == cut][[*keys, *SUMS]].sort_values(keys, ignore_index=True)
        assert_same(mart, found.groupby(keys, as_index=False).agg(**SUMS))
    customer = found.groupby(["client_name", "client_lastname", "birthday_client"])
    numbered = found.assign(returning=customer.cumcount() > 0, square=found.price * found.price)
    keys = ["month", "store", "returning"]
    computed = numbered.groupby(keys, as_index=False).agg(squares=("square", "sum"), **SUMS)
    mart = table(engine, "customers_by_month_and_store", *keys)
    assert_same(mart.groupby(keys, as_index=False)[["squares", *SUMS]].sum(), computed)
    assert numbered.returning.sum() >= 119


def test_a_reloaded_batch_is_aggregated_again(pipeline: dg.Definitions, engine: sa.Engine) -> None:
    load(pipeline, *LOTS)
    assert sum_up(pipeline, LOTS[0], LOTS[-1]).success

    load(pipeline, "lote-0002", rows=50, refetch=True)
    assert sum_up(pipeline, "lote-0002", "lote-0002").success
    refresh(pipeline)

    computed = purchases(engine).groupby(["state"], as_index=False).agg(**SUMS)
    assert_same(table(engine, "revenue_by_state", "state"), computed)
    assert computed.purchases.sum() == 6050


def test_a_mart_reports_its_sql_columns_and_lineage(pipeline: dg.Definitions) -> None:
    load(pipeline, "lote-0001", rows=10)

    summed = sum_up(pipeline, "lote-0001", "lote-0001")

    (reported,) = summed.asset_materializations_for_node("sums")
    assert "UNION ALL" in str(reported.metadata["sql"].value)
    lineage = reported.metadata["dagster/column_lineage"].value
    assert isinstance(lineage, dg.TableColumnLineage)
    purchases = dg.AssetKey("tabela_compras")
    assert list(lineage.deps_by_column["month"]) == [dg.TableColumnDep(purchases, "date_purchase")]
    assert list(lineage.deps_by_column["revenue"]) == [dg.TableColumnDep(purchases, "price")]
    assert "purchases" not in lineage.deps_by_column


def test_lineage_goes_through_subqueries() -> None:
    lineage = column_lineage(customers_by_month_and_store())

    assert dg.TableColumnDep(dg.AssetKey("tabela_compras"), "price") in lineage.deps_by_column["revenue"]
    assert (
        dg.TableColumnDep(dg.AssetKey("tabela_compras"), "date_purchase") in lineage.deps_by_column["month"]
    )


def test_a_mart_can_hold_the_largest_possible_revenue(pipeline: dg.Definitions, engine: sa.Engine) -> None:
    load(pipeline, "lote-0001", "lote-0002", rows=10)
    assert sum_up(pipeline, "lote-0001", "lote-0002").success
    refresh(pipeline)
    with engine.begin() as connection:
        for made in (SALES_BY_LOT, *(mart.table for mart in MARTS)):  # as created by an earlier version
            connection.execute(sa.text(f"ALTER TABLE {made.name} ALTER COLUMN revenue TYPE numeric(18, 2)"))

    assert sum_up(pipeline, "lote-0002", "lote-0002").success
    with engine.begin() as connection:  # ten million purchases of the highest price, in each row
        connection.execute(sa.text("UPDATE sales_by_lot SET revenue = 9999999999.99 * 10000000"))
    refresh(pipeline)

    assert table(engine, "revenue_by_day", "day").revenue.max() > 10**16
