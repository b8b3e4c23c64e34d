"""Columns of a new feed, by values: types, what is not sure about them, names, nested members, keys."""

import keyword
from typing import Any

import pytest
from pydantic import BaseModel

from purchase_pipeline.contracts import contract_from_columns
from purchase_pipeline.feeds.new.columns import Column, columns_of, keys_of
from purchase_pipeline.feeds.new.kinds import Kinds
from purchase_pipeline.feeds.new.names import column_names, identifier
from purchase_pipeline.ingest.formats import Csv, Json


def in_json(*values: object) -> tuple[str, str]:
    """The type in Python of values in JSON, and its note."""
    return Kinds(is_csv=False, has_commas=False).of("value", values).words(as_yaml=False)


def in_csv(*values: str, has_commas: bool = False) -> tuple[str, str]:
    return Kinds(is_csv=True, has_commas=has_commas).of("value", values).words(as_yaml=False)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, -2], "Integer"),
        ([2**30], "BigInteger"),
        ([2**63, 1], "DecimalOf(38, 0)"),
        ([1, 2.125], "Number"),
        ([True, False], "Bool"),
        (["123e4567-e89b-12d3-a456-426614174000"], "UUID"),
        (["2026-01-05", "2026-12-31"], "Date"),
        (["2026-01-05T09:00:00Z", "2026-01-05T09:00:00.25+01:00"], "Moment"),
        (["2026-01-05 09:00", "2026-01-05T09:00:00"], "LocalMoment"),
        (["31/01/2026"], 'DateIn("%d/%m/%Y")'),
        (["01/31/2026"], 'DateIn("%m/%d/%Y")'),
        (["31.01.2026"], 'DateIn("%d.%m.%Y")'),
        (["1.50", "-20"], "DecimalOf(12, 2)"),
        (["12345678901.5"], "DecimalOf(15, 1)"),
        (["1,50", "1.234,5"], "DecimalComma(12, 2)"),
        (["sim", "Não"], 'BooleanIn(true={"sim"}, false={"não"})'),
        (["yes", "yes"], "Text"),
        (["12", "13"], "Text"),
        (["a" * 101], "LongText"),
        ([["a"], []], "list[LongText]"),
        ([["a", None]], "Json"),
        ([{"2026-01-05": 1}], "Json"),
    ],
)
def test_types_of_values_in_json(values: list[object], expected: str) -> None:
    assert in_json(*values) == (expected, "")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-20"], "Integer"),
        (["01310", "1"], "Text"),
        (["9" * 19], "DecimalOf(38, 0)"),
        (["1.50", "20"], "DecimalOf(12, 2)"),
        (["1.12345", "2.54321"], "DecimalOf(12, 5)"),
        (["-23.55", "46.63331"], "Number"),
        (["1e-5", "2"], "Number"),
        (["true", "FALSE"], 'BooleanIn(true={"true"}, false={"false"})'),
        (["A1", "B2"], "Text"),
    ],
)
def test_types_of_fields_in_csv(values: list[str], expected: str) -> None:
    assert in_csv(*values) == (expected, "")


@pytest.mark.parametrize(
    ("values", "expected", "note"),
    [
        (["01/02/2026"], 'DateIn("%d/%m/%Y")', "%d/%m/%Y or %m/%d/%Y: no day above 12 in the sample"),
        (["31/01/2026 09:00"], 'MomentIn("%d/%m/%Y %H:%M", zone="UTC")', "no time zone: UTC assumed"),
        (["1,234", "12"], "Text", "1,234 may be thousands or decimals"),
        (["1.234", "12"], "DecimalOf(12, 3)", "1.234 may be thousands"),
        (["2026-01-05", ""], "LongText", "Date fits all but ''"),
        ([*(f"{number}.50" for number in range(10)), "free"], "Text", "DecimalOf(12, 2) fits all but 'free'"),
        ([0, 1], "Integer", "only 0 and 1: may be a boolean"),
        ([1.5, 2.25], "Number", "may be money: at most two decimals"),
        ([1, "a"], "Json", "mixed types"),
        ([], "Json", "no value in the sample"),
    ],
)
def test_what_is_not_sure_is_said(values: list[object], expected: str, note: str) -> None:
    assert in_json(*values) == (expected, note)


