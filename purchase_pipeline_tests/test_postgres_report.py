"""Metadata of a materialization."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa
from markdown_it import MarkdownIt
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres import CopyText, RowStream
from purchase_pipeline.postgres.frames.rows import Row
from purchase_pipeline.postgres.markdown import in_markdown
from purchase_pipeline.postgres.materialization import markdown_table
from purchase_pipeline_tests.hostile import HOSTILE
from purchase_pipeline_tests.storing import Store, metadata_of

SHOPS = dg.StaticPartitionsDefinition(["north", "south"])
FRUITS = pd.DataFrame({"id": [1, 2], "name": ["apple", None], "picked": [date(2024, 1, 1), None]})


@pytest.fixture
def store(database_url: str, engine: sa.Engine) -> Store:
    """An empty database."""
    return Store(database_url, engine)


def test_rows_bytes_speed_columns_and_table_are_reported(store: Store) -> None:
    reported = metadata_of(store.store(FRUITS))

    assert reported["dagster/row_count"] == 2
    assert "rows_written" not in reported  # the same number
    assert reported["bytes_copied"] == 21 + sum(
        2 + 3 * 4 + size for size in (8 + 5 + 4, 8)
    )  # binary: a header, lengths
    assert reported["rows_per_second"] > 0
    assert reported["seconds"] > 0
    assert reported["dagster/table_name"].endswith(".public.things")
    assert [(column.name, column.type) for column in reported["dagster/column_schema"].columns] == [
        ("id", "BIGINT"),
        ("name", "TEXT"),
        ("picked", "DATE"),
    ]
    assert "preview" not in reported


def test_the_query_shown_reads_the_partition(store: Store) -> None:
    frame = pd.DataFrame({"shop": ["south"], "id": [1]})

    reported = metadata_of(store.store(frame, {"partition_expr": "shop"}, SHOPS, "south"))

    with store.engine.connect() as connection:
        assert connection.execute(sa.text(reported["Query"])).all() == [("south", 1)]


def test_partition_and_table_are_counted_apart(store: Store) -> None:
    for shop, rows in (("north", 3), ("south", 2), ("north", 1)):
        frame = pd.DataFrame({"shop": [shop] * rows})
        result = store.store(frame, {"partition_expr": "shop"}, SHOPS, shop)

    reported = metadata_of(result)
    assert (reported["dagster/partition_row_count"], reported["dagster/row_count"]) == (1, 3)


@pytest.mark.parametrize("config", [{"preview_rows": 1}, {}])
def test_a_preview_is_shown_when_configured(store: Store, config: dict[str, Any]) -> None:
    reported = metadata_of(store.store(FRUITS, {} if config else {"preview_rows": 1}, **config))

    assert reported["preview"] == "| id | name | picked |\n| --- | --- | --- |\n| 1 | apple | 2024-01-01 |"


@pytest.mark.parametrize(
    "batches",
    [
        [[(1,)], [(2,)], [(3,)], [(4,)]],
        [[(1,)], CopyText(b"2\n3\n4\n", 3)],
        [CopyText(b"1\n", 1), [(2,), (3,)], []],
    ],
)
def test_a_preview_may_begin_with_small_batches(
    store: Store, batches: list[Sequence[Row] | CopyText]
) -> None:
    numbers = sa.Table("things", sa.MetaData(), sa.Column("number", sa.Integer))

    reported = metadata_of(store.store(RowStream(["number"], batches, numbers), {"preview_rows": 3}))

    assert reported["preview"] == "| number |\n| --- |\n| 1 |\n| 2 |\n| 3 |"
    assert len(store.rows()) == sum(map(len, batches))


def test_a_preview_shows_lists_as_text_and_leaves_out_what_the_declaration_hides(store: Store) -> None:
    things = sa.Table(
        "things",
        sa.MetaData(),
        sa.Column("reasons", ARRAY(sa.Text)),
        sa.Column("digest", sa.Text, info={"preview": False}),
    )

    reported = metadata_of(
        store.store(
            RowStream(["reasons", "digest"], [[(["too dear", "no day"], "ffff")]], things),
            {"preview_rows": 3},
        )
    )

    assert reported["preview"] == "| reasons |\n| --- |\n| too dear; no day |"


def test_no_value_breaks_out_of_its_cell() -> None:
    table = markdown_table([{"a|b": "x|y\nz", "c": "<b>", "d": None, "e": "long" * 100}])

    header, _, row = table.splitlines()
    assert header == "| `a\\|b` | c | d | e |"
    assert row.startswith("| `x\\|y\\nz` | `<b>` | NULL | longlong")
    assert len(row) < 130


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_value_is_more_than_text_in_its_cell(text: str) -> None:
    html = MarkdownIt("commonmark").enable("table").render(markdown_table([{text: text, "b": 1}]))

    assert set(re.findall(r"<(/?\w+)", html)) - {"code", "/code"} == {
        *("table", "thead", "tbody", "tr", "th", "td"),
        *("/table", "/thead", "/tbody", "/tr", "/th", "/td"),
    }
    assert html.count("<td>") == html.count("<th>") == 2
    assert html.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "text", ["São Paulo", "2024-01-09 12:30:00+00", "lote-0001: 2 gaps", "tabela_compras", ""]
)
def test_plain_words_stay_plain(text: str) -> None:
    assert in_markdown(text) == text


def test_a_table_of_no_rows_has_a_preview_too(store: Store) -> None:
    assert metadata_of(store.store(FRUITS.head(0), {"preview_rows": 3}))["preview"] == "no rows"
