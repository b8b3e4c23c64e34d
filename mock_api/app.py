"""The purchase API's application: its routes, and how much one may ask of them.

How rows are made, broken and sent is told in `purchases`, `faults` and `answers`, the other bounds in `limits`.
"""

import os
import secrets
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Query, Request, Response

from mock_api.answers import NDJSON, answer, wanted_form
from mock_api.documentation import PURCHASES, RETRY_AFTER, Compra, description, problem_response
from mock_api.faults import ARRAY_DEFECTS, LINE_DEFECTS, broken
from mock_api.limits import TOO_LARGE, TOO_MANY_LOTS, TOO_SLOW, BoundedBody, BoundedLots, BoundedTime, Limits
from mock_api.problems import add_problem_handlers
from mock_api.purchases import Days, PurchaseSource, quarter_of
from mock_api.same_origin import SameOrigin

MAX_ROWS = 1_000_000
NOT_READY = "Vocabulários ainda não carregados: tente de novo em instantes"
LOTS = "/gerar_compra/"

router = APIRouter(
    responses={413: problem_response(413, "The request has a body, and a long one.", TOO_LARGE)}
)


def create_app(
    *,
    defects: float | None = None,
    today: date | None = None,
    limits: Limits | None = None,
    allowed_hosts: Collection[str] | None = None,
) -> FastAPI:
    """Build the application: `uvicorn --factory mock_api.app:create_app`.

    `defects` is the share of broken rows when a request names none; by default the environment's
    `MOCK_API_DEFECTS`, or 0. `today` stops the clock; by default each request asks for the date (UTC).
    `limits` bound what clients may ask; by default the environment's (`MOCK_API_MAX_BODY_BYTES`,
    `MOCK_API_MAX_LOTS`, `MOCK_API_DEADLINE_SECONDS`), or 16,384 bytes, 16 lots at once, 300 seconds.
    `allowed_hosts` are names that it is called by, besides loopback and its addresses; by default the environment's
    `MOCK_API_ALLOWED_HOSTS`, separated by commas.

    Raises:
        ValueError: the share of defects is no number from 0 to 1, or a limit is none.
    """
    bounds = limits or Limits()
    share = os.environ.get("MOCK_API_DEFECTS", "0") if defects is None else defects
    hosts = (
        os.environ.get("MOCK_API_ALLOWED_HOSTS", "").split(",") if allowed_hosts is None else allowed_hosts
    )
    app = FastAPI(title="Purchase API", version="1", description=description(bounds), lifespan=_filled_source)
    app.state.defects = _checked_share(share)
    app.state.today = today
    app.state.source = None
    app.include_router(router)
    add_problem_handlers(app)
    # The last one added is the outermost.
    app.add_middleware(BoundedLots, path=LOTS, most_lots=bounds.max_lots)
    app.add_middleware(BoundedBody, most_bytes=bounds.max_body_bytes)
    app.add_middleware(BoundedTime, seconds=bounds.deadline_seconds)
    app.add_middleware(SameOrigin, allowed_hosts=[host.strip() for host in hosts if host.strip()])
    return app


@asynccontextmanager
async def _filled_source(app: FastAPI) -> AsyncIterator[None]:
    app.state.source = PurchaseSource()
    yield


def _checked_share(value: str | float) -> float:
    try:
        share = float(value)
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise ValueError(f"MOCK_API_DEFECTS (or defects) must be a number from 0 to 1, not {value!r}")
    return share


async def _ready_source(request: Request) -> PurchaseSource:  # a plain function would wait for a free thread
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
            "A parameter is out of its limits.",
            "Número de compras deve ser pelo menos 1",
            f"Número de compras deve ser no máximo {MAX_ROWS}",
        ),
        503: problem_response(
            503,
            "The vocabularies are not filled yet, too many lots are being made, or this one took too long.",
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
    param: Annotated[int, Path(ge=1, le=MAX_ROWS, description="How many purchases.", examples=[10_000])],
    lote: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=200,
            description="The lot's key: same key, same rows.",
            examples=["lote-0001"],
        ),
    ] = None,
    defects: Annotated[
        float | None,
        Query(ge=0, le=1, allow_inf_nan=False, description="The share of rows to break.", examples=[0.01]),
    ] = None,
) -> Response:
    """Answer `param` purchases: one JSON array or, for `Accept: application/x-ndjson`, one object a line.

    NDJSON needs a weight (`q`) not below that of JSON. A header that permits neither form gets the array.

    **Same `lote`, same rows**, in any process and on any day of one calendar quarter (UTC). On each of these
    days the purchase dates lie in the last five years to yesterday, and ages are 18 to 70. When the next
    quarter begins, a lot's dates change and nothing else does. This holds for one version of Faker and
    NumPy. Without `lote` each answer is new, and its dates reach up to yesterday.

    **A cut answer shows.** Up to 10,000 rows are sent whole, with `Content-Length` and `Content-Digest`.
    More are streamed in chunks, with neither: a cut is an error of the chunked encoding. `X-Row-Count` is
    the number of rows sent, broken ones included. An answer that takes longer than the deadline is cut.
    """
    form = wanted_form(",".join(request.headers.getlist("accept")))
    state = request.app.state
    today = state.today or datetime.now(UTC).date()
    key = lote or secrets.token_hex(16)
    blocks = source.blocks(key, param, quarter_of(today) if lote else Days(today, today))
    share = state.defects if defects is None else defects
    if share:
        blocks = broken(blocks, share, key, LINE_DEFECTS if form is NDJSON else ARRAY_DEFECTS)
    return answer(blocks, param, form)


@router.get("/livez", summary="Is the process alive?")
async def livez() -> dict[Literal["status"], Literal["alive"]]:
    """Answer while the event loop turns, also while lots are generated."""
    return {"status": "alive"}


@router.get(
    "/readyz",
    summary="May lots be asked for?",
    responses={
        503: problem_response(503, "The vocabularies are not filled yet.", NOT_READY, headers=RETRY_AFTER)
    },
)
async def readyz(_: ReadySource) -> dict[Literal["status"], Literal["ready"]]:
    """Answer 200 when the vocabularies are filled."""
    return {"status": "ready"}
