"""Purchases drawn by the block, as JSON text: Faker's Brazilian lists, NumPy's draws.

Knows nothing of HTTP. Every value is written as JSON once, when its list is read; drawing a block then is one join
of ready texts, which costs a fifth of building and serialising a dictionary a row.
"""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
import orjson
from faker.providers.address.pt_BR import Provider as AddressProvider
from faker.providers.job.pt_BR import Provider as JobProvider
from faker.providers.person.pt_BR import Provider as PersonProvider
from numpy.typing import NDArray

from mock_api.catalog import PAYMENT_TYPES, PRODUCTS, STORES

BLOCK_ROWS = 10_000
"""Rows drawn at a time: the memory of a lot of any length, and the longest answer that is sent whole."""

Texts: TypeAlias = NDArray[np.object_]


class Days(NamedTuple):
    """The days, first to last, on each of which a lot's dates must hold."""

    first: date
    last: date


def quarter_of(day: date) -> Days:
    """Name the calendar quarter that a day lies in."""
    first = date(day.year, day.month - (day.month - 1) % 3, 1)
    next_first = (first + timedelta(days=92)).replace(day=1)  # a quarter has 90 to 92 days
    return Days(first, next_first - timedelta(days=1))


def generator_for(key: str, stream: str, block: int) -> np.random.Generator:
    """Seed a generator from words, the same in every process (`hash()` is not)."""
    digest = hashlib.blake2b(f"{stream}/{block}/{key}".encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest))


class PurchaseSource:
    """Draws purchases. Filled once with Faker's lists, never changed after: threads may share it."""

    def __init__(self) -> None:
        self._columns = [
            _texts(',"client_name":', dict.fromkeys(PersonProvider.first_names)),
            _texts(',"client_lastname":', dict.fromkeys(PersonProvider.last_names)),
            _texts(',"state":', [name for _, name in AddressProvider.estados]),
            _texts(',"job":', dict.fromkeys(JobProvider.jobs)),
            _texts(',"payment_type":', PAYMENT_TYPES),
            _texts(',"store":', STORES),
            _texts(",", [product._asdict() for product in PRODUCTS], skip=1),
        ]

    def blocks(self, key: str, rows: int, days: Days) -> Iterator[bytes]:
        """Draw a lot: texts of up to `BLOCK_ROWS` purchases, a JSON object a line, each line ended.

        Same key and days, same rows, in any process with the same Faker and NumPy; a longer lot begins with
        the shorter one's rows. Other `days` change the dates alone.
        """
        for block, first in enumerate(range(0, rows, BLOCK_ROWS)):
            yield self._block(generator_for(key, "rows", block), min(BLOCK_ROWS, rows - first), days)

    def _block(self, rng: np.random.Generator, rows: int, days: Days) -> bytes:
        # Always a full block's draws, so that a row does not depend on how many were asked for.
        # Dates come last: their number of choices varies, and with it what a draw takes from the generator.
        name, lastname, state, job, payment, store, product, bought, born = (
            column[rng.integers(len(column), size=BLOCK_ROWS)[:rows]].tolist()
            for column in (*self._columns, *_date_columns(days))
        )
        fields = (bought, name, lastname, state, born, job, payment, store, product)
        width = len(fields) + 1
        parts = [b"\n"] * (rows * width)
        for place, column in enumerate(fields):
            parts[place::width] = column
        return b"".join(parts)


@lru_cache(maxsize=4)
def _date_columns(days: Days) -> tuple[Texts, Texts]:
    """Write the purchase dates and birth dates that a lot may have.

    From five years ago to yesterday, and for ages 18 to 70, whichever of the days is today.
    """
    yesterday, one_day = days.first - timedelta(days=1), timedelta(days=1)
    bought = _dates(_years_before(days.last, 5), yesterday)
    born = _dates(_years_before(days.last, 71) + one_day, _years_before(days.first, 18))
    return _texts('{"date_purchase":', bought), _texts(',"birthday_client":', born)


def _dates(first: date, last: date) -> Iterator[date]:
    return map(date.fromordinal, range(first.toordinal(), last.toordinal() + 1))


def _years_before(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:  # 29 February
        return day.replace(year=day.year - years, day=28)


def _texts(opening: str, values: Iterable[object], skip: int = 0) -> Texts:
    """Write each value as JSON behind an opening; `skip` leaves out a value's own first characters."""
    return np.array([opening.encode() + orjson.dumps(value)[skip:] for value in values], dtype=object)
