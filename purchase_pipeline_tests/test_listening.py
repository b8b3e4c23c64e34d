"""Where the stack listens: beyond loopback only with a warning; `test_dagster_ui.py` has the default."""

import signal

import pytest
from click.testing import CliRunner

from purchase_pipeline.cli.load import up
from purchase_pipeline_tests.person import Person, listening


@pytest.mark.proof
def test_with_a_host_only_ui_and_mock_api_listen_and_only_there_after_a_warning(person: Person) -> None:
    address = "0.0.0.0"  # noqa: S104  (a possible choice of the user)
    ports = ["--port", str(person.port), "--api-port", str(person.api_port)]
    person.forks_services = False
    running = person.start("up", "--lots", "1", "--rows", "5", *ports, "--host", address)
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
    assert "Warning:" in printed
    assert "anyone who can reach" in printed


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