def test_the_delimiter_tells_how_numbers_of_a_csv_are_written() -> None:
    assert in_csv("1.234", "12", has_commas=True) == ("DecimalComma(12, 0)", "")
    assert in_csv("0.234", has_commas=True) == ("DecimalOf(12, 3)", "")
    assert in_csv("1,234", has_commas=True) == ("DecimalComma(12, 3)", "")
    assert in_csv("20260105", "20260106") == ('DateIn("%Y%m%d")', "may be an integer")


def test_every_type_that_is_found_accepts_its_values_and_is_known_to_yaml() -> None:
    rows: list[dict[str, Any]] = [
        {"id": 1, "a b": "31/01/2026 10:00:00", "c": {"de": ["x"], "f": "sim"}, "g": "1.000,5", "h": None},
        {"id": 2, "a b": "01/02/2026 10:00:00", "c": {"de": [], "f": "não"}, "g": "2,25", "h": True},
    ]

    columns = {column.name: column for column in columns_of(rows, Json())}

    assert {name: column.yaml for name, column in columns.items()} == {
        "id": "bigint",
        "a_b": "timestamptz(%d/%m/%Y %H:%M:%S, UTC) from a b",
        "c_de": "text[] from c.de",
        "c_f": "boolean(sim, não) from c.f",
        "g": "decimal_comma(12,2)",
        "h": "boolean?",
    }
    contract_from_columns("Row", {name: column.yaml for name, column in columns.items()})
    assert [column.sure for column in columns.values()] == ["likely", "guess", *["likely"] * 4]


def found(*rows: dict[str, Any]) -> dict[str, tuple[tuple[str, ...], str, bool]]:
    return {
        column.name: (column.path, column.kind.python, column.is_optional)
        for column in columns_of(rows, Json())
    }


def test_objects_become_columns_and_mappings_stay_whole() -> None:
    days = [{"rates": {f"2026-01-{day:02d}": 1.5}} for day in range(1, 10)]

    assert found({"a": {"b": {"c": {"d": 1}}}}) == {"a_b_c": (("a", "b", "c"), "Json", False)}
    assert found({"a": None}, {"a": {"b": 1}}, {}) == {"a_b": (("a", "b"), "Integer", True)}
    assert found(*days) == {"rates": (("rates",), "Json", False)}
    assert found({"a": {"b.c": 1}}) == {"a": (("a",), "Json", False)}
    assert found({"a.b": 1}) == {"a_b": (("a.b",), "Integer", False)}


def test_an_empty_field_of_a_csv_is_no_value() -> None:
    (column,) = columns_of([{"a": ""}, {"a": "1"}], Csv())

    assert (column.kind.python, column.is_optional) == ("Integer", True)


def test_keys_differ_in_each_row_and_ids_come_first() -> None:
    both = (("a", 1), ("b", 2))
    rows = [{"name": name, "state": "x", "count": count, "order_id": count} for name, count in both]

    assert [column.name for column in keys_of(columns_of(rows, Json()))] == ["order_id", "name"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Preço (R$)", "preco_r"),
        ("orderId", "order_id"),
        ("HTTPStatus", "http_status"),
        ("@odata.type", "odata_type"),
        ("class", "class_"),
        ("copy", "copy_"),
        ("model_dump", "its_model_dump"),
        ("row_number", "row_number_"),
        ("1st", "n1st"),
        ("цена", "цена"),
        ("x" * 100, "x" * 40),
        ("$", ""),
    ],
)
def test_names_are_identifiers(text: str, expected: str) -> None:
    assert identifier(text) == expected
    assert not keyword.iskeyword(expected)
    assert not hasattr(BaseModel, expected or "x")


def test_names_are_different() -> None:
    assert column_names([("a b",), ("a-b",), ("$",), ("a", "b")]) == ["a_b", "a_b_2", "column_3", "a_b_3"]


def test_a_column_is_sure_by_the_number_of_its_values() -> None:
    columns = columns_of([{"a": "x", "b": number} for number in range(20)], Json())

    assert {type(column) for column in columns} == {Column}
    assert [column.sure for column in columns] == ["sure", "sure"]
