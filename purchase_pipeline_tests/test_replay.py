"""Replay after a change of the contract, in a copy of the package that uses the same home."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import purchase_pipeline
from purchase_pipeline_tests.person import Person

RUN = "from purchase_pipeline.cli.main import main; main()"


class AnotherContract:
    """The command line of a package with an edited contract."""

    def __init__(self, folder: Path, person: Person, old: str, new: str) -> None:
        self._folder, self._person = folder, person
        shutil.copytree(Path(purchase_pipeline.__file__).parent, folder / "purchase_pipeline")
        modules = (folder / "purchase_pipeline" / "contracts").glob("*.py")
        (edited,) = [module for module in modules if old in module.read_text()]
        edited.write_text(edited.read_text().replace(old, new))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", RUN, *words],
            env=self._person.environment,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.mark.proof
def test_rows_move_between_the_tables_when_the_contract_changes(person: Person, tmp_path: Path) -> None:
    person.ingest("--lots", "2", "--rows", "1000", "--defects", "0.04")
    assert person.counts() == (1920, 2, 1920)
    kinder = AnotherContract(tmp_path / "kinder", person, r"[^\x00\s][^\x00]*", "")

    foretold, replayed, verified = (
        kinder.run(*words.split()) for words in ("replay --dry-run", "replay", "verify")
    )

    assert foretold.stdout == "Would reload: lote-0001, lote-0002\n"
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert "960 loaded + 40 rejected, now 9" in replayed.stdout
    assert verified.returncode == 0, verified.stdout
    (loaded, lots, distinct) = person.counts()
    assert (lots, distinct) == (2, loaded)
    assert isinstance(loaded, int)
    assert 1920 < loaded < 2000

    differing, back = person.run("verify"), person.run("replay")

    assert differing.returncode == 1
    assert "duplicated or not in the file" in differing.stdout
    assert back.returncode == 0, back.stdout
    assert person.counts() == (1920, 2, 1920)


@pytest.mark.proof
def test_a_batch_that_fails_the_new_contract_keeps_its_rows(person: Person, tmp_path: Path) -> None:
    person.ingest("--lots", "1", "--rows", "500")
    stricter = AnotherContract(tmp_path / "stricter", person, "ge=1, le=2_147_483_647", "ge=7")

    replayed = stricter.run("replay")

    assert replayed.returncode == 1
    assert "✗ lote-0001 failed" in replayed.stdout
    assert "store: Input should be greater than or equal to 7" in replayed.stdout
    assert person.counts() == (500, 1, 500)


@pytest.mark.proof
def test_replay_does_nothing_if_all_batches_match(person: Person) -> None:
    person.ingest("--lots", "1", "--rows", "100")

    assert "nothing to do" in person.run("replay").stdout
    verified, as_json, rejects, no_rejects = person.run_all(
        ["verify"], ["verify", "--json"], ["rejects"], ["rejects", "--json"]
    )
    assert "(100 loaded, 0 rejected): no differences." in verified.stdout
    assert json.loads(as_json.stdout) == [
        {
            "lote": "lote-0001",
            "loaded": 100,
            "rejected": 0,
            "differences": [],
            "reworded": 0,
            "file_pruned_at": None,
            "rejects_pruned_at": None,
        }
    ]
    assert rejects.stdout == "0 rejected rows.\n"
    assert no_rejects.stdout == "[]\n"
