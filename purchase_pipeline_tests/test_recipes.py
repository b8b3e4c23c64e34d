"""The recipes around the pipeline: systemd accepts the units."""

import subprocess
from pathlib import Path

import pytest

from purchase_pipeline_tests.documents import PROJECT, Block, blocks_of
from purchase_pipeline_tests.programs import program

pytestmark = pytest.mark.source  # this project's files, whatever the Python

RECIPES = PROJECT / "docs" / "recipes"


def files_of(page: str) -> dict[str, Block]:
    return {block.file: block for block in blocks_of(RECIPES / page) if block.file}


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    analyze = program("systemd-analyze", package="systemd")
    home = tmp_path / "opt"
    files = files_of("systemd.md")
    units = [name for name in files if name.startswith("purchase-pipeline")]
    for name in units:
        (tmp_path / name).write_text(files[name].text.replace("/opt/purchase-pipeline", str(home)))
    started = home / ".venv" / "bin" / "purchase-pipeline"
    started.parent.mkdir(parents=True)
    started.touch(0o755)

    verified = subprocess.run(
        [analyze, "verify", "--man=no", *(tmp_path / name for name in units)],
        capture_output=True,
        text=True,
        check=False,
    )

    ours = [line for line in verified.stderr.splitlines() if "purchase-pipeline" in line]
    assert len(units) == 3
    assert (verified.returncode, ours) == (0, [])
