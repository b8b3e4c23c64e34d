"""Passwords of database and API are nowhere that another person looks: a campaign is made to fail, and searched."""

import base64
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep
from typing import Self
from urllib.parse import quote

import httpx
import psutil
import psycopg
import pytest
from psycopg import sql
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from purchase_pipeline.settings import DAGSTER_DATABASE_NAME, DATABASE_NAME, Settings
from purchase_pipeline.stack.database import start_database
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres
from purchase_pipeline.stack.roles import DAGSTER, LOADER
from purchase_pipeline_tests.builders import a_compra
from purchase_pipeline_tests.leftovers import note
from purchase_pipeline_tests.person import COMMAND
from purchase_pipeline_tests.serving import free_port, served

# Each with characters that a URL must escape; the server trusts its socket, and asks for none of them.
PASSWORDS = {role: f"{role}Cofre/{role}Chave@{role}Fim" for role in ("api", "alerts", LOADER, DAGSTER)}
SECRETS = [f"{role}{part}" for role in PASSWORDS for part in ("Cofre", "Chave", "Fim")]
SECRETS.append(base64.b64encode(f"ana:{PASSWORDS['api']}".encode()).decode()[:40])  # as HTTP sends it

REPOSITORY = '{repositoryName: "__repository__", repositoryLocationName: "purchase_pipeline"}'
ERROR = "error { message stack causes { message stack } errorChain { error { message stack } } }"
EVERYTHING = f"""{{
  instance {{ info daemonHealth {{ allDaemonStatuses {{ lastHeartbeatErrors {{ message stack }} }} }} }}
  workspaceOrError {{ ... on Workspace {{ locationEntries {{ displayMetadata {{ key value }} }} }} }}
  allTopLevelResourceDetailsOrError(repositorySelector: {REPOSITORY}) {{ ... on ResourceDetailsList {{ results {{
    name configuredValues {{ key value type }} configFields {{ name defaultValueAsJson }} }} }} }}
  sensorsOrError(repositorySelector: {REPOSITORY}) {{ ... on Sensors {{ results {{
    sensorState {{ ticks {{ status {ERROR} }} }} }} }} }}
  runsOrError {{ ... on Runs {{ results {{
    status runConfigYaml tags {{ key value }}
    eventConnection {{ events {{ ... on MessageEvent {{ message }} ... on ErrorEvent {{ {ERROR} }} }} }} }} }} }}
}}"""


def api() -> Starlette:
    """An API behind a login: it has the first lot, is too busy for the second, and does not let us at the third."""

    def gerar_compra(request: Request) -> Response:
        if (
            request.headers["authorization"]
            != "Basic " + base64.b64encode(f"ana:{PASSWORDS['api']}".encode()).decode()
        ):
            return PlainTextResponse("who?", status_code=401)
        lote = request.query_params["lote"]
        if lote == "lote-0001":
            return JSONResponse([a_compra() for _ in range(request.path_params["rows"])])
        return PlainTextResponse("not now", status_code=503 if lote == "lote-0002" else 403)

    return Starlette(routes=[Route("/gerar_compra/{rows:int}", gerar_compra)])


