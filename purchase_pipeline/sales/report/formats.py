"""How numbers, money and dates are written in each language of the report."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal, NamedTuple

_NO_BREAK = "\N{NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"


Locale = Literal["pt-BR", "en-US"]


class Scale(NamedTuple):
    """A unit of money, and with how many decimals amounts are told in it."""

    size: int
    short: str
    name: str
    places: int = 1


@dataclass(frozen=True)
class Formats:
    """One language's customs. `scales` are units of money, the largest first: size, short name, name."""

    locale: Locale
    decimal_mark: str
    thousands_mark: str
    currency: str
    scales: tuple[Scale, ...]
    months: tuple[str, ...]
    short_months: tuple[str, ...]
    day_order: str
    month_order: str
    whole_month_order: str

    def number(self, value: float | Decimal, places: int = 0) -> str:
        """Write a number with its thousands marked."""
        marks = str.maketrans({",": self.thousands_mark, ".": self.decimal_mark, "-": _MINUS})
        return f"{value:,.{places}f}".translate(marks)

    def money(self, value: Decimal) -> str:
        """Write an amount to the centavo."""
        return f"{self.currency}{self.number(value, 2)}"

    def short_money(self, value: float | Decimal) -> str:
        """Write an amount to about three digits: R$ 13,4 mi."""
        scale = self.scale(value)
        return f"{self.currency}{self.number(float(value) / scale.size, scale.places)}{scale.short}"

    def scale(self, largest: float | Decimal) -> Scale:
        """Return the unit that amounts up to the largest are best told in."""
        return next((scale for scale in self.scales if largest >= scale.size), self.scales[-1])

    def percent(self, ratio: float, places: int = 1) -> str:
        """Write a ratio as a percentage."""
        return f"{self.number(ratio * 100, places)}%"

    def change(self, ratio: float) -> str:
        """Write a ratio as a percentage with its sign."""
        written = self.percent(ratio)
        return written if written.startswith(_MINUS) else f"+{written}"

    def day(self, day: date) -> str:
        """Write a date in full."""
        return self.day_order.format(day=day.day, month=self.months[day.month - 1], year=day.year)

    def whole_month(self, month: date) -> str:
        """Write a month in full."""
        return self.whole_month_order.format(month=self.months[month.month - 1], year=month.year)

    def month(self, month: date) -> str:
        """Write a month, short."""
        return self.month_order.format(month=self.short_months[month.month - 1], year=month.year)

    def moment(self, moment: datetime) -> str:
        """Write an instant to the minute, in UTC."""
        there = moment.astimezone(UTC)
        return f"{self.day(there.date())}, {there:%H:%M}{_NO_BREAK}UTC"


PORTUGUESE = Formats(
    locale="pt-BR",
    decimal_mark=",",
    thousands_mark=".",
    currency=f"R${_NO_BREAK}",
    scales=(
        Scale(1_000_000_000, f"{_NO_BREAK}bi", "bilhões de reais"),
        Scale(1_000_000, f"{_NO_BREAK}mi", "milhões de reais"),
        Scale(1_000, f"{_NO_BREAK}mil", "milhares de reais"),
        Scale(1, "", "reais", 2),
    ),
    months=(
        *("janeiro", "fevereiro", "março", "abril", "maio", "junho"),
        *("julho", "agosto", "setembro", "outubro", "novembro", "dezembro"),
    ),
    short_months=("jan", "fev", "mar", "abr", "mai", "jun", "jul", "ago", "set", "out", "nov", "dez"),
    day_order="{day} de {month} de {year}",
    month_order="{month}/{year}",
    whole_month_order="{month} de {year}",
)

ENGLISH = Formats(
    locale="en-US",
    decimal_mark=".",
    thousands_mark=",",
    currency="R$",
    scales=(
        Scale(1_000_000_000, "B", "billions of reais"),
        Scale(1_000_000, "M", "millions of reais"),
        Scale(1_000, "K", "thousands of reais"),
        Scale(1, "", "reais", 2),
    ),
    months=(
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
    short_months=("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    day_order="{day} {month} {year}",
    month_order="{month} {year}",
    whole_month_order="{month} {year}",
)
