"""What `status` prints, in a terminal of 80 columns and in a pipe."""

from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from purchase_pipeline.ops.status import LotStatus, Status, print_status

NOW = datetime(2026, 11, 30, 3, 23, 28, tzinfo=UTC)


def printed(*keys: str, is_terminal: bool = True, balanced: bool = True) -> list[str]:
    lots = [
        LotStatus(
            lote=key, received=1_000_000, loaded=999_000, rejected=1000, conserved=balanced, committed_at=NOW
        )
        for key in keys
    ]
    status = Status(
        wanted=50,
        loaded=len(lots),
        beyond_target=[],
        failed=[],
        in_flight=[],
        rows_received=1_000_000 * len(lots),
        rows_loaded=999_000 * len(lots),
        rows_rejected=1000 * len(lots),
        conserved=balanced,
        clock_behind_seconds=0,
        lots=lots,
    )
    written = StringIO()
    print_status(status, Console(file=written, width=80, force_terminal=is_terminal, color_system=None))
    return written.getvalue().splitlines()


@pytest.mark.parametrize(
    "key", ["lote-0001", "2026-01-01|south", "2026-01-01-00:00|rio-grande-do-sul|retail"]
)
def test_a_long_key_leaves_numbers_and_time_whole(key: str) -> None:
    head, first, *rest = printed(key)

    assert [line for line in (head, first, *rest) if len(line) > 80] == []
    assert first.split()[1:] == ["1,000,000", "999,000", "1,000", "yes", "2026-11-30", "03:23:28"]
    column = first.index("1,000,000")
    assert "".join(line[:column].strip() for line in (first, *rest[:-2])) == key


def test_a_pipe_gets_one_line_for_each_batch() -> None:
    _, first, second, totals = printed("x" * 70, "lote-0002", is_terminal=False)

    assert (first.split()[0], second.split()[0]) == ("x" * 70, "lote-0002")
    assert totals.endswith("Rows: 2,000,000 received = 1,998,000 loaded + 2,000 rejected: balanced.")


def test_what_is_not_balanced_is_said() -> None:
    lines = printed("lote-0001", balanced=False)

    assert " NO " in lines[1]
    assert lines[-1].endswith("NOT BALANCED.")


def test_nothing_loaded_is_not_called_balanced() -> None:
    (line, *rest) = printed()

    assert line.startswith("0 of 50 batches loaded, 0 in progress, 0 failed. No rows yet. Load some first:")
    assert "balanced" not in " ".join([line, *rest])
