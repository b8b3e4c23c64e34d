"""The open pipeline: its database, ledger, backlog and Dagster instance."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.feeds.backlog import Backlog
from purchase_pipeline.ingest.ledger import LotLedger
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.dagster_instance import open_instance
from purchase_pipeline.stack.database import database_in_use, database_url


@dataclass(frozen=True)
class Pipeline:
    """What a command that loads or inspects batches works on."""

    settings: Settings
    instance: dg.DagsterInstance

    @classmethod
    @contextmanager
    def open(cls, settings: Settings) -> Iterator[Self]:
        """Open the database and Dagster's instance, and close both at the end.

        Raises:
            DatabaseUnavailableError: the database cannot be reached, or cannot hold the tables.
        """
        with database_in_use(settings), open_instance(settings) as instance:
            yield cls(settings, instance)

    @cached_property
    def engine(self) -> sa.Engine:
        """The pipeline's database."""
        return engine_for(database_url(self.settings))

    @cached_property
    def ledger(self) -> LotLedger:
        """The ledger, with one row for each loaded batch."""
        return LotLedger(self.engine)

    @cached_property
    def backlog(self) -> Backlog:
        """The state of the batches in the settings: loaded, missing, in progress, failed."""
        return Backlog(self.settings.lote_names, self.ledger, self.instance)
