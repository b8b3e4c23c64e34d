"""Each command's help, and what is said of a command that was not typed right: all in this process."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from purchase_pipeline.cli.main import main
from purchase_pipeline.ops.logs import ServiceLog
from purchase_pipeline.settings import current_settings

COMMANDS = main.list_commands(click.Context(main))
FAIL_BY_EXIT_CODE = {"up", "ingest", "status", "verify", "replay", "report"}


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words, prog_name="purchase-pipeline", terminal_width=100)


def command_of(name: str) -> click.Command:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return command


def listed() -> dict[str, str]:
    """Return what the program's own help says of each command."""
    _, _, commands = run("--help").output.partition("\nStart:\n")
    return dict(re.findall(r"^  (\S+) +(\S.*)$", commands, re.MULTILINE))


def examples() -> list[list[str]]:
    """Return the words of each command line that any help shows."""
    helps = [run("--help").output, *(run(name, "--help").output for name in COMMANDS)]
    whole = re.sub(r" \\\n +", " ", "\n".join(helps))
    lines = re.findall(r"^  +purchase-pipeline (.*?)(?: {3,}.*| \|.*)?$", whole, re.MULTILINE)
    return list(map(shlex.split, lines))


def test_the_programs_help_lists_every_command_with_a_whole_sentence() -> None:
    shown = run("--help")

    assert shown.exit_code == 0
    assert shown.output.startswith("Usage: purchase-pipeline [OPTIONS] COMMAND")
    assert list(listed()) == COMMANDS
    assert [summary for summary in listed().values() if not re.fullmatch(r".*\w\.", summary)] == []


def test_the_programs_help_groups_commands_by_task() -> None:
    tasks = re.findall(r"^(\w+):\n", run("--help").output, re.MULTILINE)

    assert tasks == ["Options", "Start", "Look", "Change", "Data", "Keep", "Stop"]


