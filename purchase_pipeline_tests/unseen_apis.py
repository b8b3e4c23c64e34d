"""Three APIs unlike each other, from whose responses feeds are made: tickets, sales, readings."""

import gzip
from typing import Any
from uuid import UUID

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TICKETS, SALES, READINGS = 100, 60, 60
TICKETS_PAGE, READINGS_PAGE = 40, 25
TOKEN = "s3cret-t0ken"  # noqa: S105  (of this API)

_HEADER = "Código;Preço (R$);Data da venda;Emissão;Quantidade;CEP;Ativo;Observação;Peso"


def tickets(request: Request) -> Response:
    """Return a page of a day's tickets, deep in an object, with the path of the next page."""
    day, first = request.query_params["day"], int(request.query_params.get("after", "0"))
    numbers = range(first, min(first + TICKETS_PAGE, TICKETS))
    after = f"{request.url.path}?day={day}&after={numbers.stop}" if numbers.stop < TICKETS else None
    records = [_ticket(day, number) for number in numbers]
    meta = {"total": TICKETS, "links": {"next": after}}
    return JSONResponse({"meta": meta, "data": {"records": records}, "teams": [{"name": "Ops"}]})


def _ticket(day: str, number: int) -> dict[str, Any]:
    ticket: dict[str, Any] = {
        "id": 5_000_000_000 + number,
        "ticketKey": f"OPS-{number}",
        "createdAt": f"{day}T10:{number % 60:02d}:00.250Z",
        "due": day if number % 3 else None,
        "reporter": {"name": f"Zoë {number}", "address": {"city": "São Paulo", "position": [1.5, 2.5]}},
        "labels": ["bug", "ui"] if number % 2 else [],
        "estimate": number / 8,
        "cost": f"{number}.50",
        "class": "open",
    }
    return ticket | {"note": "x" * 300} if number % 7 == 0 else ticket


def sales(request: Request) -> Response:
    """Return a month's sales: a gzip file of CSV in Latin-1, with decimal commas."""
    year, month = request.path_params["month"].split("-")
    lines = [_HEADER]
    for number in range(1, SALES + 1):
        thousands = "1." if number % 9 == 0 else ""
        day = f"{number % 28 + 1:02d}/{month}/{year}"
        note = "" if number % 4 else '"à vista; ""já"""'
        lines.append(
            f"{UUID(int=number)};{thousands}{100 + number},{number:02d};{day};{day} 10:{number % 60:02d};{number};"
            f"0{1310000 + number};{'Sim' if number % 3 else 'Não'};{note};{number / 7:.7f}"
        )
    text = "\r\n".join([*lines, ""])
    return Response(gzip.compress(text.encode("latin-1")), media_type="application/gzip")


def readings(request: Request) -> Response:
    """Return a page of readings, by number, to who has the token."""
    if request.headers.get("authorization") != f"Bearer {TOKEN}":
        return JSONResponse({"detail": "no token"}, 401)
    first = (int(request.query_params.get("page", "1")) - 1) * READINGS_PAGE
    numbers = range(first, min(first + READINGS_PAGE, READINGS))
    return JSONResponse([_reading(number) for number in numbers])


def _reading(number: int) -> dict[str, Any]:
    at = f"2026-01-05 {number % 24:02d}:00:00"
    return {"sensor": f"s{number}", "at": at, "celsius": number / 10, "ok": number % 2 == 0, "fault": None}


unseen_apis = Starlette(
    routes=[
        Route("/v1/tickets", tickets),
        Route("/exports/{month}.csv.gz", sales),
        Route("/readings", readings),
    ]
)
