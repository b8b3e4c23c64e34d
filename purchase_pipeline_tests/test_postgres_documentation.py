"""The examples of the IO manager's guide work."""

import runpy
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pandas as pd
import psycopg
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres import PostgresIOManager
from purchase_pipeline.postgres.write_options import WriteOptions
from purchase_pipeline_tests.documents import blocks_of
from purchase_pipeline_tests.person import Person

GUIDE = Path(__file__).parent.parent / "docs" / "postgres-io-manager.md"
PROGRAMS = [block.text for block in blocks_of(GUIDE) if block.language == "python"]


def test_the_first_table_is_there_after_the_first_command_and_a_second_run(
    tmp_path: Path, database_url: str, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "first.py").write_text(PROGRAMS[0])
    command = "-m dagster asset materialize -f first.py --select * --partition 2026-01-02"

    printed = subprocess.run(
        [sys.executable, *command.split()], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    # The second without three more processes that import Dagster and pandas.
    defs = runpy.run_path(str(tmp_path / "first.py"))["defs"]
    again = defs.resolve_implicit_global_asset_job_def().execute_in_process(partition_key="2026-01-02")

    assert printed.returncode == 0, printed.stderr
    assert again.success

    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT day::text, product, price FROM sales ORDER BY price")).all()
        ledger = connection.execute(sa.text("SELECT asset, partition, rows FROM slice_ledger")).all()
    assert rows == [("2026-01-02 00:00:00", "apple", 1.5), ("2026-01-02 00:00:00", None, 2.0)]
    assert ledger == [("sales", "2026-01-02", 2)]


@pytest.mark.proof
def test_the_guides_own_url_takes_assets_with_a_prefix_or_a_schema(person: Person) -> None:
    assert "export DATABASE_URL=$(purchase-pipeline db-url --scratch)" in GUIDE.read_text()
    url = person.run("db-url", "--scratch").stdout.strip()

    @dg.asset(key_prefix="bronze")
    def sales() -> pd.DataFrame:
        return pd.DataFrame({"price": [1.5]})

    @dg.asset(metadata={"schema": "silver"})
    def totals() -> pd.DataFrame:
        return pd.DataFrame({"price": [3.0]})

    done = dg.materialize([sales, totals], resources={"io_manager": PostgresIOManager(database_url=url)})

    assert done.success
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT b.price, s.price FROM bronze.sales b, silver.totals s").fetchall()
    assert found == [(1.5, 3.0)]


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_every_program_in_the_guide_is_python(program: str) -> None:
    compile(program, str(GUIDE), "exec")


def test_the_guide_documents_every_option() -> None:
    names = set(WriteOptions.__dataclass_fields__) - {"declared"} | {"row_model"}

    assert {name for name in names if f"| `{name}` |" in GUIDE.read_text()} == names
