"""Dagster's storage in PostgreSQL, over connections that stay open.

Dagster's own opens one a statement, a hundred a run, which costs each side some milliseconds every time. Its web server
keeps them, by `optimize_for_webserver`; but without asking whether a kept one still lives, which a run must know.
"""

from collections.abc import Mapping
from typing import Any, Self

import sqlalchemy as sa
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage


class KeptConnectionsStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage`, by a connection for each of its three parts, and more while several threads ask."""

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = sa.create_engine(  # noqa: SLF001  (no other way in; `optimize_for_webserver` does the same)
                postgres_url, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=-1, pool_pre_ping=True
            )

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """Build the storage that `dagster.yaml` describes."""
        return cls(config_value["postgres_url"], inst_data)
