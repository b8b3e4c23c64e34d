"""The embedded server's TCP port: who gets in, and when it is opened."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from purchase_pipeline.settings import DAGSTER_DATABASE_NAME, DATABASE_NAME, Settings
from purchase_pipeline.stack.database import (
    PortClosedError,
    database_in_use,
    database_url,
    shown_tcp_url,
    start_database,
    tcp_url,
)
from purchase_pipeline.stack.embedded_postgres.files import ServerFiles
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres
from purchase_pipeline.stack.ports import LOOPBACK, PortTakenError
from purchase_pipeline.stack.roles import DAGSTER, LOADER, READER
from purchase_pipeline_tests.leftovers import short_folder
from purchase_pipeline_tests.person import Person
from purchase_pipeline_tests.serving import free_port

pytestmark = pytest.mark.database  # the embedded server, whatever the Python


class Home:
    """A home, as commands see it that have the setting, and those that do not."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.closed = Settings(home=folder)
        self.open = self.closed.model_copy(update={"postgres_port": self.port})
        self.server = EmbeddedPostgres(self.closed.postgres_home)
        self.password_file = self.closed.postgres_home / "reader-password"

    def postmaster(self) -> psutil.Process:
        pid_file = ServerFiles(self.closed.postgres_home).data / "postmaster.pid"
        return psutil.Process(int(pid_file.read_text().split()[0]))


@pytest.fixture(scope="module")
def shared() -> Iterator[Home]:
    folder = short_folder("tcp-")
    home = Home(folder)
    yield home
    home.server.remove()
    shutil.rmtree(folder)


@pytest.fixture
def home(shared: Home) -> Home:
    """The shared home, its server not running."""
    shared.server.stop()
    return shared


def asks(url: str, query: str = "SELECT current_user, current_database()") -> tuple[object, ...]:
    with psycopg.connect(url, connect_timeout=10) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return tuple(row)


def test_without_the_setting_there_is_no_port(home: Home) -> None:
    start_database(home.closed)

    assert shown_tcp_url(home.closed) is None
    with pytest.raises(PortClosedError, match="set PURCHASE_POSTGRES_PORT=5433 and run this again"):
        tcp_url(home.closed)


def test_the_reader_connects_with_its_password_and_everyone_else_by_the_same_socket(home: Home) -> None:
    start_database(home.open)
    url = tcp_url(home.open)

    assert url.startswith(f"postgresql://{READER}:")
    assert url.endswith(f"@{LOOPBACK}:{home.port}/{DATABASE_NAME}")
    assert asks(url) == (READER, DATABASE_NAME)
    assert asks(database_url(home.open)) == asks(database_url(home.closed)) == (LOADER, DATABASE_NAME)
    # Later commands may not have the setting.
    assert tcp_url(home.closed) == url


def test_only_loopback_is_listened_on(home: Home) -> None:
    start_database(home.open)

    listening = {
        one.laddr for one in home.postmaster().net_connections("inet") if one.status == psutil.CONN_LISTEN
    }
    assert listening == {(LOOPBACK, home.port)}


def test_the_password_is_kept_where_only_its_owner_reads_it(home: Home) -> None:
    start_database(home.open)
    url = tcp_url(home.open)
    with psycopg.connect(home.server.url("postgres")) as connection:
        stored = connection.execute(
            "SELECT rolpassword FROM pg_authid WHERE rolname = %s", [READER]
        ).fetchone()
    home.server.stop()
    start_database(home.open)

    assert home.password_file.stat().st_mode & 0o777 == 0o600
    assert len(home.password_file.read_text()) == 32
    assert str(stored).startswith("('SCRAM-SHA-256$")
    assert tcp_url(home.open) == url  # a desktop tool has saved it
    assert home.password_file.read_text() not in str(shown_tcp_url(home.open))


def test_a_password_of_ones_own_is_quoted_in_the_url(home: Home) -> None:
    home.password_file.unlink(missing_ok=True)
    home.password_file.write_text("p@ss/wörd %:\n")
    start_database(home.open)

    assert asks(tcp_url(home.open)) == (READER, DATABASE_NAME)

    home.password_file.unlink()
    assert asks(tcp_url(home.open)) == (READER, DATABASE_NAME)


