"""Defects: their number is exact, they make rows invalid, and other rows are unchanged."""

import json
from collections.abc import Mapping

import orjson
import pytest
from pydantic import ValidationError
from pydantic_core import from_json

from mock_api.faults import ARRAY_DEFECTS, LINE_DEFECTS, Defect, with_defects
from purchase_pipeline.contracts import CompraSchema

A_ROW = (
    '{"date_purchase":"2024-03-09","client_name":"Ana","client_lastname":"Sá","state":"Acre",'
    '"birthday_client":"1987-11-23","job":"Ator","payment_type":"PIX","store":7,"category":"Moda",'
    '"product":"Relógio Smartwatch G8","brand":"Xiaomi","price":999.0}'
).encode()


def a_broken_lot(
    rows: int, share: float, key: str = "lote-0001", defects: Mapping[str, Defect] = LINE_DEFECTS
) -> list[bytes]:
    blocks = ((A_ROW + b"\n") * min(10_000, rows - first) for first in range(0, rows, 10_000))
    return b"".join(with_defects(blocks, share, key, defects)).split(b"\n")[:-1]


def test_a_row_without_defect_is_valid() -> None:
    CompraSchema.model_validate_json(A_ROW)


@pytest.mark.parametrize("defect", LINE_DEFECTS.values(), ids=LINE_DEFECTS)
def test_every_defect_makes_a_row_invalid(defect: Defect) -> None:
    with pytest.raises(ValidationError):
        CompraSchema.model_validate_json(defect(A_ROW))


@pytest.mark.parametrize("defect", LINE_DEFECTS.values(), ids=LINE_DEFECTS)
def test_a_defect_leaves_exactly_one_nonempty_line(defect: Defect) -> None:
    row = defect(A_ROW)

    assert row.strip()
    assert row.splitlines() == [row]


@pytest.mark.parametrize("defect", ARRAY_DEFECTS.values(), ids=ARRAY_DEFECTS)
def test_a_defect_in_an_array_leaves_the_array_strict_json(defect: Defect) -> None:
    row = defect(A_ROW)

    assert orjson.loads(row) == json.loads(row) == from_json(row)


@pytest.mark.parametrize("name", sorted(LINE_DEFECTS.keys() - ARRAY_DEFECTS.keys()))
def test_defects_excluded_from_arrays_are_refused_by_strict_parsers(name: str) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(LINE_DEFECTS[name](A_ROW))


@pytest.mark.parametrize(
    ("rows", "share", "wanted"),
    [
        (10_000, 0.01, 100),
        (25_000, 0.01, 250),
        (25_000, 0.00005, 1),
        (12_345, 0.3, round(0.3 * 12_345)),
        (1, 0.5, 0),
        (1, 0.51, 1),
        (3, 0.5, 2),
        (20_001, 1, 20_001),
        (100, 0, 0),
    ],
)
def test_exactly_the_requested_fraction_is_invalid(rows: int, share: float, wanted: int) -> None:
    lot = a_broken_lot(rows, share)

    assert len(lot) == rows
    assert sum(row != A_ROW for row in lot) == wanted


def test_every_kind_occurs_in_a_batch_with_many_defects() -> None:
    assert set(a_broken_lot(2_000, 1)) == {defect(A_ROW) for defect in LINE_DEFECTS.values()}
    assert set(a_broken_lot(2_000, 1, defects=ARRAY_DEFECTS)) == {
        defect(A_ROW) for defect in ARRAY_DEFECTS.values()
    }


def test_the_same_key_gives_the_same_defects() -> None:
    assert a_broken_lot(15_000, 0.02) == a_broken_lot(15_000, 0.02)
    assert a_broken_lot(15_000, 0.02) != a_broken_lot(15_000, 0.02, key="lote-0002")


def test_array_and_lines_have_defects_in_the_same_rows() -> None:
    lines = a_broken_lot(1_000, 0.1)
    array = a_broken_lot(1_000, 0.1, defects=ARRAY_DEFECTS)
    only_in_lines = {LINE_DEFECTS[name](A_ROW) for name in LINE_DEFECTS.keys() - ARRAY_DEFECTS.keys()}

    assert [row == A_ROW for row in lines] == [row == A_ROW for row in array]
    assert all(line in only_in_lines for line, row in zip(lines, array, strict=True) if line != row)
