"""Three APIs unlike each other, each with 1 % of rows that a contract refuses: issues, statistics, a daily export."""

import gzip
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from uuid import UUID

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
_PAGE = 100


@dataclass
class IssueTracker:
    """Issues in pages of a Link header, by `since`, for a token; once it asks to wait, and issues change.

    Attributes:
        issues: number of issues; of 200, one has no author, and one no date.
        changed: how many of the first issues have changed, a month later.
        reset_seconds: seconds until the end of the limit, in the third response.
        requests: the queries received.
    """

    issues: int = 1000
    changed: int = 0
    reset_seconds: float = 1
    requests: list[dict[str, str]] = field(default_factory=list)

    @property
    def app(self) -> Starlette:
        """The API."""
        return Starlette(routes=[Route("/issues", self._issues)])

    def _issue(self, number: int) -> dict[str, object]:
        changed = number <= self.changed
        updated = _FIRST + timedelta(minutes=7 * number, days=31 * changed)
        return {
            "number": number,
            "title": f"Issue {number}" + (", solved" if changed else ""),
            "user": None if number % 200 == 7 else {"login": f"user{number % 97}", "id": number % 97},
            "labels": [{"name": "bug"}] * (number % 3),
            "updated_at": "yesterday" if number % 200 == 99 else f"{updated:%Y-%m-%dT%H:%M:%SZ}",
        }

    def _issues(self, request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer secret":
            return PlainTextResponse("no token", 401)
        query = request.query_params
        self.requests.append(dict(query))
        if len(self.requests) == 3:
            reset = str(int(time.time() + self.reset_seconds))
            return PlainTextResponse("too many requests", 429, {"X-RateLimit-Reset": reset})
        since, page = query.get("since", ""), int(query.get("page", "1"))
        issues = sorted(map(self._issue, range(1, self.issues + 1)), key=lambda each: str(each["updated_at"]))
        if since:
            first = f"{datetime.fromisoformat(since):%Y-%m-%dT%H:%M:%SZ}"
            issues = [each for each in issues if str(each["updated_at"]) >= first]
        more = page * _PAGE < len(issues)
        link = f'<{request.url.include_query_params(page=page + 1)}>; rel="next"'
        return JSONResponse(issues[(page - 1) * _PAGE : page * _PAGE], headers={"Link": link} if more else {})


def statistics(request: Request) -> JSONResponse:
    """Answer with a value a day of a series; every hundredth is not known."""
    first, last = (
        date(*map(int, reversed(request.query_params[name].split("/")))) for name in ("from", "to")
    )
    series = int(request.path_params["series"])
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return JSONResponse([_observation(series, day) for day in days])


def _observation(series: int, day: date) -> dict[str, str]:
    unknown = (day.toordinal() + series) % 100 == 0
    return {
        "data": f"{day:%d/%m/%Y}",
        "valor": "n/d" if unknown else f"{series % 1000}.{day.day:03},{day.month:02}",
    }


statistics_api = Starlette(routes=[Route("/series/{series}", statistics)])


_BAD: dict[int, Callable[[list[str]], list[str]]] = {
    17: lambda cells: ["not-a-uuid", *cells[1:]],
    119: lambda cells: [cells[0], "1.5,0", *cells[2:]],
    221: lambda cells: cells[:2],
    323: lambda cells: [*cells[:2], "heavy", cells[3]],
}


def export(rows: int) -> bytes:
    """Return a day's file: of 400 rows, each of four kinds of bad ones once."""
    random, lines = Random(1), ["código;preço;peso;observação"]  # noqa: S311  # no secrets
    for number in range(rows):
        note = f'"São João {number} ""x"";\nnova linha"' if number % 7 == 0 else ""
        price = f"{number % 900 + 1}.{number % 1000:03},{number % 100:02}"
        cells = [str(UUID(int=random.getrandbits(128))), price, f"{number / 8}", note]
        lines.append(";".join(_BAD[number % 400](cells) if number % 400 in _BAD else cells))
    return gzip.compress("\r\n".join(lines).encode("latin-1"), 1)


def exports_api(rows: int) -> Starlette:
    """Return an API with a file of so many rows for each day, for a key."""
    content = export(rows)

    def file(request: Request) -> Response:
        if request.headers.get("x-api-key") != "secret":
            return PlainTextResponse("no key", 403)
        return Response(content, media_type="application/gzip")

    return Starlette(routes=[Route("/{year}/{day}.csv.gz", file)])
