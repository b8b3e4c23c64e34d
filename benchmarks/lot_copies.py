"""Many batches without loading them: copies, in SQL, of what one real batch left in both databases.

Only events that Dagster reads for a partition are copied: planned, materialized and checked.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.runs.schema import RunsTable, RunTagsTable

from purchase_pipeline.ingest.tables import COMPRAS_REJEITADAS, TABELA_COMPRAS
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.postgres.slices.ledger import ledger_table

FIRST = "lote-0001"
_SECONDS_A_LOT = 5
_COPIED_EVENTS = (
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value,
    dg.DagsterEventType.ASSET_MATERIALIZATION.value,
)
_Column = sa.ColumnElement[Any]


class LotCopies:
    """Batches 2 to `lots`, each 5 s older than the next; the last is as old as the first, real one."""

    def __init__(self, lots: int) -> None:
        self._numbers = sa.select(sa.func.generate_series(2, lots).label("number")).subquery()
        number = self._numbers.c.number
        self._digits = sa.cast(number, sa.Text)
        width = sa.func.greatest(4, sa.func.length(self._digits))
        self._lote = sa.literal("lote-").concat(sa.func.lpad(self._digits, width, "0"))
        self._earlier = sa.func.make_interval(0, 0, 0, 0, 0, 0, (lots - number) * _SECONDS_A_LOT)

    def make(self, database: str, dagster: str) -> None:
        """Copy the first batch in the pipeline's and in Dagster's database, and update statistics."""
        for url, copies in ((database, self._rows()), (dagster, self._runs())):
            engine = engine_for(url)
            with engine.begin() as connection:
                for copy in copies:
                    connection.execute(copy)
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(sa.text("VACUUM ANALYZE"))

    def _rows(self) -> Sequence[sa.Insert]:
        ledger = ledger_table()
        entries = self._copies(
            ledger,
            ledger.c.partition == FIRST,
            partition=self._lote,
            committed_at=ledger.c.committed_at - self._earlier,
        )
        rows = [
            self._copies(table, table.c.lote == FIRST, lote=self._lote)
            for table in (TABELA_COMPRAS, COMPRAS_REJEITADAS)
        ]
        return [*rows, entries]

    def _runs(self) -> Sequence[sa.Insert]:
        runs, tags, events = RunsTable.c, RunTagsTable.c, SqlEventLogStorageTable.c
        checks, versions = AssetCheckExecutionsTable.c, AssetEventTagsTable
        materialized = events.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value
        of_a_copy = sa.and_(versions.c.asset_key == events.asset_key, materialized, events.partition != FIRST)
        return [
            self._copies(
                RunsTable,
                runs.partition == FIRST,
                run_id=self._id(runs.run_id),
                partition=self._lote,
                run_body=self._renamed(runs.run_body, runs.run_id),
                create_timestamp=runs.create_timestamp - self._earlier,
                update_timestamp=runs.update_timestamp - self._earlier,
            ),
            self._copies(
                RunTagsTable,
                sa.true(),
                run_id=self._id(tags.run_id),
                value=self._renamed(tags.value, tags.run_id),
            ),
            self._copies(
                SqlEventLogStorageTable,
                sa.and_(events.partition == FIRST, events.dagster_event_type.in_(_COPIED_EVENTS)),
                run_id=self._id(events.run_id),
                partition=self._lote,
                event=self._renamed(events.event, events.run_id),
                timestamp=events.timestamp - self._earlier,
            ),
            self._copies(
                AssetCheckExecutionsTable,
                sa.true(),
                run_id=self._id(checks.run_id),
                evaluation_event=self._renamed(checks.evaluation_event, checks.run_id),
            ),
            # Data versions refer to events by ID, which the copies have by now.
            versions.insert().from_select(
                ["event_id", "asset_key", "key", "value", "event_timestamp"],
                sa.select(
                    events.id, versions.c.asset_key, versions.c.key, versions.c.value, events.timestamp
                ).select_from(sa.join(versions, SqlEventLogStorageTable, of_a_copy)),
            ),
        ]

    def _copies(self, table: sa.Table, of: _Column, **changed: _Column) -> sa.Insert:
        columns = [column for column in table.columns if column.name != "id" and column.identity is None]
        values = [changed.get(column.name, column) for column in columns]
        made = (
            sa.select(*values).select_from(sa.join(table, self._numbers, of)).order_by(self._numbers.c.number)
        )
        return table.insert().from_select([column.name for column in columns], made)

    def _renamed(self, text: _Column, run_id: _Column) -> _Column:
        return sa.func.replace(sa.func.replace(text, FIRST, self._lote), run_id, self._id(run_id))

    def _id(self, run_id: _Column) -> _Column:
        return sa.cast(sa.cast(sa.func.md5(run_id.concat(self._digits)), sa.UUID), sa.Text)
