"""Alerts: an outage is one message, and its end another; what is not delivered is sent again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from mock_api.app import create_app
from purchase_pipeline.feeds import Feed, FunctionSource, PartitionRequest
from purchase_pipeline.feeds.alerts.sensor import alert_sensors
from purchase_pipeline.ingest.ledger import Ledger
from purchase_pipeline.purchases import purchases
from purchase_pipeline.settings import Settings
from purchase_pipeline_tests.mail_server import MailServer, mail_server
from purchase_pipeline_tests.pipelines import a_pipeline, ingest
from purchase_pipeline_tests.serving import free_port, served
from purchase_pipeline_tests.two_feeds import Reading
from purchase_pipeline_tests.webhook import Webhook

USER, PASSWORD = "alerts@example.com", "p@ss/word"
RETRIED = "Tried again by itself, at most once an hour. A message follows if it is given up, and when all is loaded."


class Evaluation:
    """The sensor of a feed's alerts, evaluated again and again with the cursor of the time before."""

    def __init__(
        self, feed: Feed, settings: Settings, instance: dg.DagsterInstance, engine: sa.Engine
    ) -> None:
        self.later, self.cursor = timedelta(), ""
        self.settings, self._instance = settings, instance
        self._ledger = {feed.ledger_key: Ledger(engine, feed.tables)}
        (self._sensor,) = alert_sensors(feed, settings, clock=lambda: datetime.now(UTC) + self.later)

    def __call__(self, minutes: float) -> str:
        """Evaluate it so many minutes from now, and return why it requests no run."""
        self.later = timedelta(minutes=minutes)
        with dg.build_sensor_context(self._instance, cursor=self.cursor, resources=self._ledger) as context:
            result = self._sensor(context)
        assert isinstance(result, dg.SensorResult)
        assert isinstance(result.skip_reason, dg.SkipReason)
        self.cursor = result.cursor or ""
        return str(result.skip_reason.skip_message)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance for a test."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def webhook() -> Webhook:
    """What receives the alerts."""
    return Webhook()


