"""The resource of the sales report."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.sales.report.file import ReportFile


class ReportFileResource(dg.ConfigurableResource[ReportFile]):
    """The path of the sales report, and the database that it reads."""

    database_url: str = Field(repr=False)
    path: str

    def create_resource(self, context: dg.InitResourceContext) -> ReportFile:  # noqa: ARG002
        """Return the report file; its folder is created when it is written."""
        return ReportFile(engine_for(self.database_url), Path(self.path))
