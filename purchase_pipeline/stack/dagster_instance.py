"""The local Dagster instance: its home folder, storage and workspace."""

import os
from importlib.resources import files
from pathlib import Path

import dagster as dg

from purchase_pipeline import PipelineError
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.database import dagster_storage_url
from purchase_pipeline.stack.storage_claim import CODE_LOCATION

_CONNECTIONS = 4
_STATEMENT_MILLISECONDS = 60_000
_CONNECTION_SECONDS = 3_600
_WORKSPACE = """\
load_from:
  - grpc_server:
      socket: {socket}
      location_name: {location}
"""


def dagster_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of a Dagster process in the local stack."""
    return {
        **settings.exported(),
        "DAGSTER_HOME": str(settings.dagster_home),
        "DAGSTER_POSTGRES_URL": dagster_storage_url(settings),
        # Materializations of a run of many partitions are stored together: a third of the CPU time of 240 small ones.
        "DAGSTER_EVENT_BATCH_SIZE": os.environ.get("DAGSTER_EVENT_BATCH_SIZE", "1000"),
    }


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """Write dagster.yaml and open the instance; the first opening creates its tables."""
    os.environ.update(dagster_environment(settings))
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    configuration = files("purchase_pipeline.stack").joinpath("dagster.yaml").read_text(encoding="utf-8")
    file = settings.dagster_home / "dagster.yaml"
    if not file.exists() or file.read_text(encoding="utf-8") != configuration:  # others may be reading it
        file.write_text(configuration, encoding="utf-8")
    return dg.DagsterInstance.from_config(str(settings.dagster_home))


class NewerDagsterError(PipelineError):
    """Dagster's tables were migrated by a newer Dagster than is installed."""


def upgrade_storage(instance: dg.DagsterInstance) -> None:
    """Migrate tables of an older Dagster, as `dagster instance migrate` does. No other Dagster process may be running.

    Raises:
        NewerDagsterError: a newer Dagster has migrated them.
    """
    found, newest = instance.run_storage.alembic_version() or (None, None)
    if found == newest:
        return
    from alembic.util import CommandError  # noqa: PLC0415  (Dagster imports it only when it migrates)

    try:
        instance.upgrade()
    except CommandError as error:
        raise NewerDagsterError(
            f"Dagster's database has schema {found}, which Dagster {dg.__version__} does not know: a newer Dagster "
            f"migrated it ({error}).",
            hint="Install the newer version of this program, or restore the backup from before the upgrade.",
        ) from error


def write_workspace(settings: Settings, code_server_socket: Path) -> Path:
    """Write the workspace file of the code server, and return its path."""
    path = settings.dagster_home / "workspace.yaml"
    path.write_text(_WORKSPACE.format(socket=code_server_socket, location=CODE_LOCATION), encoding="utf-8")
    return path


def keep_connections(instance: dg.DagsterInstance) -> None:
    """Pool the storage connections of an instance while it is open."""
    instance.optimize_for_webserver(_STATEMENT_MILLISECONDS, _CONNECTION_SECONDS, _CONNECTIONS)
