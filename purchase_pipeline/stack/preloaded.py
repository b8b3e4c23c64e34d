"""What a forked run has imported: importing this module in a fork server started as a program imports all that."""

import os
import sys
from contextlib import suppress
from importlib import import_module

from purchase_pipeline.stack.start import importing

MODULE = "PURCHASE_PRELOADED_MODULE"
"""Environment variable with the module of the definitions."""

BY_EVERY_RUN = (
    "dagster._core.execution.api",
    "dagster._core.executor.in_process",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.workspace.autodiscovery",
    "dagster._grpc.impl",
    "dagster_postgres",
    "httpcore",
    "psycopg2.extras",
    "purchase_pipeline.ingest.fast_path",
    "purchase_pipeline.postgres.frames.arrow",
    "purchase_pipeline.stack.dagster_storage",
    "upath",
)
"""Modules that a run imports on first use: 0.3 s of CPU time."""


def load() -> None:
    """Import all that, and the module of the definitions; a run reports an import error itself."""
    with importing():
        for name in (*BY_EVERY_RUN, os.environ[MODULE]):
            with suppress(Exception):
                import_module(name)


if MODULE in os.environ and "multiprocessing.forkserver" in sys.modules:
    load()  # frozen, so that a run's garbage collection does not copy these pages
    from purchase_pipeline.settings import current_settings
    from purchase_pipeline.stack.log_format import use_log_format

    use_log_format(current_settings())
