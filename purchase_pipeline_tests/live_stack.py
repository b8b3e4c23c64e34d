"""The real stack as a person starts it: `purchase-pipeline up` in a home of its own, its processes, its state.

The state is read by SQL on the embedded server's own socket, past whatever proxy the stack was led through.
"""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

from purchase_pipeline.settings import DATABASE_NAME
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres
from purchase_pipeline_tests.forked_commands import forked
from purchase_pipeline_tests.person import COMMAND
from purchase_pipeline_tests.serving import free_port
from purchase_pipeline_tests.terminal import Terminal
from purchase_pipeline_tests.waiting import NotInTimeError, kill

_OURS = ("PURCHASE_", "DAGSTER_", "DATABASE_URL", "MOCK_API_")
_STOP_SECONDS = 90.0


class LiveStack:
    """One home folder and the `up` that works in it, which may be started, killed and started again.

    `environment` goes before what this process has, of which no setting of the pipeline is handed on. The server is
    the stack's own, or the one of another home where `DATABASE_URL` leads to it. Commands work on a module's feed.
    """

    def __init__(
        self,
        home: Path,
        *words: str,
        environment: Mapping[str, str] | None = None,
        server_home: Path | None = None,
        module: str | None = None,
        feed: str | None = None,
    ) -> None:
        self.home = home
        options = {"-m": module, "--feed": feed}
        self._feed = [word for name, value in options.items() if value for word in (name, value)]
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(_OURS)},
            "PURCHASE_HOME": str(home),
            "COLUMNS": "120",
            **(environment or {}),
        }
        self.server = EmbeddedPostgres(server_home or home / "postgres")
        self.log = home.parent / "up.log"
        self._pid_file = (server_home or home / "postgres") / "server" / "data" / "postmaster.pid"
        self._words = [*words, "--no-ui", "--api-port", str(free_port())]
        self._up: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start `up`."""
        self._up = self.spawn("up", *self._words)

    def spawn(self, *words: str, log: Path | None = None) -> "subprocess.Popen[bytes]":
        """Start a command; what it prints goes to a log, the home's unless another is named."""
        with (log or self.log).open("ab") as printed:
            return subprocess.Popen(
                [COMMAND, *self._feed, *words],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start_in_terminal(self) -> Terminal:
        """Start `up` as a person does who sits before it."""
        terminal = Terminal([COMMAND, *self._feed, "up", *self._words], {**self.environment, "TERM": "xterm"})
        self._up = terminal.process
        return terminal

    @property
    def up(self) -> "subprocess.Popen[bytes]":
        """The `up` that was started last."""
        if self._up is None:
            raise RuntimeError("up was not started")
        return self._up

    def up_process(self) -> psutil.Process:
        """Return the `up` that was started last, as a process to be struck."""
        return psutil.Process(self.up.pid)

    def stop(self) -> int:
        """End `up` as a service manager does, and return its exit code."""
        self.up.send_signal(signal.SIGTERM)
        return self.up.wait(_STOP_SECONDS)

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run another command in the same home and environment."""
        return subprocess.run(
            [forked(COMMAND), *self._feed, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def daemons(self) -> list[psutil.Process]:
        """Return Dagster's daemon; it may be being started again."""
        return self.saying("dagster._daemon.cli")

    def code_servers(self) -> list[psutil.Process]:
        """Return the code server; it may be being started again."""
        return [process for process in self._of_code_servers() if os.getsid(process.pid) == process.pid]

    def workers(self) -> list[psutil.Process]:
        """Return the processes that each do one run."""
        found = self._of_code_servers()
        servers = {process.pid for process in self.code_servers()}
        forking = {process.pid for process in found if process.ppid() in servers}
        return [process for process in found if process.ppid() in forking]

    def _of_code_servers(self) -> list[psutil.Process]:
        return self.saying("purchase_pipeline.stack.code_server")

    def postmaster(self) -> psutil.Process | None:
        """Return the first process of the embedded server, if it is there."""
        with suppress(OSError, ValueError, psutil.Error):
            process = psutil.Process(int(self._pid_file.read_text().partition("\n")[0]))
            return process if process.name() == "postgres" else None
        return None

    def running(self) -> list[psutil.Process]:
        """Return all that was started from this home and has not ended, the server aside."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                ended = process.status() == psutil.STATUS_ZOMBIE
                if not ended and process.environ().get("PURCHASE_HOME") == str(self.home):
                    found.append(process)
        return found

    @contextmanager
    def connection(self, database: str = DATABASE_NAME) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Connect to the embedded server, past any proxy; all statements see the same moment."""
        with psycopg.connect(self.server.url(database), connect_timeout=5) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            yield connection

    def ask(self, query: str, *values: object, database: str = DATABASE_NAME) -> Sequence[tuple[Any, ...]]:
        """Return what a query finds; nothing while the server, the database or its tables are not there."""
        with (
            suppress(psycopg.OperationalError, psycopg.errors.UndefinedTable),
            self.connection(database) as connection,
        ):
            return connection.execute(query.encode(), values).fetchall()
        return []

    def saying(self, *words: str) -> list[psutil.Process]:
        """Return the processes whose command line has all these words."""
        found = []
        for process in self.running():
            with suppress(psutil.Error):
                line = " ".join(process.cmdline())
                if all(word in line for word in words):
                    found.append(process)
        return found


@contextmanager
def live_stack(
    folder: Path, *words: str, environment: Mapping[str, str] | None = None
) -> Iterator[LiveStack]:
    """Start a stack that has its own server; at the end remove it, with all that it left."""
    stack = LiveStack(folder / "home", *words, environment=environment)
    stack.start()
    try:
        yield stack
    finally:
        dismantle(stack)


def dismantle(stack: LiveStack) -> None:
    """Remove a stack, whatever state it is in.

    Raises:
        NotInTimeError: processes of it do not end.
    """
    if stack.up.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            stack.stop()
    reset = stack.command("reset", "--yes")
    if left := stack.running():
        kill(left)
        raise NotInTimeError(f"still running after reset: {left}; reset said {reset.stdout}{reset.stderr}")
    if stack.home.exists():
        raise NotInTimeError(f"reset left {stack.home}: {reset.stdout}{reset.stderr}")
