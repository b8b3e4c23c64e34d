"""The embedded server starts where it can, survives what happens to it, and opens nothing to others."""

import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import psutil
import psycopg
import pytest
import sqlalchemy as sa

from purchase_pipeline.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from purchase_pipeline.postgres.connections import engine_for

ROOT = os.geteuid() == 0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server in a home of its own; nothing of it is left after the test."""
    server = EmbeddedPostgres(tmp_path / "postgres")
    yield server
    server.remove()
    assert not server.is_running()


def asked(server: EmbeddedPostgres, query: str) -> object:
    with psycopg.connect(server.url("postgres")) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def postmaster_of(server: EmbeddedPostgres) -> psutil.Process:
    with psycopg.connect(server.url("postgres")) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        parent = backend.parent()
    assert parent is not None
    return parent


def data_folder_of(server: EmbeddedPostgres) -> Path:
    return Path(str(asked(server, "SELECT current_setting('data_directory')")))


def test_it_starts_once_and_stops_once(server: EmbeddedPostgres) -> None:
    assert [server.start(), server.start(), server.is_running()] == [True, False, True]
    assert [server.stop(), server.stop(), server.is_running()] == [True, False, False]


def test_the_data_outlives_a_stop(server: EmbeddedPostgres) -> None:
    server.start()
    with psycopg.connect(server.url("postgres")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    server.stop()
    server.start()

    assert asked(server, "SELECT answer FROM kept") == 42


def test_one_url_serves_libpq_and_sqlalchemy(server: EmbeddedPostgres) -> None:
    server.start()

    with engine_for(server.url("postgres")).connect() as connection:
        found = connection.scalar(sa.text("SELECT current_setting('server_encoding')"))

    assert found == asked(server, "SELECT current_setting('server_encoding')") == "UTF8"


def test_it_listens_on_no_port(server: EmbeddedPostgres) -> None:
    server.start()

    assert asked(server, "SELECT current_setting('listen_addresses')") == ""
    assert postmaster_of(server).net_connections("tcp") == []


def test_socket_and_data_are_closed_to_others(server: EmbeddedPostgres) -> None:
    server.start()

    for folder in (server.socket_folder, data_folder_of(server)):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_it_never_runs_as_root(server: EmbeddedPostgres) -> None:
    server.start()

    assert postmaster_of(server).uids().real != 0


def test_no_existing_folder_is_opened_for_it(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    parents = [private, *private.parents, *Path(sys.prefix).parents]
    modes = [parent.stat().st_mode for parent in parents]
    server = EmbeddedPostgres(private / "postgres")

    server.start()
    server.remove()

    assert [parent.stat().st_mode for parent in parents] == modes
    assert not server.socket_folder.exists()


def test_a_home_too_deep_for_a_socket_has_its_socket_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / "a deep, 'odd' & wide home ção".replace("/", "") / ("x" * 90)
    server = EmbeddedPostgres(deep / "postgres")

    server.start()

    assert asked(server, "SELECT 1") == 1
    assert len(os.fsencode(server.socket_folder)) < 100
    server.remove()
    assert not server.socket_folder.exists()


AS_A_PLAIN_USER = """
import os, sys
from pathlib import Path
import psycopg, purchase_pipeline.embedded_postgres as module
os.setgroups([]); os.setgid(65534); os.setuid(65534)
server = module.EmbeddedPostgres(Path(sys.argv[1]))
try:
    assert server.start()
    with psycopg.connect(server.url("postgres")) as connection:
        print(connection.execute("SELECT current_setting('data_directory')").fetchone()[0])
        print(connection.execute("SELECT current_setting('unix_socket_directories')").fetchone()[0])
    assert server.stop()
finally:
    server.remove()
