"""The data sets of several benchmarks: orders as real APIs send them, and the same with invalid rows."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from purchase_pipeline import contracts as types

ROWS = 10_000
_LETTERS = "abcdefghijklmnopqrstuvwxyz áéãç"


class Order(BaseModel):
    """A contract as those of real APIs."""

    model_config = ConfigDict(strict=True, frozen=True)

    id: types.UUID
    number: types.BigInteger
    name: types.Text
    email: types.Text
    street: types.Text
    city: types.Text
    postcode: types.Text
    country: types.Text
    amount: types.DecimalOf(12, 2)  # type: ignore[valid-type]
    tax: types.DecimalOf(12, 2)  # type: ignore[valid-type]
    weight: types.Number
    latitude: types.Number
    longitude: types.Number
    placed_at: types.Moment
    paid_at: types.Moment | None
    day: types.Date
    is_paid: types.Bool
    note: types.LongText | None = None
    quantity: types.Integer
    reference: types.LongText | None


def realistic(random: Random, rows: int = ROWS) -> list[bytes]:
    """Return orders, most of whose values are unique, as JSON."""
    return [encoded(_order(random)) for _ in range(rows)]


def one_percent_invalid(rows: Sequence[bytes]) -> list[bytes]:
    """Return orders, every hundredth of them with one of five mistakes."""
    return [row if place % 100 else _spoilt(place // 100, row) for place, row in enumerate(rows)]


def word(random: Random, longest: int) -> str:
    """Return a text of letters and spaces, which starts with a letter."""
    return "x" + "".join(random.choices(_LETTERS, k=random.randrange(longest)))


def encoded(row: dict[str, Any]) -> bytes:
    """Return a row as JSON without spaces."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


def _order(random: Random) -> dict[str, Any]:
    placed = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=random.randrange(200_000_000))
    texts = ("name", "email", "street", "city", "postcode", "country")
    return {
        "id": str(UUID(int=random.getrandbits(128))),
        "number": random.getrandbits(50),
        **{name: word(random, 24) for name in texts},
        "amount": round(random.uniform(1, 1e5), 2),
        "tax": round(random.uniform(0, 1e4), 2),
        "weight": random.uniform(0, 100),
        "latitude": random.uniform(-90, 90),
        "longitude": random.uniform(-180, 180),
        "placed_at": placed.isoformat(),
        "paid_at": (placed + timedelta(hours=1)).isoformat() if _mostly(random) else None,
        "day": str(placed.date()),
        "is_paid": _mostly(random),
        **({"note": word(random, 60)} if random.getrandbits(1) else {}),
        "quantity": random.randrange(1, 100),
        "reference": word(random, 12) if _mostly(random) else None,
    }


def _mostly(random: Random) -> bool:
    return random.randrange(10) > 0


def _spoilt(number: int, row: bytes) -> bytes:
    """Return the row with one of five mistakes."""
    mistakes: dict[str, Any] = {
        "id": "7",
        "quantity": "many",
        "amount": -1.005,
        "placed_at": "soon",
        "name": 5,
    }
    name, value = list(mistakes.items())[number % len(mistakes)]
    return encoded({**json.loads(row), name: value})
