"""Functions as sources: mappings, JSON texts and whole pages, in order."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from purchase_pipeline.ingest.formats import Csv
from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.sources.function import FunctionSource, UnwritableRowError
from purchase_pipeline.ingest.sources.request import Page, PartitionRequest
from purchase_pipeline_tests.fetching import Received, rows_from

DAY = PartitionRequest("2026-01-05", {"start": date(2026, 1, 5)})


def test_a_function_is_called_with_the_partition() -> None:
    source = FunctionSource(lambda request: [{"day": request.key, "start": request.variables["start"]}])

    assert rows_from(source, DAY) == [b'{"day":"2026-01-05","start":"2026-01-05"}']


def test_rows_are_mappings_or_json_texts() -> None:
    values = {
        "moment": datetime(2026, 1, 5, tzinfo=UTC),
        "amount": Decimal("12.50"),
        "id": UUID(int=7),
        "tags": ["é", None, True, 1.5, 2**70],
    }
    rows: list[dict[str, object] | str | bytes] = [values, '{"a":\n1}', b'{"a": 2}', b"oops"]

    assert rows_from(FunctionSource(lambda _: iter(rows)), DAY) == [
        '{"moment":"2026-01-05T00:00:00Z","amount":"12.50","id":"00000000-0000-0000-0000-000000000007",'
        '"tags":["é",null,true,1.5,1180591620717411303424]}'.encode(),
        b'{"a": 1}',
        b'{"a": 2}',
        b"oops",
    ]


def test_pages_are_added_between_the_rows() -> None:
    received = Received()

    def pages(_: PartitionRequest) -> Iterator[dict[str, int] | Page]:
        yield {"a": 1}
        yield {"a": 2}
        yield Page(Csv(), [b"a\n3\n"], {"file": "x.csv"})
        yield {"a": 4}

    FunctionSource(pages).fetch(DAY, received.add)

    assert [(page.variables, rows) for page, rows in received.pages] == [
        ({}, [b'{"a":1}', b'{"a":2}']),
        ({"file": "x.csv"}, [b"3"]),
        ({}, [b'{"a":4}']),
    ]


def test_a_function_without_rows_lands_an_empty_partition(tmp_path: Path) -> None:
    landed = landing_at(str(tmp_path)).land(
        "a", lambda add_page: FunctionSource(lambda _: []).fetch(DAY, add_page)
    )

    assert (landed.rows, landed.pages) == (0, ())


def test_a_value_that_json_does_not_have_is_named() -> None:
    with pytest.raises(UnwritableRowError, match="2026-01-05: row 2 cannot be written as JSON"):
        rows_from(FunctionSource(lambda _: [{"a": 1}, {"a": object()}]), DAY)


def test_an_error_of_the_function_keeps_the_landed_rows(tmp_path: Path) -> None:
    landing = landing_at(str(tmp_path))
    old = landing.land("a", lambda add_page: FunctionSource(lambda _: [{"a": 1}]).fetch(DAY, add_page))

    def broken(_: PartitionRequest) -> Iterator[dict[str, int]]:
        yield {"a": 2}
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        landing.land("a", lambda add_page: FunctionSource(broken).fetch(DAY, add_page))

    assert landing.find("a") == old
