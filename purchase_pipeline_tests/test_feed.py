"""Feeds in one code location share nothing."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import BaseModel

from purchase_pipeline.contracts import Integer, LongText, Moment
from purchase_pipeline.feeds import (
    BearerToken,
    Feed,
    FunctionSource,
    HttpSource,
    NextLink,
    Offset,
    PageNumber,
    Since,
    Write,
)
from purchase_pipeline.feeds.declaration import FeedDeclarationError
from purchase_pipeline.purchases import purchases
from purchase_pipeline.settings import Settings

DAYS = dg.DailyPartitionsDefinition("2026-01-01")


class Reading(BaseModel):
    """A row."""

    celsius: float


def a_feed(name: str) -> Feed:
    return Feed(name=name, contract=Reading, source=FunctionSource(lambda _: []), partitions=DAYS)


def test_two_feeds_with_the_same_partitions_land_in_different_folders(tmp_path: Path) -> None:
    settings = Settings(landing=str(tmp_path))

    assert [a_feed(name).landing_location(settings) for name in ("weather", "river")] == [
        f"{tmp_path}/weather",
        f"{tmp_path}/river",
    ]


@pytest.mark.parametrize("bucket", ["s3://raw/lots", "s3://raw/lots/"])
def test_a_feed_lands_under_the_prefix_of_the_settings(bucket: str) -> None:
    assert a_feed("weather").landing_location(Settings(landing=bucket)) == "s3://raw/lots/weather"


def test_the_purchases_land_where_the_settings_say(tmp_path: Path) -> None:
    settings = Settings(landing=str(tmp_path))

    assert purchases(settings).landing_location(settings) == str(tmp_path)


def test_two_feeds_share_no_assets_jobs_sensors_and_resources() -> None:
    one, other = (a_feed(name).definitions() for name in ("weather", "river"))

    dg.Definitions.validate_loadable(dg.Definitions.merge(one, other))
    assert set(one.resources or {}) & set(other.resources or {}) == set()


class Event(BaseModel):
    """An event."""

    id: Integer
    station: LongText
    at: Moment


def an_http_source(**attributes: Any) -> HttpSource:  # noqa: ANN401  (any attribute)
    return HttpSource("http://api.test", **attributes)


URL_EXPECTED = "source: url must be http://host:port or https://host/path, or the name of the variable"
OUT_OF_BOUNDS: list[tuple[dict[str, Any], str]] = [
    ({"every": 0}, "every is 0. Set it to seconds, above 0"),
    ({"every": "soon"}, "every is soon. Set it to seconds, above 0"),
    ({"max_rejected_ratio": 7}, "max_rejected_ratio is 7. Set it to a ratio above 0, at most 1"),
    ({"min_rejected_rows": -1}, "min_rejected_rows is -1. Set it to a number of rows, from 0"),
    ({"partitions_per_run": 0}, "partitions_per_run is 0. Set it to a number of partitions, from 1"),
    ({"hash_partitions": 1}, "hash_partitions is 1. Set it to a number from 2 to 1,024"),
    ({"reload_windows": -1}, "reload_windows is -1. Set it to a number of windows, from 0"),
    ({"schedule": "at six"}, r"schedule is 'at six'. Set it to a cron expression, such as 0 6 \* \* \*"),
    (
        {"schedule": "0 6 * * *", "partitions": dg.DailyPartitionsDefinition("2026-01-01")},
        "schedule is for a feed without partitions. Remove it: the sensor requests missing partitions",
    ),
    ({"since": Since("at", overlap=-60)}, "since: overlap is -60. Set it to a number from 0"),
    ({"since": Since("station", overlap=1)}, "since: an overlap cannot be subtracted from 'station'. Remove it"),
    ({"source": FunctionSource("rows")}, "source: 'rows' is not a function"),  # type: ignore[arg-type]
    ({"source": HttpSource("api.test")}, URL_EXPECTED),
    ({"source": HttpSource("http://api.test:99999")}, URL_EXPECTED),
    ({"source": an_http_source(rate="10/fortnight")}, "source: rate is '10/fortnight'; it must be a rate such as "),
    ({"source": an_http_source(rate="0/minute")}, "source: rate is '0/minute'"),
    ({"source": an_http_source(rate="1/second;9/minute")}, "source: rate is '1/second;9/minute'"),
    ({"source": an_http_source(method="POST /")}, "source: method is 'POST /'; expected GET, POST"),
    ({"source": an_http_source(attempts=0)}, "source: attempts is 0; expected a number from 1"),
    ({"source": an_http_source(timeout_seconds=0)}, "source: timeout_seconds is 0; expected seconds, above 0"),
    ({"source": an_http_source(read_timeout_seconds=-1)}, "source: read_timeout_seconds is -1; expected seconds"),
    ({"source": an_http_source(longest_wait_seconds=-1)}, "source: longest_wait_seconds is -1; expected seconds"),
    ({"source": an_http_source(pages=PageNumber(size=0))}, "source: pages: size is 0; expected a number of rows"),
    ({"source": an_http_source(pages=Offset(limit=0))}, "source: pages: limit is 0; expected a number of rows"),
    ({"source": an_http_source(pages=PageNumber(size_param="n"))}, "source: pages: size_param is for size"),
    ({"source": an_http_source(pages=NextLink())}, "source: .* give the rows' path, as rows='items'"),
    ({"source": an_http_source(for_each={"series": "usd"})}, "source: for_each: series is 'usd'; expected a list"),
    ({"source": an_http_source(for_each={"series": []})}, "source: for_each: series is .*; expected a list"),
    ({"source": an_http_source(path="/{day")}, "source: Malformed template '/{day'"),
    ({"source": an_http_source(redis_url="redis://h")}, "source: redis_url must be the name of an environment varia"),
]  # fmt: skip


@pytest.mark.parametrize(("attributes", "problem"), OUT_OF_BOUNDS)
def test_a_value_out_of_bounds_is_refused_when_a_feed_is_declared(
    attributes: dict[str, Any], problem: str
) -> None:
    write = Write("upsert", ["id"]) if "since" in attributes else Write()
    declared = {"source": FunctionSource(lambda _: []), "write": write, **attributes}

    with pytest.raises(FeedDeclarationError, match=f"^Feed 'events': {problem}"):
        Feed(name="events", contract=Event, **declared)


def test_a_secret_in_place_of_its_variable_is_not_quoted() -> None:
    source = an_http_source(auth=BearerToken("s3cr3t-t0ken"))

    with pytest.raises(
        FeedDeclarationError, match="auth: token must be the name of an environment"
    ) as refused:
        Feed(name="events", contract=Event, source=source)

    assert "s3cr3t" not in str(refused.value)
