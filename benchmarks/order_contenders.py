"""The contenders of the benchmark `orders`: each loads a batch in a new process, and its rows are verified by SQL."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psycopg
from psycopg import sql

from benchmarks.command import CommandFailedError
from benchmarks.contenders import RowsMissingError
from benchmarks.data_sets import Order
from benchmarks.peers.orders import TYPES
from purchase_pipeline.ingest.tables import feed_tables
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.postgres.slices.ledger import ledger_table

_PROJECT = Path(__file__).parent.parent
_DLT_TABLE = ("dlt_orders", "orders")


@dataclass(frozen=True)
class Contender:
    """One way of loading a batch.

    Attributes:
        name: in the worker's list.
        label: for readers.
        validates: whether it loads the batch with invalid rows as well.
        accepts_invalid: number in a hundred invalid rows that it stores all the same.
    """

    name: str
    label: str
    validates: bool = True
    accepts_invalid: int = 0

    @property
    def table(self) -> sql.Identifier:
        """The table that it writes into."""
        return sql.Identifier(*_DLT_TABLE) if self.name == "dlt" else sql.Identifier("orders")


class Costs(NamedTuple):
    """What a process reports of its batch."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    stored: int
    rejected: int | None


class WrongRowsError(Exception):
    """A contender stored other values than this project, so its time is meaningless."""


def load_in_new_process(contender: Contender, api_url: str, database_url: str, partition: str) -> Costs:
    """Let a new process load a batch.

    Raises:
        CommandFailedError: it failed.
        RowsMissingError: the table has another number of rows than the process reports.
    """
    with TemporaryDirectory(prefix="bench-") as folder:
        words = [contender.name, api_url, database_url, folder, partition]
        command = [sys.executable, "-m", "benchmarks.peers.order_worker", *words]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_PROJECT)
    if ran.returncode:
        raise CommandFailedError(f"{contender.label}: exit code {ran.returncode}: {ran.stderr[-2000:]}")
    costs = Costs(**json.loads(ran.stdout.splitlines()[-1]))
    with psycopg.connect(database_url) as connection:
        (counted,) = connection.execute(
            sql.SQL("SELECT count(*) FROM {}").format(contender.table)
        ).fetchone() or (0,)
    if counted != costs.stored:
        raise RowsMissingError(f"{contender.label} stored {counted} rows of {partition}, not {costs.stored}.")
    return costs


def make_tables(database_url: str) -> None:
    """Create the tables, the same for all contenders but dlt, again and empty; write a checkpoint."""
    engine, tables = engine_for(database_url), feed_tables(Order, "orders")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS orders, orders_rejected, slice_ledger")
        connection.execute("DROP SCHEMA IF EXISTS dlt_orders, dlt_orders_staging CASCADE")
        for table in (*tables.both, ledger_table()):
            table.create(engine)
        connection.execute("CHECKPOINT")  # so that each writes the same amount of WAL


def require_same_rows(database_url: str, contender: Contender, partition: str, invalid_rows: int) -> None:
    """Compare the stored rows with those of this project, which come first and are kept for the others.

    Raises:
        WrongRowsError: there are others.
    """
    kept = sql.Identifier(f"expected_{partition}")
    columns = [
        name for name in TYPES if contender.name != "dlt" or name not in ("partition_key", "row_number")
    ]
    typed = sql.SQL(", ").join(
        sql.SQL("{}::{}").format(sql.Identifier(name), sql.SQL(TYPES[name])) for name in columns
    )
    with psycopg.connect(database_url) as connection:
        if contender.name == "ours":
            connection.execute(sql.SQL("CREATE TABLE {} AS TABLE orders").format(kept))
        query = sql.SQL(
            "SELECT count(*) FROM (SELECT {columns} FROM {stored} EXCEPT SELECT {columns} FROM {kept}) AS other"
        )
        (others,) = connection.execute(
            query.format(columns=typed, stored=contender.table, kept=kept)
        ).fetchone() or (0,)
    if others != (allowed := contender.accepts_invalid * invalid_rows // 100):
        raise WrongRowsError(f"{contender.label} stored {others} other rows of {partition}, not {allowed}.")
