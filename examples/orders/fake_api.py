"""A fake orders API: deterministic pages of one day's orders, some of them invalid."""

from datetime import date
from typing import Any

from fastapi import FastAPI

_STATUSES = ("placed", "paid", "shipped", "cancelled")
_CUSTOMERS = (("Ada Lovelace", "GB"), ("Zoë Kravitz", "US"), ("João Gilberto", "BR"))
_DEFECTS: tuple[dict[str, Any], ...] = (
    {"amount": "free"},
    {"status": "lost"},
    {"customer": {"name": "Nobody"}},
    {"placed_at": "2026-01-01T09:00:00"},
)


def create_app(orders_a_day: int = 120, page_rows: int = 50, invalid_every: int = 40) -> FastAPI:
    """Return an API with `orders_a_day` orders, one in `invalid_every` of them invalid."""
    app = FastAPI(title="Orders")

    @app.get("/orders")
    def orders(day: date, page: int = 1) -> dict[str, Any]:
        """Return one page of a day's orders, with the next page's path, if any."""
        last = min(page * page_rows, orders_a_day)
        more = f"/orders?day={day}&page={page + 1}" if last < orders_a_day else None
        numbers = range((page - 1) * page_rows + 1, last + 1)
        return {"items": [_order(day, number, invalid_every) for number in numbers], "next": more}

    return app


def _order(day: date, number: int, invalid_every: int) -> dict[str, Any]:
    name, country = _CUSTOMERS[number % len(_CUSTOMERS)]
    order = {
        "order_id": f"{day:%Y%m%d}-{number:04d}",
        "customer": {"name": name, "country": country},
        "amount": f"{number * 7 % 500 + 1}.{number % 100:02d}",
        "placed_at": f"{day}T{number // 60 % 24:02d}:{number % 60:02d}:00+01:00",
        "status": _STATUSES[number % len(_STATUSES)],
    }
    if number % 10 == 0:
        order["note"] = "Please ring twice"
    invalid = number % invalid_every == 0
    return order | _DEFECTS[(number // invalid_every - 1) % len(_DEFECTS)] if invalid else order
