"""A landed partition's rows are validated ahead of their use, by another thread."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from decimal import Decimal, localcontext
from pathlib import Path
from threading import enumerate as threads
from typing import Annotated

import pytest
from pydantic import AfterValidator, BaseModel

from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.load import LandedSlices
from purchase_pipeline.ingest.tables import feed_tables
from purchase_pipeline.postgres.frames.rows import Row
from purchase_pipeline_tests.landed import land_lines

ROWS = 3_000


class Third(BaseModel):
    """A contract whose validator depends on the precision of decimals."""

    part: Annotated[Decimal, AfterValidator(lambda value: value / 3)]


@pytest.fixture
def slices(tmp_path: Path) -> LandedSlices:
    """A landed partition of several batches."""
    landing = landing_at(str(tmp_path))
    landed = land_lines(landing, "p", *[b'{"part":"1"}'] * ROWS)
    return LandedSlices(landed, landing, feed_tables(Third, "thirds"), max_rejected_ratio=1, run_id="run")


def rows_of(slices: LandedSlices) -> Iterator[Row]:
    for batch in slices.slices().value.batches:
        yield from batch


def test_validators_have_the_context_of_their_caller(slices: LandedSlices) -> None:
    with localcontext() as context:
        context.prec = 4
        found = list(rows_of(slices))

    assert {str(value) for _, _, value in found} == {"0.3333"}
    assert len(found) == ROWS


def test_no_thread_is_left_of_a_load_that_is_given_up(slices: LandedSlices, started: ExitStack) -> None:
    before = set(threads())
    rows = started.enter_context(closing(slices.slices().value.batches))
    next(rows)
    assert set(threads()) > before

    rows.close()

    assert set(threads()) == before
