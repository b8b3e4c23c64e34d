"""Purchases are distributed as in a shop: by population, season and weekday, category, and clients who return."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Any

import orjson
import pytest
from faker.providers.address.pt_BR import Provider as AddressProvider

from mock_api.catalog import PAYMENT_TYPES, PRODUCTS
from mock_api.market import POPULATIONS, day_weight, weighted_sales
from mock_api.purchases import Days, PurchaseSource, quarter_of

TODAY = date(2026, 11, 24)
LOTS = [f"lote-{number:04}" for number in range(1, 21)]


def a_lot(key: str, days: Days | None = None) -> list[dict[str, Any]]:
    (block,) = PurchaseSource().blocks(key, 10_000, days or quarter_of(TODAY))
    return [orjson.loads(row) for row in block.splitlines()]


def client(row: dict[str, Any]) -> tuple[str, ...]:
    return row["client_name"], row["client_lastname"], row["birthday_client"]


def rates(values: Iterable[Any]) -> dict[Any, float]:
    counts = Counter(values)
    return {value: count / counts.total() for value, count in counts.items()}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return [row for key in LOTS for row in a_lot(key)]


@pytest.fixture(scope="module")
def whole_years(rows: list[dict[str, Any]]) -> list[date]:
    days = [date.fromisoformat(row["date_purchase"]) for row in rows]
    return [day for day in days if 2022 <= day.year <= 2025]


def test_the_populations_are_those_of_the_census() -> None:
    assert POPULATIONS.keys() == {code for code, _ in AddressProvider.estados}
    assert sum(POPULATIONS.values()) == 203_080_756


def test_clients_live_where_brazilians_live(rows: list[dict[str, Any]]) -> None:
    names = dict(AddressProvider.estados)
    found = Counter({client(row): row["state"] for row in rows}.values())
    expected = {
        names[code]: found.total() * residents / sum(POPULATIONS.values())
        for code, residents in POPULATIONS.items()
    }

    chi_square = sum((found[state] - clients) ** 2 / clients for state, clients in expected.items())

    assert chi_square < 54.1  # 26 degrees of freedom: once in a thousand samples


def test_november_and_december_sell_most(whole_years: list[date]) -> None:
    months = rates(day.month for day in whole_years)
    ranked = sorted(months, key=lambda month: months[month])

    assert ranked[-2:] == [11, 12]
    assert set(ranked[:2]) == {1, 2}
    assert months[12] == pytest.approx(0.13, abs=0.005)
    assert months[11] == pytest.approx(0.105, abs=0.005)


def test_each_weekday_has_its_rate(whole_years: list[date]) -> None:
    days = rates(day.weekday() for day in whole_years if day.month < 11)

    assert [round(days[weekday] * 100) for weekday in range(7)] == [13, 13, 13, 14, 16, 19, 12]


def test_the_four_best_days_are_black_fridays(whole_years: list[date]) -> None:
    best = [str(day) for day, _ in Counter(whole_years).most_common(4)]

    assert sorted(best) == ["2022-11-25", "2023-11-24", "2024-11-29", "2025-11-28"]
    assert day_weight(date(2025, 11, 28)) == 4


def test_clients_return_in_the_same_batch_and_in_others(rows: list[dict[str, Any]]) -> None:
    in_one = Counter(client(row) for row in rows[:10_000])
    in_all = Counter(client(row) for row in rows)
    lots = {client(row): set[int]() for row in rows}
    for number, row in enumerate(rows):
        lots[client(row)].add(number // 10_000)

    assert sum(n > 1 for n in in_one.values()) / len(in_one) == pytest.approx(0.035, abs=0.01)
    assert sum(n > 1 for n in in_all.values()) / len(in_all) == pytest.approx(0.29, abs=0.02)
    assert sum(len(found) > 1 for found in lots.values()) / len(lots) > 0.25
    assert max(in_all.values()) < 20


def test_a_client_who_returns_has_moved_or_changed_jobs_only_if_it_is_a_namesake(
    rows: list[dict[str, Any]],
) -> None:
    seen = Counter(client for client, *_ in {(client(row), row["state"], row["job"]) for row in rows})

    assert sum(n > 1 for n in seen.values()) < 20  # born on the same day, with the same name
    assert len(seen) > 100_000


def test_a_batch_without_a_key_has_the_same_clients(rows: list[dict[str, Any]]) -> None:
    known = {client(row) for row in rows}

    returned = [row for row in a_lot("random", Days(TODAY, TODAY)) if client(row) in known]

    assert len(returned) > 4_000


def test_clients_keep_their_birthday_in_the_next_quarter() -> None:
    autumn, winter = a_lot("a"), a_lot("a", quarter_of(date(2027, 1, 1)))

    kept = [
        before["birthday_client"] == after["birthday_client"]
        for before, after in zip(autumn, winter, strict=True)
    ]

    assert 0.99 < sum(kept) / len(kept) < 1


def test_products_and_payment_types_have_their_rates(rows: list[dict[str, Any]]) -> None:
    weights: dict[tuple[str, str], float] = defaultdict(float)
    for sale, weight in weighted_sales():
        weights[sale["product"], sale["payment_type"]] += weight
    total = sum(weights.values())
    expected = {pair: weight / total for pair, weight in weights.items()}

    found = rates((row["product"], row["payment_type"]) for row in rows)

    assert len(expected) == len(PRODUCTS) * len(PAYMENT_TYPES)
    assert {pair: found.get(pair, 0) for pair in expected} == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize(
    ("category", "payment_type", "rate"),
    [
        ("Eletrônicos", "Cartão de Crédito", 0.58),
        ("Eletrônicos", "Dinheiro", 0.01),
        ("Saúde", "PIX", 0.37),
        ("Saúde", "Dinheiro", 0.14),
        ("Casa", "Boleto", 0.09),
    ],
)
def test_each_category_is_paid_in_its_own_way(
    rows: list[dict[str, Any]], category: str, payment_type: str, rate: float
) -> None:
    payments = rates(row["payment_type"] for row in rows if row["category"] == category)

    assert payments[payment_type] == pytest.approx(rate, abs=0.01)


def test_stores_differ_in_size(rows: list[dict[str, Any]]) -> None:
    stores = rates(row["store"] for row in rows)

    assert [round(stores[store] * 100) for store in range(1, 13)] == [20, 15, 12, 10, 9, 8, 7, 6, 5, 4, 3, 1]
