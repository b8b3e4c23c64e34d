"""What goes wrong outside this program, in a line: what a database, the machine or its files refused.

What is not told here is an error of ours, and keeps its traceback.
"""

import errno
import os
import sys

import psycopg
from sqlalchemy.exc import DBAPIError

from purchase_pipeline.errors import PipelineError
from purchase_pipeline.ingest.printable import printable

_WAYS_OUT = {
    errno.ENOSPC: "Make room, and run the command again.",
    errno.EDQUOT: "Make room, and run the command again.",
    errno.EMFILE: "Allow more open files (`ulimit -n 1024`), and run the command again.",
    errno.ENOMEM: "Free some memory, and run the command again.",
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG),
        "PURCHASE_HOME chooses the folder of all local state.",
    ),
}


def expected() -> tuple[type[Exception], ...]:
    """Return the errors that need no traceback. Those of Dagster count where it is loaded: only then they occur."""
    return (PipelineError, DBAPIError, psycopg.Error, OSError, *_of_dagster())


def message_of(error: Exception) -> str:
    """Return what happened, and what to do about it, in lines that act on nothing: servers' words are among them."""
    return "\n".join(map(printable, _words(error).splitlines()))


def _words(error: Exception) -> str:
    if isinstance(error, PipelineError):
        return str(error)
    if isinstance(error, DBAPIError):
        return _refused(error.orig or error)
    if isinstance(error, OSError):
        return _of_the_system(error)
    if isinstance(error, (psycopg.Error, *_of_dagster())):
        return _refused(error)
    return str(error)


def _of_dagster() -> tuple[type[Exception], ...]:
    storage, driver = sys.modules.get("dagster_postgres.utils"), sys.modules.get("psycopg2")
    return ((storage.DagsterPostgresException,) if storage else ()) + ((driver.Error,) if driver else ())


def _refused(error: BaseException) -> str:
    """Say what the database said: that of psycopg 3, or of psycopg2, which Dagster's storage uses."""
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if state is None or state.startswith(("08", "57P")):  # no answer, or an end that an administrator made
        return f"The database does not answer: {_one_line(error)}"
    said = getattr(getattr(error, "diag", None), "message_primary", None) or _one_line(error)
    return f"The database refused: {said} (SQLSTATE {state})"


def _of_the_system(error: OSError) -> str:
    what = error.strerror or _one_line(error)
    where = f": {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""
    way_out = _WAYS_OUT.get(error.errno or 0)
    return f"{what}{where}." + (f" {way_out}" if way_out else "")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
