"""Several commands in one process: most of what a command costs is its start."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_RUN_ALL = """
import json, sys
from click.testing import CliRunner
from purchase_pipeline.cli.main import main

def run(words, variables):
    done = CliRunner().invoke(main, words, env=variables, terminal_width=200)
    return done.exit_code, done.stdout, done.stderr

json.dump([run(*one) for one in json.load(sys.stdin)], sys.stdout)
"""


class Ended(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def run_all(
    commands: Sequence[tuple[Sequence[str], Mapping[str, str]]], environment: Mapping[str, str] | None = None
) -> list[Ended]:
    """Run commands one after the other, each with variables of its own."""
    ran = subprocess.run(
        [sys.executable, "-c", _RUN_ALL],
        env=environment,
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=True,
    )
    return [Ended(*each) for each in json.loads(ran.stdout)]
