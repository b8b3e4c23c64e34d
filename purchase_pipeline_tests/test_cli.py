"""The command line end to end: real commands and processes, each test with its own home."""

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from threading import Event
from time import sleep

import psutil
import psycopg
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from starlette.responses import JSONResponse, Response

from purchase_pipeline.ops.logs import SERVICES
from purchase_pipeline.settings import DAGSTER_DATABASE_NAME
from purchase_pipeline.stack.embedded_postgres.locks import locked
from purchase_pipeline.stack.roles import DAGSTER
from purchase_pipeline_tests.builders import a_compra
from purchase_pipeline_tests.forked_commands import with_forked_services
from purchase_pipeline_tests.person import COMMAND, COUNTS, Person, copy_home
from purchase_pipeline_tests.serving import served
from purchase_pipeline_tests.terminal import Terminal
from purchase_pipeline_tests.waiting import children, kill, wait_until

ROWS = 300


def test_up_loads_every_batch_leaves_no_process_and_resumes(newcomer: Person) -> None:
    before = os.umask(0)  # what it writes is private nevertheless
    try:
        done = newcomer.up("--lots", "3", "--rows", "500", "--defects", "0.01")
    finally:
        os.umask(before)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 batches loaded" in done.stdout
    assert "1,500 rows received = 1,485 loaded + 15 rejected." in done.stdout
    assert newcomer.processes() == []
    written = [newcomer.home, *(path for path in newcomer.home.rglob("*") if not path.is_symlink())]
    assert {path.name for path in written} > {"landing", "dagster.yaml", "campaign.env", "users", "logs"}
    assert [str(path) for path in written if path.stat().st_mode & 0o077] == []
    assert newcomer.counts() == (1485, 3, 1485)

    again = newcomer.up("--lots", "4", "--rows", "500")

    assert again.returncode == 0, again.stdout + again.stderr
    assert "3 of 4 batches already loaded" in again.stdout
    assert re.findall(r"✓ \d/4  (lote-\d+)", again.stdout) == ["lote-0004"]
    assert newcomer.counts() == (1985, 4, 1985)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, prepared: Person) -> Iterator[Person]:
    """The user of a long campaign."""
    person = Person(tmp_path_factory.mktemp("people") / "home")
    copy_home(prepared.home, person.home)
    assert person.ingest("--lots", "1", "--rows", str(ROWS)).returncode == 0
    yield person
    person.leave()


@pytest.fixture
def campaign(shared: Person) -> Iterator[Person]:
    """A user whose campaign each test ends in another way and the next resumes; no row is lost, none is there twice."""
    before = loaded(shared)
    yield shared
    left, lots = shared.processes(), loaded(shared)
    if left:
        shared.run("down")
    assert left == []
    assert lots >= before
    assert shared.counts() == (ROWS * lots, lots, ROWS * lots)


def loaded(person: Person) -> int:
    with psycopg.connect(person.database_url()) as connection:
        return len(connection.execute("SELECT DISTINCT lote FROM tabela_compras").fetchall())


def landed(person: Person) -> int:
    return len(list(person.home.glob("landing/*.json")))


def endless(person: Person) -> tuple[str, ...]:
    """Return the options of a campaign that is far from its end."""
    return "--lots", str(landed(person) + 50), "--rows", str(ROWS)


@contextmanager
def another_batch(person: Person) -> Iterator[None]:
    """Start a command, and wait until it lands a batch."""
    before = landed(person)
    yield
    wait_until(lambda: landed(person) > before, seconds=180)


def in_terminal(person: Person, *words: str | Path) -> Terminal:
    return Terminal(list(words), {**person.environment, "TERM": "xterm"}, folder=person.home.parent)


@pytest.mark.proof
def test_an_interrupted_up_stops_its_services_whose_logs_were_shown(campaign: Person) -> None:
    with another_batch(campaign):
        running = campaign.start(
            "up", *endless(campaign), "--port", str(campaign.port), "--api-port", str(campaign.api_port)
        )
    logs = {path.stem for path in campaign.home.glob("logs/*.log")}
    shown = campaign.run("logs", "daemon", "--lines", "3").stdout.splitlines()
    running.send_signal(signal.SIGINT)
    printed, _ = running.communicate(timeout=60)

    assert running.returncode == 130, printed
    assert campaign.processes() == []
    assert logs == set(SERVICES) - {"metrics"}
    assert len(shown) == 3
    assert all(line.startswith("daemon | ") for line in shown)