class Campaign:
    """An `up` that a person watches, and everything that they, or another user of the machine, could have read."""

    def __init__(self, folder: Path, server: EmbeddedPostgres, api_url: str) -> None:
        self.home, self.server, self.terminal = folder / "home", server, folder / "terminal.txt"
        self.port = free_port()
        self.commands = set[str]()
        self.answers = ""
        with self.terminal.open("w") as terminal:
            self.process = subprocess.Popen(
                [COMMAND, "up", "--lots", "3", "--rows", "5", "--every", "1", "--port", str(self.port)],
                env={**os.environ, "COLUMNS": "400", **self._environment(api_url)},
                stdout=terminal,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=120)

    def _environment(self, api_url: str) -> dict[str, str]:
        password = {name: quote(each, safe="") for name, each in PASSWORDS.items()}
        return {
            "PURCHASE_HOME": str(self.home),
            "PURCHASE_API_URL": api_url.replace("://", f"://ana:{password['api']}@"),
            "PURCHASE_ALERT_WEBHOOK": f"http://127.0.0.1:9/{password['alerts']}",
            "PURCHASE_ALERT_SMTP": f"smtp://ana:{password['alerts']}@127.0.0.1:9",
            "PURCHASE_ALERT_MAIL": "ana@example.com",
            "DATABASE_URL": self.server.url(DATABASE_NAME, LOADER).replace("@", f":{password[LOADER]}@"),
            "DAGSTER_POSTGRES_URL": self.server.url(DAGSTER_DATABASE_NAME, DAGSTER).replace(
                "@", f":{password[DAGSTER]}@"
            ),
        }

    def wait_for(self, *texts: str) -> None:
        """Look everywhere that changes, until all the texts have been seen."""
        deadline = monotonic() + 200
        while not all(text in self.answers + self.terminal.read_text() for text in texts):
            assert monotonic() < deadline, f"{texts} not seen: {self.terminal.read_text()}"
            sleep(1)
            self.look()

    def look(self) -> None:
        for process in psutil.process_iter():
            try:
                if process.environ().get("PURCHASE_HOME") == str(self.home):
                    self.commands.add(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        try:
            url = f"http://127.0.0.1:{self.port}/graphql"
            answer = httpx.post(url, json={"query": EVERYTHING}, timeout=30, trust_env=False).json()
        except httpx.TransportError:
            return  # not there yet, or not any more
        self.answers += json.dumps(answer)
        assert "errors" not in answer or not self.server.is_running(), answer["errors"]

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(timeout=120) == 130, self.terminal.read_text()

    def files(self) -> dict[str, str]:
        return {
            str(path): path.read_text(errors="replace") for path in self.home.rglob("*") if path.is_file()
        }

    def rows(self) -> str:
        """Everything in Dagster's database."""
        with psycopg.connect(self.server.url(DAGSTER_DATABASE_NAME, DAGSTER)) as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            return "\n".join(
                str(row)
                for (table,) in tables.fetchall()
                for row in connection.execute(
                    sql.SQL("SELECT one::text FROM {} AS one").format(sql.Identifier(table))
                ).fetchall()
            )


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    """A server with its roles, which a campaign elsewhere is given by URL."""
    with tempfile.TemporaryDirectory(prefix="secrets-", dir="/tmp") as folder:
        note(Path(folder))
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("PURCHASE_HOME", folder)
            settings = Settings()
        server = EmbeddedPostgres(settings.postgres_home)
        start_database(settings)
        try:
            yield server
        finally:
            server.remove()


def shut_out(role: str, server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url("postgres")) as connection:
        connection.execute(
            sql.SQL("REVOKE CONNECT ON DATABASE {} FROM {}").format(
                sql.Identifier(DATABASE_NAME), sql.Identifier(role)
            )
        )


@pytest.mark.proof
@pytest.mark.timeout(600)
def test_no_password_is_seen_whatever_fails(server: EmbeddedPostgres, tmp_path: Path) -> None:
    with ExitStack() as serving, Campaign(tmp_path, server, serving.enter_context(served(api()))) as campaign:
        campaign.wait_for("✓ 1/3", "returned 403")
        serving.close()
        campaign.wait_for("cannot connect to", "ApiUnavailableError")
        shut_out(LOADER, server)
        campaign.wait_for("permission denied for database", '"status": "FAILURE", "error"')
        server.stop()
        campaign.wait_for("PostgreSQL is unavailable")
        campaign.end()
        server.start()

    places = {
        "the terminal": campaign.terminal.read_text(),
        "a command line": "\n".join(campaign.commands),
        "an answer of the web server": campaign.answers,
        "Dagster's database": campaign.rows(),
        **campaign.files(),
    }

    assert all(places[name] for name in list(places)[:4])
    assert {(secret, name) for secret in SECRETS for name, text in places.items() if secret in text} == set()
