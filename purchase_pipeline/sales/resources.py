"""The resources of the sales assets: the marts' IO manager, their totals, and the report."""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import sqlalchemy as sa
from pydantic import Field

from purchase_pipeline.feeds.resources import FeedIOManager
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.sales.marts import MARTS
from purchase_pipeline.sales.report.file import ReportFile
from purchase_pipeline.sales.tables import SALES_BY_LOT
from purchase_pipeline.sales.totals import SalesTotals


class MartIOManager(FeedIOManager):
    """Stores the marts as they are declared."""

    @staticmethod
    def declared_tables() -> Sequence[sa.Table]:
        """Return the tables of the marts."""
        return [SALES_BY_LOT, *(mart.table for mart in MARTS)]


class SalesTotalsResource(dg.ConfigurableResource[SalesTotals]):
    """The database of the marts, whose totals are checked."""

    database_url: str = Field(repr=False)

    def create_resource(self, context: dg.InitResourceContext) -> SalesTotals:  # noqa: ARG002
        """Return the reader of totals."""
        return SalesTotals(engine_for(self.database_url))


class ReportFileResource(dg.ConfigurableResource[ReportFile]):
    """The path of the sales report, and the database that it reads."""

    database_url: str = Field(repr=False)
    path: str

    def create_resource(self, context: dg.InitResourceContext) -> ReportFile:  # noqa: ARG002
        """Return the report file; its folder is created when it is written."""
        return ReportFile(engine_for(self.database_url), Path(self.path))
