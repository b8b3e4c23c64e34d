"""Random purchases in blocks of JSON text, from Faker's Brazilian word lists and NumPy's generator.

Every value is serialized once, when its list is loaded. A block is then one join of these texts, at a fifth of the cost
of building and serializing a dictionary for each row.
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
"""Rows generated at a time: bounds the memory of a batch, and is the longest response that is sent whole."""

Texts: TypeAlias = NDArray[np.object_]


class Days(NamedTuple):
    """The days on each of which the dates of a batch must be valid."""

    first: date
    last: date


def quarter_of(day: date) -> Days:
    """Return the calendar quarter of a day."""
    first = date(day.year, day.month - (day.month - 1) % 3, 1)
    next_first = (first + timedelta(days=92)).replace(day=1)  # a quarter has 90 to 92 days
    return Days(first, next_first - timedelta(days=1))


def generator_for(key: str, stream: str, block: int) -> np.random.Generator:
    """Return a generator seeded from these values, the same in every process (unlike `hash()`)."""
    digest = hashlib.blake2b(f"{stream}/{block}/{key}".encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest))


class PurchaseSource:
    """Generates purchases. Immutable once built, so threads may share it."""

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
        """Generate a batch: blocks of up to `BLOCK_ROWS` lines, one JSON object per line.

        The same key and days give the same rows in any process with the same Faker and NumPy; a longer batch starts
        with the rows of a shorter one. Other `days` change only the dates.
        """
        for block, first in enumerate(range(0, rows, BLOCK_ROWS)):
            yield self._block(generator_for(key, "rows", block), min(BLOCK_ROWS, rows - first), days)

    def _block(self, rng: np.random.Generator, rows: int, days: Days) -> bytes:
        # Always draw a full block, so that a row does not depend on the number of rows requested.
        # Dates come last: their number of choices varies, and with it how much a draw consumes of the generator.
        name, lastname, state, job, payment, store, product, bought, born = (
            column[rng.integers(len(column), size=BLOCK_ROWS)[:rows]].tolist()
            for column in (*self._columns, *_date_columns(days))
        )
        fields = (bought, name, lastname, state, born, job, payment, store, product)
        width = len(fields) + 1
        parts = [b"\n"] * (rows * width)
        for position, column in enumerate(fields):
            parts[position::width] = column
        return b"".join(parts)


@lru_cache(maxsize=4)
def _date_columns(days: Days) -> tuple[Texts, Texts]:
    """Return the possible purchase dates and birth dates.

    Whichever of the days is today, purchases are of the five years up to yesterday, and ages are 18 to 70.
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


def _texts(prefix: str, values: Iterable[object], skip: int = 0) -> Texts:
    """Serialize each value after a prefix; `skip` drops the first characters of the value."""
    return np.array([prefix.encode() + orjson.dumps(value)[skip:] for value in values], dtype=object)
