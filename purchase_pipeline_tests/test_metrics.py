"""Metrics: their values, the format, the rules, and a real Prometheus that scrapes them."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from prometheus_client import CollectorRegistry, generate_latest, make_asgi_app
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from mock_api.app import create_app
from purchase_pipeline.cli.main import main
from purchase_pipeline.feeds import Feed, FunctionSource
from purchase_pipeline.feeds.backlog import Backlog
from purchase_pipeline.feeds.metrics import metrics_of
from purchase_pipeline.ingest.ledger import Ledger
from purchase_pipeline.ops.metrics import open_registry, write_metrics
from purchase_pipeline.purchases import purchases
from purchase_pipeline.settings import Settings, current_settings
from purchase_pipeline.stack.dagster_instance import open_instance
from purchase_pipeline_tests.documents import PROJECT
from purchase_pipeline_tests.pipelines import a_pipeline, ingest
from purchase_pipeline_tests.programs import program
from purchase_pipeline_tests.prometheus_server import PROMETHEUS, prometheus
from purchase_pipeline_tests.serving import free_port, served
from purchase_pipeline_tests.two_feeds import Reading, shops, weather
from purchase_pipeline_tests.waiting import wait_until


@pytest.fixture
def settings(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with both databases in one."""
    secret = SecretStr(database_url)
    settings = Settings(lots=4, home=tmp_path, database_url=secret, dagster_postgres_url=secret)
    for name in ("DAGSTER_HOME", "DAGSTER_POSTGRES_URL", *settings.exported()):
        monkeypatch.setenv(name, "")  # restored afterwards
    return settings


@pytest.fixture
def registry(settings: Settings, database_url: str) -> Iterator[CollectorRegistry]:
    """The metrics of a batch that is loaded, one that failed ten times, one that failed once, one with a run."""
    with served(create_app(defects=0.01)) as url, open_instance(settings) as instance:
        pipeline = a_pipeline(url, settings.home / "landing", database_url)
        assert ingest(pipeline, rows=200, instance=instance).success
        job = pipeline.resolve_job_def("ingest_lote")
        for lote in ["lote-0002"] * 10 + ["lote-0003"]:
            tags = {"dagster/partition": lote, "dagster/max_retries": "0"}
            run = instance.create_run_for_job(job, tags=tags)
            instance.report_run_failed(run, "gone")
        instance.create_run_for_job(job, tags={"dagster/partition": "lote-0004"})
    with open_registry([purchases(settings)], settings) as registry:
        yield registry


