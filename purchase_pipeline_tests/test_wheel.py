"""The wheel in environments of its own, with the oldest and the newest packages that it allows, and next to others.

`TEST_WHEEL` names a wheel to test; by default, this checkout's. Packages come from uv's cache or its index.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from purchase_pipeline_tests.fresh_project import Project
from purchase_pipeline_tests.programs import program
from purchase_pipeline_tests.serving import served

pytestmark = [pytest.mark.proof, pytest.mark.timeout(600)]  # an index may be slow

PROJECT = Path(__file__).parent.parent
TESTS = PROJECT / "purchase_pipeline_tests" / "installed_wheel.py"
INSTALL = ("pip", "install", "--only-binary", ":all:", "--python")
OF_THE_BASE = "not pandas and not polars"
OF_THE_EXTRAS = "not needs"
NEXT_TO = ["pandas<3", "numpy<2", "pyarrow<26", "dagster-duckdb-pandas", "dagster-dg-cli"]
"""pyarrow 26 requires NumPy 2, which it says when it is imported, but not when it is installed."""
STOCK = """\
import dagster as dg
import pandas as pd


@dg.asset(io_manager_key="duckdb")
def counted() -> pd.DataFrame:
    return pd.DataFrame({"product": ["apple", "pear"], "left": [3, 4]})


@dg.asset
def stock(counted: pd.DataFrame) -> pd.DataFrame:
    return counted
"""
RESOURCES = """\
import dagster as dg
from dagster_duckdb_pandas import DuckDBPandasIOManager

from purchase_pipeline.postgres import PostgresIOManager


@dg.definitions
def resources() -> dg.Definitions:
    return dg.Definitions(
        resources={
            "duckdb": DuckDBPandasIOManager(database="stock.duckdb"),
            "io_manager": PostgresIOManager(database_url=dg.EnvVar("DATABASE_URL")),
        }
    )
"""
ORDERS = """\
type: purchase_pipeline.FeedComponent
attributes:
  name: orders
  columns: {number: integer, amount: "numeric(12,2)"}
  partitions: {type: static, partition_keys: [monday, tuesday]}
  source: {url: ORDERS_API_URL, path: /orders, params: {day: "{partition_key}"}}
