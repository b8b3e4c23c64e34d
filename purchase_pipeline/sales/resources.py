"""What the sales assets are handed."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.sales.report.file import ReportFile


class ReportFileResource(dg.ConfigurableResource[ReportFile]):
    """The file of the sales report, and the database that it tells of."""

    database_url: str = Field(repr=False)
    path: str

    def create_resource(self, context: dg.InitResourceContext) -> ReportFile:  # noqa: ARG002
        """Hand out the file; its folder is made when it is written."""
        return ReportFile(engine_for(self.database_url), Path(self.path))