"""


@pytest.mark.parametrize("depth", [0, 90])
@pytest.mark.skipif(not ROOT, reason="a plain user runs all the other tests as a plain user")
def test_a_plain_users_server_lies_in_the_home(depth: int) -> None:
    with_access = Path("/var/tmp") / f"purchase-pipeline-test-{os.getpid()}"  # noqa: S108
    with_access.mkdir(mode=0o700)
    home = with_access / ("x" * depth) / "postgres"
    os.chown(with_access, 65534, 65534)

    try:
        done = subprocess.run(
            [sys.executable, "-c", AS_A_PLAIN_USER, home], capture_output=True, text=True, check=False
        )
    finally:
        subprocess.run(["/bin/rm", "-rf", with_access], check=True)

    assert done.returncode == 0, done.stderr
    data, socket = done.stdout.splitlines()
    assert data == f"{home}/data"
    assert re.fullmatch(r"/tmp/purchase-pipeline-65534-\w+" if depth else f"{home}/socket", socket)  # noqa: S108


STARTS = """
import sys
from pathlib import Path
from purchase_pipeline.embedded_postgres import EmbeddedPostgres
print(EmbeddedPostgres(Path(sys.argv[1])).start())
"""


def test_starts_at_once_from_many_processes_make_one_server(server: EmbeddedPostgres) -> None:
    starts = [
        subprocess.Popen([sys.executable, "-c", STARTS, server.home], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]

    # Reading to the end also shows that the server does not hold its starter's output open.
    printed = [start.communicate(timeout=60)[0].strip() for start in starts]

    assert sorted(printed) == ["False", "False", "False", "True"]
    assert server.is_running()


def test_it_outlives_its_starter_and_its_terminal(server: EmbeddedPostgres) -> None:
    starter = subprocess.Popen([sys.executable, "-c", STARTS, server.home], start_new_session=True)
    starter.wait(60)

    with pytest.raises(ProcessLookupError):
        os.killpg(starter.pid, signal.SIGINT)
    assert server.is_running()


def test_a_killed_server_recovers(server: EmbeddedPostgres) -> None:
    server.start()
    with psycopg.connect(server.url("postgres")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    postmaster_of(server).kill()
    server.start()

    assert asked(server, "SELECT answer FROM kept") == 42


def test_a_strangers_pid_in_the_pid_file_is_no_server(server: EmbeddedPostgres) -> None:
    server.start()
    pid_file = data_folder_of(server) / "postmaster.pid"
    text = pid_file.read_text()
    server.stop()
    pid_file.write_text(text.replace(text.splitlines()[0], str(os.getpid()), 1))

    assert server.start()
    assert server.is_running()


def test_a_half_made_data_folder_is_made_anew(server: EmbeddedPostgres) -> None:
    server.start()
    data = data_folder_of(server)
    server.stop()
    data.rename(data.with_name("data.arriving"))
    (data.with_name("data.arriving") / "PG_VERSION").unlink()

    assert server.start()


def test_data_of_another_version_is_refused_and_left_alone(server: EmbeddedPostgres) -> None:
    server.start()
    data = data_folder_of(server)
    server.stop()
    (data / "PG_VERSION").write_text("16\n")

    with pytest.raises(EmbeddedPostgresError, match=r"is of PostgreSQL 16; this is 18.*PURCHASE_HOME"):
        server.start()

    assert (data / "postgresql.conf").exists()


def test_a_server_whose_data_was_deleted_makes_way_for_a_new_one(server: EmbeddedPostgres) -> None:
    server.start()
    old = postmaster_of(server)
    subprocess.run(["/bin/rm", "-rf", data_folder_of(server), server.socket_folder], check=True)

    server.start()

    assert not old.is_running()
    assert asked(server, "SELECT 1") == 1


def test_a_server_that_cannot_start_shows_its_log(server: EmbeddedPostgres) -> None:
    server.start()
    data = data_folder_of(server)
    server.stop()
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.write("no_such_setting = 1\n")

    with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
        server.start()


def test_a_squatted_socket_folder_is_refused(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    server.socket_folder.parent.mkdir(parents=True, exist_ok=True)
    server.socket_folder.symlink_to(tmp_path)

    with pytest.raises(EmbeddedPostgresError, match=r"is not a folder of user .* Remove it"):
        server.start()

    server.socket_folder.unlink()
    server.remove()


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(EmbeddedPostgresError, match=r"cannot use .*file.* PURCHASE_HOME"):
        EmbeddedPostgres(tmp_path / "file" / "postgres").start()


def test_removing_leaves_nothing(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    server.start()
    data, process = data_folder_of(server), postmaster_of(server)

    server.remove()

    deadline = monotonic() + 5
    while process.is_running() and monotonic() < deadline:
        sleep(0.05)
    assert not process.is_running()
    assert not data.parent.exists()
    assert not server.home.exists()
