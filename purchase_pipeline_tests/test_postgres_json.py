"""JSON read as any frame, or as text, and written back unchanged."""

import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pytest

from purchase_pipeline.postgres import RowStream, UnstorableValueError
from purchase_pipeline_tests.direct_io import DirectIOManager, Place

THINGS, COPIES = Place(["things"]), Place(["copies"])
FRAMES: list[type] = [pd.DataFrame, pl.DataFrame, pa.Table, pa.RecordBatchReader, RowStream]
DOCUMENTS = [
    ['{"a": 1}', '{"a": 2}'],
    ['{"a": 1}', '{"b": [true, null, {"c": "x"}]}', None],
    ["null", '{"a": 1}', None],
    ["1", '"1"', "true", "[]", "{}"],
    ['"a"', '"{}"'],
    ['{"a": 18446744073709551616}', '{"a": 1e400}'],
    ['{"a": 0.1000000000000000055}'],
    ['{"a": 1.10, "b": -0.5e-7}'],
    ["[1, [2, [3]]]", "[[]]"],
    ['{"a": []}', '{"a": [null]}'],
    [r'{"a": "\"e+16\" \\ é 🍎"}'],
]


def stored(database_url: str, column: str, *values: str | None) -> DirectIOManager:
    """Store values, given as PostgreSQL text, and create an empty table to copy them to."""
    with psycopg.connect(database_url) as connection:
        connection.execute(f"CREATE TABLE things (value {column})")
        connection.execute(f"CREATE TABLE copies (value {column})")
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO things VALUES (%s::text::{column})", [(one,) for one in values])  # noqa: S608  # the test's own SQL
    return DirectIOManager(database_url)


def copied(database_url: str) -> list[str | None]:
    with psycopg.connect(database_url) as connection:
        return [text for (text,) in connection.execute("SELECT value::text FROM copies")]


@pytest.mark.parametrize("texts", DOCUMENTS)
def test_json_that_is_read_and_written_back_is_the_same(database_url: str, texts: list[str | None]) -> None:
    manager = stored(database_url, "jsonb", *texts)
    different = "SELECT count(*) FROM (TABLE things EXCEPT ALL TABLE copies) AS differences"

    for frame_type in FRAMES:
        manager.write(COPIES, manager.read_as(frame_type, THINGS))

        with psycopg.connect(database_url) as connection:
            assert connection.execute(different).fetchone() == (0,), frame_type
        assert len(copied(database_url)) == len(texts)


@pytest.mark.parametrize(
    "text", ['{"a":1,"a":2}', '{"a": {"b": 1, "b": 1}}', r'{"a":"\ud800"}', r'[{"a":"x\udc00"}]']
)
def test_json_that_python_has_no_dict_for_stays_text(database_url: str, text: str) -> None:
    manager = stored(database_url, "json", text)

    for frame_type in FRAMES:
        manager.write(COPIES, manager.read_as(frame_type, THINGS))

        assert copied(database_url) == [text], frame_type


@pytest.mark.parametrize("column", ["json", "jsonb"])
@pytest.mark.parametrize("text", ['{"a": 1}', "null", "1", '"a"', "[1, [2]]", "18446744073709551616"])
def test_a_text_column_of_json_is_stored_as_json(database_url: str, column: str, text: str) -> None:
    manager = stored(database_url, column)

    manager.write(COPIES, pl.DataFrame({"value": [text, None]}))

    assert copied(database_url) == [text, None]


@pytest.mark.parametrize(
    ("column", "text", "words"),
    [
        ("jsonb", '{"a": 1, "a": 2}', "a JSON object has duplicate keys"),
        ("jsonb", '[{"b": {"a": 1, "a": 1}}]', "a JSON object has duplicate keys"),
        ("jsonb", "no JSON", "'no JSON' is not JSON"),
        ("json", "{", "invalid input syntax for type json"),
        ("jsonb", r'"\u0000"', "u0000 cannot be converted"),
        ("jsonb", "NaN", "invalid|NaN"),
    ],
)
def test_a_text_that_jsonb_would_change_or_is_no_json_is_refused_by_row(
    database_url: str, column: str, text: str, words: str
) -> None:
    manager = stored(database_url, column)

    with pytest.raises(UnstorableValueError, match=f"row 2, column 'value': .*({words})"):
        manager.write(COPIES, pd.DataFrame({"value": ["1", text]}))

    assert copied(database_url) == []
