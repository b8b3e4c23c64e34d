"""The pipeline on several hosts, as deploy/scale has it: database, API and bucket, broker, control, workers."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import CompletedProcess, run
from typing import Any

import boto3
import psycopg
from celery import Celery
from pydantic import SecretStr

from purchase_pipeline.settings import DAGSTER_DATABASE_NAME, DATABASE_NAME, Settings
from purchase_pipeline.stack.database import dagster_storage_url, start_database
from purchase_pipeline.stack.embedded_postgres.files import ServerFiles
from purchase_pipeline.stack.embedded_postgres.server import TUNING, EmbeddedPostgres
from purchase_pipeline.stack.roles import DAGSTER, LOADER
from purchase_pipeline_tests.serving import answers
from purchase_pipeline_tests.waiting import wait_until
from purchase_pipeline_tests.watched_runs import worker_command
from resilience.hosts.network import Host, Network, network

_PROGRAMS = Path(sys.executable).parent
_SCALE = Path(__file__).parents[2] / "deploy" / "scale"
_BUCKET = "raw"
_START_SECONDS = 120
_WORKSPACE = """\
load_from:
  - grpc_server: { host: %s, port: 4000, location_name: purchase_pipeline }
"""


class Cluster:
    """All hosts, and what runs on them."""

    def __init__(self, net: Network, workers: int, settings: Mapping[str, str]) -> None:
        self.database, self.api, self.broker, self.control = map(net.host, ("db", "api", "broker", "control"))
        self.workers = {name: net.host(name) for name in (f"worker{n}" for n in range(1, workers + 1))}
        self._settings = settings
        self._addresses = net.addresses

    def start(self) -> None:
        """Start one host after the other; return when a worker is ready on each of its hosts."""
        self._start_database()
        self._start_api()
        self.start_broker()
        self._start_control()
        for name in self.workers:
            self.start_worker(name)
        wait_until(lambda: len(self.busy()) == len(self.workers), "the workers", _START_SECONDS)

    @property
    def redis_url(self) -> str:
        """Where the broker is."""
        return f"redis://{self.broker.address}:6379/0"

    def start_broker(self) -> None:
        """Start Redis, with what it held when it ended."""
        options = (
            "--bind",
            self.broker.address,
            "--protected-mode",
            "no",
            "--appendonly",
            "yes",
            "--save",
            "",
        )
        self.broker.start("redis-server", *options, environment=_PLAIN, log="redis.log")

    def start_worker(self, name: str) -> None:
        """Start a worker's host, or start it again."""
        host = self.workers[name]
        host.start(*worker_command(f"{name}@%h"), environment=self._environment(host), log="worker.log")

    def busy(self) -> Mapping[str, Sequence[str]]:
        """Return the tasks that each worker is at, as it says itself; nothing of those that are silent."""
        app = Celery(broker=self.redis_url)
        with suppress(Exception):
            # Who is silent is waited for; if none is, the answers are there at once.
            answers = app.control.inspect(timeout=1.0, limit=len(self.workers)).active() or {}
            return {name.partition("@")[0]: [task["id"] for task in tasks] for name, tasks in answers.items()}
        return {}

    def command(self, *words: str) -> "CompletedProcess[str]":
        """Run a command of the pipeline's on the control host."""
        return run(
            self.control.inside(_program("purchase-pipeline"), *words),
            env=self._environment(self.control),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def ask(self, query: str, *values: object, database: str = DATABASE_NAME) -> Sequence[tuple[Any, ...]]:
        """Return what a query finds; nothing while the database or its tables are not there."""
        with (
            suppress(psycopg.OperationalError, psycopg.errors.UndefinedTable),
            psycopg.connect(self._url("postgres", database), connect_timeout=3) as connection,
        ):
            return connection.execute(query.encode(), values).fetchall()
        return []

    def _url(self, role: str, database: str) -> str:
        return f"postgresql://{role}@{self.database.address}:5432/{database}"

    def _environment(self, host: Host) -> dict[str, str]:
        data, dagster = self._url(LOADER, DATABASE_NAME), self._url(DAGSTER, DAGSTER_DATABASE_NAME)
        databases = Settings(database_url=SecretStr(data), dagster_postgres_url=SecretStr(dagster))
        return {
            **_PLAIN,
            **self._settings,
            "HOME": str(host.folder),
            "PURCHASE_HOME": str(host.folder / "purchase"),
            "DAGSTER_HOME": str(host.folder / "dagster"),
            "DAGSTER_POSTGRES_URL": dagster_storage_url(databases),
            "DATABASE_URL": data,
            "PURCHASE_REDIS_URL": self.redis_url,
            "PURCHASE_API_URL": f"http://{self.api.address}:8000",
            "PURCHASE_LANDING": f"s3://{_BUCKET}/lots",
            **self._bucket_access(),
        }

    def _bucket_access(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://{self.api.address}:5000",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def _start_database(self) -> None:
        """Make the cluster as the embedded server does, and then serve it over the network."""
        home = self.database.folder / "postgres"
        embedded = EmbeddedPostgres(home)
        start_database(Settings(home=self.database.folder))
        embedded.stop()
        place = ServerFiles(home)
        with (place.data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {self._addresses} trust\n")
        account = place.account
        options = {
            **TUNING,
            "listen_addresses": self.database.address,
            "unix_socket_directories": "",
            "tcp_user_timeout": "30000",
            "max_connections": "300",
        }
        self.database.start(
            *("setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"),
            *(str(place.binaries() / "postgres"), "-D", str(place.data)),
            *(word for name, value in options.items() for word in ("-c", f"{name}={value}")),
            environment=_PLAIN,
            log="postgres.log",
        )
        wait_until(lambda: self.ask("SELECT 1"), "the database", _START_SECONDS)

    def _start_api(self) -> None:
        address = self.api.address
        uvicorn = (
            "--factory",
            "mock_api.app:create_app",
            "--host",
            address,
            "--port",
            "8000",
            "--no-access-log",
        )
        self.api.start(_program("uvicorn"), *uvicorn, environment={**_PLAIN, **self._settings}, log="api.log")
        self.api.start(
            _program("moto_server"), "--host", address, "--port", "5000", environment=_PLAIN, log="bucket.log"
        )
        wait_until(lambda: answers(f"http://{address}:8000/readyz"), "the API", _START_SECONDS)
        wait_until(lambda: answers(f"http://{address}:5000/"), "the bucket's server", _START_SECONDS)
        access = self._bucket_access()
        boto3.client(
            "s3",
            endpoint_url=access["AWS_ENDPOINT_URL"],
            aws_access_key_id=access["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=access["AWS_SECRET_ACCESS_KEY"],
            region_name=access["AWS_DEFAULT_REGION"],
        ).create_bucket(Bucket=_BUCKET)

    def _start_control(self) -> None:
        for host in (self.control, *self.workers.values()):
            (host.folder / "dagster").mkdir()
            shutil.copy(_SCALE / "dagster.yaml", host.folder / "dagster")
        address, environment = self.control.address, self._environment(self.control)
        workspace = self.control.folder / "workspace.yaml"
        workspace.write_text(_WORKSPACE % address)
        code = (
            "-m",
            "purchase_pipeline.definitions",
            "--location-name",
            "purchase_pipeline",
            "-h",
            address,
            "-p",
            "4000",
        )
        self.control.start(
            *(sys.executable, "-m", "purchase_pipeline.stack.code_server", *code),
            environment=environment,
            log="code_server.log",
        )
        self.control.start(
            _program("dagster-daemon"), "run", "-w", str(workspace), environment=environment, log="daemon.log"
        )
        made = "SELECT FROM information_schema.tables WHERE table_name = 'instance_info'"
        wait_until(lambda: self.ask(made, database=DAGSTER_DATABASE_NAME), "Dagster's tables", _START_SECONDS)


@contextmanager
def cluster(folder: Path, workers: int, settings: Mapping[str, str]) -> Iterator[Cluster]:
    """Have the pipeline on so many workers' hosts and four others, with these settings; at the end nothing is left.

    Raises:
        HostsNotPossibleError: this machine makes no network namespaces.
        NotInTimeError: a part of it does not come up.
    """
    with network(folder) as net:
        made = Cluster(net, workers, settings)
        made.start()
        yield made


_PLAIN = {"PATH": f"{_PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}


def _program(name: str) -> str:
    return str(_PROGRAMS / name)
