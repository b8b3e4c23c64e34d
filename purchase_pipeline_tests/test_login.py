"""docs/recipes/login.md: nginx as the page configures it, in front of two real webservers, one of them read-only."""

import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import httpx
import pytest
from playwright.sync_api import expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from purchase_pipeline_tests.browsers import browser
from purchase_pipeline_tests.documents import PROJECT, blocks_of
from purchase_pipeline_tests.programs import program
from purchase_pipeline_tests.serving import answers, free_port
from purchase_pipeline_tests.waiting import wait_until

pytestmark = [pytest.mark.proof, pytest.mark.source]

HOST = "dagster.localhost"  # which is loopback for a browser
ANA, READER = ("ana", "may change"), ("rui", "may look")
OPENSSL = "openssl"
_SETTINGS = (
    "daemon off; pid nginx.pid; error_log stderr; events {} http { access_log off; %s include dagster.conf; }"
)
_OF_ROOT = "user root; "  # the tests' folders are closed to others
_TEMPORARY = "".join(
    f"{kind}_temp_path {kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)
_MODULE = "purchase_pipeline_tests.waiting_job"
_RELOAD = (
    "mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) { __typename } }"
)


class Site:
    """The UI as people reach it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.address, self.port = f"https://{HOST}:{port}", port
        self.trusted = ssl.create_default_context(cafile=folder / "dagster.crt")

    def request(
        self,
        method: str,
        path: str,
        user: tuple[str, str] | None = ANA,
        *,
        json: object = None,
        **headers: str,
    ) -> httpx.Response:
        """Send a request to nginx, whose name only browsers can resolve."""
        with httpx.Client(verify=self.trusted, auth=user, trust_env=False, timeout=60) as client:
            return client.request(
                method,
                f"https://127.0.0.1:{self.port}{path}",
                json=json,
                headers={"Host": f"{HOST}:{self.port}", **headers},
                extensions={"sni_hostname": HOST},
            )

    def change(self, user: tuple[str, str]) -> str:
        """Have the code location loaded again, which changes something, and return what GraphQL says."""
        answer = self.request(
            "POST", "/graphql", user, json={"query": _RELOAD, "variables": {"name": _MODULE}}
        ).raise_for_status()
        return str(answer.json()["data"]["reloadRepositoryLocation"]["__typename"])

    def talk(self, user: tuple[str, str], origin: str) -> str:
        """Open Dagster's WebSocket, and return the type of its first message."""
        login = httpx.BasicAuth(*user)
        request = next(login.auth_flow(httpx.Request("GET", self.address)))
        with connect(
            f"wss://{HOST}:{self.port}/graphql",
            ssl=self.trusted,
            sock=socket.create_connection(("127.0.0.1", self.port)),
            origin=Origin(origin),
            subprotocols=[Subprotocol("graphql-ws")],
            additional_headers={"Authorization": request.headers["Authorization"]},
        ) as websocket:
            websocket.send('{"type": "connection_init"}')
            return str(websocket.recv(timeout=20))


def configuration(ports: dict[str, str]) -> str:
    """Return the page's configuration with other addresses and paths."""
    (block,) = [
        block for block in blocks_of(PROJECT / "docs/recipes/login.md") if block.file == "dagster.conf"
    ]
    text = block.text.replace("/etc/nginx/", "").replace("dagster.example.com", HOST)
    for there, here in ports.items():
        assert there in text
        text = text.replace(there, here)
    return text


def make_certificate(folder: Path) -> None:
    subprocess.run(
        [
            *(
                program(OPENSSL, package=OPENSSL),
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ),
            *("-nodes", "-days", "1", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"),
            *("-keyout", "dagster.key", "-out", "dagster.crt"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )


def line_of(user: tuple[str, str]) -> str:
    """Return a user's line of the file of passwords, as the page makes it."""
    hashed = subprocess.run(
        [program(OPENSSL, package=OPENSSL), "passwd", "-apr1", user[1]],
        capture_output=True,
        text=True,
        check=True,
    )
    return f"{user[0]}:{hashed.stdout}"


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process; a webserver may wait for a client that keeps its connection."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The page's configuration at work: a free port instead of 443."""
    folder = tmp_path_factory.mktemp("login")
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(folder)):
        pass  # SQLite's tables exist now: two webservers that start at once would both create them
    outside, *inside = free_port(), free_port(), free_port()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin",
        "DAGSTER_HOME": str(folder),
        "PURCHASE_HOME": str(folder / "home"),
        "PURCHASE_ALLOWED_HOSTS": f"{HOST}:{outside}",
    }
    with ExitStack() as started:
        for port, options in zip(inside, ([], ["--read-only"]), strict=True):
            command = [
                sys.executable,
                "-m",
                "purchase_pipeline.stack.webserver",
                "-m",
                _MODULE,
                "-p",
                str(port),
                *options,
            ]
            webserver = subprocess.Popen(command, env=environment, cwd=PROJECT)
            started.callback(end, webserver)
        start_nginx(started, folder, outside, inside)
        addresses = [f"http://127.0.0.1:{port}/server_info" for port in inside]
        wait_until(lambda: all(map(answers, addresses)), "both webservers", 120)
        yield Site(folder, outside)


def start_nginx(started: ExitStack, folder: Path, outside: int, inside: list[int]) -> None:
    make_certificate(folder)
    (folder / "dagster.passwords").write_text(line_of(ANA) + line_of(READER))
    ports = {"listen 443": f"listen 127.0.0.1:{outside}", "127.0.0.1:3000": f"127.0.0.1:{inside[0]}"}
    (folder / "dagster.conf").write_text(configuration({**ports, "127.0.0.1:3001": f"127.0.0.1:{inside[1]}"}))
    (folder / "nginx.conf").write_text(_OF_ROOT + _SETTINGS % _TEMPORARY)
    nginx = subprocess.Popen(
        [program("nginx", package="nginx-light"), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
    )
    started.callback(end, nginx)


@pytest.mark.parametrize("path", ["/", "/graphql", "/server_info", "/sales-report"])
def test_nobody_enters_without_a_password(site: Site, path: str) -> None:
    assert site.request("GET", path, None).status_code == 401


@pytest.mark.parametrize("user", [("ana", "wrong"), ("eva", "may change"), ("ana", "")])
def test_nobody_enters_with_a_wrong_password(site: Site, user: tuple[str, str]) -> None:
    assert site.request("GET", "/", user).status_code == 401


def test_those_named_may_change_something_and_others_only_look(site: Site) -> None:
    assert site.change(ANA) == "WorkspaceLocationEntry"
    assert site.change(READER) == "UnauthorizedError"
    reported = site.request("POST", "/report_asset_materialization/any", READER)
    assert reported.json() == {"error": "Not authorized to report runless asset events."}
    assert site.request("GET", "/", READER).status_code == 200


def test_websockets_work_for_the_ui_and_not_for_other_pages(site: Site) -> None:
    assert "connection_ack" in site.talk(ANA, site.address)
    with pytest.raises(InvalidStatus, match="403"):
        site.talk(ANA, "https://elsewhere.example")
    with pytest.raises(InvalidStatus, match="401"):
        site.talk(("ana", "wrong"), site.address)


def test_a_page_of_another_origin_cannot_use_a_stored_password(site: Site) -> None:
    assert site.request("POST", "/graphql", ANA, Origin="https://elsewhere.example").status_code == 403
    assert site.request("POST", "/graphql", ANA, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert site.request("GET", "/", ANA, Host="other.example").status_code == 403


def test_the_ui_works_in_a_browser(site: Site) -> None:
    with browser() as running:
        context = running.new_context(
            http_credentials={"username": ANA[0], "password": ANA[1]}, ignore_https_errors=True
        )
        page = context.new_page()
        with page.expect_websocket(timeout=60_000) as opened:
            page.goto(f"{site.address}/locations")
        expect(page.get_by_text(_MODULE).first).to_be_visible(timeout=60_000)

        assert opened.value.url == f"wss://{HOST}:{site.port}/graphql"
        assert not opened.value.is_closed()
