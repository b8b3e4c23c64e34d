"""Run configuration can choose how a batch is loaded, never a file, API or database."""

import json
import re
from typing import Any

import dagster as dg
import pytest

from purchase_pipeline.definitions import defs

REPOSITORY = defs().get_repository_def()
JOBS = [job.name for job in REPOSITORY.get_all_jobs()]
CHOICES = {
    "purchases_feed": {"name": "evil"},
    "purchases_source": {"base_url": "http://evil.example", "redis_url": "redis://evil.example"},
    "purchases_landing": {"location": "/tmp/elsewhere"},  # noqa: S108  (nothing is written)
    "purchases_ledger": {"database_url": "postgresql://evil.example/shop"},
    "report_file": {"path": "/home/ana/.bashrc", "database_url": "postgresql://evil.example/shop"},
    "sales_totals": {"database_url": "postgresql://evil.example/shop"},
    "purchases_io_manager": {"database_url": "postgresql://evil.example/shop", "schema": "pg_catalog"},
    "io_manager": {"database_url": "postgresql://evil.example/shop", "schema": "pg_catalog"},
}


def job_of(name: str) -> dg.JobDefinition:
    return REPOSITORY.get_job(name)


def resource_config(resource: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"resources": {resource: {"config": config}}}


def test_every_resource_of_every_job_is_listed_above() -> None:
    assert set(REPOSITORY.get_top_level_resources()) == CHOICES.keys()
    assert set(JOBS) == {"__ASSET_JOB", "ingest_lote", "check_purchases"}


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(("resource", "config"), CHOICES.items())
def test_no_job_takes_a_file_an_api_or_a_database_from_its_run(
    job: str, resource: str, config: dict[str, str]
) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="unexpected config entr"):
        dg.validate_run_config(job_of(job), resource_config(resource, config))


def test_a_run_may_still_choose_how_its_batch_is_loaded() -> None:
    ops: dict[str, dict[str, Any]] = {
        "raw_purchases": {"config": {"rows": 5, "refetch": True}},
        "validated_purchases": {"config": {"max_rejected_ratio": 0.5}},
    }

    valid = dg.validate_run_config(job_of("ingest_lote"), {"ops": ops})

    assert {name: valid["ops"][name]["config"] for name in ops} == {
        name: entry["config"] for name, entry in ops.items()
    }


@pytest.mark.parametrize("name", sorted(CHOICES.keys() - {"purchases_feed", "purchases_source"}))
def test_a_resources_description_shows_its_configuration(name: str) -> None:
    description = REPOSITORY.get_top_level_resources()[name].description or ""
    (shown,) = re.findall(r"Set by the deployment: `(.*)`", description)

    assert json.loads(shown).keys() & CHOICES[name].keys()


def test_a_sources_description_shows_its_declaration_without_values_of_variables() -> None:
    description = REPOSITORY.get_top_level_resources()["purchases_source"].description or ""

    assert "path='/gerar_compra/{rows}'" in description
    assert "url=Known(env_var_name='PURCHASE_API_URL')" in description
