"""Validation alone, on rows that repeat much, little or in another form: this project, and pydantic a row."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from pydantic import BaseModel

from benchmarks.data_sets import ROWS, Order, encoded, one_percent_invalid, realistic, word
from benchmarks.figures import Figure, Measured, Ratio
from mock_api.purchases import PurchaseSource, quarter_of
from purchase_pipeline.contracts import CompraSchema
from purchase_pipeline.ingest.formats import NDJSON
from purchase_pipeline.ingest.landing.manifest import LandedPartition
from purchase_pipeline.ingest.landing.store import Landing, landing_at
from purchase_pipeline.ingest.sources.request import Page
from purchase_pipeline.ingest.validation import RowValidation
from purchase_pipeline.postgres import CopyText
from purchase_pipeline.postgres.write.copy import text_format
from purchase_pipeline_tests.landed import land_page

_TODAY = date(2026, 11, 29)

_NOTES = (
    "CPU time from landed rows to lines of COPY. pydantic a row: `validate_json`, values to text, joined.",
    "Realistic: 20 fields, among them UUIDs, floats, moments, dates, decimals, booleans and optional texts.",
    "One row in a hundred is invalid where the name says so.",
)


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
    unique = [encoded({**json.loads(row), **_unique(random)}) for row in mock]
    orders = realistic(random)
    return {
        "mock": (CompraSchema, mock),
        "mock's contract, unique values": (CompraSchema, unique),
        "unique values, members shuffled": (CompraSchema, [_shuffled(random, row) for row in unique]),
        "realistic": (Order, orders),
        "realistic, 1 % invalid": (Order, one_percent_invalid(orders)),
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


def _unique(random: Random) -> dict[str, Any]:
    return {
        "client_name": word(random, 12),
        "client_lastname": word(random, 16),
        "job": word(random, 30),
        "product": word(random, 24),
        "store": random.randrange(1, 2**31),
        "price": round(random.uniform(1, 1e6), 2),
        "birthday_client": str(date(1930, 1, 1) + timedelta(days=random.randrange(30_000))),
    }


def _shuffled(random: Random, row: bytes) -> bytes:
    members = list(json.loads(row).items())
    random.shuffle(members)
    return encoded(dict(members))
