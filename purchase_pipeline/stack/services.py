"""The services of the local stack: their order, commands and addresses."""

import re
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from time import monotonic, sleep

import dagster as dg
import httpx
from rich.console import Console

from purchase_pipeline import PipelineError
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack import dagster_internals, start
from purchase_pipeline.stack.clock import forget_future_ticks
from purchase_pipeline.stack.dagster_instance import (
    dagster_environment,
    open_instance,
    upgrade_storage,
    write_workspace,
)
from purchase_pipeline.stack.dagster_internals import NOT_FINISHED_STATUSES
from purchase_pipeline.stack.database import is_embedded
from purchase_pipeline.stack.failover import DATABASE_AWAY
from purchase_pipeline.stack.log_format import uvicorn_log_config
from purchase_pipeline.stack.ports import LOOPBACK, http_url, reachable_at, require_free
from purchase_pipeline.stack.processes import Processes, Service, ServiceFailedError, stop_leftovers
from purchase_pipeline.stack.run_ownership import (
    LAUNCHED_BY_TAG,
    has_living_worker,
    is_from_this_machine,
    this_launcher,
)
from purchase_pipeline.stack.storage_claim import CODE_LOCATION

OWN_DEFINITIONS = "purchase_pipeline.definitions"
_START = (sys.executable, "-m", start.__name__)
# h11: uvicorn's other parser buffers headers without limit.
_UVICORN = (sys.executable, "-m", "uvicorn", "--http", "h11", "--no-access-log")
_DAEMON = "dagster._daemon.cli"  # `dagster-daemon`
_COMMANDS = "purchase_pipeline.cli.main"
_START_SECONDS = 60.0
# Without it, httpx loads certificate authorities at each look, which takes 17 ms.
_HTTP_ONLY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_RUN_END_SECONDS = 20.0
_LONGEST_SOCKET_FOLDER = 70


@dataclass(frozen=True)
class StackOptions:
    """Options of `up`: `module` has the Dagster definitions.

    `api_port` and `defects` are for the mock API, which is started if no API is configured. Dagster's UI and the mock
    API listen on `host`; everything else is local to this machine.
    """

    host: str = LOOPBACK
    port: int = 3000
    api_port: int = 8000
    defects: float = 0.0
    ui: bool = True
    module: str = OWN_DEFINITIONS


def clear_leftovers(settings: Settings, options: StackOptions, console: Console) -> None:
    """Stop services left over from a killed run, and check that the ports are free.

    Raises:
        PortTakenError: a port is in use.
    """
    for name in stop_leftovers(settings.home):
        console.print(f"Stopped {name}, left over from a previous run.")
    if not settings.is_given("api_url"):
        require_free(options.api_port, "mock API", "--api-port ", options.host)
    if options.ui:
        require_free(options.port, "Dagster UI", "--port ", options.host)
    if settings.metrics_port is not None:
        require_free(settings.metrics_port, "metrics", "PURCHASE_METRICS_PORT=")


@contextmanager
def mock_api(settings: Settings, options: StackOptions, processes: Processes) -> Iterator[Settings]:
    """Start the mock API unless an API is configured; yield settings with its URL.

    It is ready once `wait_for_mock_api` returns; other services can be started in the meantime.

    Raises:
        PipelineError: this is an installed wheel, which has no mock API.
    """
    if settings.is_given("api_url"):
        yield settings
        return
    if find_spec("mock_api") is None:
        raise PipelineError(
            "PURCHASE_API_URL is not set, and the mock API runs only from a clone of this project.",
            hint="Set PURCHASE_API_URL to the URL of your API, or run the command in a clone after `make up`.",
        )
    address = http_url(reachable_at(options.host), options.api_port)
    log_config = uvicorn_log_config(settings)
    log = [] if log_config is None else ["--log-config", log_config]
    command = [*_UVICORN, *log, "--factory", "mock_api.app:create_app"]
    environment = {"MOCK_API_DEFECTS": str(options.defects)}
    service = Service(
        "mock_api", [*command, "--host", options.host, "--port", str(options.api_port)], environment
    )
    try:
        processes.start(service)
        yield settings.model_copy(update={"api_url": address})
    finally:
        processes.stop("mock_api")


def wait_for_mock_api(given: Settings, served: Settings, processes: Processes) -> None:
    """Wait until the mock API is ready, if it is used.

    Raises:
        ServiceFailedError: it does not become ready.
    """
    if not given.is_given("api_url"):
        _wait_until(lambda: _responds(f"{served.api_url}/readyz"), processes, "mock_api")


