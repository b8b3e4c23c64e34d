"""Removal of libpq's environment variables, which would break connections to the embedded server.

A URL does not override them: PGHOSTADDR redirects the connection, an unknown PGSERVICE fails it, and PGREQUIREAUTH or
PGTARGETSESSIONATTRS can reject the server. Psycopg 3, Dagster's psycopg2 and child processes read them for each
connection, so they are removed from the process. Connections to DATABASE_URL respect them.
"""

import os

import psycopg

# Read by libpq, but not connection options.
_MORE = {
    *("PGSERVICEFILE", "PGSYSCONFDIR", "PGLOCALEDIR", "PGREQUIRESSL"),
    *("PGDATESTYLE", "PGTZ", "PGGEQO"),
}


def clear_libpq_environment() -> None:
    """Remove libpq's variables from the environment of this process and its future children."""
    options = psycopg.pq.Conninfo.get_defaults()
    for name in {option.envvar.decode() for option in options if option.envvar} | _MORE:
        os.environ.pop(name, None)
