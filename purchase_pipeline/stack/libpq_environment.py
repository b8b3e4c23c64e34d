"""What libpq reads from the environment, kept from connections to the embedded server.

A URL does not shut it out: PGHOSTADDR leads a connection elsewhere whatever host the URL names, an unknown PGSERVICE
ends it, and PGREQUIREAUTH or PGTARGETSESSIONATTRS refuse a server that is right. Psycopg 3, Dagster's psycopg2 and what
they start read it again for each connection, so it goes from the process. A database given by DATABASE_URL is
reached as the environment says: there it is the user's to set.
"""

import os

import psycopg

# Read by libpq, and not among its connection options.
_MORE = {
    *("PGSERVICEFILE", "PGSYSCONFDIR", "PGLOCALEDIR", "PGREQUIRESSL"),
    *("PGDATESTYLE", "PGTZ", "PGGEQO"),
}


def clear_libpq_environment() -> None:
    """Remove libpq's variables from this process, and so from all that it starts from now on."""
    options = psycopg.pq.Conninfo.get_defaults()
    for name in {option.envvar.decode() for option in options if option.envvar} | _MORE:
        os.environ.pop(name, None)