@contextmanager
def dagster_services(
    settings: Settings, options: StackOptions, processes: Processes
) -> Iterator[dg.DagsterInstance]:
    """Run Dagster's code server, daemon and, unless disabled, web server; yield the instance."""
    with open_instance(settings) as instance, _private_folder() as private:
        upgrade_storage(instance)
        end_orphaned_runs(settings, instance)
        forget_future_ticks(instance)
        try:
            _start_dagster(settings, options, processes, Path(private, "code.sock"))
            yield instance
        finally:
            _stop_dagster(instance, processes)
            with suppress(*DATABASE_AWAY):  # the next start repeats it
                end_orphaned_runs(settings, instance)


def _private_folder() -> TemporaryDirectory[str]:
    """Create a folder for a socket, whose path is limited to 103 bytes and which gRPC parses as a URL."""
    default = gettempdir()
    fits = len(default) <= _LONGEST_SOCKET_FOLDER and re.fullmatch(r"[\w./-]+", default, re.ASCII)
    return TemporaryDirectory(prefix="purchase-", dir=default if fits else "/tmp")  # noqa: S108  (mkdtemp's is private)


def _start_dagster(
    settings: Settings, options: StackOptions, processes: Processes, code_socket: Path
) -> None:
    # A socket, not a port: access to a code server means running code.
    environment = dagster_environment(settings)
    if options.ui and settings.ui_url is None:
        environment["PURCHASE_UI_URL"] = http_url(reachable_at(options.host), options.port)
    workspace = str(write_workspace(settings, code_socket))
    # Not `code-server start`, which wraps this process and outlives it without serving.
    code_server = [*_START, "purchase_pipeline.stack.code_server"]
    code = ["-m", options.module, "--location-name", CODE_LOCATION]
    processes.start(Service("code_server", [*code_server, *code, "--socket", str(code_socket)], environment))
    client = dagster_internals.DagsterGrpcClient(socket=str(code_socket))
    _wait_until(lambda: pings(client), processes, "code_server")
    daemon = [*_START, _DAEMON, "run", "--log-format", settings.log_format]
    processes.start(Service("daemon", [*daemon, "-w", workspace], environment))
    if settings.metrics_port is not None:
        metrics = [*_START, _COMMANDS, "-m", options.module, "metrics", "--serve", str(settings.metrics_port)]
        processes.start(Service("metrics", metrics, environment))
    if options.ui:
        webserver = [*_START, "purchase_pipeline.stack.webserver"]
        address = ["-h", options.host, "-p", str(options.port)]
        processes.start(Service("webserver", [*webserver, *address, "-w", workspace], environment))
        url = http_url(reachable_at(options.host), options.port)
        _wait_until(lambda: _responds(f"{url}/server_info"), processes, "webserver")


def _stop_dagster(instance: dg.DagsterInstance, processes: Processes) -> None:
    """Stop the daemon, wait for running runs, then stop the rest."""
    processes.stop("daemon")
    running = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED],
        tags={LAUNCHED_BY_TAG: this_launcher()},
    )
    deadline = monotonic() + _RUN_END_SECONDS
    with suppress(*DATABASE_AWAY):
        while instance.get_runs_count(running) and monotonic() < deadline:
            sleep(0.2)
    for name in ("webserver", "metrics", "code_server"):
        processes.stop(name)


def end_orphaned_runs(settings: Settings, instance: dg.DagsterInstance) -> int:
    """Mark unfinished runs without a living process as failed, and return their number.

    Otherwise the batches of a killed `up` or `ingest` would count as in progress until run monitoring gives up. In an
    external database, runs of other machines are left to run monitoring.
    """
    running = [status for status in NOT_FINISHED_STATUSES if status is not dg.DagsterRunStatus.QUEUED]
    orphans = [
        run
        for run in instance.get_runs(dg.RunsFilter(statuses=running))
        if (is_embedded(settings) or is_from_this_machine(run)) and not has_living_worker(instance, run)
    ]
    for run in orphans:
        instance.report_run_failed(run, "The process of this run ended before the run did.")
    return len(orphans)


def _wait_until(ready: Callable[[], bool], processes: Processes, name: str) -> None:
    deadline = monotonic() + _START_SECONDS
    while not ready():
        processes.check(name)
        if monotonic() > deadline:
            raise ServiceFailedError(
                f"{name} was not ready within {_START_SECONDS:g} s.",
                hint=f"See its log: {processes.log_of(name)}",
            )
        sleep(0.1)


def _responds(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0, trust_env=False, verify=_HTTP_ONLY).is_success
    except httpx.TransportError:
        return False


def pings(client: "dagster_internals.DagsterGrpcClient") -> bool:
    """Return whether a code server responds."""
    try:
        client.ping("ready?")
    except dg.DagsterError:
        return False
    return True
