"""Each command's help, and what is said of a command that was not typed right: all in this process."""

import re

import click
import pytest
from click.testing import CliRunner, Result

from purchase_pipeline.cli.main import main

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
    _, _, commands = run("--help").output.partition("\nCommands:\n")
    return dict(re.findall(r"^  (\S+) +(\S.*)$", commands, re.MULTILINE))


def test_the_programs_help_lists_every_command_with_a_whole_sentence() -> None:
    shown = run("--help")

    assert shown.exit_code == 0
    assert shown.output.startswith("Usage: purchase-pipeline [OPTIONS] COMMAND")
    assert list(listed()) == COMMANDS
    assert [summary for summary in listed().values() if not re.fullmatch(r".*\w\.", summary)] == []


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
    ],
)
def test_a_command_that_cannot_be_understood_is_an_error_of_usage(words: str, message: str) -> None:
    done = run(*words.split())

    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
