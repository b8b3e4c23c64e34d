"""Field types of dates and moments."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, NaiveDatetime
from pydantic_core import core_schema

from purchase_pipeline.contracts.forms import Explained, ReceivedAs, explained, passes, text_like

_DAY = r"^\d{4}-\d\d-\d\d"
_MOMENT = rf"{_DAY}[T ]\d\d:\d\d(:\d\d([.,]\d{{1,6}}0*)?)?"  # PostgreSQL stores microseconds

_NO_DATE = "must be a date in the form YYYY-MM-DD"

ISO_DATE_TEXT = ReceivedAs(explained(text_like(rf"{_DAY}$"), _NO_DATE))

# The bounds exclude moments that are outside Python's range once converted to UTC: reading the table would fail.
_MOMENT_BOUNDS = Field(
    strict=False, ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(9999, 12, 31, tzinfo=UTC)
)

Date = Annotated[date, Field(strict=False), ISO_DATE_TEXT, Explained(_NO_DATE)]
"""A date as `"2026-01-05"`, in a DATE column."""

Moment = Annotated[
    AwareDatetime,
    _MOMENT_BOUNDS,
    ReceivedAs(text_like(rf"{_MOMENT}([Zz]|[+-]\d\d:?\d\d)$")),
    Explained("must be a timestamp from 1970 on, with time zone: 2026-01-05T09:00:00+01:00"),
]
"""A timestamp from 1970 on as `"2026-01-05T09:00:00+01:00"`, in a TIMESTAMP WITH TIME ZONE column."""

LocalMoment = Annotated[
    NaiveDatetime,
    Field(strict=False),
    ReceivedAs(text_like(f"{_MOMENT}$")),
    Explained("must be a timestamp without time zone: 2026-01-05T09:00:00"),
]
"""A timestamp without time zone as `"2026-01-05T09:00:00"`, in a TIMESTAMP column."""


def DateIn(format: str) -> Any:  # noqa: A002, ANN401, N802  # used as a type
    """Return the type of a DATE column, from text in a `strptime` format: `DateIn("%d/%m/%Y")`.

    A day or month that the format does not have is the first. A time other than midnight is refused.
    """

    def read(text: str) -> date:
        value = datetime.strptime(text, format)  # noqa: DTZ007  # a date has no zone
        if value != datetime.combine(value, time()):
            raise ValueError("not midnight")
        return value.date()

    return Annotated[
        date,
        Field(strict=False),
        _read_by(read, format),
        Explained(f"must be a date in the form {format}, such as {_sample(format)}"),
    ]


def MomentIn(format: str, zone: str | None = None) -> Any:  # noqa: A002, ANN401, N802
    """Return the type of a TIMESTAMP WITH TIME ZONE column, from text in a `strptime` format and a zone.

    `MomentIn("%d/%m/%Y %H:%M", zone="America/Sao_Paulo")`; a format with `%z` needs no zone. A time that the zone's
    clocks skip or repeat is refused, because it is not one moment.
    """
    if (zone is None) != ("%z" in format):
        raise ValueError(f"Format {format!r}: expected either %z in it, or a zone such as 'Europe/Berlin'.")
    tzinfo = ZoneInfo(zone) if zone else None

    def read(text: str) -> datetime:
        value = datetime.strptime(text, format)  # noqa: DTZ007  # the zone follows
        value = value.replace(tzinfo=tzinfo or value.tzinfo)
        if value.utcoffset() != value.replace(fold=1).utcoffset():
            raise ValueError("skipped or repeated")
        return value

    once = f", at an hour that the clocks of {zone} show once" if zone else ""
    return Annotated[
        AwareDatetime,
        _MOMENT_BOUNDS,
        _read_by(read, format),
        Explained(f"must be a timestamp from 1970 on in the form {format}, such as {_sample(format)}{once}"),
    ]


def _read_by(read: Callable[[str], date], format: str) -> ReceivedAs:  # noqa: A002
    """Return the form of text that a function reads.

    Raises:
        ValueError: the format is not one for a date with a year.
    """
    if read(_sample(format)).year != int(_sample("%Y")):
        raise ValueError(f"Format {format!r} has no year.")
    cached = lru_cache(maxsize=10_000)(read)  # strptime is slow, and days and minutes repeat
    return ReceivedAs(
        core_schema.no_info_after_validator_function(cached, text_like(), metadata=_iso_from(format))
    )


def _iso_from(format: str) -> dict[str, Any]:  # noqa: A002
    """Return what the fast path of validation needs to know of a format of a day, month and year in digits."""
    parts = re.findall("%.", format)
    if sorted(parts) != ["%Y", "%d", "%m"]:
        return {}
    pattern = re.escape(format)
    for part in parts:
        pattern = pattern.replace(part, f"([0-9]{{{4 if part == '%Y' else 2}}})")
    places = {part: place for place, part in enumerate(parts, 1)}
    return passes(f"^{pattern}$", (f"^{pattern}$", rf"\{places['%Y']}-\{places['%m']}-\{places['%d']}"))


def _sample(format: str) -> str:  # noqa: A002
    return datetime(2026, 1, 31, tzinfo=UTC).strftime(format)
