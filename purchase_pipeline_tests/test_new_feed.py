"""`new` on three APIs that it has not seen: what it writes is loaded and tested without an edit."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from click.testing import CliRunner, Result
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from purchase_pipeline.cli.main import main
from purchase_pipeline_tests.forked_commands import forked
from purchase_pipeline_tests.fresh_project import Project
from purchase_pipeline_tests.person import COMMAND, Person
from purchase_pipeline_tests.serving import served
from purchase_pipeline_tests.unseen_apis import READINGS, SALES, TICKETS, TOKEN, unseen_apis

NEW = {
    "tickets": ["--from", "{api}/v1/tickets", "--partitions", "daily", "--param", "day={partition_key}"],
    "sales": ["--from", "{api}/exports/{start:%Y-%m}.csv.gz", "--partitions", "monthly"],
    "readings": ["--from", "{api}/readings", "--token-env", "READINGS_TOKEN"],
}
FAST = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # those of this environment take seconds


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    """The URL of the three APIs."""
    with served(unseen_apis) as url:
        yield url


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("READINGS_TOKEN", TOKEN)
    return folder


def options(name: str, api: str) -> list[str]:
    return [name, *(word.replace("{api}", api) for word in NEW[name])]


def new(*words: str) -> Result:
    return CliRunner().invoke(main, ["new", *words], prog_name="purchase-pipeline", env={"COLUMNS": "180"})


def written(api: str, name: str, *words: str) -> str:
    """Write a feed, and return what the command prints, in single spaces."""
    done = new(*options(name, api), *words)
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def ran_tests(folder: Path, *files: str) -> subprocess.CompletedProcess[str]:
    """Run written tests, as a user does."""
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    return subprocess.run(
        words, cwd=folder, env=os.environ | FAST, capture_output=True, text=True, check=False
    )


def test_it_shows_what_it_has_found_and_how_sure_that_is(api: str, here: Path) -> None:
    tickets, sales, readings = (written(api, name) for name in NEW)

    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    assert tickets.startswith(f"{api}/v1/tickets?day={yesterday}: 40 rows")
    assert "rows data.records likely the longest array of objects; or --rows teams (1)" in tickets
    assert 'pages NextLink("meta.links.next") sure meta.links.next is a link; the second page has' in tickets
    assert "key id, or ticket_key, or reporter_name likely" in tickets
    assert "valid 40 of 40 rows" in tickets
    assert "due due Date 14 of 40" in tickets
    assert "note note LongText 34 of 40 xxxxxxxxxxxxxxxxxxxxxxxxxxxxx… likely" in tickets
    assert 'Csv(delimiter=";", encoding="iso8859-1") likely 9 fields, names in the first record' in sales
    assert "pages NoPages() likely no sign of more pages" in sales
    assert "preco_r Preço (R$) DecimalComma(12, 2) never 101,01 sure" in sales
    assert "10:01 guess: no time zone: UTC assumed" in sales
    assert 'pages PageNumber("page") sure 25 rows may be a full page; the second page has other' in readings
    assert "fault fault Json 25 of 25 guess: no value in the sample" in readings
    assert "Wrote readings.py, test_readings.py, readings_sample.json" in readings
    assert readings.endswith("Load: purchase-pipeline -m readings ingest")
    assert {file.name for file in here.glob("*sales*")} == {"sales.py", "test_sales.py", "sales_sample.csv"}


def test_what_is_written_is_formatted_python_with_the_found_types(api: str, here: Path) -> None:
    for name in NEW:
        written(api, name)

    lines = (here / "sales.py").read_text().splitlines()
    assert '    data_da_venda: DateIn("%d/%m/%Y") = Field(validation_alias="Data da venda")' in lines
    assert '    ativo: BooleanIn(true={"sim"}, false={"não"}) = Field(validation_alias="Ativo")' in lines
    assert '    cep: Text = Field(validation_alias="CEP")' in lines
    assert "    # no time zone: UTC assumed" in lines
    first = (datetime.now(UTC).date().replace(day=1) - timedelta(days=1)).replace(day=1)
    assert f'    partitions=dg.MonthlyPartitionsDefinition("{first}"),' in lines
    assert '    class_: Text = Field(validation_alias="class")' in (here / "tickets.py").read_text()
    ruff = Path(sys.executable).with_name("ruff")
    words = "format", "--check", "--isolated", "--line-length", "110", "."
    assert subprocess.run([ruff, *words], cwd=here, check=False).returncode == 0


@pytest.mark.database
def test_the_written_test_passes_and_fails_when_a_row_no_longer_fits(api: str, here: Path) -> None:
    for name in NEW:
        written(api, name)

    passed = ran_tests(here, ".")
    sample = here / "tickets_sample.json"
    assert len(json.loads(sample.read_text())["data"]["records"]) == 20
    sample.write_text(sample.read_text().replace('"OPS-7"', "7"))
    failed = ran_tests(here, "test_tickets.py")

    assert "3 passed" in passed.stdout, passed.stdout
    assert failed.returncode == 1
    assert "ticketKey" in failed.stdout


def test_a_secret_is_neither_written_nor_shown(api: str, here: Path) -> None:
    said = written(api, "readings")
    with_key = new(
        "keyed", "--from", f"{api}/v1/tickets?day=2026-01-05", "--key-env", "api_key=READINGS_TOKEN"
    )

    assert with_key.exit_code == 0, with_key.output
    texts = [said, with_key.output, *(file.read_text() for file in here.iterdir())]
    assert len(texts) == 8
    assert not [text for text in texts if TOKEN in text]
    assert 'auth=BearerToken("READINGS_TOKEN"),' in (here / "readings.py").read_text()
    assert 'auth=ApiKey("READINGS_TOKEN", query="api_key"),' in (here / "keyed.py").read_text()


@pytest.mark.parametrize("existing", ["readings.py", "test_readings.py", "readings_sample.json"])
def test_no_file_is_overwritten(api: str, here: Path, existing: str) -> None:
    (here / existing).write_text("mine")

    done = new(*options("readings", api))

    assert done.exit_code == 1
    assert f"Error: {existing} exists. Choose another name, or remove the file." in done.stderr
    assert {file.name: file.read_text() for file in here.iterdir()} == {existing: "mine"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "Orders --from http://a.test",
            "'Orders' cannot name a feed: use small letters, digits and underscores",
        ),
        ("class --from http://a.test", "'class' cannot name a feed"),
        ("json --from http://a.test", "a Python module 'json' exists already"),
        ("orders", "Missing option '--from'"),
        ("orders --from orders.csv", "'orders.csv' is not an http:// or https:// URL"),
        ("orders --from http://me:secret@a.test", "The URL has a password, which would be written"),
        ("orders --from http://a.test?api_key=abc", "api_key looks like a secret, which would be written"),
        ("orders --from http://a.test --header Authorization:abc", "Authorization looks like a secret"),
        ("orders --from http://a.test --param day", "'day' is not NAME=VALUE"),
        ("orders --from http://a.test --partitions daily", "All partitions would be the same request"),
        (
            "orders --from http://a.test?day={partition_key}",
            "A template needs partitions: add --partitions daily",
        ),
        (
            "orders --from http://a.test?d={start} --partitions daily --partition monday",
            "'monday' is not one of the daily partitions",
        ),
        (
            "orders --from http://a.test?d={start} --partitions dayly",
            "'dayly' is none of hourly, daily, weekly",
        ),
        (
            "orders --from http://a.test --partition 2026-01-05",
            "'2026-01-05' is not a partition: there are none",
        ),
        ("orders --from http://a.test --token-env ey.J0", "by the name of an environment variable"),
        ("orders --from http://a.test --token-env A --key-env X:B", "mutually exclusive"),
    ],
)
def test_what_cannot_be_meant_is_an_error_of_usage(here: Path, words: str, message: str) -> None:
    done = new(*words.split())

    assert (done.exit_code, done.stdout) == (2, "")
    assert message in " ".join(done.stderr.split())
    assert list(here.iterdir()) == []


def test_an_unset_variable_and_a_refusal_are_told_in_one_line(
    api: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("READINGS_TOKEN", "wrong")
    refused = new(*options("readings", api))
    monkeypatch.delenv("READINGS_TOKEN")
    unset = new(*options("readings", api))

    assert (refused.exit_code, refused.stderr) == (
        1,
        'Error: /readings returned 401 Unauthorized: {"detail":"no token"}\n',
    )
    assert (
        unset.stderr == "Error: The environment variable READINGS_TOKEN is not set. Set it, and try again.\n"
    )
    assert list(here.iterdir()) == []


HOSTILE = {
    '"""\nimport os; os.abort()': "a",
    "x: y # z": 1,
    "\u2028\x1b[31m": 2.5,
    "no": None,
    "it's": {"\\": "#", "a.b": "c"},
    "a" * 200: "b",
}


