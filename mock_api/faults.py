"""Defects on demand: a fraction of a batch's rows, made invalid in the ways real sources do.

Rows are lines of JSON text here; `mock_api.purchases` generates them.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import orjson

from mock_api.purchases import generator_for

Defect: TypeAlias = Callable[[bytes], bytes]


def with_defects(
    blocks: Iterator[bytes], ratio: float, key: str, defects: Mapping[str, Defect]
) -> Iterator[bytes]:
    """Make a fraction (0 to 1) of a batch's rows invalid: the same rows for the same key.

    Exactly `round(ratio * rows)` rows are changed (Python's rounding, half to even). Rows are counted block by block,
    so that only one block is in memory, and chosen at random within a block.
    """
    kinds = list(defects.values())
    passed = 0
    for number, block in enumerate(blocks):
        rows = block.split(b"\n")[:-1]
        count = round(ratio * (passed + len(rows))) - round(ratio * passed)
        rng = generator_for(key, "defects", number)
        places = rng.choice(len(rows), count, replace=False).tolist()
        # Drawn from all kinds in both formats, so that a row has the same defect in both if both allow it.
        for place, kind in zip(places, rng.integers(len(LINE_DEFECTS), size=count).tolist(), strict=True):
            rows[place] = kinds[kind % len(kinds)](rows[place])
        passed += len(rows)
        yield b"\n".join([*rows, b""])


def _read(row: bytes) -> dict[str, str]:
    """Split a row into names and values; values stay JSON text, as some defects have no Python value."""
    return {name: orjson.dumps(value).decode() for name, value in orjson.loads(row).items()}


def _write(fields: Mapping[str, str]) -> bytes:
    return "{{{}}}".format(",".join(f'"{name}":{text}' for name, text in fields.items())).encode()


def _put(field: str, text: str) -> Defect:
    return lambda row: _write(_read(row) | {field: text})


def _alter(field: str, change: Callable[[str], str]) -> Defect:
    def defect(row: bytes) -> bytes:
        fields = _read(row)
        return _write(fields | {field: change(fields[field])})

    return defect


def _drop(field: str) -> Defect:
    return lambda row: _write({name: text for name, text in _read(row).items() if name != field})


def _replace(text: bytes) -> Defect:
    return lambda _: text


def _day_first(iso_date: str) -> str:
    year, month, day = iso_date.strip('"').split("-")
    return f'"{day}/{month}/{year}"'


ARRAY_DEFECTS: dict[str, Defect] = {
    "price as text": _alter("price", lambda text: f'"{text}"'),
    "price negative": _alter("price", lambda text: f"-{text}"),
    "price zero": _put("price", "0"),
    "price with too many decimals": _alter("price", lambda text: f"{text}01"),
    "price with too many digits": _put("price", "9999999999999.99"),
    "price null": _put("price", "null"),
    "field missing": _drop("job"),
    "field unknown": _put("cupom", '"BLACKFRIDAY"'),
    "field null": _put("state", "null"),
    "name empty": _put("client_name", '""'),
    "name blank": _put("client_name", '"   "'),
    "text as number": _put("brand", "51"),
    "text with NUL": _alter("client_lastname", lambda text: text[:-1] + '\\u0000"'),
    "text too long": _put("job", '"' + "Analista" * 700 + '"'),
    "date in Brazilian order": _alter("date_purchase", _day_first),
    "date with time": _alter("date_purchase", lambda text: text[:-1] + 'T10:15:00"'),
    "date as seconds": _put("date_purchase", "1704153600"),
    "date impossible": _put("date_purchase", '"2023-02-30"'),
    "date in the future": _put("date_purchase", '"2999-12-31"'),
    "birthday in year 1": _put("birthday_client", '"0001-01-01"'),
    "birthday in the future": _put("birthday_client", '"2999-12-31"'),
    "store zero": _put("store", "0"),
    "store as text": _alter("store", lambda text: f'"{text}"'),
    "store beyond 32 bits": _put("store", "2147483648"),
    "row is an array": _replace(b"[]"),
    "row is a number": _replace(b"42"),
    "row is null": _replace(b"null"),
    "row is text": _replace(b'"compra"'),
}
"""Defects that leave a JSON array strictly valid: only their own row is invalid."""

LINE_DEFECTS: dict[str, Defect] = ARRAY_DEFECTS | {
    "price beyond floating point": _put("price", "1e400"),
    "price not a number": _put("price", "NaN"),
    "text with a lone surrogate": _alter("client_name", lambda text: text[:-1] + '\\ud83d"'),
    "text in Latin-1": lambda row: row.replace(b'"state":"', b'"state":"\xc1', 1),
    "row cut short": lambda row: row[: len(row) // 2],
}
"""All defects. The last ones make a JSON array unreadable for strict parsers; in NDJSON they affect one line."""
