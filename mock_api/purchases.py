"""Random purchases in blocks of JSON text, from Faker's Brazilian word lists and NumPy's generator.

Every value is serialized once, when its list is loaded. A block is then one join of these texts, at a fifth of the cost
of building and serializing a dictionary for each row. What is drawn how often is in `market`.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
import orjson
from faker.providers.address.pt_BR import Provider as AddressProvider
from faker.providers.job.pt_BR import Provider as JobProvider
from faker.providers.person.pt_BR import Provider as PersonProvider
from numpy.typing import NDArray

from mock_api.market import POPULATIONS, day_weight, weighted_sales

BLOCK_ROWS = 10_000
"""Rows generated at a time: bounds the memory of a batch, and is the longest response that is sent whole."""

CHOICES = 1 << 14
"""Length of a list with weights: long enough for the rarest state, short enough for the processor's cache."""

REGULARS = 50_000
"""Clients who make half of all purchases."""

BIRTH_DATES = 19_200
"""Number of birth dates: those from 18 to 70 on each day of a quarter are some 60 more."""

Numbers: TypeAlias = NDArray[np.uint64]
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
        self._names = _texts(',"client_name":', dict.fromkeys(PersonProvider.first_names))
        self._lastnames = _texts(',"client_lastname":', dict.fromkeys(PersonProvider.last_names))
        states = _texts(',"state":', [name for _, name in AddressProvider.estados])
        self._states = _repeated(states, [POPULATIONS[code] for code, _ in AddressProvider.estados])
        self._jobs = _texts(',"job":', dict.fromkeys(JobProvider.jobs))
        sales, weights = zip(*weighted_sales(), strict=True)
        self._sales = _repeated(_texts(",", sales, skip=1) + b"\n", weights)

    def blocks(self, key: str, rows: int, days: Days) -> Iterator[bytes]:
        """Generate a batch: blocks of up to `BLOCK_ROWS` lines, one JSON object per line.

        The same key and days give the same rows in any process with the same Faker and NumPy; a longer batch starts
        with the rows of a shorter one. Other `days` change only the dates. Batches share their clients, who buy again.
        """
        for block, first in enumerate(range(0, rows, BLOCK_ROWS)):
            yield self._block(generator_for(key, "rows", block), min(BLOCK_ROWS, rows - first), days)

    def _block(self, rng: np.random.Generator, rows: int, days: Days) -> bytes:
        # Always draw a full block, so that a row does not depend on the number of rows requested.
        sold, bought = rng.integers(CHOICES, size=(2, BLOCK_ROWS), dtype=np.uint16)[:, :rows]
        traits = _traits(_clients(rng)[:rows])
        fields = [_purchase_dates(days)[bought]]
        for column in (self._names, self._lastnames, self._states, _birth_dates(days), self._jobs):
            traits, choice = np.divmod(traits, np.uint64(len(column)))
            fields.append(column[choice])
        fields.append(self._sales[sold])
        return b"".join(np.stack(fields, axis=1).ravel().tolist())


def _clients(rng: np.random.Generator) -> Numbers:
    """Draw the client of each purchase, as a number: Pareto distributed, so that some buy often and most buy once.

    Every batch draws from the same numbers: clients return in other batches although nothing is remembered.
    """
    draws = rng.integers(1, 1 << 32, size=BLOCK_ROWS, dtype=np.uint64)
    clients: Numbers = (REGULARS << 32) // draws
    return clients


def _traits(clients: Numbers) -> Numbers:
    """Hash each client to 64 bits, enough to choose name, state, birthday and job from.

    This is the finalizer of SplitMix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014).
    """
    bits = clients.copy()
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits ^= bits >> shift
        bits *= factor
    bits ^= bits >> 31
    return bits


@lru_cache(maxsize=4)
def _purchase_dates(days: Days) -> Texts:
    """Return the possible purchase dates: whichever of the days is today, the five years up to yesterday."""
    dates = list(_dates(_years_before(days.last, 5), days.first - timedelta(days=1)))
    return _repeated(_texts('{"date_purchase":', dates), [day_weight(day) for day in dates])


@lru_cache(maxsize=4)
def _birth_dates(days: Days) -> Texts:
    """Return the possible birth dates: whichever of the days is today, ages are 18 to 70.

    A date has the same position whatever the days, so that clients keep their birthdays, except those who grow too old.
    """
    youngest = _years_before(days.first, 18)
    dates = list(_dates(youngest - timedelta(days=BIRTH_DATES - 1), youngest))
    dates.sort(key=lambda day: day.toordinal() % BIRTH_DATES)
    return _texts(',"birthday_client":', dates)


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


def _repeated(texts: Texts, weights: Sequence[float]) -> Texts:
    """Repeat each text in proportion to its weight: a weighted draw is then one random index of `CHOICES`."""
    edges = np.cumsum(weights)
    repeated: Texts = texts[np.searchsorted(edges, (np.arange(CHOICES) + 0.5) * (edges[-1] / CHOICES))]
    return repeated