@pytest.mark.database
@pytest.mark.parametrize("form", [[], ["--yaml", "--directory", "."]])
def test_names_that_are_code_are_only_names(here: Path, form: list[str]) -> None:
    app = Starlette(routes=[Route("/", lambda _: JSONResponse([HOSTILE, HOSTILE]))])
    with served(app) as url:
        done = new("hostile", "--from", f"{url}/?q=it's&q=%22", *form)

    assert done.exit_code == 0, done.output
    assert "valid 2 of 2 rows" in " ".join(done.output.split())
    assert "\x1b" not in done.output
    assert ran_tests(here / "hostile" if form else here, "test_hostile.py").returncode == 0


def test_a_name_that_dagster_would_evaluate_is_not_written_to_yaml(here: Path) -> None:
    app = Starlette(routes=[Route("/", lambda _: JSONResponse([{"{{ env.HOME }}": 1}]))])
    with served(app) as url:
        done = new("hostile", "--from", url, "--yaml")
        in_python = new("hostile", "--from", url)

    assert done.exit_code == 1
    assert "would be a template in YAML. Leave out --yaml." in done.stderr
    assert in_python.exit_code == 0
    assert {file.name for file in here.iterdir()} == {"hostile.py", "test_hostile.py", "hostile_sample.json"}


