"""Health checks of containers: `python -m purchase_pipeline.stack.probes daemon`.

A check is a new process every 30 s. Dagster's own commands take 1 to 1.6 s of a core, nearly all of it to import
Dagster; these see the same without it.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from time import time

DAEMONS = frozenset(
    {
        "ASSET",
        "BACKFILL",
        "EVENT_LOG_CONSUMER",
        "FRESHNESS_DAEMON",
        "MONITORING",
        "QUEUED_RUN_COORDINATOR",
        "SCHEDULER",
        "SENSOR",
    }
)
"""Daemons that our dagster.yaml files turn on. Each records its heartbeats in Dagster's storage."""

_HEARTBEAT_SECONDS = 30 + 1_800  # Dagster's interval and tolerance
_RESPONSE_SECONDS = 10


def code_server(address: str) -> bool:
    """Return whether Dagster's server at an address like `127.0.0.1:4000` serves: `dagster api grpc-health-check`."""
    import grpc  # noqa: PLC0415  # a check imports its own client only
    from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse  # noqa: PLC0415
    from grpc_health.v1.health_pb2_grpc import HealthStub  # noqa: PLC0415

    with grpc.insecure_channel(address) as channel:
        asked = HealthCheckRequest(service="DagsterApi")
        try:
            found = HealthStub(channel).Check(asked, timeout=_RESPONSE_SECONDS)
        except grpc.RpcError:
            return False
    return bool(found.status == HealthCheckResponse.SERVING)


def daemon() -> bool:
    """Return whether all daemons have a recent heartbeat in DAGSTER_POSTGRES_URL: `dagster-daemon liveness-check`."""
    import psycopg2  # noqa: PLC0415

    # Not an argument, which every program of the machine could read: it may have a password.
    url = os.environ["DAGSTER_POSTGRES_URL"].replace("postgresql+psycopg2://", "postgresql://", 1)
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT daemon_type, body FROM daemon_heartbeats")
        beats = {kind: json.loads(body)["timestamp"] for kind, body in cursor.fetchall()}
    return {kind for kind, at in beats.items() if time() <= at + _HEARTBEAT_SECONDS} >= DAEMONS


CHECKS: Mapping[str, Callable[..., bool]] = {"code-server": code_server, "daemon": daemon}

if __name__ == "__main__":
    _check, *_address = sys.argv[1:]
    sys.exit(0 if CHECKS[_check](*_address) else f"The {_check} does not respond, or not all of it.")
