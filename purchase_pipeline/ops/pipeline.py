"""A feed with everything open that a command needs: database, ledger, backlog, Dagster's instance."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.feeds.backlog import Backlog
from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.ingest.landing.store import Landing, landing_at
from purchase_pipeline.ingest.ledger import Ledger
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.dagster_instance import open_instance
from purchase_pipeline.stack.database import database_in_use, database_url

Declare = Callable[[Settings], Feed]
"""Declares a feed once its settings are known."""


@dataclass(frozen=True)
class Pipeline:
    """What a command that loads or inspects batches works on."""

    feed: Feed
    settings: Settings
    instance: dg.DagsterInstance

    @classmethod
    @contextmanager
    def open(cls, feed: Feed, settings: Settings) -> Iterator[Self]:
        """Open the database and Dagster's instance, and close both at the end.

        Raises:
            DatabaseUnavailableError: the database cannot be reached, or cannot hold the tables.
        """
        with database_in_use(settings), open_instance(settings) as instance:
            yield cls(feed, settings, instance)

    @cached_property
    def engine(self) -> sa.Engine:
        """The pipeline's database."""
        return engine_for(database_url(self.settings))

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger, with two rows for each loaded batch."""
        return Ledger(self.engine, self.feed.tables)

    @cached_property
    def landing(self) -> Landing:
        """The raw batches."""
        return landing_at(self.feed.landing_location(self.settings))

    @cached_property
    def backlog(self) -> Backlog:
        """The state of the feed's partitions: loaded, missing, in progress, failed."""
        return Backlog(self.feed, self.ledger, self.instance)
