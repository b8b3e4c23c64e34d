"""What the report compares, and which differences it states."""

from datetime import date

import numpy as np
import pytest

from purchase_pipeline.sales.report.chance import Estimate, Prices, claim, count_of
from purchase_pipeline.sales.report.periods import Comparison, Span, comparisons, months_of


@pytest.mark.parametrize(
    ("values", "made"),
    [
        ([100], "only"),
        ([100, 99, 98], "even"),
        ([100, 99, 10], "tied"),
        ([100, 50, 10], "leads"),
    ],
)
def test_a_leader_differs_from_the_second(values: list[float], made: str) -> None:
    assert claim([Estimate(value, 4) for value in values]) == made


def test_equal_months_are_seldom_said_to_differ() -> None:
    draw = np.random.default_rng(20261124)
    stated = 0
    for _ in range(200):
        months = draw.choice([120.0, 350.0, 1900.0, 8500.0], size=(60, 80))
        prices = Prices(months.size, float(months.sum()), float((months**2).sum()))
        sums = sorted(months.sum(axis=1), reverse=True)
        stated += claim([prices.revenue_of(total) for total in sums]) != "even"

    assert stated <= 10


def test_a_season_is_stated() -> None:
    prices = Prices(60_000, 60_000_000.0, 60_000 * 2500.0**2)
    december, november = prices.revenue_of(8_000_000.0), prices.revenue_of(5_000_000.0)

    assert claim([december, november]) == "leads"


def test_an_average_of_few_purchases_is_less_certain() -> None:
    prices = Prices(1000, 100_000.0, 12_500_000.0)
    usual = prices.ticket_of(900, 90_000.0)

    assert not prices.ticket_of(4, 600.0).differs(usual)
    assert prices.ticket_of(400, 60_000.0).differs(usual)
    assert count_of(400).differs(count_of(200))
    assert not count_of(400).differs(count_of(380))


def test_incomplete_months_are_compared_by_the_same_days() -> None:
    found = {each.key: each for each in comparisons(Span(date(2024, 1, 1), date(2026, 3, 30)))}

    assert found["so_far"] == Comparison(
        "so_far", Span(date(2026, 3, 1), date(2026, 3, 28)), Span(date(2026, 2, 1), date(2026, 2, 28))
    )
    assert found["year_to_date"].before == Span(date(2025, 1, 1), date(2025, 3, 30))
    assert found["month"] == Comparison(
        "month", Span(date(2026, 2, 1), date(2026, 2, 28)), Span(date(2026, 1, 1), date(2026, 1, 31))
    )
    assert found["year_ago"].before == Span(date(2025, 2, 1), date(2025, 2, 28))
    assert found["twelve"] == Comparison(
        "twelve", Span(date(2025, 3, 1), date(2026, 2, 28)), Span(date(2024, 3, 1), date(2025, 2, 28))
    )


def test_a_leap_day_is_compared_with_the_end_of_february() -> None:
    found = {each.key: each for each in comparisons(Span(date(2023, 1, 1), date(2024, 2, 29)))}

    assert found["year_to_date"].before == Span(date(2023, 1, 1), date(2023, 2, 28))
    assert "so_far" not in found


@pytest.mark.parametrize(
    ("first", "last", "keys"),
    [
        (date(2026, 1, 20), date(2026, 2, 10), []),
        (date(2026, 1, 1), date(2026, 2, 10), ["so_far"]),
        (date(2026, 1, 1), date(2026, 2, 28), ["month"]),
        (date(2025, 1, 1), date(2026, 2, 28), ["month", "year_ago", "year_to_date"]),
    ],
)
def test_only_what_the_data_include_is_compared(first: date, last: date, keys: list[str]) -> None:
    assert [each.key for each in comparisons(Span(first, last))] == keys


def test_months_are_whole_calendar_months() -> None:
    assert list(months_of(Span(date(2025, 12, 20), date(2026, 1, 2)))) == [
        Span(date(2025, 12, 1), date(2025, 12, 31)),
        Span(date(2026, 1, 1), date(2026, 1, 31)),
    ]
