"""Validation alone, on rows that repeat much, little or in another form: this project, and pydantic a row."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from random import Random
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from benchmarks.figures import Figure, Measured, Ratio
from mock_api.purchases import PurchaseSource, quarter_of
from purchase_pipeline import contracts as types
from purchase_pipeline.contracts import CompraSchema
from purchase_pipeline.ingest.formats import NDJSON
from purchase_pipeline.ingest.landing.manifest import LandedPartition
from purchase_pipeline.ingest.landing.store import Landing, landing_at
from purchase_pipeline.ingest.sources.request import Page
from purchase_pipeline.ingest.validation import RowValidation
from purchase_pipeline.postgres import CopyText
from purchase_pipeline.postgres.write.copy import text_format
from purchase_pipeline_tests.landed import land_page

ROWS = 10_000
_TODAY = date(2026, 11, 29)
_LETTERS = "abcdefghijklmnopqrstuvwxyz áéãç"

_NOTES = (
    "CPU time from landed rows to lines of COPY. pydantic a row: `validate_json`, values to text, joined.",
    "Realistic: 20 fields, among them UUIDs, floats, moments, dates, decimals, booleans and optional texts.",
    "One row in a hundred is invalid where the name says so.",
)


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


def run(rounds: int) -> Measured:
    """Let both ways take turns on each data set."""
    figures, ratios = list[Figure](), list[Ratio]()
    with TemporaryDirectory(prefix="bench-") as folder:
        landing = landing_at(folder)
        for name, (contract, rows) in _data_sets().items():
            landed = land_page(landing, "p", Page(NDJSON, [b"\n".join(rows)]))
            spent = {way: list[float]() for way in _WAYS}
            for number in range(-1, rounds):  # the first, which imports, is not counted
                for way in (list(spent), list(spent)[::-1])[number % 2]:
                    micros = _micros(_WAYS[way], landing, landed, contract)
                    if number >= 0:
                        spent[way].append(micros)
            ours, by_row = (Figure(f"{name}: {way}", "CPU µs a row", values) for way, values in spent.items())
            figures += [ours, by_row]
            ratios.append(Ratio(f"pydantic a row / ours, {name}", by_row, ours))
    return Measured("validation", figures, ratios, _NOTES)


def _data_sets() -> dict[str, tuple[type[BaseModel], list[bytes]]]:
    random = Random(1)  # noqa: S311  (reproducible, not secret)
    mock = b"".join(PurchaseSource().blocks("validation", ROWS, quarter_of(_TODAY))).splitlines()
    unique = [_encoded({**json.loads(row), **_unique(random)}) for row in mock]
    realistic = [_encoded(_order(random)) for _ in range(ROWS)]
    return {
        "mock": (CompraSchema, mock),
        "mock's contract, unique values": (CompraSchema, unique),
        "unique values, members shuffled": (CompraSchema, [_shuffled(random, row) for row in unique]),
        "realistic": (Order, realistic),
        "realistic, 1 % invalid": (Order, [_spoilt(place, row) for place, row in enumerate(realistic)]),
    }


def _ours(landing: Landing, landed: LandedPartition, contract: type[BaseModel]) -> None:
    validation = RowValidation(
        landed.partition, contract=contract, received=landed.rows, max_rejected_ratio=1, today=_TODAY
    )
    with landing.open_rows(landed) as raw_rows:
        for batch in validation.accepted(raw_rows, in_bulk=True):
            if not isinstance(batch, CopyText):
                text_format(
                    [[str(value) for value in row] for row in batch], len(batch[0]) if batch else 0, "utf-8"
                )


def _by_row(landing: Landing, landed: LandedPartition, contract: type[BaseModel]) -> None:
    validate, context = contract.__pydantic_validator__.validate_json, {"today": _TODAY}
    with landing.open_rows(landed) as raw_rows:
        lines = list[str]()
        for number, row in enumerate(raw_rows, 1):
            try:
                values = validate(row, context=context).__dict__.values()
            except ValueError:
                continue
            lines.append("\t".join([landed.partition, str(number), *map(str, values)]))
        "\n".join(lines).encode()


_Way = Callable[[Landing, LandedPartition, type[BaseModel]], None]
_WAYS: dict[str, _Way] = {"ours": _ours, "pydantic a row": _by_row}


def _micros(way: _Way, landing: Landing, landed: LandedPartition, contract: type[BaseModel]) -> float:
    started = process_time()
    way(landing, landed, contract)
    return (process_time() - started) / ROWS * 1e6


def _word(random: Random, longest: int) -> str:
    return "x" + "".join(random.choices(_LETTERS, k=random.randrange(longest)))


def _unique(random: Random) -> dict[str, Any]:
    return {
        "client_name": _word(random, 12),
        "client_lastname": _word(random, 16),
        "job": _word(random, 30),
        "product": _word(random, 24),
        "store": random.randrange(1, 2**31),
        "price": round(random.uniform(1, 1e6), 2),
        "birthday_client": str(date(1930, 1, 1) + timedelta(days=random.randrange(30_000))),
    }


def _order(random: Random) -> dict[str, Any]:
    placed = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=random.randrange(200_000_000))
    texts = ("name", "email", "street", "city", "postcode", "country")
    return {
        "id": str(UUID(int=random.getrandbits(128))),
        "number": random.getrandbits(50),
        **{name: _word(random, 24) for name in texts},
        "amount": round(random.uniform(1, 1e5), 2),
        "tax": round(random.uniform(0, 1e4), 2),
        "weight": random.uniform(0, 100),
        "latitude": random.uniform(-90, 90),
        "longitude": random.uniform(-180, 180),
        "placed_at": placed.isoformat(),
        "paid_at": (placed + timedelta(hours=1)).isoformat() if _mostly(random) else None,
        "day": str(placed.date()),
        "is_paid": _mostly(random),
        **({"note": _word(random, 60)} if random.getrandbits(1) else {}),
        "quantity": random.randrange(1, 100),
        "reference": _word(random, 12) if _mostly(random) else None,
    }


def _mostly(random: Random) -> bool:
    return random.randrange(10) > 0


def _encoded(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


def _shuffled(random: Random, row: bytes) -> bytes:
    members = list(json.loads(row).items())
    random.shuffle(members)
    return _encoded(dict(members))


def _spoilt(place: int, row: bytes) -> bytes:
    """Return the row, every hundredth of them with one of five mistakes."""
    if place % 100:
        return row
    mistakes: dict[str, Any] = {
        "id": "7",
        "quantity": "many",
        "amount": -1.005,
        "placed_at": "soon",
        "name": 5,
    }
    name, value = list(mistakes.items())[place // 100 % len(mistakes)]
    return _encoded({**json.loads(row), name: value})
