"""Health checks of containers see what Dagster's own see, without importing Dagster."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from time import time
from typing import Any

import dagster as dg
import grpc
import pytest
import yaml
from dagster._daemon.controller import all_daemons_live
from dagster._daemon.types import DaemonHeartbeat
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from purchase_pipeline.stack.probes import CHECKS, DAEMONS, code_server, daemon
from purchase_pipeline_tests.manifests import config_maps, container, manifests
from purchase_pipeline_tests.serving import free_port

PROJECT = Path(__file__).parent.parent
CONFIGURATIONS = {
    "one machine": (PROJECT / "purchase_pipeline/stack/dagster.yaml").read_text(),
    "Celery": (PROJECT / "deploy/scale/dagster.yaml").read_text(),
    "Kubernetes": config_maps()["purchase-pipeline-dagster"]["dagster.yaml"],
}
COMMAND = (sys.executable, "-m", "purchase_pipeline.stack.probes")
CURRENT, TOO_OLD = 1_820, 1_840
"""Ages of a heartbeat, in seconds."""


def exit_code(*words: str) -> int:
    return subprocess.run([*COMMAND, *words], stderr=subprocess.DEVNULL, check=False).returncode


@pytest.mark.parametrize(
    ("serving", "expected"), [({"DagsterApi": True}, True), ({"DagsterApi": False}, False), ({}, False)]
)
def test_a_code_server_is_healthy_if_it_says_that_it_serves(
    serving: dict[str, bool], started: ExitStack, *, expected: bool
) -> None:
    servicer, server = HealthServicer(), grpc.server(ThreadPoolExecutor(1))
    add_HealthServicer_to_server(servicer, server)
    for service, serves in serving.items():
        servicer.set(service, HealthCheckResponse.SERVING if serves else HealthCheckResponse.NOT_SERVING)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    started.callback(server.stop, 0)

    assert code_server(f"127.0.0.1:{port}") is expected
    assert exit_code("code-server", f"127.0.0.1:{port}") == (0 if expected else 1)


def test_a_code_server_that_does_not_listen_is_not_healthy() -> None:
    assert not code_server(f"127.0.0.1:{free_port()}")


def test_the_daemon_is_healthy_as_long_as_dagster_thinks_so(
    instance: dg.DagsterInstance, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", database_url.replace("postgresql", "postgresql+psycopg2", 1))

    def beat(age: float, *kinds: str) -> bool:
        for kind in kinds:
            instance.add_daemon_heartbeat(DaemonHeartbeat(time() - age, kind, "daemon", errors=[]))
        found = daemon()
        assert found == all_daemons_live(instance)
        return found

    assert not beat(0)
    assert not beat(0, *(DAEMONS - {"SENSOR"}))
    assert not beat(TOO_OLD, "SENSOR")
    assert beat(CURRENT, "SENSOR")
    assert beat(TOO_OLD, "of an earlier Dagster")
    assert exit_code("daemon") == 0


@pytest.mark.parametrize("configuration", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def test_the_daemons_are_those_of_each_configuration(configuration: str, tmp_path: Path) -> None:
    said: dict[str, Any] = yaml.safe_load(configuration)
    for server in ("storage", "run_launcher", "compute_logs"):
        said.pop(server, None)
    said["run_monitoring"].pop("max_resume_run_attempts", None)  # the launcher's
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(said))

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert set(instance.get_required_daemon_types()) == DAEMONS


def test_each_container_that_is_checked_so_names_a_check() -> None:
    compose = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
    pods = [container(manifest) for manifest in manifests("Deployment")]
    tests = [" ".join(service["healthcheck"]["test"]) for service in compose.values()] + [
        " ".join(probe["exec"]["command"])
        for pod in pods
        for kind in ("startupProbe", "livenessProbe")
        if "exec" in (probe := pod.get(kind, {}))
    ]

    named = [match[1] for test in tests if (match := re.search(r"python -m (\S+ \S+)", test))]
    assert named == [
        *(f"purchase_pipeline.stack.probes {check}" for check in CHECKS),
        *["purchase_pipeline.stack.probes daemon"] * 2,
    ]


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_does_not_import_dagster(
    check: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", database_url)
    address = {"code-server": [f"127.0.0.1:{free_port()}"], "daemon": []}[check]
    imported = subprocess.run(
        [sys.executable, "-X", "importtime", *COMMAND[1:], check, *address],
        capture_output=True,
        text=True,
        check=False,
    ).stderr

    assert "purchase_pipeline.stack" in imported
    assert not re.search(r"\| +dagster\b", imported)