def values_of(text: str) -> dict[str, float]:
    """Return the metrics as Prometheus reads them, without their prefix and without labels."""
    return {
        sample.name.removeprefix("purchase_pipeline_"): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(registry: CollectorRegistry) -> dict[str, float]:
    return values_of(generate_latest(registry).decode())


def test_the_metrics_are_what_the_ledger_and_the_runs_say(
    registry: CollectorRegistry, engine: sa.Engine
) -> None:
    with engine.connect() as connection:
        accepted, rejected = (
            connection.scalar(sa.text(f"SELECT count(*) FROM {table}"))  # noqa: S608  (both are named here)
            for table in ("tabela_compras", "compras_rejeitadas")
        )

    values = scrape(registry)

    assert accepted + rejected == 200
    assert rejected > 0
    assert abs(values.pop("last_commit_timestamp_seconds") - time()) < 120
    assert 0 < values.pop("last_load_duration_seconds") < 60
    assert 0 <= values.pop("last_load_queued_seconds") < 60
    assert values == {
        "database_up": 1,
        "partitions_target": 4,
        "partitions_loaded": 1,
        "partitions_missing": 3,
        "partitions_in_progress": 1,
        "partitions_failed": 2,
        "partitions_exhausted": 1,
        "rows_received": 200,
        "rows_loaded": accepted,
        "rows_rejected": rejected,
    }


def test_a_batch_that_is_deleted_is_missing_and_its_rows_are_not_counted(
    registry: CollectorRegistry, engine: sa.Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM tabela_compras"))
        connection.execute(sa.text("DELETE FROM compras_rejeitadas"))

    values = scrape(registry)

    assert (values["partitions_missing"], values["rows_loaded"], values["rows_rejected"]) == (4, 0, 0)


def test_the_oldest_missing_window_ends_when_its_data_are_complete(
    settings: Settings, engine: sa.Engine
) -> None:
    with open_instance(settings) as instance:
        backlogs = [Backlog(feed, Ledger(engine, feed.tables), instance) for feed in (weather, shops)]
        found = {
            (family.name, *sample.labels.values()): sample.value
            for family in metrics_of(backlogs, instance)
            for sample in family.samples
        }

    ends = {key[1:]: value for key, value in found.items() if "oldest_missing" in key[0]}
    assert ends == {("weather",): 1767657600}  # 2026-01-06T00:00Z; the shops have no time
    assert found["purchase_pipeline_partitions_missing", "shops"] == 2


def test_a_load_by_schedule_that_fails_after_a_success_has_failed(
    settings: Settings, engine: sa.Engine
) -> None:
    loads: list[list[dict[str, Any]]] = [
        [{"station": "s1", "day": "2026-01-05", "celsius": 3.5}],
        [{"station": "s1"}],
    ]
    feed = Feed(name="last", contract=Reading, source=FunctionSource(lambda _: iter(loads.pop(0))))
    job = feed.definitions(settings).resolve_job_def(feed.job)

    with open_instance(settings) as instance:
        succeeded = [
            job.execute_in_process(instance=instance, raise_on_error=False).success for _ in range(2)
        ]
        backlogs = [Backlog(feed, Ledger(engine, feed.tables), instance)]
        found = {one.name: one.value for family in metrics_of(backlogs, instance) for one in family.samples}

    assert succeeded == [True, False]
    assert [found[f"purchase_pipeline_partitions_{kind}"] for kind in ("loaded", "failed", "exhausted")] == [
        1, 1, 1,
    ]  # fmt: skip


def test_a_scrape_costs_the_same_statements_whatever_has_failed(registry: CollectorRegistry) -> None:
    sent = list[str]()

    def note(*call: object) -> None:
        sent.append(str(call[2]))

    scrape(registry)
    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        scrape(registry)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)

    assert len(sent) <= 20
    assert [
        one for one in sent if one.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE", "LOCK"))
    ] == []


def test_a_database_that_is_away_is_a_metric(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    url = f"postgresql://ana:secret@127.0.0.1:{free_port()}/none"
    away = settings.model_copy(update={"database_url": SecretStr(url)})

    with open_registry([purchases(settings)], away) as registry:
        found = [scrape(registry), scrape(registry)]

    assert found == 2 * [{"database_up": 0}]
    (said,) = caplog.messages
    assert said.startswith("No metrics: Cannot connect to postgresql://ana:***@127.0.0.1")


def test_connections_that_the_server_has_closed_are_opened_again(
    registry: CollectorRegistry, engine: sa.Engine
) -> None:
    scrape(registry)
    with engine.connect() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )

    assert scrape(registry)["database_up"] == 1


def test_the_format_is_prometheuss_own(registry: CollectorRegistry) -> None:
    promtool = program("promtool", package="prometheus")

    checked = subprocess.run(
        [promtool, "check", "metrics"],
        input=generate_latest(registry),
        capture_output=True,
        check=False,
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_a_file_is_replaced_and_other_users_may_read_it(registry: CollectorRegistry, tmp_path: Path) -> None:
    file = tmp_path / "purchase_pipeline.prom"
    file.write_text("old")
    file.chmod(0o600)

    write_metrics(registry, file)

    assert values_of(file.read_text())["partitions_target"] == 4
    assert file.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir() if "prom" in path.name] == [file.name]


@pytest.fixture
def _no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PURCHASE_HOME", str(tmp_path / "none"))
    current_settings.cache_clear()


@pytest.mark.usefixtures("_no_home")
def test_the_command_starts_no_database(tmp_path: Path) -> None:
    ran = CliRunner().invoke(main, ["metrics"], prog_name="purchase-pipeline")

    current_settings.cache_clear()
    assert (ran.exit_code, values_of(ran.stdout)) == (0, {"database_up": 0})
    assert not (tmp_path / "none").exists()


def test_the_rules_and_their_own_tests_pass() -> None:
    promtool = program("promtool", package="prometheus")
    commands = (
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "rules.yml"),
        ("test", "rules", "rules_test.yml"),
    )

    ran = [
        subprocess.run([promtool, *each], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
        for each in commands
    ]

    assert [(one.returncode, one.stderr) for one in ran] == 3 * [(0, "")]
    rules = (PROMETHEUS / "rules.yml").read_text()
    tested = (PROMETHEUS / "rules_test.yml").read_text()
    names = [line.split()[-1] for line in rules.splitlines() if "- alert:" in line]
    assert [name for name in names if f"alertname: {name}\n        exp_alerts:\n" not in tested] == []


def test_a_real_prometheus_reads_them_and_an_alert_fires(registry: CollectorRegistry, tmp_path: Path) -> None:
    with (
        served(make_asgi_app(registry), lifespan="off") as url,
        prometheus(tmp_path / "prometheus", url) as server,
    ):
        wait_until(server.firing, "an alert")

        assert server.value('purchase_pipeline_partitions_loaded{feed="purchases"}') == 1
        alert = server.firing()["PurchasePipelineBatchesExhausted"]

    assert alert["summary"] == "1 batches of purchases have failed and are not tried again soon."


@pytest.mark.parametrize("page", ["docs/monitoring.md", "docs/pt-BR/monitoring.md"])
def test_the_page_lists_every_metric(page: str, settings: Settings, engine: sa.Engine) -> None:
    with open_instance(settings) as instance:
        known = {
            family.name
            for family in metrics_of([Backlog(shops, Ledger(engine, shops.tables), instance)], instance)
        }

    listed = re.findall(r"^\| `(\w+)` \|", (PROJECT / page).read_text(), re.MULTILINE)

    assert set(listed) == known | {"purchase_pipeline_database_up"}
