"""Feeds in one code location share nothing."""

from pathlib import Path

import dagster as dg
import pytest
from pydantic import BaseModel

from purchase_pipeline.feeds import Feed, FunctionSource
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
