"""Dagster's internal names used by the local stack and the launchers.

All are imported here, so that an upgrade of Dagster is checked in one place. The IO manager has its own module. What
loads gRPC or Dagster's own commands is imported on first use: most commands and runs need neither (20 MiB).
"""

from importlib import import_module
from typing import TYPE_CHECKING

from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.definitions.metadata import RawMetadataValue
from dagster._core.execution.plan.objects import UserFailureData
from dagster._core.launcher import (
    CheckRunHealthResult,
    DefaultRunLauncher,
    LaunchRunContext,
    ResumeRunContext,
    WorkerStatus,
)
from dagster._core.origin import JobPythonOrigin
from dagster._core.scheduler.instigation import InstigatorState, SensorInstigatorData
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.event_log import SqlEventLogStorage, SqlEventLogStorageTable
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    AUTO_RETRY_RUN_ID_TAG,
    GRPC_INFO_TAG,
    PARTITION_NAME_TAG,
    REPOSITORY_LABEL_TAG,
)
from dagster._core.workspace.context import BaseWorkspaceRequestContext, WorkspaceProcessContext
from dagster._grpc.types import (
    CanCancelExecutionRequest,
    CanCancelExecutionResult,
    ExecuteRunArgs,
    ResumeRunArgs,
)
from dagster._serdes import (
    ConfigurableClassData,
    deserialize_value,
    pack_value,
    serialize_value,
    unpack_value,
)
from dagster._utils import log as dagster_log
from dagster._utils.interrupts import setup_interrupt_handlers
from dagster._utils.log import configure_loggers, get_structlog_json_formatter
from dagster_shared.cli import WorkspaceOpts, workspace_options
from dagster_shared.error import SerializableErrorInfo
from dagster_shared.serdes.serdes import JsonSerializableValue

if TYPE_CHECKING:
    from dagster._cli.api import _execute_run_command_body, _resume_run_command_body, api_cli
    from dagster._cli.workspace.cli_target import workspace_opts_to_load_target
    from dagster._grpc import server as grpc_server
    from dagster._grpc.client import DagsterGrpcClient
    from dagster._grpc.server import DagsterApiServer

_ON_FIRST_USE = {
    **dict.fromkeys(("_execute_run_command_body", "_resume_run_command_body", "api_cli"), "dagster._cli.api"),
    "workspace_opts_to_load_target": "dagster._cli.workspace.cli_target",
    "DagsterGrpcClient": "dagster._grpc.client",
    "DagsterApiServer": "dagster._grpc.server",
}

__all__ = [
    "ASSET_PARTITION_RANGE_END_TAG",
    "ASSET_PARTITION_RANGE_START_TAG",
    "AUTO_RETRY_RUN_ID_TAG",
    "DATA_VERSION_TAG",
    "GRPC_INFO_TAG",
    "NOT_FINISHED_STATUSES",
    "PARTITION_NAME_TAG",
    "REPOSITORY_LABEL_TAG",
    "AssetCheckExecutionsTable",
    "BaseWorkspaceRequestContext",
    "CanCancelExecutionRequest",
    "CanCancelExecutionResult",
    "CheckRunHealthResult",
    "ConfigurableClassData",
    "DagsterApiServer",
    "DagsterGrpcClient",
    "DefaultRunLauncher",
    "ExecuteRunArgs",
    "InstigatorState",
    "JobPythonOrigin",
    "JsonSerializableValue",
    "LaunchRunContext",
    "RawMetadataValue",
    "ResumeRunArgs",
    "ResumeRunContext",
    "SensorInstigatorData",
    "SerializableErrorInfo",
    "SqlEventLogStorage",
    "SqlEventLogStorageTable",
    "UserFailureData",
    "WorkerStatus",
    "WorkspaceOpts",
    "WorkspaceProcessContext",
    "_execute_run_command_body",
    "_resume_run_command_body",
    "api_cli",
    "configure_loggers",
    "dagster_log",
    "deserialize_value",
    "get_structlog_json_formatter",
    "grpc_server",
    "pack_value",
    "serialize_value",
    "setup_interrupt_handlers",
    "unpack_value",
    "workspace_options",
    "workspace_opts_to_load_target",
]


def __getattr__(name: str) -> object:
    if name == "grpc_server":
        return import_module("dagster._grpc.server")
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_ON_FIRST_USE[name]), name)
    return found
