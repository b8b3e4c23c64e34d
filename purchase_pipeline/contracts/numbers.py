"""Field types of numbers."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, ValidationInfo
from pydantic_core import PydanticKnownError, core_schema

from purchase_pipeline.contracts.forms import (
    FLOAT_IN_JSON,
    INTEGER_IN_JSON,
    Explained,
    ReceivedAs,
    first_of,
    passes,
    received,
    text_like,
)

_DECIMAL_TEXT = r"^[+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]{1,3})?$"
_DECIMAL_COMMA_TEXT = r"^[+-]?([0-9]+|[0-9]{1,3}(\.[0-9]{3})+)(,[0-9]+)?$"
_LONGEST_TEXT = 2_000  # above NUMERIC's 1,000 digits, below the 16,383 decimals that PostgreSQL reads
_FLOAT_DIGITS = 15  # a double holds every decimal of 15 digits


def _csv_decimal(value: object, info: ValidationInfo) -> str:
    """Accept decimal text in a CSV field; in JSON, only a number will do."""
    text = str(value)
    is_csv = str(info.mode) not in {"json", "python"}
    if not (is_csv and len(text) <= _LONGEST_TEXT and re.fullmatch(_DECIMAL_TEXT, text)):
        raise PydanticKnownError("float_type")
    return text


_NUMBER = ReceivedAs(
    core_schema.custom_error_schema(
        first_of(
            FLOAT_IN_JSON,
            core_schema.with_info_plain_validator_function(
                _csv_decimal, metadata=passes(_DECIMAL_TEXT, forms=("csv",))
            ),
        ),
        "float_type",
    )
)

Integer = Annotated[int, Field(strict=True, ge=-(2**31), le=2**31 - 1)]
"""An integer within the range of an INTEGER column."""

BigInteger = Annotated[int, Field(strict=True, ge=-(2**63), le=2**63 - 1)]
"""An integer within the range of a BIGINT column, for external ids and the like."""

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A finite floating-point number, in a DOUBLE PRECISION column."""

Money = Annotated[Decimal, Field(strict=False, gt=0, max_digits=12, decimal_places=2), _NUMBER]
"""A JSON number above 0 with at most two decimals, in a NUMERIC(12, 2) column."""


def DecimalOf(precision: int, scale: int) -> Any:  # noqa: ANN401, N802  # used as a type
    """Return the type of a NUMERIC(precision, scale) column: a JSON number, or decimal text such as `"-129.90"`.

    A value with more digits is refused, never rounded. pydantic-core reads a JSON number as a double unless it is an
    integer, so such a number has at most 15 digits, and what is beyond a double's precision is lost before this type
    sees it. Text is exact.
    """
    text = received(text_like(_DECIMAL_TEXT, _LONGEST_TEXT))
    exact_float = FLOAT_IN_JSON
    if precision > _FLOAT_DIGITS:
        digits = core_schema.decimal_schema(strict=False, max_digits=_FLOAT_DIGITS)
        exact_float = core_schema.chain_schema([FLOAT_IN_JSON, digits])
    return _decimal(precision, scale, ReceivedAs(first_of(text, INTEGER_IN_JSON, exact_float)), "")


def DecimalComma(precision: int, scale: int) -> Any:  # noqa: ANN401, N802
    """Return the type of a NUMERIC(precision, scale) column, from text with a decimal comma: `"1.234,56"`."""
    text = core_schema.no_info_after_validator_function(
        lambda value: value.replace(".", "").replace(",", "."),
        text_like(_DECIMAL_COMMA_TEXT, _LONGEST_TEXT),
        metadata=passes(_DECIMAL_COMMA_TEXT, (r"\.", ""), (",", ".")),
    )
    return _decimal(precision, scale, ReceivedAs(text), 'text with a decimal comma, such as "1.234,56", ')


def _decimal(precision: int, scale: int, form: ReceivedAs, words: str) -> Any:  # noqa: ANN401
    if not 0 <= scale <= precision or not 1 <= precision <= 1000:  # noqa: PLR2004  # NUMERIC's limit
        raise ValueError(
            f"NUMERIC({precision}, {scale}): expected 1 <= precision <= 1000, 0 <= scale <= precision."
        )
    return Annotated[
        Decimal,
        Field(strict=False, max_digits=precision, decimal_places=scale),
        form,
        Explained(
            f"must be {words or 'a number '}with at most {precision - scale} digits before the decimal point "
            f"and {scale} after it"
        ),
    ]
