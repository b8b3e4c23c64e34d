"""Expected errors (database, operating system, files) as one-line messages.

Any other exception is a bug and keeps its traceback.
"""

import errno
import os
import sys

import psycopg
from sqlalchemy.exc import DBAPIError

from purchase_pipeline import PipelineError
from purchase_pipeline.ingest.printable import printable

_HINTS = {
    errno.ENOSPC: "Free some disk space, then run the command again.",
    errno.EDQUOT: "Free some disk space, then run the command again.",
    errno.EMFILE: "Allow more open files (`ulimit -n 1024`), then run the command again.",
    errno.ENOMEM: "Free some memory, then run the command again.",
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG),
        "Set PURCHASE_HOME to choose another folder for local state.",
    ),
}


def expected_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that need no traceback; Dagster's only if it is imported."""
    return (PipelineError, DBAPIError, psycopg.Error, OSError, *_dagster_errors())


def message_of(error: Exception) -> str:
    """Return what happened and what to do; control characters, which a server may send, are escaped."""
    return "\n".join(map(printable, _message(error).splitlines()))


def _message(error: Exception) -> str:
    if isinstance(error, PipelineError):
        return str(error)
    if isinstance(error, DBAPIError):
        return _database_message(error.orig or error)
    if isinstance(error, OSError):
        return _os_message(error)
    if isinstance(error, (psycopg.Error, *_dagster_errors())):
        return _database_message(error)
    return str(error)


def _dagster_errors() -> tuple[type[Exception], ...]:
    storage, driver = sys.modules.get("dagster_postgres.utils"), sys.modules.get("psycopg2")
    return ((storage.DagsterPostgresException,) if storage else ()) + ((driver.Error,) if driver else ())


def _database_message(error: BaseException) -> str:
    """Return the server's message, from psycopg 3 or from psycopg2, which Dagster's storage uses."""
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if state is None or state.startswith(("08", "57P")):  # connection failure or server shutdown
        return f"The database is unavailable: {_one_line(error)}"
    primary = getattr(getattr(error, "diag", None), "message_primary", None) or _one_line(error)
    return f"The database reported an error: {primary} (SQLSTATE {state})"


def _os_message(error: OSError) -> str:
    what = error.strerror or _one_line(error)
    where = f": {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""
    hint = _HINTS.get(error.errno or 0)
    return f"{what}{where}." + (f" {hint}" if hint else "")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