"""


def uv(*words: str | Path) -> None:
    """Run uv; not with this project's overrides, which a user does not have."""
    command: tuple[str | Path, ...] = (
        Path(sys.executable).with_name("uv"),
        *words,
        "--no-config",
        "--system-certs",
        "--quiet",
    )
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel to test."""
    if given := os.environ.get("TEST_WHEEL"):
        return Path(given).resolve()
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder, PROJECT)
    (built,) = folder.glob("*.whl")
    return built


class Environment:
    """A virtual environment with the wheel, some of its extras, and pytest."""

    def __init__(self, folder: Path, version: str) -> None:
        own = f"{sys.version_info.major}.{sys.version_info.minor}" == version
        python = sys.executable if own else program(f"python{version}", package=f"python{version}")
        self.programs = folder / "environment" / "bin"
        self._folder = folder
        uv("venv", "--no-python-downloads", "--python", python, self.programs.parent)

    @property
    def python(self) -> Path:
        return self.programs / "python"

    def install(self, *requirements: str | Path) -> None:
        uv(*INSTALL, self.python, *requirements)

    def has(self, package: str) -> bool:
        command = (os.fspath(self.python), "-I", "-c", f"import {package}")
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def run_tests(self, selected: str, database_url: str) -> None:
        shutil.copy(TESTS, self._folder)
        options: tuple[str, ...] = (
            "-q",
            "-p",
            "no:cacheprovider",
            "--show-capture=no",
            "--tb=native",
            "-k",
            selected,
        )
        done = subprocess.run(
            (os.fspath(self.python), "-m", "pytest", *options, TESTS.name),
            cwd=self._folder,
            env={**os.environ, "DATABASE_URL": database_url},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def with_extras(wheel: Path, *extras: str) -> str:
    return f"purchase-pipeline[{','.join(extras)}] @ {wheel.as_uri()}"


def test_the_base_works_alone_and_says_which_extra_it_lacks(
    wheel: Path, tmp_path: Path, database_url: str
) -> None:
    environment = Environment(tmp_path, "3.13")
    environment.install(wheel, "pytest")

    assert not any(
        environment.has(package) for package in ("pandas", "numpy", "mock_api", "fastapi", "uvicorn")
    )
    environment.run_tests(OF_THE_BASE, database_url)


@pytest.mark.parametrize(
    ("version", "resolution"),
    [
        ("3.11", "lowest-direct"),
        pytest.param("3.11", "highest", marks=pytest.mark.release),
        pytest.param("3.13", "lowest-direct", marks=pytest.mark.release),
        pytest.param("3.13", "highest", marks=pytest.mark.release),
    ],
)
def test_the_oldest_and_the_newest_packages_work(
    version: str, resolution: str, wheel: Path, tmp_path: Path, database_url: str
) -> None:
    environment, pins = Environment(tmp_path, version), tmp_path / "pins.txt"
    # Of pyproject.toml, whose dependencies are the wheel's: to uv, a wheel's own are indirect, which stay new.
    resolve = (
        "pip",
        "compile",
        "--only-binary",
        ":all:",
        "--resolution",
        resolution,
        "--python-version",
        version,
    )
    uv(*resolve, "--extra", "pandas", "--extra", "polars", "--output-file", pins, PROJECT / "pyproject.toml")

    environment.install("--requirement", pins, with_extras(wheel, "pandas", "polars"), "pytest")

    environment.run_tests(OF_THE_EXTRAS, database_url)


def orders(request: Request) -> JSONResponse:
    """Return a day's orders, one of them without a number as its amount."""
    assert request.query_params["day"] == "monday"
    return JSONResponse([{"number": number, "amount": number / 2} for number in range(99)] + [{"number": 99}])


@pytest.mark.release
def test_a_project_with_pandas_2_and_duckdb_uses_the_io_manager_and_a_feed(
    wheel: Path, tmp_path: Path, database_url: str
) -> None:
    environment = Environment(tmp_path, "3.11")
    environment.install(with_extras(wheel, "pandas"), *NEXT_TO)
    project = Project(tmp_path / "shop", programs=environment.programs)
    for name, text in {"stock.py": STOCK, "resources.py": RESOURCES, "orders/defs.yaml": ORDERS}.items():
        path = project.folder / "src" / "shop" / "defs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    with served(Starlette(routes=[Route("/orders", orders)])) as url:
        variables = {
            "DATABASE_URL": database_url,
            "ORDERS_API_URL": url,
            "PURCHASE_HOME": str(tmp_path / "home"),
        }
        project.run("dg", "check", "defs", **variables)
        project.run("dg", "launch", "--assets", "counted,stock", **variables)
        feed = ("raw_orders,orders,orders_rejected", "--partition", "monday")
        project.run("dg", "launch", "--assets", *feed, **variables)

    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT * FROM stock ORDER BY 1").fetchall() == [("apple", 3), ("pear", 4)]
        assert connection.execute("SELECT count(*), sum(amount)::text FROM orders").fetchall() == [
            (99, "2425.50")
        ]
        assert connection.execute("SELECT row_number, fields FROM orders_rejected").fetchall() == [
            (100, ["amount"])
        ]


def test_it_can_be_installed_next_to_the_integrations_of_dagster_for_pandas(
    wheel: Path, tmp_path: Path
) -> None:
    wanted = tmp_path / "requirements.in"
    wanted.write_text("\n".join([with_extras(wheel, "pandas"), *NEXT_TO, "dagster-snowflake-pandas"]))

    uv("pip", "compile", "--python-version", "3.11", "--output-file", tmp_path / "pins.txt", wanted)

    assert "\npandas==2." in (tmp_path / "pins.txt").read_text()
