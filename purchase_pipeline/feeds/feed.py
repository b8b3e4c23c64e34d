"""A feed: one declared source, from its API to its tables."""

from dataclasses import dataclass

import dagster as dg

from purchase_pipeline.feeds.alerts.sensor import alert_sensors
from purchase_pipeline.feeds.checks import table_checks
from purchase_pipeline.feeds.declaration import FeedDeclaration
from purchase_pipeline.feeds.descriptions import with_raw_facts
from purchase_pipeline.feeds.links import linked
from purchase_pipeline.feeds.pruning import prune_job
from purchase_pipeline.feeds.raw_asset import raw_asset
from purchase_pipeline.feeds.resources import (
    FeedIOManager,
    LandingResource,
    by_name,
    declared_resource,
    fixed,
    ledger_resource,
)
from purchase_pipeline.feeds.sensors import missing_partitions
from purchase_pipeline.feeds.specs import api_spec
from purchase_pipeline.feeds.table_assets import table_assets
from purchase_pipeline.ingest.retention import Retention
from purchase_pipeline.settings import Settings, current_settings
from purchase_pipeline.stack.database import database_url

_DAILY = "0 4 * * *"
_LOADS = "Loads what is new, or everything again, at these times."
_PREVIEW_ROWS = 5


@dataclass(kw_only=True)
class Feed(FeedDeclaration):
    """A declared source, from which everything that Dagster runs is made: see `FeedDeclaration`."""

    def landing_location(self, settings: Settings) -> str:
        """Return where the raw partitions are: a folder's path, or a bucket's URL."""
        return self.landing or f"{settings.landing_location.rstrip('/')}/{self.name}"

    def retention_in(self, settings: Settings) -> Retention:
        """Return how long landed files and rejected rows are kept: as declared, else by the settings."""
        return self.retention or Retention(
            landing_days=settings.landing_retention_days, quarantine_days=settings.quarantine_retention_days
        )

    def definitions(self, settings: Settings | None = None) -> dg.Definitions:
        """Return the feed's assets, checks, job, sensor and resources.

        Args:
            settings: database and landing; by default those of the environment.

        Raises:
            pydantic.ValidationError: an environment variable has an invalid value.
        """
        settings = settings or current_settings()
        url = by_name("DATABASE_URL", database_url(settings))
        job = dg.define_asset_job(
            self.job,
            selection=dg.AssetSelection.assets(*self.assets)
            | dg.AssetSelection.checks_for_assets(*self.assets),
            description="Load one partition from the API into both tables, and check it.",
        )
        # A load checks its own partitions: nothing else would notice rows that were deleted or changed since.
        checks = dg.define_asset_job(
            f"check_{self.name}",
            selection=dg.AssetSelection.checks_for_assets(*self.assets),
            description="Check all loaded partitions: once a day, or by hand after a change of the tables in SQL.",
        )
        retention, run_days = self.retention_in(settings), settings.run_retention_days
        is_kept_for_ever = retention == Retention() and run_days is None
        prunes = [] if is_kept_for_ever else [prune_job(self, retention, run_days)]
        return dg.Definitions(
            assets=linked(
                [api_spec(self), with_raw_facts(self, raw_asset(self)), table_assets(self)],
                settings.repository_url,
            ),
            asset_checks=[table_checks(self)],
            jobs=[job, checks, *prunes],
            sensors=[
                *([] if self.partitions is None else [missing_partitions(self)]),
                *alert_sensors(self, settings),
            ],
            schedules=[
                _schedule(checks.name, _DAILY, "Checks all loaded partitions, at these times."),
                *(_schedule(each.name, _DAILY, "Deletes what is older, at these times.") for each in prunes),
                *([] if self.schedule is None else [_schedule(self.job, self.schedule, _LOADS)]),
            ],
            resources={
                self.feed_key: declared_resource(self, f"The declaration of {self.name}."),
                self.source_key: declared_resource(self.source, f"`{self.source!r}`"),
                self.landing_key: fixed(LandingResource(location=self.landing_location(settings))),
                self.ledger_key: ledger_resource(self.tables, url),
                self.io_manager_key: fixed(
                    FeedIOManager(
                        database_url=url,
                        schema_drift=self.write.schema_drift,
                        preview_rows=_PREVIEW_ROWS,
                    )
                ),
            },
            executor=dg.in_process_executor,
        )


def _schedule(job: str, cron: str, description: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=f"{job}_schedule",
        job_name=job,
        cron_schedule=cron,
        description=description,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
