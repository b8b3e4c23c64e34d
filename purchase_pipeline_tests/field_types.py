"""The ready field types, with texts that each may meet in JSON."""

import json
from datetime import UTC, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from purchase_pipeline.contracts import (
    UUID,
    BigInteger,
    Bool,
    BooleanIn,
    Date,
    DateIn,
    DecimalComma,
    DecimalOf,
    Integer,
    Json,
    LocalMoment,
    LongText,
    Moment,
    MomentIn,
    Money,
    Number,
    Text,
)

BY_NAME: dict[str, Any] = {
    "Text": Text,
    "LongText": LongText,
    "Integer": Integer,
    "BigInteger": BigInteger,
    "Number": Number,
    "Money": Money,
    "DecimalOf(12, 2)": DecimalOf(12, 2),
    "DecimalOf(30, 10)": DecimalOf(30, 10),
    "DecimalOf(3, 3)": DecimalOf(3, 3),
    "DecimalOf(5, 0)": DecimalOf(5, 0),
    "DecimalComma(12, 2)": DecimalComma(12, 2),
    "Date": Date,
    "DateIn(%d/%m/%Y)": DateIn("%d/%m/%Y"),
    "DateIn(%m/%Y)": DateIn("%m/%Y"),
    "DateIn(%d/%m/%Y %H:%M)": DateIn("%d/%m/%Y %H:%M"),
    "Moment": Moment,
    "LocalMoment": LocalMoment,
    "MomentIn(%d/%m/%Y %H:%M, America/Sao_Paulo)": MomentIn("%d/%m/%Y %H:%M", zone="America/Sao_Paulo"),
    "MomentIn(%d/%m/%Y %H:%M:%S.%f %z)": MomentIn("%d/%m/%Y %H:%M:%S.%f %z"),
    "UUID": UUID,
    "Bool": Bool,
    "BooleanIn(sim, não)": BooleanIn(true={"sim", "s"}, false={"não", "n"}),
    "BooleanIn(1, 0)": BooleanIn(true={1}, false={0}),
    "Json": Json,
}

_decimals = st.builds(
    lambda digits, scale: Decimal(digits).scaleb(-scale),
    st.integers(-(10**14), 10**14) | st.integers(-9999, 9999),
    st.sampled_from([0, 2, 2, 3, 10]),
)
_zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_moments = st.datetimes(timezones=st.just(UTC) | _zones)
_numbers = (
    st.integers(-(2**70), 2**70).map(str)
    | st.integers(-100, 2**31).map(str)
    | _decimals.map(lambda one: f"{one:f}")
    | st.floats().map(json.dumps)
)


def _with_comma(number: Decimal) -> str:
    return f"{number:,f}".translate(str.maketrans(",.", ".,"))


_texts = (
    st.text(max_size=20)
    | _numbers
    | _decimals.map(_with_comma)
    | st.dates().map(str)
    | st.dates().map(lambda day: f"{day:%d/%m}/{day.year:04}")
    | st.dates().map(lambda day: f"{day:%m}/{day.year:04}")
    | st.dates().map(lambda day: f"{day:%d/%m}/{day.year:04} 00:00")
    | _moments.map(lambda moment: moment.isoformat())
    | _moments.map(lambda moment: moment.replace(tzinfo=None).isoformat())
    | _moments.map(lambda moment: f"{moment:%d/%m}/{moment.year:04} {moment:%H:%M}")
    | _moments.map(lambda moment: f"{moment:%d/%m}/{moment.year:04} {moment:%H:%M:%S.%f %z}")
    | st.uuids().map(str)
    | st.sampled_from(["sim", "S", "NÃO", "n", "true", "1", "0", "", "a\x00b", "NaN", "1e5", ".5"])
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)

JSON_VALUES: st.SearchStrategy[str] = (
    _numbers | _texts.map(json.dumps) | _json.map(json.dumps) | st.sampled_from(["true", "false", "null"])
)
"""Any value in JSON, often one that some type accepts."""
