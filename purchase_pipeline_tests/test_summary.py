"""What `up` and `ingest` say at their end."""

import sys
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from purchase_pipeline.ingest.ledger import LoadedPartition
from purchase_pipeline.ops.summary import print_next_steps, print_summary, program
from purchase_pipeline_tests.pipelines import a_feed


def a_batch(key: str, *, rejected: int = 0, received: int = 100) -> LoadedPartition:
    return LoadedPartition(
        key=key,
        received=received,
        loaded=100 - rejected,
        rejected=rejected,
        committed_at=datetime(2026, 1, 1, tzinfo=UTC),
        digest="",
        run_id="run",
    )


@pytest.fixture(autouse=True)
def _on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["purchase-pipeline"])
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))


@pytest.fixture
def written() -> StringIO:
    return StringIO()


@pytest.fixture
def console(written: StringIO) -> Console:
    return Console(file=written, width=80, force_terminal=True, color_system=None)


def test_what_is_not_loaded_is_named(console: Console, written: StringIO) -> None:
    print_summary(console, ["lote-0001", "lote-0002", "lote-0003"], [a_batch("lote-0002", rejected=3)], 1.25)

    assert written.getvalue() == (
        "\n1 of 3 batches loaded in 1.2 s: 100 rows received = 97 loaded + 3 rejected.\n"
        "Not loaded: lote-0001, lote-0003.\n"
    )


def test_an_unbalanced_batch_is_said(console: Console, written: StringIO) -> None:
    print_summary(console, ["lote-0001"], [a_batch("lote-0001", received=101)], 1)

    assert "not balanced; see" in written.getvalue()


def test_the_next_steps_are_commands_that_fit_a_line(console: Console, written: StringIO) -> None:
    print_next_steps(
        console, a_feed("lote-0001"), [a_batch("lote-0001", rejected=1)], ui="http://127.0.0.1:3000"
    )

    assert written.getvalue().splitlines() == [
        "Next:  purchase-pipeline status               rows by batch",
        "       purchase-pipeline rejects --by reason  why rows failed",
        "       purchase-pipeline report               charts of the sales",
        "       purchase-pipeline sql                  saved queries",
        "       http://127.0.0.1:3000                  assets and runs",
    ]


def test_the_next_steps_of_another_feed_name_it(console: Console, written: StringIO) -> None:
    print_next_steps(console, a_feed("lote-0001"), [a_batch("lote-0001")], module="shop.definitions")

    assert written.getvalue() == (
        "Next:  purchase-pipeline -m shop.definitions --feed purchases status  rows by\nbatch\n"
    )


def test_without_a_batch_there_is_nothing_to_look_at(console: Console, written: StringIO) -> None:
    print_next_steps(console, a_feed("lote-0001"), [])

    assert written.getvalue() == ""


def test_a_program_off_the_path_is_named_as_it_can_be_typed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    names = []
    for typed in (
        tmp_path / ".venv/bin/purchase-pipeline",
        Path("/opt/bin/purchase-pipeline"),
        Path("pytest"),
    ):
        monkeypatch.setattr(sys, "argv", [str(typed)])
        names.append(program())

    assert names == [".venv/bin/purchase-pipeline", "/opt/bin/purchase-pipeline", "purchase-pipeline"]
