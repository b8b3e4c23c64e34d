"""Metadata of the assets in Dagster's catalog, before and after a run."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.definitions.freshness_evaluator import TimeWindowFreshnessPolicyEvaluator
from dagster._core.loader import LoadingContextForTest
from dagster._core.test_utils import freeze_time

from mock_api.app import create_app
from purchase_pipeline.contracts import CompraSchema
from purchase_pipeline.definitions import build_definitions, defs
from purchase_pipeline.feeds.specs import api_spec
from purchase_pipeline.ingest.sources.http import HttpSource
from purchase_pipeline.purchases import purchases
from purchase_pipeline.settings import Settings, current_settings
from purchase_pipeline_tests.pipelines import a_pipeline, ingest
from purchase_pipeline_tests.serving import served

PROJECT = Path(__file__).parent.parent
SPECS = {spec.key.to_user_string(): spec for spec in defs().resolve_all_asset_specs()}


@pytest.mark.parametrize("name", sorted(SPECS))
def test_every_asset_has_description_owners_and_documentation(name: str) -> None:
    spec = SPECS[name]

    assert spec.description
    assert spec.group_name in {"ingest", "sales"}
    assert spec.owners == ["team:purchases"]
    assert spec.kinds
    assert spec.tags["domain"] == "purchases"
    assert (PROJECT / spec.metadata["documentation"].value.removeprefix("/")).is_file()


@pytest.mark.parametrize("name", sorted(SPECS.keys() - {"purchase_api", "raw_purchases", "sales_report"}))
def test_every_table_says_where_its_rows_come_from_and_what_identifies_one(name: str) -> None:
    summary, *facts = (SPECS[name].description or "").split("\n- ")

    assert summary
    assert {"**Source:**", "**Grain:**", "**Key:**"} <= {fact.split(" ")[0] for fact in facts}


def test_pages_and_code_are_linked_in_the_repository_if_its_address_is_known() -> None:
    repository = "https://git.example.com/shop/pipeline"

    specs = build_definitions(Settings(repository_url=repository)).resolve_all_asset_specs()

    pages = {spec.metadata["documentation"].value for spec in specs}
    assert pages == {f"{repository}/blob/HEAD/docs/{page}.md" for page in ("reliability", "sales")}
    code = [
        reference
        for spec in specs
        if "dagster/code_references" in spec.metadata
        for reference in spec.metadata["dagster/code_references"].code_references
    ]
    assert {reference.url.rpartition("#L")[0] for reference in code} == {
        f"{repository}/blob/HEAD/purchase_pipeline/{module}.py"
        for module in ("contracts/purchase", "sales/assets")
    }


def test_the_address_of_an_api_is_shown_without_what_may_be_secret() -> None:
    source = HttpSource("https://me:secret@api.example.com/v2?key=secret#secret")
    feed = replace(purchases(current_settings()), source=source, variables={})

    assert api_spec(feed).metadata["url"] == dg.MetadataValue.url("https://api.example.com/v2")


def constraints(schema: dg.TableSchema) -> dict[str, tuple[bool, list[str]]]:
    return {
        column.name: (column.constraints.nullable, list(column.constraints.other))
        for column in schema.columns
    }


def test_columns_have_the_contracts_descriptions_and_bounds(database_url: str, tmp_path: Path) -> None:
    with served(create_app()) as url:
        result = ingest(a_pipeline(url, tmp_path, database_url), rows=5)

    (reported,) = (
        event.materialization.metadata
        for event in result.all_events
        if event.is_step_materialization and event.asset_key == dg.AssetKey("tabela_compras")
    )
    schema = reported["dagster/column_schema"].value
    assert isinstance(schema, dg.TableSchema)
    assert constraints(schema) == constraints(SPECS["tabela_compras"].metadata["dagster/column_schema"])
    assert constraints(schema)["price"] == (False, ["> 0", "at most 12 digits", "at most 2 decimal places"])
    assert constraints(schema)["store"] == (False, ["≥ 1", "≤ 2147483647"])
    descriptions = {column.name: column.description for column in schema.columns}
    assert {name: descriptions[name] for name in CompraSchema.model_fields} == {
        name: field.description for name, field in CompraSchema.model_fields.items()
    }
    assert (reported["source_rows"].value, reported["rows_rejected"].value) == (5, 0)
    lineage = reported["dagster/column_lineage"].value
    assert isinstance(lineage, dg.TableColumnLineage)
    assert list(lineage.deps_by_column["price"]) == [dg.TableColumnDep(dg.AssetKey("raw_purchases"), "price")]


@pytest.mark.parametrize(
    ("hours", "state"),
    [
        (11.9, FreshnessState.PASS),
        (12.1, FreshnessState.WARN),
        (23.9, FreshnessState.WARN),
        (24.1, FreshnessState.FAIL),
    ],
)
def test_purchases_warn_after_half_a_day_without_a_new_batch_and_fail_after_a_day(
    hours: float, state: FreshnessState
) -> None:
    purchases = defs().resolve_asset_graph().get(dg.AssetKey("tabela_compras"))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("tabela_compras", partition="lote-0001"))

        with freeze_time(datetime.now(UTC) + timedelta(hours=hours)):
            evaluation = TimeWindowFreshnessPolicyEvaluator().evaluate_freshness(
                LoadingContextForTest(instance), purchases
            )
            assert asyncio.run(evaluation) == state
