"""What a forked run has imported: importing this module in the fork server imports all that."""

import gc
import os
import sys
from contextlib import suppress
from importlib import import_module

MODULE = "PURCHASE_PRELOADED_MODULE"
"""Environment variable with the module of the definitions."""

# Imported by every run on first use.
_BY_EVERY_RUN = ("dagster_postgres", "dagster._grpc.impl", "dagster._core.execution.api", "psycopg2.extras")

if MODULE in os.environ and "multiprocessing.forkserver" in sys.modules:
    for name in (*_BY_EVERY_RUN, os.environ[MODULE]):
        # A run reports an import error itself.
        with suppress(Exception):
            import_module(name)
    gc.freeze()  # so that a run's garbage collection does not copy these pages
