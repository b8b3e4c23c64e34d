"""The stack of docker-compose.yml, run with `docker compose` in its own project."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from purchase_pipeline.settings import DATABASE_NAME
from purchase_pipeline.stack.roles import LOADER, READER
from purchase_pipeline_tests.serving import free_port
from purchase_pipeline_tests.waiting import NotInTimeError, wait_until

PROJECT = Path(__file__).parents[2]
_VARIABLES = re.findall(r"^#([A-Z_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE)
_PORTS = [name for name in _VARIABLES if name.endswith("_PORT")]
_PASSWORDS = {"postgres": "POSTGRES_PASSWORD", LOADER: "LOADER_PASSWORD", READER: "READER_PASSWORD"}
_LONGEST_SECONDS = 900  # for a build with all downloads, and the start
_POLL_SECONDS = 1.0  # a docker command takes half a second of CPU, which the stack needs


class DockerError(Exception):
    """A docker command failed; the message has the command and its output."""


def docker(*words: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a docker command in the checkout, and return its output, including log lines.

    Raises:
        DockerError: it failed.
    """
    done = subprocess.run(
        ["docker", *words],  # noqa: S607  (from PATH)
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_LONGEST_SECONDS,
        check=False,
    )
    if done.returncode:
        raise DockerError(f"docker {' '.join(words)} exited {done.returncode}:\n{done.stdout}")
    return done.stdout


class ComposeStack:
    """A Compose project with its own volumes and free ports, independent of others.

    `settings` are variables of .env.example, and are given as a person gives them, in an environment file; no such
    variable of this process is handed on.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, str], *, name: str = "purchase-pipeline-test"
    ) -> None:
        self.name = name
        self.settings = {**settings, **{name: str(free_port()) for name in _PORTS}}
        self._env_file = folder / "env"
        self._env_file.write_text("".join(f"{name}='{value}'\n" for name, value in self.settings.items()))
        self._environment = {name: value for name, value in os.environ.items() if name not in _VARIABLES}

    def compose(self, *words: str) -> str:
        """Run `docker compose`, and return its output.

        Raises:
            DockerError: it failed.
        """
        project = ("--project-name", self.name, "--env-file", str(self._env_file))
        return docker("compose", *project, *words, environment=self._environment)

    def url(self, port: str) -> str:
        """Return the URL of a published port, given the name of its variable."""
        return f"http://127.0.0.1:{self.settings[port]}"

    def sql(self, query: str, *, database: str = DATABASE_NAME, role: str = "postgres") -> str:
        """Run a query with psql inside the network; return one line per row, with `|` between columns.

        Raises:
            DockerError: the server is away, or refuses.
        """
        target = f"host=postgres dbname={database} user={role} connect_timeout=5"
        password = _PASSWORDS[role]
        # The password comes from the container's environment, not the command line.
        command = f'PGPASSWORD="${password}" exec psql --no-psqlrc -v ON_ERROR_STOP=1 -tA -d "$0" -c "$1"'
        return self.compose("exec", "-T", "postgres", "sh", "-c", command, target, query).strip()

    def number(self, query: str, *, database: str = DATABASE_NAME) -> int:
        """Return the number that a query finds; 0 while the server or the table does not exist."""
        try:
            return int(self.sql(query, database=database))
        except DockerError:
            return 0

    def kill(self, service: str) -> None:
        """SIGKILL every process of a service's container, as the kernel does when memory runs out.

        Not `docker kill`: the engine takes that for a wish, and starts nothing again. The container's first process is
        out of reach from inside, and ends when its child does.
        """
        try:
            self.compose("exec", "-T", service, "sh", "-c", "kill -9 -1")
        except DockerError:
            return  # the shell was killed with the container

    def containers(self, service: str) -> list[str]:
        """Return the IDs of a service's containers, which are also their host names."""
        return [line[:12] for line in self.compose("ps", "--all", "--quiet", service).split()]

    def restarts(self, service: str) -> int:
        """Return how often the engine has restarted a service's containers."""
        counts = (
            docker("inspect", "--format", "{{.RestartCount}}", container)
            for container in self.containers(service)
        )
        return sum(map(int, counts))

    def health(self) -> Mapping[str, str]:
        """Return the health of each service (`healthy`, `unhealthy`, `starting`), or its state."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        containers = [json.loads(line) for line in lines if line.startswith("{")]
        return {each["Service"]: each["Health"] or each["State"] for each in containers}

    def volumes(self) -> list[str]:
        """Return the project's volumes."""
        label = f"label=com.docker.compose.project={self.name}"
        return docker("volume", "ls", "--quiet", "--filter", label).split()

    def wait_until(self, seen: Callable[[], object], what: str, seconds: float) -> float:
        """Wait for a condition, and return the seconds it took.

        Raises:
            NotInTimeError: it was not; with the containers' states and last lines.
        """
        try:
            return wait_until(seen, what, seconds, look_seconds=_POLL_SECONDS)
        except NotInTimeError as error:
            error.add_note(self.compose("ps", "--all"))
            error.add_note(self.compose("logs", "--tail", "20"))
            raise
