"""The sales report as a file: written whole, or not at all."""

from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa


class ReportFile:
    """Where the report is kept, and the database that it tells of."""

    def __init__(self, engine: sa.Engine, path: Path) -> None:
        self._engine = engine
        self.path = path

    def write(self) -> int:
        """Write the report of the marts as they are now, and return how many bytes it has."""
        # Whoever imports this module may not write a report.
        from purchase_pipeline.sales.report.figures import read_sales_figures  # noqa: PLC0415
        from purchase_pipeline.sales.report.page import render_report  # noqa: PLC0415

        html = render_report(read_sales_figures(self._engine), datetime.now(UTC)).encode()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(".writing")
        beside.write_bytes(html)
        beside.replace(self.path)
        return len(html)
