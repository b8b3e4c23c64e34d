"""Purchases are like the original's, and the same for the same key."""

import hashlib
import subprocess
import sys
from datetime import date, timedelta

import orjson
import pytest
from faker.providers.job.pt_BR import Provider as JobProvider

from mock_api.catalog import PAYMENT_TYPES, PRODUCTS, STORES
from mock_api.purchases import Days, PurchaseSource, quarter_of
from purchase_pipeline_tests.builders import FIELDS

TODAY = date(2026, 11, 24)
DIGEST_OF_A_LOT = """
import hashlib
from datetime import date
from mock_api.purchases import PurchaseSource, quarter_of

blocks = PurchaseSource().blocks("lote-0007", 12_000, quarter_of(date(2026, 11, 24)))
print(hashlib.sha256(b"".join(blocks).replace(b"\\n", b"")).hexdigest())
"""


def a_lot(key: str = "lote-0001", rows: int = 100, days: Days | None = None) -> list[bytes]:
    blocks = PurchaseSource().blocks(key, rows, days or quarter_of(TODAY))
    return b"".join(blocks).splitlines()


def age_on(day: date, born: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def test_a_purchase_has_the_originals_twelve_fields_in_order() -> None:
    assert {tuple(orjson.loads(row)) for row in a_lot()} == {FIELDS}


def test_every_value_comes_from_the_originals_lists() -> None:
    rows = [orjson.loads(row) for row in a_lot(rows=50_000)]

    assert {tuple(row[field] for field in ("category", "product", "brand", "price")) for row in rows} == set(
        PRODUCTS
    )
    assert {row["payment_type"] for row in rows} == set(PAYMENT_TYPES)
    assert {row["store"] for row in rows} == set(STORES)
    assert {row["job"] for row in rows} == set(JobProvider.jobs)
    assert len({row["state"] for row in rows}) == 27
    assert len({(row["client_name"], row["client_lastname"]) for row in rows}) > 20_000


def test_a_job_longer_than_fifty_characters_occurs() -> None:
    assert max(len(orjson.loads(row)["job"]) for row in a_lot(rows=1_000)) > 50


@pytest.mark.parametrize("today", [TODAY, date(2028, 2, 29), date(2027, 1, 1)], ids=str)
def test_dates_span_five_years_to_yesterday_and_ages_18_to_70(today: date) -> None:
    rows = [orjson.loads(row) for row in a_lot(rows=200_000, days=Days(today, today))]
    bought = [date.fromisoformat(row["date_purchase"]) for row in rows]
    ages = [age_on(today, date.fromisoformat(row["birthday_client"])) for row in rows]

    assert max(bought) == today - timedelta(days=1)
    assert (min(bought).year, min(bought).month) == (today.year - 5, today.month)
    assert (min(ages), max(ages)) == (18, 70)


def test_dates_are_valid_on_the_first_and_last_day_of_the_quarter() -> None:
    first, last = quarter_of(TODAY)
    rows = [orjson.loads(row) for row in a_lot(rows=200_000)]
    bought = [date.fromisoformat(row["date_purchase"]) for row in rows]
    births = [date.fromisoformat(row["birthday_client"]) for row in rows]

    assert max(bought) < first
    assert min(bought) >= last.replace(year=last.year - 5)
    assert min(age_on(first, born) for born in births) == 18
    assert max(age_on(last, born) for born in births) == 70


@pytest.mark.parametrize(
    ("day", "first", "last"),
    [
        (date(2026, 1, 1), date(2026, 1, 1), date(2026, 3, 31)),
        (date(2028, 2, 29), date(2028, 1, 1), date(2028, 3, 31)),
        (date(2026, 6, 30), date(2026, 4, 1), date(2026, 6, 30)),
        (date(2026, 8, 15), date(2026, 7, 1), date(2026, 9, 30)),
        (date(2026, 12, 31), date(2026, 10, 1), date(2026, 12, 31)),
    ],
)
def test_the_quarter_of_a_day(day: date, first: date, last: date) -> None:
    assert quarter_of(day) == (first, last)


def test_another_process_generates_the_same_rows() -> None:
    here = hashlib.sha256(b"".join(a_lot("lote-0007", 12_000))).hexdigest()

    there = subprocess.run(
        [sys.executable, "-c", DIGEST_OF_A_LOT], check=True, capture_output=True, text=True
    ).stdout.strip()

    assert there == here


def test_another_key_gives_other_rows() -> None:
    assert not set(a_lot("lote-0001")) & set(a_lot("lote-0002"))


def test_no_block_repeats_another() -> None:
    rows = a_lot(rows=20_000)

    assert rows[:10_000] != rows[10_000:]
    assert len(set(rows)) == 20_000


@pytest.mark.parametrize("rows", [1, 9_999, 10_000, 10_001])
def test_a_longer_batch_starts_with_the_rows_of_a_shorter_one(rows: int) -> None:
    assert a_lot(rows=25_000)[:rows] == a_lot(rows=rows)


def test_the_next_quarter_changes_only_the_dates() -> None:
    autumn = [orjson.loads(row) for row in a_lot()]
    winter = [orjson.loads(row) for row in a_lot(days=quarter_of(date(2027, 1, 1)))]

    assert autumn != winter
    for row in (*autumn, *winter):
        del row["date_purchase"], row["birthday_client"]
    assert autumn == winter
