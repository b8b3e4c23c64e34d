"""The recipes around the pipeline: systemd accepts the units, and a failed run reaches the webhook."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import dagster as dg
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from purchase_pipeline_tests.documents import PROJECT, Block, blocks_of
from purchase_pipeline_tests.programs import program
from purchase_pipeline_tests.serving import served

pytestmark = pytest.mark.source  # this project's files, whatever the Python

RECIPES = PROJECT / "docs" / "recipes"


def files_of(page: str) -> dict[str, Block]:
    return {block.file: block for block in blocks_of(RECIPES / page) if block.file}


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    analyze = program("systemd-analyze", package="systemd")
    home = tmp_path / "opt"
    files = files_of("systemd.md")
    units = [name for name in files if name.startswith("purchase-pipeline")]
    for name in units:
        (tmp_path / name).write_text(files[name].text.replace("/opt/purchase-pipeline", str(home)))
    started = home / ".venv" / "bin" / "purchase-pipeline"
    started.parent.mkdir(parents=True)
    started.touch(0o755)

    verified = subprocess.run(
        [analyze, "verify", "--man=no", *(tmp_path / name for name in units)],
        capture_output=True,
        text=True,
        check=False,
    )

    ours = [line for line in verified.stderr.splitlines() if "purchase-pipeline" in line]
    assert len(units) == 3
    assert (verified.returncode, ours) == (0, [])


class Webhook:
    """Slack's side: keeps what was posted."""

    def __init__(self, status: int = 200) -> None:
        self.texts: list[str] = []
        self._status = status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one message."""
        self.texts.append((await Request(scope, receive).json())["text"])
        await Response(status_code=self._status)(scope, receive, send)


@pytest.fixture
def alerts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """The module of the page, imported with its settings."""
    (tmp_path / "alerts.py").write_text(files_of("alerts.md")["alerts.py"].text)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("FROM", "TO", "PASSWORD", "SMTP_HOST"):
        monkeypatch.setenv(f"ALERTS_{name}", "somebody@example.com")
    monkeypatch.delitem(sys.modules, "alerts", raising=False)
    return import_module("alerts")


def alert_of(error: Exception, alerts: object) -> str:
    """Let a run fail with that error, and the sensor of the page post it; return the run's id."""

    @dg.op
    def load() -> None:
        raise error

    @dg.job
    def ingest() -> None:
        load()

    definitions: dg.Definitions = alerts.defs  # type: ignore[attr-defined]  # a module that mypy does not know
    sensor = definitions.resolve_sensor_def("slack_on_failure")
    with dg.DagsterInstance.ephemeral() as instance:
        failed = ingest.execute_in_process(
            instance=instance, raise_on_error=False, tags={"dagster/partition": "lote-0007"}
        )
        context = dg.build_run_status_sensor_context(
            sensor_name=sensor.name,
            dagster_event=failed.get_run_failure_event(),
            dagster_instance=instance,
            dagster_run=failed.dagster_run,
        )
        sensor(context.for_run_failure())
    return failed.run_id


@pytest.mark.parametrize("error", [dg.Failure("The API sent nothing."), ValueError("The API sent nothing.")])
def test_a_failed_run_is_posted_to_the_webhook(
    error: Exception, alerts: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = Webhook()
    with served(webhook) as url:
        monkeypatch.setenv("SLACK_WEBHOOK_URL", url)
        run_id = alert_of(error, alerts)

    (text,) = webhook.texts
    assert text.startswith("ingest, lote-0007: ")
    assert "The API sent nothing." in text
    assert text.endswith(f"http://127.0.0.1:3000/runs/{run_id}")


def test_a_webhook_that_refuses_is_an_error_without_its_address(
    alerts: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(Webhook(status=403)) as url:
        monkeypatch.setenv("SLACK_WEBHOOK_URL", f"{url}/services/secret")

        with pytest.raises(RuntimeError, match=r"^Slack returned 403\.$"):
            alert_of(ValueError("The API sent nothing."), alerts)


def test_the_module_of_alerts_has_all_that_the_pipeline_has(alerts: object) -> None:
    definitions: dg.Definitions = alerts.defs  # type: ignore[attr-defined]  # a module that mypy does not know

    dg.Definitions.validate_loadable(definitions)
    assert {sensor.name for sensor in definitions.get_repository_def().sensor_defs} == {
        "mail_on_failure",
        "missing_lots",
        "slack_on_failure",
        "stale_sales",
    }
