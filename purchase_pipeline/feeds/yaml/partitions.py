"""Partitions and freshness policies in YAML."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import dagster as dg
from pydantic import Field

from purchase_pipeline.feeds.yaml.attributes import Attributes
from purchase_pipeline.feeds.yaml.choices import ChoiceByType, Kind
from purchase_pipeline.feeds.yaml.values import Word


class _Windows(Attributes):
    start_date: str = Field(description="Start of the first partition: 2026-01-01")
    end_date: str | None = Field(
        default=None, description="End of the last partition; without it, there is none"
    )
    timezone: str | None = Field(default=None, description="Time zone of the windows; by default UTC")
    fmt: str | None = Field(default=None, description="Format of partition keys, as for strftime")
    end_offset: int = Field(default=0, description="Windows after the last full one: 1 adds the current one")
    minute_offset: int = Field(default=0, description="Minute at which windows start")


class _DailyWindows(_Windows):
    hour_offset: int = Field(default=0, description="Hour at which windows start")


class _LongWindows(_DailyWindows):
    day_offset: int = Field(
        default=0, description="Day on which windows start: 0 (Sunday) to 6 of a week, from 1 of a month"
    )


class _CronWindows(Attributes):
    start_date: str = Field(description="Start of the first partition")
    cron_schedule: str = Field(description="Starts of windows, as cron writes them: 0 */6 * * *")
    fmt: str = Field(description="Format of partition keys, as for strftime: %Y-%m-%dT%H")
    end_date: str | None = None
    timezone: str | None = None
    end_offset: int = 0


class _Static(Attributes):
    partition_keys: list[Word] = Field(description="The keys, in order", min_length=1)


class _Dynamic(Attributes):
    name: str = Field(description="Name by which keys are added, in the UI or by a sensor")


def _cron_windows(start_date: str, end_date: str | None = None, **more: Any) -> dg.PartitionsDefinition[str]:  # noqa: ANN401
    return dg.TimeWindowPartitionsDefinition(start=start_date, end=end_date, **more)


def _multi(dimensions: Mapping[str, dg.PartitionsDefinition[str]]) -> dg.PartitionsDefinition[str]:
    return dg.MultiPartitionsDefinition(dimensions)


_ONE_DIMENSION = {
    "hourly": Kind(dg.HourlyPartitionsDefinition, _Windows),
    "daily": Kind(dg.DailyPartitionsDefinition, _DailyWindows),
    "weekly": Kind(dg.WeeklyPartitionsDefinition, _LongWindows),
    "monthly": Kind(dg.MonthlyPartitionsDefinition, _LongWindows),
    "time_window": Kind(_cron_windows, _CronWindows),
    "static": Kind(dg.StaticPartitionsDefinition, _Static),
    "dynamic": Kind(lambda name: dg.DynamicPartitionsDefinition(name=name), _Dynamic),
}


class _Multi(Attributes):
    dimensions: Mapping[str, Annotated[Any, ChoiceByType(_ONE_DIMENSION)]] = Field(
        description="Two dimensions, by name", min_length=2, max_length=2
    )


Partitions = Annotated[Any, ChoiceByType({**_ONE_DIMENSION, "multi": Kind(_multi, _Multi)})]


class _FreshWithin(Attributes):
    fail_hours: float = Field(gt=0, description="Hours after which the table is stale")
    warn_hours: float | None = Field(default=None, gt=0, description="Hours after which Dagster warns")


class _FreshBy(Attributes):
    deadline_cron: str = Field(description="When the table must be fresh, as cron writes it: 0 9 * * *")
    lower_bound_hours: float = Field(gt=0, description="Hours before the deadline in which it must be loaded")
    timezone: str = "UTC"


def _fresh_within(fail_hours: float, warn_hours: float | None = None) -> dg.FreshnessPolicy:
    warn = None if warn_hours is None else timedelta(hours=warn_hours)
    return dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=fail_hours), warn_window=warn)


def _fresh_by(deadline_cron: str, lower_bound_hours: float, timezone: str = "UTC") -> dg.FreshnessPolicy:
    return dg.FreshnessPolicy.cron(deadline_cron, timedelta(hours=lower_bound_hours), timezone)


Freshness = Annotated[
    Any,
    ChoiceByType({"time_window": Kind(_fresh_within, _FreshWithin), "cron": Kind(_fresh_by, _FreshBy)}),
]
