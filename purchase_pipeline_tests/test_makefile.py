"""The environment that `make` makes belongs to one folder: a copied or renamed checkout gets its own."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
INSTALLS = "Installing the pinned dependencies"
# Names that a shell or make would take apart.
FOLDERS = ["plain", "with blanks in it", "per%cent #hash", "don't, $HOME (x)", "ação"]


# What `make test VENV=... PYTHON=... ARGS=...` hands to the tests that it runs.
OF_AN_OUTER_MAKE = ("MAKE", "MFLAGS", "VENV", "PYTHON", "ARGS")


def make(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run make as a person does, not as a part of the make that runs the tests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OF_AN_OUTER_MAKE)}
    return subprocess.run(
        ["/usr/bin/env", "make", *words],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def would_install(checkout: Path) -> bool:
    told = make(checkout, "--dry-run", "status")
    assert told.returncode == 0, told.stderr
    assert "purchase-pipeline status" in told.stdout
    return INSTALLS in told.stdout


@pytest.fixture(params=FOLDERS)
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A checkout with what make looks at: its environment was made in it."""
    folder = tmp_path / str(request.param) / "checkout"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(PROJECT / name, folder)
    (folder / ".venv" / ".installed").write_text(f"{folder}\n")
    return folder


def test_an_environment_made_here_is_used(checkout: Path) -> None:
    assert not would_install(checkout)


def test_a_folder_reached_by_a_link_is_the_same_folder(checkout: Path) -> None:
    link = checkout.with_name("link")
    link.symlink_to(checkout)

    assert not would_install(link)


def test_a_renamed_checkout_makes_its_environment_again(checkout: Path) -> None:
    renamed = checkout.rename(checkout.with_name("renamed"))

    assert would_install(renamed)


def test_a_copied_checkout_makes_its_environment_again_and_leaves_the_original_its_own(
    checkout: Path,
) -> None:
    copy = Path(shutil.copytree(checkout, checkout.with_name("copy")))

    assert would_install(copy)
    assert not would_install(checkout)


def test_what_was_made_in_the_other_folder_is_removed_first(checkout: Path) -> None:
    (checkout / "notes.txt").write_text("mine")
    copy = Path(shutil.copytree(checkout, checkout.with_name("copy")))

    make(copy, "status", "PYTHON=false")
    assert (copy / ".venv" / "bin").exists(), "no Python is there to make another with"

    make(copy, "status", "PYTHON=true")  # which makes none: so what follows fails
    assert not (copy / ".venv" / "bin").exists()
    assert (copy / "notes.txt").read_text() == "mine"
    assert would_install(copy), "it is half made"


def test_an_environment_of_before_its_folder_was_written_down_is_made_again(checkout: Path) -> None:
    (checkout / ".venv" / ".installed").write_text("")

    assert would_install(checkout)


def test_a_name_with_blanks_for_the_environment_is_refused_in_a_line(checkout: Path) -> None:
    told = make(checkout, "status", "VENV=my environment")

    assert told.returncode == 2
    assert "VENV must be a path without spaces" in told.stderr
    assert told.stderr.count("\n") == 1


def test_a_checkout_that_cannot_be_written_to_says_so_in_a_line(checkout: Path) -> None:
    told = make(checkout, "status", "VENV=/proc/environment")

    assert told.returncode == 2
    assert "/proc/environment is not writable" in told.stderr
    assert "rm:" not in told.stderr
