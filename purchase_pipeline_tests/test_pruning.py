"""`prune`, the command and the daily job: what it deletes, what it says, and what the other commands say after it."""

import json
from datetime import timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from mock_api.app import create_app
from purchase_pipeline.definitions import build_definitions
from purchase_pipeline.feeds import Feed, FunctionSource, Retention
from purchase_pipeline.feeds.declaration import FeedDeclarationError
from purchase_pipeline.ingest.landing.manifest import landed_by, manifest_of
from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.ledger import Ledger
from purchase_pipeline.purchases import PURCHASES
from purchase_pipeline.settings import Settings
from purchase_pipeline_tests.person import Person
from purchase_pipeline_tests.pipelines import ingest
from purchase_pipeline_tests.serving import served
from purchase_pipeline_tests.two_feeds import Product

DAYS = timedelta(days=100)
RETENTION = {
    "PURCHASE_LANDING_RETENTION_DAYS": "90",
    "PURCHASE_QUARANTINE_RETENTION_DAYS": "60",
    "PURCHASE_RUN_RETENTION_DAYS": "30",
}
OLDER = "UPDATE slice_ledger SET committed_at = committed_at - interval '100 days'"


def make_older(landing: Path) -> None:
    """Change when landed files were received."""
    for manifest in landing.glob("*.json"):
        landed = landed_by(manifest.read_bytes(), manifest.stem)
        assert landed is not None
        aged = landed.model_copy(update={"received_at": landed.received_at - DAYS})
        manifest.write_bytes(manifest_of(aged))


def some_products(retention: Retention | None) -> Feed:
    return Feed(
        name="products",
        contract=Product,
        source=FunctionSource(lambda _: iter(())),
        partitions=dg.StaticPartitionsDefinition(["a"]),
        retention=retention,
    )


@pytest.mark.parametrize(
    "setting", ["landing_retention_days", "quarantine_retention_days", "run_retention_days"]
)
def test_dagster_prunes_daily_where_a_retention_is_set(setting: str) -> None:
    without, with_one = Settings(), Settings(**{setting: 30})  # type: ignore[arg-type]  # one of several fields

    jobs, schedules = (
        {
            name
            for name in (*names(settings, "jobs"), *names(settings, "schedules"))
            if name.startswith("prune_")
        }
        for settings in (without, with_one)
    )

    assert (jobs, schedules) == (set(), {"prune_purchases", "prune_purchases_schedule"})


def names(settings: Settings, kind: str) -> list[str]:
    return [each.name for each in getattr(build_definitions(settings), kind) or ()]


def test_a_feed_s_own_retention_is_used_instead_of_the_settings() -> None:
    settings = Settings(landing_retention_days=30)

    kept = [some_products(retention).retention_in(settings) for retention in (None, Retention())]

    assert kept == [Retention(landing_days=30), Retention()]


@pytest.mark.parametrize("days", [0, -1, 1.5, True, "30"])
def test_a_retention_is_a_number_of_days(days: int) -> None:
    with pytest.raises(FeedDeclarationError, match=r"retention is .*Set it to days, from 1"):
        some_products(Retention(quarantine_days=days))


def test_the_job_deletes_what_is_old(engine: sa.Engine, database_url: str, tmp_path: Path) -> None:
    with served(create_app(defects=0.02)) as url, dg.DagsterInstance.ephemeral() as instance:
        pipeline = build_definitions(
            Settings(
                lots=3,
                api_url=url,
                landing=str(tmp_path),
                database_url=SecretStr(database_url),
                landing_retention_days=90,
                quarantine_retention_days=60,
            )
        )
        assert ingest(pipeline, "lote-0001").success
        make_older(tmp_path)
        with engine.begin() as connection:
            connection.execute(sa.text(OLDER))
        assert ingest(pipeline, "lote-0002").success

        result = pipeline.resolve_job_def("prune_purchases").execute_in_process(instance=instance)

    (freed,) = (event for event in result.all_events if event.event_type_value == "STEP_OUTPUT")
    numbers = {name: value.value for name, value in freed.step_output_data.metadata.items()}
    assert numbers.pop("file_bytes")
    assert numbers == {"files": 1, "partitions_of_rejects": 1, "rejected_rows": 4, "runs": 0, "logs": 0}
    assert set(landing_at(str(tmp_path)).sizes()) == {path.name for path in tmp_path.glob("lote-0002.*.zst")}
    assert Ledger(engine, PURCHASES).pruned_rejects() == {"lote-0001": 4}


@pytest.mark.proof
def test_after_a_prune_the_other_commands_say_what_was_pruned(person: Person) -> None:
    landing = person.home / "landing"
    assert person.ingest("--lots", "2", "--rows", "500", "--defects", "0.02").returncode == 0
    unset, nothing_old = (person.run("prune"), person.run("prune", **RETENTION))
    make_older(landing)
    with psycopg.connect(person.database_url()) as connection:
        connection.execute(OLDER)
    dagster = person.database_url().replace("purchase_loader@/etl_fakedata", "dagster@/dagster")
    with psycopg.connect(dagster) as connection:
        connection.execute("UPDATE event_logs SET timestamp = timestamp - interval '100 days'")

    foretold, pruned = person.run_all(["prune", "--dry-run"], ["prune"], **RETENTION)
    load = person.ingest("--lots", "2", "--rows", "500")
    status, verify, as_json, replay, of_one, rejects, landed = person.run_all(
        ["status"],
        ["verify"],
        ["verify", "--json"],
        ["replay"],
        ["replay", "--lote", "lote-0001"],
        ["rejects"],
        ["rejects", "--landed", "lote-0001"],
    )

    assert "landed files    kept for ever; PURCHASE_LANDING_RETENTION_DAYS is not set" in unset.stdout
    assert "landed files    0 files, 0 bytes; those of the last 90 days are kept" in nothing_old.stdout
    assert foretold.stdout.startswith("Nothing was deleted. `purchase-pipeline prune` would delete:\n")
    assert foretold.stdout.partition("\n")[2] == pruned.stdout
    assert "landed files    2 files, " in pruned.stdout
    assert "rejected rows   20 rows of 2 batches; those of the last 60 days are kept" in pruned.stdout
    assert "Dagster's runs  0 runs, and the logs of 1 that the asset catalog shows;" in pruned.stdout
    assert list(landing.glob("*.zst")) == []
    assert status.returncode == 0
    assert "1,000 received = 980 loaded + 20 rejected: balanced." in status.stdout
    assert "Rejected rows pruned, so counted by the ledger: lote-0001, lote-0002" in status.stdout
    assert verify.returncode == 0
    assert (
        "2 batches verified, 0 of them row by row (980 loaded, 20 rejected): no differences." in verify.stdout
    )
    assert "so compared by counts and digests only: lote-0001, lote-0002" in verify.stdout
    assert all(batch["file_pruned_at"] and batch["rejects_pruned_at"] for batch in json.loads(as_json.stdout))
    assert replay.returncode == 0
    assert "Skipped, as their landed files were pruned: lote-0001, lote-0002." in replay.stdout
    assert of_one.returncode == landed.returncode == 1
    for refused in (of_one, landed):
        assert "The landed file of lote-0001 was pruned on " in refused.stderr
        assert "materialize raw_purchases" in refused.stderr
    assert "0 rejected rows.\nAlso 20 rejected rows of 2 batches, pruned since." in rejects.stdout
    assert load.returncode == 0
    assert load.stdout.startswith("2 of 2 batches already loaded.")
