"""The application of the purchase API: its routes and their parameters.

Rows are generated in `purchases`, made invalid in `faults` and sent by `responses`; `limits` has the other limits.
"""

import os
import secrets
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Query, Request, Response

from mock_api.documentation import PURCHASES, RETRY_AFTER, Compra, description, filled_in, problem_response
from mock_api.faults import ARRAY_DEFECTS, LINE_DEFECTS, with_defects
from mock_api.limits import TOO_LARGE, TOO_MANY_LOTS, TOO_SLOW, BoundedBody, BoundedLots, BoundedTime, Limits
from mock_api.problems import add_problem_handlers
from mock_api.purchases import Days, PurchaseSource, quarter_of
from mock_api.responses import NDJSON, batch_response, negotiated_format
from mock_api.same_origin import SameOrigin
from mock_api.swagger_ui import add_swagger_ui

MAX_ROWS = 1_000_000
NOT_READY = "The vocabularies are not loaded yet: try again in a moment"
LOTS = "/gerar_compra/"

router = APIRouter(responses={413: problem_response(413, "The request body is too large.", TOO_LARGE)})


def create_app(
    *,
    defects: float | None = None,
    today: date | None = None,
    limits: Limits | None = None,
    allowed_hosts: Collection[str] | None = None,
) -> FastAPI:
    """Build the application: `uvicorn --factory mock_api.app:create_app`.

    `defects` is the fraction of invalid rows for requests that give none; by default `MOCK_API_DEFECTS` from the
    environment, or 0. `today` fixes the date; by default each request uses the current date (UTC). `limits` limit
    requests; by default `MOCK_API_MAX_BODY_BYTES`, `MOCK_API_MAX_LOTS` and `MOCK_API_DEADLINE_SECONDS` from the
    environment, or 16,384 bytes, 16 concurrent batches, 300 seconds. `allowed_hosts` are accepted host names, besides
    loopback and its own addresses; by default `MOCK_API_ALLOWED_HOSTS` from the environment, separated by commas.

    Raises:
        ValueError: the fraction is not a number from 0 to 1, or a limit is invalid.
    """
    bounds = limits or Limits()
    ratio = os.environ.get("MOCK_API_DEFECTS", "0") if defects is None else defects
    hosts = (
        os.environ.get("MOCK_API_ALLOWED_HOSTS", "").split(",") if allowed_hosts is None else allowed_hosts
    )
    app = FastAPI(
        title="Purchase API",
        version="1",
        description=description(bounds),
        lifespan=_load_source,
        docs_url=None,
        redoc_url=None,
    )
    app.state.defects = _checked_ratio(ratio)
    app.state.today = today
    app.state.source = None
    app.include_router(router)
    add_swagger_ui(app)
    add_problem_handlers(app)
    # The last one added is the outermost.
    app.add_middleware(BoundedLots, path=LOTS, most_lots=bounds.max_lots)
    app.add_middleware(BoundedBody, most_bytes=bounds.max_body_bytes)
    app.add_middleware(BoundedTime, seconds=bounds.deadline_seconds)
    app.add_middleware(SameOrigin, allowed_hosts=[host.strip() for host in hosts if host.strip()])
    return app


@asynccontextmanager
async def _load_source(app: FastAPI) -> AsyncIterator[None]:
    app.state.source = PurchaseSource()
    yield


def _checked_ratio(value: str | float) -> float:
    try:
        ratio = float(value)
    except ValueError:
        ratio = -1
    if not 0 <= ratio <= 1:
        raise ValueError(f"MOCK_API_DEFECTS (or defects) must be a number from 0 to 1, not {value!r}")
    return ratio


async def _ready_source(request: Request) -> PurchaseSource:  # async, so as not to wait for a worker thread
    source: PurchaseSource | None = request.app.state.source
    if source is None:
        raise HTTPException(503, NOT_READY, {"Retry-After": "1"})
    return source


ReadySource = Annotated[PurchaseSource, Depends(_ready_source)]


@router.get(
    LOTS + "{param}",
    summary="Generate purchases",
    response_model=list[Compra],
    responses={
        200: PURCHASES,
        422: problem_response(
            422,
            "A parameter is invalid.",
            "Number of purchases must be at least 1",
            f"Number of purchases must be at most {MAX_ROWS}",
        ),
        503: problem_response(
            503,
            "The vocabularies are not loaded yet, too many batches are in progress, or this one took too long.",
            NOT_READY,
            TOO_MANY_LOTS,
            TOO_SLOW,
            headers=RETRY_AFTER,
        ),
    },
)
def gerar_compra(
    request: Request,
    source: ReadySource,
    param: Annotated[
        int,
        Path(ge=1, le=MAX_ROWS, description="Number of purchases.", json_schema_extra=filled_in(5)),
    ],
    lote: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=200,
            description="Key of the batch. The same key returns the same rows.",
            json_schema_extra=filled_in("lote-0001"),
        ),
    ] = None,
    defects: Annotated[
        float | None,
        Query(
            ge=0,
            le=1,
            allow_inf_nan=False,
            description="Fraction of rows to make invalid.",
            json_schema_extra=filled_in(0),
        ),
    ] = None,
) -> Response:
    """Return `param` purchases as one JSON array or, for `Accept: application/x-ndjson`, as one object per line.

    NDJSON is sent if its weight (`q`) is not below that of JSON. If the header accepts neither, the array is sent.

    **Same `lote`, same rows**, in any process and on any day of the same calendar quarter (UTC), with the same
    versions of Faker and NumPy. Purchase dates are in the five years up to yesterday; ages are 18 to 70. In the next
    quarter, only the dates of a batch change. Without `lote`, each response is different.

    **Truncation is detectable.** Up to 10,000 rows are sent whole, with `Content-Length` and `Content-Digest`.
    Longer responses are streamed in chunks, without them: a truncated one is a chunked encoding error. `X-Row-Count`
    is the number of rows sent, including invalid ones. A response that exceeds the deadline is cut off.
    """
    media = negotiated_format(",".join(request.headers.getlist("accept")))
    state = request.app.state
    today = state.today or datetime.now(UTC).date()
    key = lote or secrets.token_hex(16)
    blocks = source.blocks(key, param, quarter_of(today) if lote else Days(today, today))
    ratio = state.defects if defects is None else defects
    if ratio:
        blocks = with_defects(blocks, ratio, key, LINE_DEFECTS if media is NDJSON else ARRAY_DEFECTS)
    return batch_response(blocks, param, media)


@router.get("/livez", summary="Is the process alive?")
async def livez() -> dict[Literal["status"], Literal["alive"]]:
    """Return 200 while the event loop runs, even while batches are generated."""
    return {"status": "alive"}


@router.get(
    "/readyz",
    summary="Are batches available?",
    responses={
        503: problem_response(503, "The vocabularies are not loaded yet.", NOT_READY, headers=RETRY_AFTER)
    },
)
async def readyz(_: ReadySource) -> dict[Literal["status"], Literal["ready"]]:
    """Return 200 once the vocabularies are loaded."""
    return {"status": "ready"}
