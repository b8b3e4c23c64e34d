"""An API of orders that sends bytes encoded beforehand, so that it costs next to nothing.

`uvicorn --factory benchmarks.orders_api:create_app`
"""

from random import Random

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.data_sets import ROWS, one_percent_invalid, realistic

REALISTIC, INVALID = "realistic", "invalid"
"""The partitions: the same orders, all valid or one in a hundred invalid."""

NDJSON, JSON = "application/x-ndjson", "application/json"


def create_app(rows: int = ROWS) -> Starlette:
    """Return the application: `/orders?partition=...`, NDJSON or, by `Accept`, a JSON array."""
    valid = realistic(Random(1), rows)  # noqa: S311  (reproducible, not secret)
    bodies: dict[tuple[str, str], bytes] = {}
    for partition, sent in ((REALISTIC, valid), (INVALID, one_percent_invalid(valid))):
        bodies[partition, NDJSON] = b"\n".join(sent) + b"\n"
        bodies[partition, JSON] = b"[" + b",".join(sent) + b"]"

    async def orders(request: Request) -> Response:
        media_type = JSON if request.headers.get("Accept") == JSON else NDJSON
        return Response(bodies[request.query_params["partition"], media_type], media_type=media_type)

    async def ready(_: Request) -> Response:
        return Response()

    return Starlette(routes=[Route("/orders", orders), Route("/ready", ready)])