@pytest.mark.proof
def test_a_closed_terminal_stops_up_and_its_services(campaign: Person) -> None:
    terminal = in_terminal(campaign, with_forked_services(COMMAND), *campaign.up_words(*endless(campaign)))
    wait_until(lambda: "✓" in terminal.printed, seconds=180)
    terminal.close()

    assert terminal.process.wait(90) == 129
    assert campaign.processes() == []


@pytest.mark.proof
def test_ctrl_backslash_stops_ingest_with_128_plus_its_number(campaign: Person) -> None:
    """The other signals stop it in the same way: the tests around send SIGINT, SIGHUP and, by `down`, SIGTERM."""
    with another_batch(campaign):
        running = campaign.start("ingest", *endless(campaign), "--api-port", str(campaign.api_port))
    running.send_signal(signal.SIGQUIT)
    printed, _ = running.communicate(timeout=90)

    assert running.returncode == 128 + signal.SIGQUIT, printed
    assert campaign.processes() == []


@pytest.mark.proof
def test_up_stops_its_services_when_its_output_is_closed(campaign: Person) -> None:
    running = campaign.start(*campaign.up_words(*endless(campaign)))
    assert running.stdout is not None
    running.stdout.readline()
    running.stdout.close()  # as `up | head -1` does

    assert running.wait(180) == 1
    assert campaign.processes() == []


@pytest.mark.proof
def test_after_a_kill_up_stops_what_is_left_over_and_under_nohup_outlives_its_terminal(
    campaign: Person,
) -> None:
    with another_batch(campaign):
        running = campaign.start(*campaign.up_words(*endless(campaign)))
    running.kill()
    running.communicate()
    assert campaign.processes() != []

    lots = landed(campaign) + 3
    with another_batch(campaign):
        terminal = in_terminal(
            campaign,
            "nohup",
            with_forked_services(COMMAND),
            *campaign.up_words("--lots", str(lots), "--rows", str(ROWS)),
        )
    terminal.close()

    assert terminal.process.wait(180) == 0
    printed = campaign.home.parent.joinpath("nohup.out").read_text()
    assert "left over from a previous run" in printed
    rows, loaded, distinct = campaign.counts()
    assert loaded >= lots  # what was left over may have loaded more
    assert rows == distinct == ROWS * loaded
    assert json.loads(campaign.run("status", "--json").stdout)["conserved"]


@pytest.mark.proof
def test_up_survives_a_database_restart_reports_it_once_and_resumes(campaign: Person) -> None:
    already, lots = loaded(campaign), landed(campaign) + 5
    server = campaign.home / "postgres" / "server"
    with campaign.start(*campaign.up_words("--lots", str(lots), "--rows", str(ROWS))) as running:
        assert running.stdout is not None
        printed = "".join(takewhile(lambda line: not line.startswith("✓"), running.stdout))  # then it looks
        with locked(campaign.home / "postgres"):  # else a run may have started it again before `up` looks
            postmaster = int((server / "data" / "postmaster.pid").read_text().split()[0])
            os.kill(postmaster, signal.SIGQUIT)  # an immediate shutdown, followed by recovery
            sleep(2)
        printed += running.stdout.read()

    assert running.returncode == 0, printed
    assert f"{already} of {lots} batches already loaded" in printed
    assert printed.count("PostgreSQL is unavailable") == printed.count("PostgreSQL is available again") == 1
    assert campaign.counts() == (ROWS * lots, lots, ROWS * lots)


