"""A process of its own that writes or reads millions of rows in a real run, and prints how much memory it had.

`python -m purchase_pipeline_tests.big_slice write|read DATABASE_URL ROWS`
"""

import json
import re
import resource
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.postgres import PostgresIOManager, RowStream

EARLY_ROWS = 1_000_000
BATCH_ROWS = 10_000
SIZES = dg.StaticPartitionsDefinition(["big", "small"])
NUMBERS = sa.Table(
    "any",
    sa.MetaData(),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("size", sa.Text, nullable=False),
    sa.Column("half", sa.Double, nullable=False),
)
Row = tuple[int, str, float]


class WantedRows(dg.Config):
    """How many rows the slice is to have."""

    rows: int


def peak_mib() -> float:
    """Return the most memory that this process has had.

    Linux counts into ru_maxrss what the parent had when it started this one; VmHWM is this program's alone.
    """
    status = Path("/proc/self/status")
    if status.exists() and (peak := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(peak[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # macOS counts bytes


def tell(moment: str, rows: int) -> None:
    print(json.dumps({"moment": moment, "rows": rows, "peak_mib": round(peak_mib(), 1)}))  # the answer


def counted(batches: Iterator[Sequence[Row]]) -> Iterator[Sequence[Row]]:
    """Hand on the batches, and tell when many rows have passed."""
    passed = 0
    for batch in batches:
        yield batch
        passed += len(batch)
        if passed - len(batch) < EARLY_ROWS <= passed:
            tell("early", passed)
    tell("late", passed)


def made(rows: int) -> Iterator[Sequence[Row]]:
    for start in range(0, rows, BATCH_ROWS):
        yield [(number, "big", number / 2) for number in range(start, start + BATCH_ROWS)]


@dg.asset(partitions_def=SIZES, metadata={"partition_expr": "size"})
def numbers(config: WantedRows) -> RowStream:
    """Numbers, and their halves."""
    return RowStream(columns=NUMBERS.columns.keys(), batches=counted(made(config.rows)), table=NUMBERS)


@dg.asset(partitions_def=SIZES)
def total(numbers: RowStream) -> None:
    """Read all, keep nothing."""
    read = (list(map(tuple, batch)) for batch in numbers.batches)
    summed = sum(number for batch in counted(read) for number, _, _ in batch)
    print(json.dumps({"moment": "sum", "sum": summed}))  # the answer


def main() -> None:
    """Write the slice, or read it."""
    what, database_url, rows = sys.argv[1:]
    tell("start", 0)
    dg.materialize(
        [numbers, total],
        selection=[{"write": numbers, "read": total}[what]],
        partition_key="big",
        resources={"io_manager": PostgresIOManager(database_url=database_url)},
        run_config=dg.RunConfig({"numbers": WantedRows(rows=int(rows))}) if what == "write" else None,
    )
    tell("end", int(rows))


if __name__ == "__main__":
    main()
