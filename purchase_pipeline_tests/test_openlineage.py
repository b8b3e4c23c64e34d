"""docs/recipes/openlineage.md: an OpenLineage server receives the events of a batch."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mock_api.app import create_app
from purchase_pipeline_tests.documents import PROJECT, blocks_of
from purchase_pipeline_tests.pipelines import a_pipeline, ingest
from purchase_pipeline_tests.serving import served

pytestmark = pytest.mark.source

PAGE = PROJECT / "docs" / "recipes" / "openlineage.md"


class LineageServer:
    """Keeps the events that it receives."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one event."""
        self.events.append(await Request(scope, receive).json())
        await Response(status_code=201)(scope, receive, send)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LineageServer]:
    """The server, at the configured address."""
    server = LineageServer()
    with served(server, lifespan="off") as url:
        monkeypatch.setenv("OPENLINEAGE_URL", url)
        monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "postgres://db.example.com:5432")
        yield server


@pytest.fixture
def definitions(server: LineageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    """The definitions of the page's module, which reads the server's address when it is imported."""
    assert server.events == []
    (page,) = (block for block in blocks_of(PAGE) if block.file == "lineage.py")
    (tmp_path / page.file).write_text(page.text)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [
        name for name in sys.modules if name.partition(".")[0] in {"lineage", "dagster_openlineage"}
    ]:
        monkeypatch.delitem(sys.modules, name)
    definitions = import_module("lineage").defs
    assert isinstance(definitions, dg.Definitions)
    return definitions


@pytest.mark.filterwarnings("ignore:.*get_event_records")  # which the package still calls
def test_a_server_receives_the_tables_of_a_batch_with_their_columns(
    server: LineageServer,
    definitions: dg.Definitions,
    tmp_path: Path,
    database_url: str,
    instance: dg.DagsterInstance,
) -> None:
    with served(create_app()) as api:
        assert ingest(a_pipeline(api, tmp_path / "landing", database_url), instance=instance).success
        with dg.build_sensor_context(instance=instance, definitions=definitions) as context:
            definitions.get_repository_def().get_sensor_def("openlineage_sensor").evaluate_tick(context)

    outputs = {
        output["name"]: output.get("facets", {})
        for event in server.events
        if event["eventType"] == "COMPLETE"
        for output in event["outputs"]
    }
    assert outputs.keys() == {"raw_purchases", "tabela_compras", "compras_rejeitadas"}
    columns = [field["name"] for field in outputs["tabela_compras"]["schema"]["fields"]]
    assert columns[:4] == ["id", "lote", "linha", "date_purchase"]
    assert "columnLineage" in outputs["tabela_compras"]
    assert {event["job"]["namespace"] for event in server.events} == {"postgres://db.example.com:5432"}
    # As the page says: no edges between tables, and fewer events than one tick takes.
    jobs = {event["job"]["name"] for event in server.events if event.get("inputs")}
    assert jobs == {"tabela_compras__checks", "compras_rejeitadas__checks"}
    assert 10 < len(server.events) < 50