@pytest.fixture
def settings(webhook: Webhook, database_url: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings with a webhook."""
    with served(webhook) as url:
        yield Settings(
            lots=3,
            home=tmp_path,
            database_url=SecretStr(database_url),
            alert_webhook=SecretStr(f"{url}/services/secret"),
            ui_url="https://dagster.example.com/",
        )


@pytest.fixture
def evaluate(settings: Settings, instance: dg.DagsterInstance, engine: sa.Engine) -> Evaluation:
    """The sensor of the purchases' alerts."""
    return Evaluation(purchases(settings), settings, instance, engine)


@pytest.fixture
def api() -> Iterator[str]:
    """An API without defects."""
    with served(create_app()) as url:
        yield url


def reject(lote: str, settings: Settings, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Let a batch fail, because each of its rows is invalid."""
    assert settings.database_url is not None
    with served(create_app(defects=1.0)) as url:
        pipeline = a_pipeline(url, settings.home / "wrong", settings.database_url.get_secret_value())
        return ingest(pipeline, lote, rows=20, instance=instance)


def kill(lote: str, settings: Settings, instance: dg.DagsterInstance) -> dg.DagsterRun:
    """Let a batch fail, because its process died."""
    assert settings.database_url is not None
    job = a_pipeline("http://127.0.0.1:9", settings.home, settings.database_url.get_secret_value())
    run = instance.create_run_for_job(
        job.resolve_job_def("ingest_lote"),
        tags={"dagster/partition": lote},
        status=dg.DagsterRunStatus.STARTED,
    )
    instance.report_run_failed(run, "gone")
    return run


def load(lote: str, api: str, settings: Settings, instance: dg.DagsterInstance) -> None:
    assert settings.database_url is not None
    pipeline = a_pipeline(api, settings.home / "landing", settings.database_url.get_secret_value())
    assert ingest(pipeline, lote, rows=20, instance=instance).success


def test_an_outage_is_one_message_and_its_end_another(
    evaluate: Evaluation, webhook: Webhook, settings: Settings, instance: dg.DagsterInstance, api: str
) -> None:
    reject("lote-0001", settings, instance)
    newest = reject("lote-0001", settings, instance)
    assert evaluate(4) == "1 failing, 0 announced."  # most failures end by themselves
    assert webhook.bodies == []

    evaluate(6)
    reject("lote-0002", settings, instance)
    evaluate(13)
    load("lote-0001", api, settings, instance)
    evaluate(14)
    (begun,) = webhook.bodies
    load("lote-0002", api, settings, instance)
    evaluate(20)
    evaluate(21)

    title, reason, outlook, link = begun.pop("text").split("\n")
    assert title == begun["title"] == "purchases: 1 batch (lote-0001) failing for 6 min"
    assert reason.startswith("1 of the first 1 rows were rejected")
    assert (outlook, link) == (RETRIED, f"https://dagster.example.com/runs/{newest.run_id}")
    since = begun.pop("since")
    assert abs(datetime.fromisoformat(since) - datetime.now(UTC)) < timedelta(minutes=2)
    assert begun == {
        "feed": "purchases",
        "status": "failing",
        "title": title,
        "error": "TooManyRejectsError",
        "partitions": ["lote-0001"],
    }
    _, ended = webhook.bodies
    assert ended == {
        "feed": "purchases",
        "status": "resolved",
        "title": ended["text"],
        "text": "purchases: 2 batches (lote-0001, lote-0002) resolved after 20 min",
        "error": "TooManyRejectsError",
        "partitions": ["lote-0001", "lote-0002"],
        "since": since,
    }


def test_another_kind_of_error_is_another_message(
    evaluate: Evaluation, webhook: Webhook, settings: Settings, instance: dg.DagsterInstance
) -> None:
    reject("lote-0001", settings, instance)
    evaluate(6)
    kill("lote-0002", settings, instance)
    kill("lote-0003", settings, instance)

    assert evaluate(12) == "3 failing, 2 announced."

    assert [(body["error"], body["partitions"]) for body in webhook.bodies] == [
        ("TooManyRejectsError", ["lote-0001"]),
        ("", ["lote-0002", "lote-0003"]),
    ]


def test_a_batch_that_is_given_up_is_said_once(
    evaluate: Evaluation, webhook: Webhook, settings: Settings, instance: dg.DagsterInstance
) -> None:
    kill("lote-0001", settings, instance)
    evaluate(6)
    for _ in range(9):
        kill("lote-0002", settings, instance)
    evaluate(7)
    newest = kill("lote-0002", settings, instance)
    evaluate(8)
    evaluate(30)

    first, given_up = webhook.bodies
    assert first["partitions"] == ["lote-0001"]
    assert given_up["title"] == "purchases: 1 batch (lote-0002) given up after 8 min"
    assert given_up["text"].endswith(f"/runs/{newest.run_id}")
    assert (
        "Fix the cause, then materialize the batch in the UI or run `purchase-pipeline ingest`."
        in (given_up["text"])
    )


def test_a_batch_that_is_being_tried_is_not_announced_yet(
    evaluate: Evaluation, webhook: Webhook, settings: Settings, instance: dg.DagsterInstance
) -> None:
    kill("lote-0001", settings, instance)
    job = purchases(settings).definitions(settings).resolve_job_def("ingest_lote")
    instance.create_run_for_job(job, tags={"dagster/partition": "lote-0001"})

    assert evaluate(6) == "1 failing, 0 announced."
    assert webhook.bodies == []


def test_a_batch_beyond_a_lowered_target_is_not_waited_for(
    evaluate: Evaluation,
    webhook: Webhook,
    settings: Settings,
    instance: dg.DagsterInstance,
    engine: sa.Engine,
) -> None:
    kill("lote-0003", settings, instance)
    evaluate(6)
    fewer = replace(purchases(settings), partitions=dg.StaticPartitionsDefinition(["lote-0001"]))
    lowered = Evaluation(fewer, settings, instance, engine)
    lowered.cursor = evaluate.cursor

    lowered(7)

    assert [body["status"] for body in webhook.bodies] == ["failing", "resolved"]


def test_an_alert_that_is_not_delivered_is_sent_again(
    evaluate: Evaluation, webhook: Webhook, settings: Settings, instance: dg.DagsterInstance
) -> None:
    kill("lote-0001", settings, instance)
    webhook.status = 503

    said = evaluate(6)
    webhook.status = 200
    again = evaluate(7)
    evaluate(8)

    assert said == "The webhook returned 503. Check PURCHASE_ALERT_WEBHOOK. 1 failing, 0 announced."
    assert again == "1 failing, 1 announced."
    assert [body["status"] for body in webhook.bodies] == ["failing"]


def test_a_webhook_that_is_away_is_named_without_its_address(
    settings: Settings, instance: dg.DagsterInstance, engine: sa.Engine
) -> None:
    away = settings.model_copy(
        update={"alert_webhook": SecretStr(f"http://127.0.0.1:{free_port()}/services/secret")}
    )
    kill("lote-0001", settings, instance)

    said = Evaluation(purchases(away), away, instance, engine)(6)

    assert said == "The webhook cannot be reached (ConnectError). 1 failing, 0 announced."


@pytest.fixture
def post() -> Iterator[MailServer]:
    """A mail server that asks for a password."""
    with mail_server(USER, PASSWORD) as server:
        yield server


def with_mail(settings: Settings, post: MailServer, password: str) -> Settings:
    url = f"smtp://alerts%40example.com:{password}@127.0.0.1:{post.port}"
    return settings.model_copy(
        update={"alert_smtp": SecretStr(url), "alert_mail": ("ops@example.com", "ana@example.com")}
    )


def test_alerts_are_mailed(
    settings: Settings, post: MailServer, instance: dg.DagsterInstance, engine: sa.Engine
) -> None:
    mailed = with_mail(settings, post, "p%40ss%2Fword")
    run = kill("lote-0001", settings, instance)

    Evaluation(purchases(mailed), mailed, instance, engine)(6)

    (mail,) = post.mails
    assert (mail["From"], mail["To"]) == (USER, "ops@example.com, ana@example.com")
    assert mail["Subject"] == "purchases: 1 batch (lote-0001) failing for 6 min"
    title, reason, *rest = mail.get_content().splitlines()
    assert title == mail["Subject"]
    assert "the run ended without an error" in reason
    assert rest == [RETRIED, f"https://dagster.example.com/runs/{run.run_id}"]


def test_a_channel_that_refuses_does_not_hold_up_or_repeat_the_other(
    settings: Settings, webhook: Webhook, post: MailServer, instance: dg.DagsterInstance, engine: sa.Engine
) -> None:
    wrong = with_mail(settings, post, "forgotten")
    kill("lote-0001", settings, instance)
    evaluate = Evaluation(purchases(wrong), wrong, instance, engine)

    said = [evaluate(6), evaluate(7)]

    refused = "The mail server refused the alert (SMTPAuthenticationError 535). Check PURCHASE_ALERT_SMTP."
    assert said == 2 * [f"{refused} 1 failing, 1 announced."]
    assert (len(webhook.bodies), post.mails) == (1, [])


def test_a_password_is_not_sent_in_the_clear_to_another_machine(
    settings: Settings,
    post: MailServer,
    instance: dg.DagsterInstance,
    engine: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mailed = with_mail(settings, post, "p%40ss%2Fword")
    assert mailed.alert_smtp is not None
    elsewhere = mailed.alert_smtp.get_secret_value().replace("127.0.0.1", "mail.example.com")
    mailed = mailed.model_copy(update={"alert_smtp": SecretStr(elsewhere), "alert_webhook": None})
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", post.port))])
    kill("lote-0001", settings, instance)

    said = Evaluation(purchases(mailed), mailed, instance, engine)(6)

    assert said.startswith("The mail server refused the alert (SMTPNotSupportedError).")
    assert post.mails == []


def an_empty_feed(reason: str) -> Feed:
    """A feed that is loaded whole, by a schedule, and fails each time."""

    def nothing(_: PartitionRequest) -> Iterator[dict[str, object]]:
        raise ValueError(reason)

    return Feed(name="weather", contract=Reading, source=FunctionSource(nothing), schedule="0 4 * * *")


def test_a_load_by_schedule_is_announced_at_its_first_failure(
    settings: Settings, webhook: Webhook, instance: dg.DagsterInstance, engine: sa.Engine
) -> None:
    feed = an_empty_feed("Sent <!channel> & more.")
    definitions = feed.definitions(settings)
    failed = definitions.resolve_job_def(feed.job).execute_in_process(instance=instance, raise_on_error=False)

    Evaluation(feed, settings, instance, engine)(0)

    assert not failed.success
    (body,) = webhook.bodies
    assert body["title"] == "weather: load failed"
    assert "Sent &lt;!channel&gt; &amp; more." in body["text"]  # as Slack reads it
    assert "next time of its schedule" in body["text"]


def test_there_is_no_sensor_without_a_channel(settings: Settings) -> None:
    silent = settings.model_copy(update={"alert_webhook": None})

    names = {
        kind: [sensor.name for sensor in purchases(each).definitions(each).sensors or []]
        for kind, each in {"silent": silent, "switched on": settings}.items()
    }

    assert names == {"silent": ["missing_lots"], "switched on": ["missing_lots", "alerts_purchases"]}
