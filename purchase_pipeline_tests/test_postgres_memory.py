"""Memory does not grow with the size of a slice."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

PROJECT = Path(__file__).parent.parent
PEAK_MIB = 300
GROWTH_MIB = 20


def peaks_of(what: str, database_url: str, rows: int) -> dict[str, dict[str, float]]:
    """Run the writing or reading process, and return its memory reports."""
    begin = time.monotonic()
    command = [sys.executable, "-m", "purchase_pipeline_tests.big_slice", what, database_url, str(rows)]
    ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-5000:]
    reported = {entry.pop("moment"): entry for entry in map(json.loads, ran.stdout.splitlines())}
    peaks = ", ".join(
        f"{moment} {entry['peak_mib']:.0f}" for moment, entry in reported.items() if "rows" in entry
    )
    print(f"{what} of {rows} rows in {time.monotonic() - begin:.1f} s; peak MiB: {peaks}")  # the figures
    return reported


def assert_flat(reported: dict[str, dict[str, float]]) -> None:
    assert reported["early"]["rows"] == 1_000_000
    assert reported["end"]["peak_mib"] < PEAK_MIB
    assert reported["end"]["peak_mib"] - reported["early"]["peak_mib"] < GROWTH_MIB


@pytest.mark.proof
def test_two_million_rows_are_written_in_flat_memory(database_url: str) -> None:
    rows = 2_000_000

    reported = peaks_of("write", database_url, rows)

    assert_flat(reported)
    with psycopg.connect(database_url) as connection:
        stored = connection.execute("SELECT count(*), sum(number), sum(half)::bigint FROM numbers").fetchone()
        ledger = connection.execute("SELECT partition, rows FROM slice_ledger").fetchall()
    assert stored == (rows, rows * (rows - 1) // 2, rows * (rows - 1) // 4)
    assert ledger == [("big", rows)]


@pytest.mark.proof
def test_two_million_rows_are_read_in_flat_memory(database_url: str) -> None:
    rows = 2_000_000
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE numbers (number bigint, size text, half double precision)")
        connection.execute(
            "INSERT INTO numbers SELECT number, CASE WHEN number < %(rows)s THEN 'big' ELSE 'small' END, number / 2.0 "
            "FROM generate_series(0, %(rows)s + 1000) AS number",
            {"rows": rows},
        )

    reported = peaks_of("read", database_url, rows)

    assert_flat(reported)
    assert reported["late"]["rows"] == rows
    assert reported["sum"]["sum"] == rows * (rows - 1) // 2
