"""The stack from the first start to `down -v`; the tests share it and run in order."""

import json

import httpx
import pytest

from purchase_pipeline.settings import DAGSTER_DATABASE_NAME, DATABASE_NAME
from purchase_pipeline.stack.roles import LOADER, READER
from purchase_pipeline_tests.browsers import browser
from purchase_pipeline_tests.compose.conftest import SETTINGS
from purchase_pipeline_tests.compose.pgadmin import logged_in
from purchase_pipeline_tests.compose.stack import ComposeStack, DockerError
from purchase_pipeline_tests.other_origin import launched, launches, other_origin

SERVICES = ["postgres", "code_server", "daemon", "api", "webserver", "pgadmin"]
LOTS, ROWS = int(SETTINGS["PURCHASE_LOTS"]), int(SETTINGS["PURCHASE_ROWS"])
LOADED_LOTS = "SELECT count(*) FROM slice_ledger WHERE asset = 'tabela_compras'"
LOTS_IN_FLIGHT = "SELECT count(*) FROM runs WHERE status = 'STARTED'"
POSITIONS = "SELECT lote, linha FROM tabela_compras UNION ALL SELECT lote, linha FROM compras_rejeitadas"
COUNTS = (
    f"SELECT count(*), count(DISTINCT (lote, linha)), count(DISTINCT lote) FROM ({POSITIONS}) AS position"  # noqa: S608
)


def lots_in_progress(stack: ComposeStack) -> int:
    return stack.number(LOTS_IN_FLIGHT, database=DAGSTER_DATABASE_NAME)


def test_compose_accepts_the_file_without_warnings(stack: ComposeStack) -> None:
    assert stack.compose("config", "--quiet") == ""


def test_the_start_ends_when_all_services_are_healthy(stack: ComposeStack) -> None:
    assert stack.health() == dict.fromkeys(SERVICES, "healthy")


def test_dagsters_ui_shows_the_assets_and_its_daemon_alive(stack: ComposeStack) -> None:
    query = "{ assetNodes { assetKey { path } } instance { daemonHealth { allDaemonStatuses { required healthy } } } }"

    answer = httpx.post(f"{stack.url('DAGSTER_PORT')}/graphql", json={"query": query}, timeout=30)

    data = answer.json()["data"]
    assert ["tabela_compras"] in [node["assetKey"]["path"] for node in data["assetNodes"]]
    daemons = data["instance"]["daemonHealth"]["allDaemonStatuses"]
    assert all(daemon["healthy"] for daemon in daemons if daemon["required"])


def test_the_api_answers_on_its_published_port(stack: ComposeStack) -> None:
    answer = httpx.get(f"{stack.url('API_PORT')}/gerar_compra/3")

    assert len(answer.json()) == 3


def test_a_page_of_another_origin_cannot_start_a_run_with_an_image(stack: ComposeStack) -> None:
    dagster, file = stack.url("DAGSTER_PORT"), "/opt/purchase/overwritten.html"
    database = f"postgresql://{LOADER}@postgres:5432/{DATABASE_NAME}"

    with browser() as running, other_origin() as elsewhere:
        elsewhere.pictures(running, *launches(dagster, elsewhere.address, file=file, database=database))
    for url in (dagster, stack.url("API_PORT")):
        assert httpx.get(f"{url}/readyz", headers={"Host": "evil.example"}).status_code == 403

    assert launched(dagster) == 0
    with pytest.raises(DockerError, match="exited 1"):
        stack.compose("exec", "-T", "code_server", "test", "-e", file)


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_killed_during_a_batch_recovers(stack: ComposeStack, service: str) -> None:
    stack.wait_until(lambda: lots_in_progress(stack), "a batch in progress", 60)
    restarts = stack.restarts(service)

    stack.kill(service)

    seconds = stack.wait_until(
        lambda: stack.restarts(service) == restarts + 1, f"{service} started again", 30
    )
    seconds += stack.wait_until(lambda: stack.health()[service] == "healthy", f"{service} healthy", 120)
    loaded = stack.number(LOADED_LOTS)
    print(f"\n{service} killed: healthy after {seconds:.1f} s, {loaded} of {LOTS} batches loaded")


def test_all_batches_are_loaded_with_exact_counts(stack: ComposeStack) -> None:
    stack.wait_until(lambda: stack.number(LOADED_LOTS) >= LOTS, "the last lot", 300)
    all_well = dict.fromkeys(SERVICES, "healthy")
    stack.wait_until(lambda: stack.health() == all_well, "all services healthy", 120)

    counts = stack.sql(COUNTS)
    verified = stack.compose("exec", "-T", "code_server", "purchase-pipeline", "verify")

    print(f"\n{counts}\n{verified}")
    assert counts == f"{LOTS * ROWS}|{LOTS * ROWS}|{LOTS}"
    assert f"{LOTS} batches verified" in verified
    assert "no difference" in verified


def test_the_sales_report_is_updated_automatically(stack: ComposeStack) -> None:
    is_there = "test -s /opt/purchase/reports/sales-report.html && echo yes || echo no"

    seconds = stack.wait_until(
        lambda: stack.compose("exec", "-T", "code_server", "sh", "-c", is_there).strip() == "yes",
        "the sales report",
        240,
    )

    print(f"\nsales report: {seconds:.0f} s after the last batch")


def test_the_console_script_reports_the_same(stack: ComposeStack) -> None:
    reported = json.loads(stack.compose("exec", "-T", "code_server", "purchase-pipeline", "status", "--json"))

    assert reported["loaded"] == LOTS
    assert reported["conserved"]


def test_reader_and_loader_have_only_their_privileges(stack: ComposeStack) -> None:
    assert int(stack.sql("SELECT count(*) FROM tabela_compras", role=READER)) > 0
    with pytest.raises(DockerError, match="cannot execute DELETE in a read-only transaction"):
        stack.sql("DELETE FROM tabela_compras", role=READER)
    with pytest.raises(DockerError, match="permission denied for database"):
        stack.sql("SELECT 1", database=DAGSTER_DATABASE_NAME, role=LOADER)


def test_pgadmin_opens_the_registered_server_without_a_password(stack: ComposeStack) -> None:
    password = SETTINGS["PGADMIN_PASSWORD"]

    with logged_in(stack.url("PGADMIN_PORT"), email="fake123@gmail.com", password=password) as pgadmin:
        assert pgadmin.connect() == "Server connected."
        assert {"tabela_compras", "compras_rejeitadas"} <= set(pgadmin.tables(DATABASE_NAME))


def test_down_keeps_the_data_and_down_v_removes_it(stack: ComposeStack) -> None:
    stack.compose("down")
    assert len(stack.volumes()) == 4
    # The others have started on their data when they were killed.
    stack.compose("up", "--detach", "--wait", "postgres")
    assert stack.sql(COUNTS) == f"{LOTS * ROWS}|{LOTS * ROWS}|{LOTS}"

    stack.compose("down", "--volumes")

    assert stack.volumes() == []
