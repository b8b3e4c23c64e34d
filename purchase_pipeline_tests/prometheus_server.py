"""A real Prometheus, with the project's rules, for as long as a test needs it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml

from purchase_pipeline_tests.documents import PROJECT
from purchase_pipeline_tests.programs import program
from purchase_pipeline_tests.serving import answers, free_port
from purchase_pipeline_tests.waiting import wait_until

PROMETHEUS = PROJECT / "deploy" / "prometheus"


class PrometheusServer:
    """Asks a Prometheus what it knows."""

    def __init__(self, url: str) -> None:
        self._url = url

    def value(self, query: str) -> float | None:
        """Return the value of a query with one result, if there is one yet."""
        (value,) = self._get("query", query=query)["result"] or [None]
        return None if value is None else float(value["value"][1])

    def firing(self) -> dict[str, dict[str, Any]]:
        """Return the annotations of the alerts that fire, by name."""
        alerts = self._get("alerts")["alerts"]
        return {
            alert["labels"]["alertname"]: alert["annotations"]
            for alert in alerts
            if alert["state"] == "firing"
        }

    def _get(self, what: str, **parameters: str) -> dict[str, Any]:
        response = httpx.get(f"{self._url}/api/v1/{what}", params=parameters, timeout=10, trust_env=False)
        found: dict[str, Any] = response.raise_for_status().json()["data"]
        return found


@contextmanager
def prometheus(folder: Path, metrics_url: str) -> Iterator[PrometheusServer]:
    """Run a Prometheus that scrapes each second, with the project's rules, whose alerts fire without waiting."""
    binary, port = program("prometheus", package="prometheus"), free_port()
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    rules = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())
    for rule in rules["groups"][0]["rules"]:
        rule.pop("for", None)
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (scraped,) = configuration["scrape_configs"]
    scraped["static_configs"] = [{"targets": [urlsplit(metrics_url).netloc]}]
    folder.mkdir()
    (folder / "rules.yml").write_text(yaml.safe_dump(rules))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [binary, *options, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{url}/-/ready"), "Prometheus")
        yield PrometheusServer(url)
    finally:
        process.terminate()
        process.wait(timeout=30)