def test_it_does_not_wait_for_dagster() -> None:
    program = "import sys, purchase_pipeline.cli.new; print('dagster' in sys.modules)"

    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert printed.stdout.strip() == "False"


@pytest.mark.proof
def test_what_is_written_loads_without_an_edit(api: str, here: Path, person: Person) -> None:
    for name, rows in (("tickets", TICKETS), ("sales", SALES), ("readings", READINGS)):
        written(api, name)
        loaded = subprocess.run(
            [forked(COMMAND), "-m", name, "ingest"],
            cwd=here,
            env={**person.environment, "READINGS_TOKEN": TOKEN},
            capture_output=True,
            text=True,
            check=False,
        )
        assert loaded.returncode == 0, loaded.stdout + loaded.stderr
        assert f"{rows} rows received = {rows} loaded + 0 rejected." in loaded.stdout

    with psycopg.connect(person.database_url()) as connection:
        ticket = connection.execute("SELECT * FROM tickets WHERE row_number = 99").fetchone()
        sale = connection.execute("SELECT * FROM sales WHERE row_number = 9").fetchone()
        reading = connection.execute("SELECT * FROM readings WHERE row_number = 60").fetchone()
    assert ticket is not None
    assert sale is not None
    day = date.fromisoformat(ticket[0])
    assert ticket[2:] == (
        5_000_000_098,
        "OPS-98",
        datetime(day.year, day.month, day.day, 10, 38, 0, 250_000, tzinfo=UTC),
        day,
        "Zoë 98",
        "São Paulo",
        [1.5, 2.5],
        [],
        12.25,
        Decimal("98.50"),
        "open",
        "x" * 300,
    )
    month = date.fromisoformat(sale[0])
    assert sale[2:] == (
        UUID(int=9),
        Decimal("1109.09"),
        month.replace(day=10),
        datetime(month.year, month.month, 10, 10, 9, tzinfo=UTC),
        9,
        "01310009",
        False,
        None,
        1.2857143,
    )
    assert reading == ("", 60, "s59", datetime(2026, 1, 5, 11), 5.9, False, None)


@pytest.mark.proof
def test_a_fresh_project_gets_feeds_in_yaml_and_in_python(
    api: str, tmp_path: Path, database_url: str
) -> None:
    project = Project(tmp_path)
    home = os.fspath(tmp_path / "home")
    environment = {"READINGS_TOKEN": TOKEN, "DATABASE_URL": database_url, "PURCHASE_HOME": home}
    for name, form in (("tickets", ["--yaml"]), ("sales", []), ("readings", ["--yaml"])):
        said = project.run("purchase-pipeline", "new", *options(name, api), *form, **environment)
        assert f"Load:  purchase-pipeline -m shop.definitions --feed {name} ingest" in said

    project.run("dg", "check", "yaml", "--validate-requirements", **environment)
    project.run("dg", "check", "defs", "--no-check-yaml", **environment)
    environment["PYTHONPATH"] = os.fspath(tmp_path / "src")
    project.run("pytest", "-q", "-p", "no:cacheprovider", "tests", **environment, **FAST)

    assert sorted(
        os.fspath(file.relative_to(tmp_path)) for file in tmp_path.glob("src/shop/defs/[!_]*/[!_]*")
    ) == [
        "src/shop/defs/readings/defs.yaml",
        "src/shop/defs/sales/pipeline.py",
        "src/shop/defs/tickets/defs.yaml",
    ]
    words = ["purchase-pipeline", "-m", "shop.definitions", "--feed", "tickets", "ingest"]
    assert f"{TICKETS} rows received = {TICKETS} loaded + 0 rejected." in project.run(*words, **environment)
