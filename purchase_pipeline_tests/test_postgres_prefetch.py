"""A stream's first batch is fetched before its slice is locked or a transaction opened; the stream is closed."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import polars as pl
import pyarrow as pa
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres import Batches, PerPartition, RowStream, Together
from purchase_pipeline_tests.storing import Store, error_of

SHOPS = dg.StaticPartitionsDefinition(["north", "south"])
BY_SHOP = {"partition_expr": "shop"}
OTHERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL OR state LIKE 'idle in%'
"""


@pytest.fixture
def store(database_url: str, engine: sa.Engine) -> Store:
    """A database with a table in it."""
    store = Store(database_url, engine)
    store.store(pl.DataFrame({"shop": ["north", "south"], "n": [1, 1]}))
    return store


class Stream:
    """Batches that record open transactions and existing rows while the first one is computed."""

    def __init__(self, store: Store, *, breaks: bool = False) -> None:
        self._store, self._breaks = store, breaks
        self.transactions, self.closed = list[int](), 0
        self.rows = list[Any]()

    def rows_of(self, shop: str) -> Iterator[list[tuple[str, int]]]:
        try:
            with self._store.engine.connect() as connection:
                self.transactions.append(int(connection.scalar(sa.text(OTHERS))))
            with self._store.engine.begin() as connection:  # waits for whoever has the table locked
                connection.execute(sa.text("SET LOCAL lock_timeout = '2s'"))
                connection.execute(sa.text("LOCK TABLE things IN ACCESS EXCLUSIVE MODE"))
            self.rows = self._store.rows()
            if self._breaks:
                raise ValueError("the source broke")
            yield [(shop, 2)]
            yield [(shop, 3)]
        finally:
            self.closed += 1

    def frames(self, shop: str) -> Iterator[pl.DataFrame]:
        for rows in self.rows_of(shop):
            yield pl.DataFrame(rows, schema=["shop", "n"], orient="row")

    def reader(self, shop: str) -> pa.RecordBatchReader:
        schema = pa.schema([("shop", pa.string()), ("n", pa.int64())])
        batches = (
            batch for frame in self.frames(shop) for batch in frame.to_arrow().cast(schema).to_batches()
        )
        return pa.RecordBatchReader.from_batches(schema, batches)


KINDS: dict[str, Callable[[Stream, str], Any]] = {
    "iterator": lambda stream, shop: stream.frames(shop),
    "batches": lambda stream, shop: Batches(stream.frames(shop)),
    "rows": lambda stream, shop: RowStream(("shop", "n"), stream.rows_of(shop)),
    "reader": lambda stream, shop: stream.reader(shop),
    "together": lambda stream, shop: Together(
        stream.frames(shop), {"others": pl.DataFrame({"shop": [shop]})}
    ),
    "partitions": lambda stream, shop: PerPartition([(shop, stream.frames(shop))]),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_nothing_is_locked_or_deleted_while_the_first_batch_is_computed(
    store: Store, kind: Callable[[Stream, str], Any]
) -> None:
    stream = Stream(store)

    assert store.store(kind(stream, "north"), BY_SHOP, SHOPS, "north").success

    assert stream.transactions == [0]
    assert stream.rows == [("north", 1), ("south", 1)]
    assert store.rows() == [("north", 2), ("north", 3), ("south", 1)]
    assert stream.closed == 1


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_a_stream_that_breaks_at_once_changes_nothing_and_is_closed(
    store: Store, kind: Callable[[Stream, str], Any]
) -> None:
    stream = Stream(store, breaks=True)

    assert "the source broke" in error_of(store.store(kind(stream, "north"), BY_SHOP, SHOPS, "north"))
    assert store.rows() == [("north", 1), ("south", 1)]
    assert stream.closed == 1


def test_a_stream_is_closed_when_its_transaction_does_not_begin(store: Store) -> None:
    stream = Stream(store)

    refused = store.store(Batches(stream.frames("north")), BY_SHOP | {"schema": "x" * 70}, SHOPS, "north")

    assert "PostgreSQL truncates names after 63" in error_of(refused)
    assert stream.closed == 1


def test_an_empty_stream_empties_its_slice(store: Store) -> None:
    assert store.store(Batches(iter([])), BY_SHOP, SHOPS, "north").success
    assert store.rows() == [("south", 1)]
