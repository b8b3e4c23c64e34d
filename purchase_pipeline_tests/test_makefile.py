"""The virtual environment of `make` belongs to one folder: a copied or renamed checkout gets a new one."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.source  # this project's files, whatever the Python

PROJECT = Path(__file__).parent.parent
INSTALLS = "Installing the pinned dependencies"
# Names with characters that are special to a shell or make.
FOLDERS = ["plain", "with blanks in it", "per%cent #hash", "don't, $HOME (x)", "ação"]


# Variables that `make test VENV=... PYTHON=... ARGS=...` passes to the tests.
OF_AN_OUTER_MAKE = ("MAKE", "MFLAGS", "VENV", "PYTHON", "ARGS")


def make(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run make as a user does, isolated from the make that runs the tests."""
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
    reported = make(checkout, "--dry-run", "status")
    assert reported.returncode == 0, reported.stderr
    assert "purchase-pipeline status" in reported.stdout
    return INSTALLS in reported.stdout


@pytest.fixture(params=FOLDERS)
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A checkout with the files that make reads and an environment created in it."""
    folder = tmp_path / str(request.param) / "checkout"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(PROJECT / name, folder)
    (folder / ".venv" / ".installed").write_text(f"{folder}\n")
    return folder


def test_an_environment_created_here_is_used(checkout: Path) -> None:
    assert not would_install(checkout)


def test_a_folder_reached_by_a_link_is_the_same_folder(checkout: Path) -> None:
    link = checkout.with_name("link")
    link.symlink_to(checkout)

    assert not would_install(link)


def test_a_renamed_checkout_creates_its_environment_again(checkout: Path) -> None:
    renamed = checkout.rename(checkout.with_name("renamed"))

    assert would_install(renamed)


def test_a_copied_checkout_creates_its_environment_again_and_keeps_the_original(
    checkout: Path,
) -> None:
    copy = Path(shutil.copytree(checkout, checkout.with_name("copy")))

    assert would_install(copy)
    assert not would_install(checkout)


def test_a_copied_environment_is_removed_first(checkout: Path) -> None:
    (checkout / "notes.txt").write_text("mine")
    copy = Path(shutil.copytree(checkout, checkout.with_name("copy")))

    make(copy, "status", "PYTHON=false")
    assert (copy / ".venv" / "bin").exists(), "there is no Python to create another one with"

    make(copy, "status", "PYTHON=true")  # creates no environment, so the next step fails
    assert not (copy / ".venv" / "bin").exists()
    assert (copy / "notes.txt").read_text() == "mine"
    assert would_install(copy), "it is incomplete"


def test_an_environment_without_a_recorded_folder_is_created_again(checkout: Path) -> None:
    (checkout / ".venv" / ".installed").write_text("")

    assert would_install(checkout)


def test_an_environment_path_with_spaces_is_refused_in_one_line(checkout: Path) -> None:
    reported = make(checkout, "status", "VENV=my environment")

    assert reported.returncode == 2
    assert "VENV must be a path without spaces" in reported.stderr
    assert reported.stderr.count("\n") == 1


def test_an_unwritable_checkout_is_reported_in_one_line(checkout: Path) -> None:
    reported = make(checkout, "status", "VENV=/proc/environment")

    assert reported.returncode == 2
    assert "/proc/environment is not writable" in reported.stderr
    assert "rm:" not in reported.stderr