@pytest.mark.proof
def test_a_second_run_in_the_same_home_or_on_the_same_storage_is_refused_and_down_stops_the_first(
    person: Person, database_url: str, tmp_path: Path
) -> None:
    given = {"DATABASE_URL": database_url, "DAGSTER_POSTGRES_URL": database_url}
    other = Person(tmp_path / "other")
    with another_batch(person):
        running = person.start(*person.up_words(*endless(person), "--every", "5"), **given)

    in_the_home = person.ingest("--lots", "1", **given)
    on_the_storage = other.up(*endless(person), **given)
    with another_batch(person):
        pass  # the first goes on
    down = person.run("down", **given)
    printed, _ = running.communicate(timeout=60)

    assert in_the_home.returncode == on_the_storage.returncode == 1
    assert f"Another run (PID {running.pid}) is using {person.home}." in " ".join(in_the_home.stderr.split())
    assert f"purchase-pipeline up, process {running.pid} on" in " ".join(on_the_storage.stderr.split())
    assert "Traceback" not in in_the_home.stderr + on_the_storage.stderr
    assert other.processes() == []
    assert down.returncode == 0, down.stderr
    assert f"the run of process {running.pid}" in down.stdout
    assert running.returncode == 143, printed
    assert "failed" not in printed
    assert person.processes() == []

    lots = landed(person) + 1
    later = other.up("--lots", str(lots), "--rows", str(ROWS), **given)

    assert later.returncode == 0, later.stdout + later.stderr
    with psycopg.connect(database_url) as connection:
        assert connection.execute(COUNTS).fetchone() == (ROWS * lots, lots, ROWS * lots)


