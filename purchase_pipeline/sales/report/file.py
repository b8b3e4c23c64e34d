"""The sales report as a file, written atomically."""

from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from purchase_pipeline.sales.report import Language


class ReportFile:
    """The path of the report, and the database that it reads."""

    def __init__(self, engine: sa.Engine, path: Path) -> None:
        self._engine = engine
        self.path = path

    def write(self, language: Language | None = None) -> int:
        """Write the report from the current marts, and return its size in bytes.

        It opens in the language of the reader's browser, unless one is given.
        """
        # Imported here: Jinja and Babel are slow to load, and most importers never write a report.
        from purchase_pipeline.sales.report.figures import read_sales_figures  # noqa: PLC0415
        from purchase_pipeline.sales.report.page import render_report  # noqa: PLC0415

        html = render_report(read_sales_figures(self._engine), datetime.now(UTC), language).encode()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".writing")
        temporary.write_bytes(html)
        temporary.replace(self.path)
        return len(html)
