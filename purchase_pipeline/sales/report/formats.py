"""How numbers, money and dates are written in each language of the report: Babel's, which has Unicode's CLDR."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Literal, NamedTuple

from purchase_pipeline import needs_extra

with needs_extra("app", "The sales report"):
    from babel.core import Locale as BabelLocale
    from babel.dates import format_date, format_skeleton, get_day_names, get_month_names
    from babel.numbers import format_compact_currency, format_currency, format_decimal, format_percent

_NO_BREAK = "\N{NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"
_CURRENCY = "BRL"

Locale = Literal["pt-BR", "en-US"]


class Scale(NamedTuple):
    """A unit of money, and with how many decimals amounts are shown in it."""

    size: int
    name: str
    places: int = 1


@dataclass(frozen=True)
class Formats:
    """One language's customs: Babel's patterns of a date; units of money, the largest first."""

    locale: Locale
    day_order: str
    short_day_order: str
    scales: tuple[Scale, ...]

    def number(self, value: float | Decimal, places: int = 0) -> str:
        """Write a number with its thousands marked."""
        return format_decimal(value, _pattern(places), self._babel)

    def money(self, value: float | Decimal) -> str:
        """Write an amount to the centavo."""
        return format_currency(value, _CURRENCY, locale=self._babel)

    def short_money(self, value: float | Decimal) -> str:
        """Write an amount to about three digits: R$ 13,4 mi."""
        if self.scale(value).size == 1:
            return format_currency(value, _CURRENCY, locale=self._babel)
        return format_compact_currency(value, _CURRENCY, locale=self._babel, fraction_digits=1)

    def scale(self, largest: float | Decimal) -> Scale:
        """Return the unit that amounts up to the largest are best shown in."""
        return next((scale for scale in self.scales if largest >= scale.size), self.scales[-1])

    def percent(self, ratio: float, places: int = 1) -> str:
        """Write a ratio as a percentage."""
        return format_percent(ratio, f"{_pattern(places)}%", self._babel)

    def change(self, ratio: float) -> str:
        """Write a ratio as a percentage with its sign."""
        return format_percent(ratio, f"+{_pattern(1)}%;{_MINUS}{_pattern(1)}%", self._babel)

    def day(self, day: date) -> str:
        """Write a date in full."""
        return format_date(day, self.day_order, self._babel)

    def whole_month(self, month: date) -> str:
        """Write a month in full."""
        return format_skeleton("yMMMM", month, locale=self._babel)

    def month(self, month: date) -> str:
        """Write a month, short."""
        return format_skeleton("yMMM", month, locale=self._babel)

    def short_day(self, day: date) -> str:
        """Write a date, short."""
        return format_date(day, self.short_day_order, self._babel)

    @property
    def weekdays(self) -> list[str]:
        """Names of the weekdays, Monday first."""
        names = get_day_names(locale=self._babel)
        return [names[place] for place in range(len(names))]

    @property
    def months(self) -> list[str]:
        """Names of the months."""
        return list(get_month_names(context="stand-alone", locale=self._babel).values())

    def moment(self, moment: datetime) -> str:
        """Write an instant to the minute, in UTC."""
        there = moment.astimezone(UTC)
        return f"{self.day(there.date())}, {there:%H:%M}{_NO_BREAK}UTC"

    @cached_property
    def _babel(self) -> BabelLocale:
        return BabelLocale.parse(self.locale, sep="-")


def _pattern(places: int) -> str:
    return f"#,##0.{'0' * places}".rstrip(".")


PORTUGUESE = Formats(
    locale="pt-BR",
    day_order="long",
    short_day_order="d 'de' MMM y",
    scales=(
        Scale(1_000_000_000, "bilhões de reais"),
        Scale(1_000_000, "milhões de reais"),
        Scale(1_000, "milhares de reais"),
        Scale(1, "reais", 2),
    ),
)

ENGLISH = Formats(
    locale="en-US",
    day_order="d MMMM y",
    short_day_order="d MMM y",
    scales=(
        Scale(1_000_000_000, "billions of reais"),
        Scale(1_000_000, "millions of reais"),
        Scale(1_000, "thousands of reais"),
        Scale(1, "reais", 2),
    ),
)
