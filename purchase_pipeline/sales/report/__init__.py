"""The sales report: one HTML file that needs nothing else."""

from typing import Literal

Language = Literal["pt", "en"]
"""What a report can open in, whatever its reader's browser speaks."""
