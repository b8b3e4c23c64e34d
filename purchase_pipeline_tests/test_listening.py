"""The listening addresses of the stack: only loopback by default, others only with a warning."""

import signal

import psutil
import pytest
from click.testing import CliRunner

from purchase_pipeline.cli.load import up
from purchase_pipeline_tests.person import Person


def listening(person: Person) -> set[tuple[str, int]]:
    """Return every TCP address that a process of this home listens on."""
    found = set[tuple[str, int]]()
    for process in psutil.process_iter():
        try:
            if process.environ().get("PURCHASE_HOME") == str(person.home):
                found |= {
                    (one.laddr.ip, one.laddr.port)
                    for one in process.net_connections("inet")
                    if one.status == psutil.CONN_LISTEN
                }
        except psutil.Error:
            continue
    return found


@pytest.mark.proof
@pytest.mark.parametrize(
    ("words", "address", "warned"),
    [
        ([], "127.0.0.1", False),
        (["--host", "0.0.0.0"], "0.0.0.0", True),  # noqa: S104  (a possible choice of the user)
    ],
)
def test_only_ui_and_mock_api_listen_and_only_on_the_given_address(
    person: Person, words: list[str], address: str, *, warned: bool
) -> None:
    ports = ["--port", str(person.port), "--api-port", str(person.api_port)]
    running = person.start("up", "--lots", "1", "--rows", "5", *ports, *words)
    assert running.stdout is not None

    printed = ""
    for line in running.stdout:
        printed += line
        if "lote-0001" in line:
            break
    found = listening(person)
    running.send_signal(signal.SIGINT)
    printed += running.communicate(timeout=120)[0]

    assert found == {(address, person.port), (address, person.api_port)}, printed
    assert ("Warning:" in printed and "anyone who can reach" in printed) == warned


@pytest.mark.parametrize("host", ["localhost", "0.0.0"])
def test_a_host_that_is_not_an_ip_address_is_refused(host: str) -> None:
    refused = CliRunner().invoke(up, ["--host", host])

    assert refused.exit_code == 2
    assert f"'{host}' is not an IP address" in refused.output


@pytest.mark.proof
def test_the_reader_has_its_own_url_or_instructions_for_a_given_database(person: Person) -> None:
    given = "postgresql://ana:segredo@db.example.com/shop"

    own = person.run("db-url", "--reader")
    theirs = person.run("db-url", "--reader", DATABASE_URL=given)

    assert own.stdout.startswith("postgresql://purchase_reader@/etl_fakedata?host=")
    assert (theirs.returncode, theirs.stdout) == (1, "")
    assert 'GRANT CONNECT ON DATABASE "shop" TO purchase_reader;' in theirs.stderr
    assert 'FOR ROLE "ana"' in theirs.stderr
    assert "segredo" not in theirs.stderr