@pytest.mark.proof
def test_up_with_a_given_database_and_without_a_temporary_folder_starts_no_embedded_server(
    newcomer: Person, database_url: str, tmp_path: Path
) -> None:
    done = newcomer.up(
        "--lots", "1", "--rows", "200", DATABASE_URL=database_url, TMPDIR=str(tmp_path / "missing")
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert not newcomer.home.joinpath("postgres").exists()
    assert newcomer.run("db-url", DATABASE_URL=database_url).stdout.strip() == database_url
    with psycopg.connect(database_url) as connection:
        assert connection.execute(COUNTS).fetchone() == (200, 1, 200)


@pytest.mark.proof
def test_ingest_after_a_killed_run_and_a_killed_ingest_leaves_no_batch_in_progress(person: Person) -> None:
    words = ("ingest", "--lots", "4", "--rows", "20000", "--api-port", str(person.api_port))
    first = person.start(*words)
    wait_until(lambda: person.home.joinpath("landing", "lote-0002.json").exists(), seconds=180)
    kill([child for child, words in children(psutil.Process(first.pid)) if "ingest" in words])
    printed, _ = first.communicate(timeout=60)
    second = person.start(*words)
    wait_until(lambda: person.home.joinpath("landing", "lote-0004.json").exists(), seconds=180)
    second.kill()
    second.communicate()
    wait_until(lambda: not any(" ingest " in one for one in person.processes()), seconds=10)

    again = person.ingest("--lots", "4", "--rows", "20000")

    assert first.returncode == 1
    assert "The process of a run was killed" in printed
    assert again.returncode == 0, again.stdout + again.stderr
    assert person.counts() == (80_000, 4, 80_000)
    assert json.loads(person.run("status", "--json").stdout)["in_flight"] == []


@pytest.mark.proof
def test_ingest_executes_two_runs_at_once_unless_a_pool_allows_one(person: Person) -> None:
    two = person.ingest("--lots", "10", "--rows", "50")
    dagster = sa.make_url(person.database_url()).set(database=DAGSTER_DATABASE_NAME, username=DAGSTER)
    with psycopg.connect(dagster.render_as_string(hide_password=False)) as connection:
        connection.execute(
            "INSERT INTO concurrency_limits (concurrency_key, \"limit\") VALUES ('purchase_api', 1)"
        )
        connection.commit()
        one = person.ingest("--lots", "20", "--rows", "50")
        runs = connection.execute("SELECT start_time, end_time FROM runs ORDER BY id").fetchall()

    assert (two.returncode, one.returncode) == (0, 0), two.stdout + one.stdout
    assert person.counts() == (1000, 20, 1000)
    (_, first_ends), (second_starts, _), *alone = runs
    assert second_starts < first_ends
    assert len(alone) == 1


@pytest.mark.proof
def test_ingest_loads_the_same_batches_without_daemon(person: Person) -> None:
    done = person.ingest("--lots", "3", "--rows", "400", "--defects", "0.01")

    assert done.returncode == 0, done.stdout + done.stderr
    assert person.counts() == (1188, 3, 1188)
    assert json.loads(person.run("status", "--json").stdout) | {"lots": []} == {
        "wanted": 3,
        "loaded": 3,
        "beyond_target": [],
        "failed": [],
        "in_flight": [],
        "rows_received": 1200,
        "rows_loaded": 1188,
        "rows_rejected": 12,
        "conserved": True,
        "clock_behind_seconds": 0.0,
        "lots": [],
    }

    fewer = person.run("status", PURCHASE_LOTS="2").stdout

    assert (
        "2 of 2 batches loaded, 0 in progress, 0 failed. Rows: 800 received = 792 loaded + 8 rejected: balanced."
        in fewer
    )
    assert "Also loaded, beyond the target and not counted above: lote-0003" in fewer


@pytest.mark.proof
def test_a_failed_batch_in_ingest_is_explained_and_does_not_stop_the_others(person: Person) -> None:
    app = FastAPI()

    @app.get("/gerar_compra/{param}")
    def gerar_compra(param: int, lote: str) -> list[dict[str, object]]:
        return [a_compra() if lote != "lote-0002" else {} for _ in range(param)]

    with served(app) as url:
        done = person.ingest("--lots", "4", "--rows", "100", PURCHASE_API_URL=url)

    assert done.returncode == 1
    assert person.counts() == (300, 3, 300)
    assert done.stdout.count("failed") == 1
    assert "lote-0002 failed" in done.stdout
    assert "  5 of the first 5 rows were rejected" in done.stdout
    assert "3 of 4 batches loaded" in done.stdout
    status = json.loads(person.run("status", "--json").stdout)
    assert (status["loaded"], status["failed"]) == (3, ["lote-0002"])


@pytest.mark.proof
def test_an_interrupted_ingest_finishes_the_current_batch_and_resumes(person: Person) -> None:
    running = person.start("ingest", "--lots", "9", "--rows", "3000", "--api-port", str(person.api_port))
    wait_until(lambda: person.home.joinpath("landing", "lote-0002.json").exists(), seconds=180)
    running.send_signal(signal.SIGINT)
    printed, _ = running.communicate(timeout=60)

    assert running.returncode == 130, printed
    assert "failed" not in printed
    assert person.processes() == []
    assert person.ingest("--lots", "9", "--rows", "3000").returncode == 0
    assert person.counts() == (27_000, 9, 27_000)


def test_a_port_in_use_is_named_with_an_alternative(newcomer: Person) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", newcomer.api_port))
        taken.listen()
        done = newcomer.up("--lots", "1")

    assert done.returncode == 1
    assert f"Port {newcomer.api_port} (mock API) is already in use" in done.stderr
    assert f"--api-port {newcomer.api_port + 1}" in done.stderr
    assert "Traceback" not in done.stderr
    assert newcomer.processes() == []


def test_an_unreachable_database_is_named_without_its_password(newcomer: Person) -> None:
    done = newcomer.up("--lots", "1", DATABASE_URL="postgresql://me:hunter2@127.0.0.1:9/shop")

    assert done.returncode == 1
    assert "postgresql://me:***@127.0.0.1:9/shop" in done.stderr
    assert "Check DATABASE_URL" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.proof
def test_ingest_in_a_terminal_tells_an_outage_once_in_whole_words(person: Person) -> None:
    away = {"PURCHASE_API_URL": "http://127.0.0.1:9", "TERM": "xterm", "COLUMNS": "80"}
    terminal = Terminal([COMMAND, "ingest", "--lots", "2", "--rows", "10"], {**person.environment, **away})

    assert terminal.process.wait(180) == 1
    wait_until(lambda: "Not loaded" in terminal.printed, seconds=10)
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]+", terminal.printed)]
    words = " ".join(" ".join(line for line in lines if not line.startswith("batches ━")).split())

    assert [line for line in lines if len(line) > 80] == []
    refused = "cannot connect to http://127.0.0.1:9 (Connection refused). Check that the API is running"
    assert (
        words.count(refused) == words.count("(Connection refused)") == 2
    )  # the first retry, the first failure
    assert re.search(
        rf"lote-0001: {re.escape(refused)}, and PURCHASE_API_URL. Attempt 2 of 5 in \d\.\d s\.", words
    )
    assert re.search(
        r"✗ lote-0002 failed \(run \w{8}\) for the same reason; run `ingest` or `up` to retry", words
    )
    assert "ApiUnavailableError" not in words
    assert "_fetch_once" not in words


