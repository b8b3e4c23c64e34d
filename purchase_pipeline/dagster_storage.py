"""Dagster's storage, which opens a connection for each statement, fifty a run, unless it is told to keep them."""

import dagster as dg

_CONNECTIONS = 4
_STATEMENT_MILLISECONDS = 60_000
_CONNECTION_SECONDS = 3_600


def keep_connections(instance: dg.DagsterInstance) -> None:
    """Tell an instance's storage to keep its connections, for as long as the instance is open."""
    instance.optimize_for_webserver(_STATEMENT_MILLISECONDS, _CONNECTION_SECONDS, _CONNECTIONS)