def test_every_example_of_a_help_is_understood() -> None:
    shown = examples()

    assert len(shown) > 10
    for words in shown:
        main.make_context("purchase-pipeline", [*words])
        at = next(at for at, word in enumerate(words) if word in COMMANDS)
        command_of(words[at]).make_context(words[at], words[at + 1 :])


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_a_help_fits_the_terminal(name: str, width: int) -> None:
    shown = CliRunner().invoke(main, [*filter(None, [name]), "--help"], terminal_width=width)

    assert [line for line in shown.output.splitlines() if len(line) > width] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_help_begins_as_it_is_listed_and_explains_every_option(name: str) -> None:
    shown = run(name, "--help")

    assert shown.exit_code == 0
    usage, first, *_ = shown.output.split("\n\n")
    assert usage.startswith(f"Usage: purchase-pipeline {name} [OPTIONS]")
    assert first.strip() == listed()[name]
    assert "\\b" not in shown.output
    options = [option for option in command_of(name).params if isinstance(option, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_help_names_its_exit_codes_where_it_has_some_of_its_own(name: str) -> None:
    words = " ".join(run(name, "--help").output.split())

    assert bool(re.search(r"\b[Ee]xit (code )?[01]\b", words)) == (name in FAIL_BY_EXIT_CODE)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("nonsense", "No such command 'nonsense'"),
        ("status --nonsense", "No such option '--nonsense'"),
        ("verify two", "Got unexpected extra argument (two)"),
        (
            "sql one two",
            "Expected one name or statement, got 2 words. Quote the statement: purchase-pipeline sql",
        ),
        ("sql select", "Unknown query 'select'"),
        ("db-url --tcp --scratch", "--scratch cannot be combined with --reader or --tcp"),
        ("up --port 0", "Invalid value for '--port': 0 is not in the range 1<=x<=65535"),
        ("up --host localhost", "'localhost' is not an IP address such as 127.0.0.1 or ::1"),
        ("up --every soon", "Invalid value for '--every': 'soon' is not a valid float"),
        ("ingest --lots many", "Invalid value for '--lots': 'many' is not a valid integer"),
        ("ingest --defects nan", "Invalid value for '--defects': nan is not in the range 0<=x<=1"),
        ("ingest --defects 1.01", "Invalid value for '--defects': 1.01 is not in the range 0<=x<=1"),
        ("rejects --limit 0", "Invalid value for '--limit': 0 is not in the range x>=1"),
        ("rejects --by store", "'store' is not one of 'reason', 'field', 'lote'"),
        ("rejects --landed lote-9999", "Unknown batch 'lote-9999'; purchases has no such partition"),
        (
            "rejects --lote lote-0001 --landed lote-0001",
            "--lote is for loaded batches, --landed for landed ones",
        ),
        ("report --output", "Option '--output' requires an argument"),
        (
            "logs dagster",
            "'dagster' is not one of 'mock_api', 'code_server', 'daemon', 'metrics', 'webserver'",
        ),
        ("metrics --output a.prom --serve 9464", "Use either --output or --serve."),
        ("metrics --serve 0", "Invalid value for '--serve': 0 is not in the range 1<=x<=65535"),
        ("logs --lines few", "Invalid value for '--lines' / '-n': 'few' is not a valid integer range"),
    ],
)
def test_a_command_that_cannot_be_understood_is_an_error_of_usage(words: str, message: str) -> None:
    done = run(*words.split())

    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def completed(words: str, home: Path, **environment: str) -> list[str]:
    """Return what bash completes; fails if Dagster, which takes a second, was imported for it."""
    program = (
        "import atexit, sys; atexit.register(lambda: sys.stderr.write(str('dagster' in sys.modules)))\n"
        "from purchase_pipeline.cli.main import main; main(prog_name='purchase-pipeline')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "PURCHASE_HOME": str(home),
            "_PURCHASE_PIPELINE_COMPLETE": "bash_complete",
            "COMP_WORDS": f"purchase-pipeline {words}",
            "COMP_CWORD": str(len(words.split(" "))),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == "False"
    return [line.removeprefix("plain,") for line in done.stdout.split()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("re", ["rejects", "replay", "report", "restore", "reset"]),
        ("--fe", ["--feed"]),
        ("--feed ", ["purchases"]),
        ("-m shop --feed o", ["orders"]),
        ("status --", ["--json", "--help"]),
        ("up --ex", ["--exit-when-done"]),
        ("report --no", ["--no-open"]),
        ("rejects --by ", ["reason", "field", "lote"]),
        ("rejects --lote lote-000", ["lote-0001", "lote-0002"]),
        ("verify --lote lote-0002", ["lote-0002"]),
        ("-m shop replay --lote l", []),
        ("sql re", ["reconciliation", "rejects-by-field", "revenue-by-month"]),
        ("logs d", ["daemon"]),
    ],
)
def test_words_are_completed_without_dagster(words: str, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "landing" / "orders").mkdir(parents=True)

    assert completed(words, tmp_path, PURCHASE_LOTS="2") == expected


def test_an_invalid_setting_does_not_disturb_completion(tmp_path: Path) -> None:
    assert completed("rejects --lote l", tmp_path, PURCHASE_LOTS="abc") == []


def test_logs_are_told_apart_and_cannot_write_to_the_terminal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PURCHASE_HOME", str(tmp_path))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "daemon.log").write_bytes(b"one\n\x1b[32mtwo\x1b[0m\n\x1b]0;title\x07three\n")
    (tmp_path / "logs" / "mock_api.log").write_bytes(b"ready\n")
    current_settings.cache_clear()

    every, one, none = run("logs"), run("logs", "daemon", "-n", "1"), run("logs", "webserver")

    assert every.stdout == (
        "mock_api | ready\ndaemon   | one\ndaemon   | two\ndaemon   | \\x1b]0;title\\x07three\n"
    )
    assert one.stdout == "daemon | \\x1b]0;title\\x07three\n"
    assert (none.exit_code, none.stdout) == (1, "")
    assert f"{tmp_path / 'logs'} has no log of webserver. Start the services:" in none.stderr


def test_a_log_is_followed_from_where_it_was_read(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    log = ServiceLog(tmp_path, "daemon")

    read = [list(log.last(2))]
    for text in ("1\n2\n3\nhal", "1\n2\n3\nhalf\n", "4\n"):
        log.path.write_text(text)
        read.append(list(log.last(2)))

    assert read == [[], [b"2\n", b"3\n"], [b"half\n"], [b"4\n"]]
