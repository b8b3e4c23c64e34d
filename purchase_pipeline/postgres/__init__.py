"""PostgreSQL as a home for Dagster assets: an IO manager that replaces a partition whole, or not at all.

Knows nothing of purchases.
"""

from purchase_pipeline.postgres.io_manager import PostgresIOManager
from purchase_pipeline.postgres.rows import RowStream

__all__ = ["PostgresIOManager", "RowStream"]
