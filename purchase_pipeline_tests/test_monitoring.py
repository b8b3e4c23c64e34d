"""The real stack as an operator watches it: metrics, an alert by webhook, logs as JSON."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time

import httpx
import pytest

from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.log_format import uvicorn_log_config
from purchase_pipeline_tests import monitored_feeds
from purchase_pipeline_tests.live_stack import LiveStack, dismantle
from purchase_pipeline_tests.prometheus_server import prometheus
from purchase_pipeline_tests.serving import answers, free_port, served
from purchase_pipeline_tests.waiting import wait_until
from purchase_pipeline_tests.webhook import Webhook


@contextmanager
def watched(folder: Path, webhook_url: str, port: int) -> Iterator[LiveStack]:
    """Run a stack with everything switched on."""
    environment = {
        "PURCHASE_METRICS_PORT": str(port),
        "PURCHASE_LOG_FORMAT": "json",
        "PURCHASE_ALERT_WEBHOOK": f"{webhook_url}/services/secret",
        "PURCHASE_UI_URL": "https://dagster.example.com",
    }
    stack = LiveStack(
        folder / "home", environment=environment, module=monitored_feeds.__name__, feed="stations"
    )
    stack.start()
    try:
        yield stack
    finally:
        dismantle(stack)


FIRING = {
    "PurchasePipelineBatchesExhausted",
    "PurchasePipelineBatchesFailing",
    "PurchasePipelineNothingLoaded",
}


@pytest.mark.proof
@pytest.mark.timeout(600)
def test_the_stack_is_watched(tmp_path: Path) -> None:
    webhook, port = Webhook(), free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    with served(webhook) as webhook_url, watched(tmp_path, webhook_url, port) as stack:
        wait_until(lambda: answers(url), "the metrics", 120)
        with prometheus(tmp_path / "prometheus", url) as server:
            feed = '{feed="stations"}'
            wait_until(
                lambda: server.value(f"purchase_pipeline_sensor_last_tick_timestamp_seconds{feed}"), "a tick"
            )
            wait_until(lambda: server.value(f"purchase_pipeline_partitions_loaded{feed}") == 2, "both loads")
            tick = server.value(f"purchase_pipeline_sensor_last_tick_timestamp_seconds{feed}")
            took = server.value(f"purchase_pipeline_sensor_last_tick_duration_seconds{feed}")
            beat = server.value('purchase_pipeline_daemon_heartbeat_timestamp_seconds{daemon="SENSOR"}')
            wait_until(lambda: webhook.bodies, "an alert", 150)
            wait_until(lambda: len(server.firing()) >= len(FIRING), "the alerts of Prometheus")
            firing = server.firing()
            logs = {path.name: path.read_text().splitlines() for path in (stack.home / "logs").iterdir()}
            printed = stack.command("logs", "daemon", "--lines", "1")
            stack.up.send_signal(signal.SIGSTOP)  # it would start another at once
            try:
                for process in stack.saying("metrics", "--serve"):
                    process.kill()
                wait_until(lambda: "PurchasePipelineMetricsAway" in server.firing(), "an alert of Prometheus")
            finally:
                stack.up.send_signal(signal.SIGCONT)
            wait_until(lambda: answers(url), "the metrics, served again")
        refused = httpx.get(url, headers={"Host": "evil.example.com"}, trust_env=False)
        stack.stop()

    assert tick is not None
    assert took is not None
    assert beat is not None
    assert abs(tick - time()) < 300
    assert 0 < took < 30
    assert abs(beat - time()) < 300
    # Without the waits of the rules; those of the database, the daemon and the sensor do not fire.
    assert firing.keys() == FIRING
    assert firing["PurchasePipelineBatchesExhausted"]["summary"] == (
        "1 batches of broken have failed and are not tried again soon."
    )

    body = webhook.bodies[0]
    assert len(webhook.bodies) == 1
    assert (body["feed"], body["status"], body["title"]) == ("broken", "failing", "broken: load failed")
    assert "The station is switched off." in body["text"]
    assert body["text"].split("\n")[-1].startswith("https://dagster.example.com/runs/")
    assert datetime.now(UTC) - datetime.fromisoformat(body["since"]) < timedelta(minutes=5)

    assert logs.keys() == {"code_server.log", "daemon.log", "metrics.log"}
    lines = logs["daemon.log"] + logs["code_server.log"]
    # Python itself warns of the module that a forked run starts from, past any logger.
    parsed = [
        json.loads(line) for line in lines if "RuntimeWarning: 'purchase_pipeline.stack.start'" not in line
    ]
    assert len(parsed) > 10
    assert {entry.keys() >= {"event", "level", "logger", "timestamp"} for entry in parsed} == {True}
    assert '"event": ' in printed.stdout
    assert [name for name, lines in logs.items() if "services/secret" in "\n".join(lines)] == []
    assert refused.status_code == 403


def test_uvicorn_logs_json_too(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    config = uvicorn_log_config(Settings(log_format="json"))
    assert config is not None
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--log-config",
        config,
        "--factory",
        "mock_api.app:create_app",
    ]
    with log.open("w") as written:
        process = subprocess.Popen([*command, "--port", str(port)], stdout=written, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/livez"), "the API")
    finally:
        process.terminate()
        process.wait(timeout=30)

    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert f"Uvicorn running on http://127.0.0.1:{port}" in str(entries)
    assert {entry["level"] for entry in entries} == {"info"}


FAILING = """
import dagster as dg
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.log_format import use_log_format

use_log_format(Settings(log_format="json"))

@dg.asset
def broken(context) -> None:
    context.log.warning("Zero is \\"near\\".")
    raise ValueError("no\\nrow")

@dg.sensor(job=dg.define_asset_job("load", [broken]))
def looking(context):
    context.log.info("Nothing to do.")

dg.materialize([broken], raise_on_error=False)
with dg.build_sensor_context() as context:
    looking(context)
"""


def test_runs_and_sensors_log_json_and_name_the_run() -> None:
    ran = subprocess.run([sys.executable, "-c", FAILING], capture_output=True, text=True, check=True)

    entries = [json.loads(line) for line in ran.stderr.splitlines()]
    (said,) = (entry for entry in entries if entry["event"].endswith('Zero is "near".'))
    assert (said["level"], said["step_key"], said["run_id"] in said["event"]) == ("warning", "broken", True)
    assert [entry["event"] for entry in entries if "Nothing to do." in entry["event"]] != []
    assert any("ValueError: no\nrow" in entry["event"] for entry in entries if entry["level"] == "error")
