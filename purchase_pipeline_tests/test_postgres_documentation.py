"""The IO manager's guide, followed to the letter."""

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres.options import WriteOptions
from purchase_pipeline_tests.conformance.report import markdown
from purchase_pipeline_tests.documents import blocks_of

GUIDE = Path(__file__).parent.parent / "docs" / "postgres-io-manager.md"
PROGRAMS = [block.text for block in blocks_of(GUIDE) if block.language == "python"]


def test_the_first_table_is_there_after_the_first_command_and_the_second(
    tmp_path: Path, database_url: str, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "first.py").write_text(PROGRAMS[0])
    command = "-m dagster asset materialize -f first.py --select * --partition 2026-01-02"

    for _ in range(2):
        printed = subprocess.run(
            [sys.executable, *command.split()], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert printed.returncode == 0, printed.stderr

    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT day::text, product, price FROM sales ORDER BY price")).all()
        ledger = connection.execute(sa.text("SELECT asset, partition, rows FROM slice_ledger")).all()
    assert rows == [("2026-01-02 00:00:00", "apple", 1.5), ("2026-01-02 00:00:00", None, 2.0)]
    assert ledger == [("sales", "2026-01-02", 2)]


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_every_program_in_the_guide_is_python(program: str) -> None:
    compile(program, str(GUIDE), "exec")


def test_the_guide_shows_who_has_which_behaviour() -> None:
    assert markdown() in GUIDE.read_text()


def test_the_guide_tells_of_every_option() -> None:
    names = set(WriteOptions.__dataclass_fields__) - {"declared"} | {"row_model"}

    assert {name for name in names if f"| `{name}` |" in GUIDE.read_text()} == names
