"""Two feeds in one code location: both have assets, checks, a job, a sensor and the commands."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from pydantic import SecretStr

from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.ingest.ledger import Ledger
from purchase_pipeline.ops.pipeline import Pipeline
from purchase_pipeline.settings import Settings
from purchase_pipeline_tests import growing_feed
from purchase_pipeline_tests.person import Person
from purchase_pipeline_tests.serving import served
from purchase_pipeline_tests.shops_api import shops_api
from purchase_pipeline_tests.two_feeds import shops, weather

KEYS = {"weather": ["2026-01-05", "2026-01-06", "2026-01-07"], "shops": ["rio", "são paulo"]}
COUNTS = {"weather": (50, 49, 1), "shops": (100, 98, 2)}


@pytest.fixture
def api_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The API of the shops, in the variable that the feed names."""
    with served(shops_api) as url:
        monkeypatch.setenv("SHOPS_API_URL", url)
        yield url


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """The test's database and landing."""
    return Settings(landing=str(tmp_path), database_url=SecretStr(database_url))


@pytest.fixture
def location(settings: Settings) -> dg.Definitions:
    """The code location of both feeds."""
    return dg.Definitions.merge(weather.definitions(settings), shops.definitions(settings))


def ran(location: dg.Definitions, feed: Feed, key: str) -> dg.ExecuteInProcessResult:
    job = location.resolve_job_def(feed.job)
    return job.execute_in_process(
        partition_key=key,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )


def stored(engine: sa.Engine, statement: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(statement))]


def test_two_feeds_share_a_code_location_and_no_name(location: dg.Definitions) -> None:
    repository = location.get_repository_def()

    assert {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()} == {
        "weather_api",
        "raw_weather",
        "weather",
        "weather_rejected",
        "shops_api",
        "raw_shops",
        "shops",
        "shops_rejected",
    }
    assert {job.name for job in repository.get_all_jobs()} - {"__ASSET_JOB"} == {
        "ingest_weather",
        "check_weather",
        "ingest_shops",
        "check_shops",
    }
    assert {sensor.name for sensor in repository.sensor_defs} == {"missing_weather", "missing_shops"}


@pytest.mark.usefixtures("api_url")
@pytest.mark.parametrize("feed", [weather, shops], ids=lambda feed: feed.name)
def test_every_row_is_loaded_or_rejected(location: dg.Definitions, engine: sa.Engine, feed: Feed) -> None:
    results = [ran(location, feed, key) for key in KEYS[feed.name]]

    checks = [check for result in results for check in result.get_asset_check_evaluations()]
    assert {check.check_name for check in checks if check.passed} == {
        "every_row_is_loaded_or_rejected",
        "row_numbers_are_gap_free",
        "tables_match_the_contract",
        "rejected_rate_is_low",
    }
    assert all(check.passed for check in checks)
    counted = Ledger(engine, feed.tables).counted(KEYS[feed.name])
    assert {key: (one.received, one.loaded, one.rejected) for key, one in counted.items()} == dict.fromkeys(
        KEYS[feed.name], COUNTS[feed.name]
    )


@pytest.mark.usefixtures("api_url")
def test_the_tables_have_the_rows_in_order(location: dg.Definitions, engine: sa.Engine) -> None:
    ran(location, weather, "2026-01-06")
    ran(location, shops, "são paulo")

    assert stored(engine, "SELECT *, day::text FROM weather ORDER BY row_number LIMIT 1") == [
        ("2026-01-06", 1, "s0", *stored(engine, "SELECT date '2026-01-06'")[0], 0.0, "2026-01-06")
    ]
    assert stored(engine, "SELECT partition_key, row_number, fields, original FROM weather_rejected") == [
        ("2026-01-06", 8, ["celsius"], '{"station":"s7","day":"2026-01-06","celsius":"cold"}')
    ]
    assert stored(
        engine,
        "SELECT partition_key, row_number, sku, price::text FROM shops WHERE row_number IN (1, 41, 100)",
    ) == [
        ("são paulo", 1, "são paulo-0", "0.50"),
        ("são paulo", 41, "são paulo-40", "40.50"),
        ("são paulo", 100, "são paulo-99", "99.50"),
    ]
    assert stored(engine, "SELECT row_number, fields FROM shops_rejected ORDER BY 1") == [
        (4, ["price"]),
        (78, ["price"]),
    ]


@pytest.mark.usefixtures("api_url")
@pytest.mark.parametrize("feed", [weather, shops], ids=lambda feed: feed.name)
def test_the_sensor_requests_the_missing_partitions(
    location: dg.Definitions, engine: sa.Engine, feed: Feed
) -> None:
    first, second, *_ = KEYS[feed.name]
    with dg.DagsterInstance.ephemeral() as instance:

        def requested() -> list[str | None]:
            with dg.build_sensor_context(
                instance, resources={feed.ledger_key: Ledger(engine, feed.tables)}
            ) as context:
                result = location.resolve_sensor_def(feed.sensor)(context)
            assert isinstance(result, dg.SensorResult)
            return [request.partition_key for request in result.run_requests or ()]

        assert requested() == [first]
        ran(location, feed, first)
        assert requested() == [second]


@pytest.mark.proof
@pytest.mark.usefixtures("api_url")
@pytest.mark.parametrize("feed", [weather, shops], ids=lambda feed: feed.name)
def test_the_commands_work_on_a_feed(person: Person, feed: Feed) -> None:
    first, partitions = KEYS[feed.name][0], len(KEYS[feed.name])
    received, loaded, rejected = (partitions * count for count in COUNTS[feed.name])

    module = ["-m", "purchase_pipeline_tests.two_feeds", "--feed", feed.name]

    def said(command: str) -> str:
        done = person.run(*module, command)
        assert done.returncode == 0, done.stdout + done.stderr
        return " ".join(done.stdout.split())

    assert f"{received} rows received = {loaded} loaded + {rejected} rejected" in said("ingest")
    status, rejects, verified, replay = person.run_all(
        *([*module, name] for name in ("status", "rejects", "verify", "replay"))
    )
    assert f"{partitions} of {partitions} batches loaded" in " ".join(status.stdout.split())
    assert f"{rejected} rejected rows" in rejects.stdout
    assert "no differences" in " ".join(verified.stdout.split())
    assert "nothing to do" in replay.stdout
    assert status.returncode == rejects.returncode == verified.returncode == replay.returncode == 0
    with psycopg.connect(person.database_url()) as connection:
        delete = sql.SQL("DELETE FROM {} WHERE partition_key = %s").format(sql.Identifier(feed.name))
        connection.execute(delete, [first])
    assert f"{first} not loaded, now {COUNTS[feed.name][1]} loaded" in said("replay")


@pytest.mark.proof
def test_ingest_counts_new_increments_and_leaves_new_partitions_to_the_next(person: Person) -> None:
    module = ("-m", growing_feed.__name__, "--feed")
    with (
        patch.dict(os.environ),
        Pipeline.open(growing_feed.files, Settings(home=person.home)) as pipeline,
    ):
        pipeline.instance.add_dynamic_partitions("files", ["first"])

    done = person.run_all(*((*module, name, "ingest") for name in ("files", "files", "log", "log")))

    assert [one.returncode for one in done] == [0, 0, 0, 0], [one.stdout for one in done]
    ends = re.findall(r"^(\d of \d) batches loaded in", "".join(one.stdout for one in done), re.MULTILINE)
    assert ends == ["1 of 1", "2 of 2"] * 2
    assert f"-m {growing_feed.__name__} --feed log status" in done[-1].stdout
