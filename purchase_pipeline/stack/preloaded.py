"""What a forked run has imported: importing this module in the fork server imports all that."""

import os
import sys
from contextlib import suppress
from importlib import import_module

from purchase_pipeline.stack.start import importing

MODULE = "PURCHASE_PRELOADED_MODULE"
"""Environment variable with the module of the definitions."""

# Imported by every run on first use.
_BY_EVERY_RUN = ("dagster_postgres", "dagster._grpc.impl", "dagster._core.execution.api", "psycopg2.extras")


def load() -> None:
    """Import what a run needs; a run reports an import error itself."""
    with importing():
        for name in (*_BY_EVERY_RUN, os.environ[MODULE]):
            with suppress(Exception):
                import_module(name)


if MODULE in os.environ and "multiprocessing.forkserver" in sys.modules:
    load()  # frozen, so that a run's garbage collection does not copy these pages
