"""The documents of the conformance suite: the recorded results, and an example that works.

`python -m purchase_pipeline_tests.test_conformance_documentation` writes the page of results.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from io_manager_conformance.catalogue import BEHAVIOURS
from io_manager_conformance.peers.test_duckdb_pandas import TestDuckDBPandasIOManager as DuckDBPandas
from io_manager_conformance.results import Outcome, Results
from io_manager_conformance.table import demands, markdown
from purchase_pipeline_tests.documents import PROJECT, blocks_of
from purchase_pipeline_tests.marked_section import with_section

GUIDE = PROJECT / "docs" / "conformance.md"
PAGE = PROJECT / "docs" / "conformance" / "results.md"
RECORDED = {path.stem: Results.read(path) for path in sorted(PAGE.parent.glob("*.json"))}


def page(text: str) -> str:
    """Return the page with its generated parts."""
    for name, part in (("results", markdown([*RECORDED.values()])), ("demands", demands())):
        text = with_section(text, f"<!-- {name}: begin -->", f"<!-- {name}: end -->", f"\n{part}\n")
    return text


def reasons(results: Results, outcome: Outcome) -> dict[str, str]:
    return {name: found.reason for name, found in results.behaviours.items() if found.outcome == outcome}


@pytest.mark.source
def test_the_page_shows_what_is_recorded() -> None:
    assert page(PAGE.read_text()) == PAGE.read_text()


@pytest.mark.source
@pytest.mark.parametrize("name", RECORDED)
def test_every_behaviour_is_recorded_with_the_reason_of_its_failure(name: str) -> None:
    recorded = RECORDED[name]

    assert list(recorded.behaviours) == list(BEHAVIOURS)
    assert all(found.reason for found in recorded.behaviours.values() if found.outcome is not Outcome.PASSES)


@pytest.mark.source
def test_what_is_recorded_is_what_the_tests_hold() -> None:
    for frames in ("pandas", "polars", "arrow"):
        assert {found.outcome for found in RECORDED[f"postgresiomanager-{frames}"].behaviours.values()} == {
            Outcome.PASSES
        }
    duckdb = RECORDED["duckdbpandasiomanager-pandas"]
    assert reasons(duckdb, Outcome.FAILS) == DuckDBPandas.known_failures
    assert reasons(duckdb, Outcome.UNSUPPORTED) == DuckDBPandas.unsupported


@pytest.mark.proof
def test_the_example_of_the_guide_tests_an_io_manager_and_writes_its_table(tmp_path: Path) -> None:
    (example,) = (block for block in blocks_of(GUIDE) if block.language == "python")
    (tmp_path / example.file).write_text(example.text)
    chosen = "decimals_are_kept or a_failed_write_keeps_the_old_partition or an_empty_frame_empties_the_table"
    # An installed suite loads its plugin itself.
    plugin = "-p io_manager_conformance.plugin -p no:cacheprovider --conformance-json=results"
    command = [sys.executable, "-m", "pytest", *plugin.split(), example.file, "-k", chosen]

    tested = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    command = [sys.executable, "-m", "io_manager_conformance", "table", "results/myiomanager-pandas.json"]
    table = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert "1 failed, 1 passed, 74 deselected, 1 xfailed" in tested.stdout, tested.stdout
    assert "A write that fails leaves its partition, and the others, as they were." in tested.stdout
    assert "| An empty frame empties the table | yes |" in table
    assert "| Decimals are kept | **no** |" in table
    assert "- **no**, reads them as floats: Decimals are kept" in table
    assert "| A failed write keeps the old partition | **no** |" in table
    assert "| Bytes are kept | not run |" in table
    assert "**1 of 3** |" in table


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