@pytest.mark.proof
def test_up_tells_that_the_api_is_away_when_it_retries_and_that_it_is_back(person: Person) -> None:
    app, is_away = FastAPI(), Event()  # it only knows the original's route
    is_away.set()

    @app.get("/gerar_compra/{param}")
    def gerar_compra(param: int) -> Response:
        if is_away.is_set():
            return JSONResponse({"detail": "maintenance"}, status_code=503)
        return JSONResponse([a_compra() for _ in range(param)])

    with served(app) as url:
        running = person.start(*person.up_words("--lots", "2", "--rows", "10"), PURCHASE_API_URL=url)
        assert running.stdout is not None
        before = list(takewhile(lambda line: "returned 503" not in line, running.stdout))
        is_away.clear()
        after, _ = running.communicate(timeout=180)

    assert running.returncode == 0, after
    assert re.fullmatch(
        r"✗ lote-000[12] failed \(attempt 1, run \w{8}\); next attempt in \d+ s\n", before[-1]
    )
    assert re.search(r"The API is available again after .* s\.\n✓ .*  \(after 1 failure\)", after)
    assert re.search(r"Next: +\S*purchase-pipeline status", after)
    assert person.counts() == (20, 2, 20)


@pytest.mark.proof
def test_an_unknown_batch_is_a_usage_error_and_an_empty_home_has_nothing_to_show(person: Person) -> None:
    status, verify, rejects, *unknown, not_loaded, missing = person.run_all(
        ["status"],
        ["verify"],
        ["rejects"],
        ["rejects", "--lote", "lote-99"],
        ["verify", "--lote", "lote-99"],
        ["replay", "--lote", "lote-99"],
        ["verify", "--lote", "lote-0001"],
        ["rejects", "--lote", "lote-0001"],
        PURCHASE_LOTS="3",
    )

    assert "0 of 3 batches loaded, 0 in progress, 0 failed. No rows yet. Load some first: " in status.stdout
    assert verify.stdout.startswith("Nothing to verify: no batch is loaded. Load some first: ")
    assert rejects.stdout.startswith("No batch is loaded: there are no rejected rows to show.")
    for refused in unknown:
        assert refused.returncode == 2
        assert (
            "Unknown batch 'lote-99'; purchases has no such partition: it has lote-0001 to lote-0003"
            in refused.stderr
        )
    assert not_loaded.returncode == 1
    assert "lote-0001\n  not loaded" in not_loaded.stdout
    assert missing.returncode == 0
    assert missing.stdout.startswith("lote-0001 is not loaded: there are no rejected rows to show.")


@pytest.mark.proof
def test_an_unreachable_api_is_named_and_the_batch_fails(person: Person) -> None:
    done = person.ingest("--lots", "1", "--rows", "10", PURCHASE_API_URL="http://127.0.0.1:9")

    assert done.returncode == 1
    assert "cannot connect to http://127.0.0.1:9 (Connection refused)." in " ".join(done.stdout.split())
    assert "PURCHASE_API_URL" in done.stdout


def test_db_url_prints_only_the_url_and_starts_the_server(newcomer: Person) -> None:
    first = newcomer.run("db-url")
    second = newcomer.run("db-url")

    assert first.stdout == second.stdout
    assert first.stdout.count("\n") == 1
    with psycopg.connect(first.stdout.strip()) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("etl_fakedata",)


@pytest.mark.proof
def test_down_keeps_the_data_and_reset_removes_it(person: Person) -> None:
    person.ingest("--lots", "1", "--rows", "50")
    person.run("db-url")

    down, again = person.run("down"), person.run("down")

    assert "Stopped: the embedded PostgreSQL." in down.stdout
    assert "Nothing is running." in again.stdout
    assert person.processes() == []
    assert person.counts() == (50, 1, 50)

    assert person.run("reset").returncode == 1  # stdin is not a terminal
    assert person.home.exists()
    assert person.run("reset", "--yes").returncode == 0
    assert not person.home.exists()
    assert person.ingest("--lots", "1", "--rows", "20").returncode == 0
    assert person.counts() == (20, 1, 20)