@pytest.mark.parametrize(
    ("user", "database"),
    [
        ("postgres", "postgres"),
        ("postgres", DATABASE_NAME),
        (LOADER, DATABASE_NAME),
        (DAGSTER, DAGSTER_DATABASE_NAME),
        (READER, DAGSTER_DATABASE_NAME),
        (READER, "postgres"),
    ],
)
def test_no_other_role_or_database_is_let_in_whatever_the_data_folder_says(
    home: Home, user: str, database: str
) -> None:
    start_database(home.closed)
    home.server.stop()
    rules = ServerFiles(home.closed.postgres_home).data / "pg_hba.conf"
    own = f"host all all {LOOPBACK}/32 trust\n"
    if not (text := rules.read_text()).startswith(own):
        rules.write_text(own + text)
    start_database(home.open)
    password = home.password_file.read_text()

    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf rejects connection"):
        asks(f"postgresql://{user}:{password}@{LOOPBACK}:{home.port}/{database}")


@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_wrong_password_is_refused(home: Home, password: str) -> None:
    start_database(home.open)

    with pytest.raises(psycopg.OperationalError, match=r"password"):
        asks(f"postgresql://{READER}:{password}@{LOOPBACK}:{home.port}/{DATABASE_NAME}")


def test_the_reader_only_reads_by_tcp_too(home: Home) -> None:
    start_database(home.open)

    with psycopg.connect(tcp_url(home.open), autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE mine (id int)")


def test_a_server_that_nobody_uses_is_started_again_to_open_the_port_and_stays(home: Home) -> None:
    start_database(home.closed)

    with database_in_use(home.open):
        assert asks(tcp_url(home.open)) == (READER, DATABASE_NAME)

    assert home.server.is_running()
    assert home.server.tcp_port == home.port


def test_a_server_in_use_is_left_alone_and_the_message_says_what_to_do(home: Home) -> None:
    with database_in_use(home.closed):
        start_database(home.open)

        with pytest.raises(PortClosedError, match=r"in use and was started without port .* down"):
            tcp_url(home.open)


def test_a_server_with_another_client_is_left_alone(home: Home) -> None:
    start_database(home.closed)

    with psycopg.connect(database_url(home.closed)) as connection:
        start_database(home.open)

        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert shown_tcp_url(home.open) is None


def test_a_taken_port_is_named_and_stops_nothing(home: Home) -> None:
    start_database(home.closed)

    with socket.create_server((LOOPBACK, home.port)):
        with pytest.raises(PortTakenError, match=r"choose another port: PURCHASE_POSTGRES_PORT=\d+$"):
            start_database(home.open)
        assert home.server.is_running()

        home.server.stop()
        with pytest.raises(PortTakenError, match=f"Port {home.port} "):
            start_database(home.open)
    start_database(home.open)
    assert asks(tcp_url(home.open)) == (READER, DATABASE_NAME)


def test_a_killed_server_opens_its_port_again_and_closes_it_without_the_setting(home: Home) -> None:
    start_database(home.open)
    home.postmaster().kill()
    start_database(home.open)
    assert asks(tcp_url(home.open)) == (READER, DATABASE_NAME)

    home.server.stop()
    start_database(home.closed)

    assert shown_tcp_url(home.closed) is None
    assert asks(database_url(home.closed)) == (LOADER, DATABASE_NAME)


def test_the_sockets_own_number_can_be_the_ports(home: Home) -> None:
    settings = home.closed.model_copy(update={"postgres_port": 5432})
    try:
        start_database(settings)
    except PortTakenError:  # by a server of this machine's user
        assert not home.server.is_running()
        return

    assert asks(tcp_url(settings)) == (READER, DATABASE_NAME)
    assert asks(database_url(settings)) == (LOADER, DATABASE_NAME)


@pytest.mark.proof
def test_up_prints_the_address_without_the_password_and_later_commands_open_the_same_port(
    person: Person,
) -> None:
    port = free_port()

    ended = person.up("--lots", "1", "--rows", "50", PURCHASE_POSTGRES_PORT=str(port))
    url = person.run("db-url", "--tcp").stdout.strip()

    address = f"postgresql://{READER}@{LOOPBACK}:{port}/{DATABASE_NAME}"
    assert f"SQL clients  {address}  (password: purchase-pipeline db-url --tcp)\n" in ended.stdout
    password = (person.home / "postgres" / "reader-password").read_text()
    assert url == address.replace("@", f":{password}@")
    assert asks(url, "SELECT count(*) FROM tabela_compras") == (50,)
    logs = "".join(path.read_text() for path in (person.home / "logs").iterdir())
    assert password not in ended.stdout + logs + (person.home / "campaign.env").read_text()
    person.run("down")
