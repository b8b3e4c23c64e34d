"""Spans of days, and which of them may be compared. A month is whole if the data include its first and its last day."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

_YEAR = 12


class Span(NamedTuple):
    """Consecutive days."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """Number of days."""
        return (self.last - self.first).days + 1


class Comparison(NamedTuple):
    """Two spans that may be compared by day; `key` names the kind."""

    key: str
    now: Span
    before: Span


def months_of(data: Span) -> Iterator[Span]:
    """Yield the calendar months that the data touch, in full."""
    first = data.first.replace(day=1)
    while first <= data.last:
        yield Span(first, last_day(first))
        first = shifted(first, 1)


def shifted(month: date, months: int) -> date:
    """Return the first day of the month so many months later."""
    number = month.year * _YEAR + month.month - 1 + months
    return date(number // _YEAR, number % _YEAR + 1, 1)


def last_day(month: date) -> date:
    """Return the last day of a month."""
    return shifted(month, 1) - timedelta(days=1)


def comparisons(data: Span) -> Sequence[Comparison]:
    """Return the comparisons that the data allow: whole months, or the same days of two incomplete ones."""
    begun = data.last.replace(day=1)
    whole = begun if last_day(begun) == data.last else shifted(begun, -1)
    found = [
        Comparison(
            "twelve",
            _months(shifted(whole, 1 - _YEAR), whole),
            _months(shifted(whole, 1 - 2 * _YEAR), shifted(whole, -_YEAR)),
        ),
        Comparison("month", _months(whole, whole), _months(shifted(whole, -1), shifted(whole, -1))),
        Comparison(
            "year_ago", _months(whole, whole), _months(shifted(whole, -_YEAR), shifted(whole, -_YEAR))
        ),
        Comparison(
            "year_to_date", Span(date(data.last.year, 1, 1), data.last), _same_days(data.last, -_YEAR, 1)
        ),
    ]
    if whole != begun:
        before = _same_days(data.last, -1, shifted(begun, -1).month)
        found.append(Comparison("so_far", Span(begun, begun + timedelta(days=before.days - 1)), before))
    return [each for each in found if data.first <= each.before.first and data.first <= each.now.first]


def _months(first: date, last: date) -> Span:
    return Span(first, last_day(last))


def _same_days(day: date, months: int, from_month: int) -> Span:
    """Return the days from a month's first to the same day some months away, or to that month's last day."""
    month = shifted(day, months)
    return Span(date(month.year, from_month, 1), min(month + timedelta(days=day.day - 1), last_day(month)))
