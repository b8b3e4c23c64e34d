"""Reasons of rejects, in the language of the report."""

import re
from datetime import date

import pytest

from mock_api.faults import LINE_DEFECTS, with_defects
from mock_api.purchases import PurchaseSource, quarter_of
from purchase_pipeline.contracts import CompraSchema
from purchase_pipeline.ingest.validation import PARTICULARS, RowValidation
from purchase_pipeline.sales.report.reasons import translated

ENGLISH = re.compile(r"\b(input|should|must|field|permitted|required|whole row)\b", re.IGNORECASE)


def test_every_reason_of_the_mocks_defects_is_translated() -> None:
    day = date(2026, 11, 24)
    blocks = PurchaseSource().blocks("a key", 2000, quarter_of(day))
    raw = b"".join(with_defects(blocks, 1.0, "a key", LINE_DEFECTS)).splitlines()
    validation = RowValidation(
        "lote-0001", contract=CompraSchema, received=len(raw), max_rejected_ratio=1.1, today=day
    )
    list(validation.accepted(raw))
    reasons = {re.sub(PARTICULARS, "", reason) for row in validation.rejected for reason in row.reasons}

    said = {reason: translated(reason, "pt-BR") for reason in reasons}

    assert len(reasons) > 20
    assert [reason for reason, words in said.items() if words == reason or ENGLISH.search(words)] == []
    assert all(translated(reason, "en") == reason for reason in reasons)


@pytest.mark.parametrize(
    ("reason", "portuguese"),
    [
        ("price: Input should be greater than 0", "price: deve ser maior que 0"),
        (
            "store: Input should be less than or equal to 2147483647",
            "store: deve ser menor ou igual a 2147483647",
        ),
        (
            "job: must be non-empty text of at most 1,000 characters, without NUL",
            "job: deve ser um texto não vazio, de no máximo 1.000 caracteres, sem NUL",
        ),
        ("Invalid JSON: EOF while parsing", "não é JSON válido: EOF while parsing"),
        ("(the whole row)", "(a linha inteira)"),
        ("a rule: of one's own", "a rule: of one's own"),
    ],
)
def test_a_reason_in_portuguese(reason: str, portuguese: str) -> None:
    assert translated(reason, "pt-BR") == portuguese
