"""Types of a new feed's columns: the first of the ready types that accepts every value seen, by its own validation."""

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import BaseModel

from purchase_pipeline.contracts import contract_from_columns

_LONGEST_SHORT_TEXT = 100
_MOST_EXAMINED, _MOST_ODD, _LONGEST_EXAMPLE = 100, 0.1, 20
_MOST_DECIMALS = 6  # more are those of a measurement
_INTEGER = re.compile(r"-?(0|[1-9]\d*)")  # not a code such as 0123
_DECIMAL = re.compile(r"[-+]?((0|[1-9]\d*)(\.\d+)?|\.\d+)([eE][-+]?\d+)?")
_GROUPED = re.compile(r"-?(0|[1-9]\d{0,2}([.,]\d{3})*)")  # with thousands parted, if any
_DAY = re.compile(r"(19|20)\d{6}")
_ID = re.compile(r"(.*_)?(id|ids|key|code|number|uuid)")


class Kind(NamedTuple):
    """A type in YAML and in Python; what is not sure about it, and the type `{other}` of this note in both."""

    yaml: str
    python: str
    note: str = ""
    other: tuple[str, str] = ("", "")

    def words(self, *, as_yaml: bool) -> tuple[str, str]:
        """Return the type and the note in one of the languages."""
        name = self.yaml if as_yaml else self.python
        return name, self.note.replace("{other}", self.other[0 if as_yaml else 1])


_TEXT, _SHORT_TEXT = Kind("text", "LongText"), Kind("text", "Text")
_JSON, _LIST = Kind("jsonb", "Json"), Kind("text[]", "list[LongText]")
_COMPACT_DATE = Kind("date(%Y%m%d)", 'DateIn("%Y%m%d")', "may be an integer")
_INTEGERS = Kind("integer", "Integer"), Kind("bigint", "BigInteger")
_DATES = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d")
_TIMES = tuple(f"{day} %H:%M{seconds}" for day in _DATES for seconds in ("", ":%S"))
_BOOLEANS = "true false, yes no, y n, t f, on off, sim não, sim nao, s n, sí no, si no, oui non, ja nein"
_OF_TEXTS = (
    Kind("uuid", "UUID"),
    Kind("date", "Date"),
    Kind("timestamptz", "Moment"),
    Kind("timestamp", "LocalMoment"),
    *(Kind(f"date({each})", f'DateIn("{each}")') for each in _DATES),
    *(
        Kind(f"timestamptz({each}, UTC)", f'MomentIn("{each}", zone="UTC")', "no time zone: UTC assumed")
        for each in _TIMES
    ),
    *(
        Kind(f"boolean({true}, {false})", f'BooleanIn(true={{"{true}"}}, false={{"{false}"}})')
        for true, false in (pair.split() for pair in _BOOLEANS.split(", "))
    ),
)


def is_id(name: str) -> bool:
    """Return whether a column has the name of an id."""
    return _ID.fullmatch(name) is not None


class Kinds:
    """Finds types of values: of JSON, or of CSV, whose numbers may have decimal commas."""

    def __init__(self, *, is_csv: bool, has_commas: bool) -> None:
        self._is_csv = is_csv
        self._has_commas = has_commas

    def of(self, name: str, values: Sequence[Any]) -> Kind:
        """Return the type of a column's values, none of which is missing."""
        types = {type(value) for value in values}
        if not values:
            return (_TEXT if self._is_csv else _JSON)._replace(note="no value in the sample")
        if types == {str}:
            return self._of_texts(name, list(dict.fromkeys(values)))
        if types == {bool}:
            return Kind("boolean", "Bool")
        if types == {int}:
            return _of_integers(name, values)
        if types <= {int, float}:
            decimals = {len(repr(value).partition(".")[2]) for value in values if type(value) is float}
            note = "may be money: at most two decimals" if decimals in ({2}, {1, 2}) else ""
            return Kind("double precision", "Number", note)
        are_texts = all(
            type(value) is list and all(isinstance(each, str) for each in value) for value in values
        )
        mixed = "" if types <= {dict, list} else "mixed types"
        return _LIST if are_texts and any(values) else _JSON._replace(note=mixed)

    def _of_texts(self, name: str, values: Sequence[str]) -> Kind:
        return self._number(name, values) or self._written(values) or self._text(name, values)

    def _number(self, name: str, values: Sequence[str]) -> Kind | None:
        """Return the type of numbers in texts: in JSON, an integer in a text remains a text."""
        if all(map(_INTEGER.fullmatch, values)):
            if not self._is_csv:
                return None
            are_days = all(map(_DAY.fullmatch, values)) and self._accepts(_COMPACT_DATE, values)
            return _COMPACT_DATE if are_days else _of_integers(name, [int(value) for value in values])
        is_grouped = all(map(_GROUPED.fullmatch, values))
        if any("," in value for value in values) or (self._has_commas and is_grouped):
            return self._decimal(values, ",") if self._has_commas or not is_grouped else None
        if not all(map(_DECIMAL.fullmatch, values)):
            return None
        kind = self._decimal(values, ".")
        return kind._replace(note="1.234 may be thousands") if kind and is_grouped else kind

    def _decimal(self, values: Sequence[str], point: str) -> Kind | None:
        """Return a decimal type, with room for larger numbers but not for more decimals; or that of measurements."""
        decimals = {len(value.partition(point)[2]) for value in values}
        scale = max(decimals)
        is_measured = scale > (_MOST_DECIMALS if len(decimals) == 1 else 2) or "e" in "".join(values).lower()
        if self._is_csv and point == "." and is_measured:
            return Kind("double precision", "Number")
        whole = max(len(re.sub(r"\D", "", value.partition(point)[0])) for value in values)
        precision = max(12, whole + scale + 3)
        yaml, python = ("numeric", "DecimalOf") if point == "." else ("decimal_comma", "DecimalComma")
        kind = Kind(f"{yaml}({precision},{scale})", f"{python}({precision}, {scale})")
        return kind if self._accepts(kind, values) else None

    def _written(self, values: Sequence[str]) -> Kind | None:
        """Return the type of what is written in words and dates. Two formats of dates may fit: 01/02/2026."""
        kinds = [kind for kind in _OF_TEXTS if self._accepts(kind, values)]
        is_one_word = len({value.casefold() for value in values}) == 1
        if not kinds or (is_one_word and kinds[0].yaml.startswith("boolean")):
            return None
        if len(kinds) == 1:
            return kinds[0]
        first, second = (re.findall(r"%[^,)]*", kind.yaml)[0] for kind in kinds[:2])
        notes = f"{first} or {second}: no day above 12 in the sample", kinds[0].note
        return kinds[0]._replace(note="; ".join(filter(None, notes)))

    def _text(self, name: str, values: Sequence[str]) -> Kind:
        """Return the type of texts, with a note if almost all are of another one, or all but empty ones."""
        is_short = all(value.strip() and len(value) <= _LONGEST_SHORT_TEXT for value in values)
        kind = _SHORT_TEXT if is_short else _TEXT
        if all(map(_GROUPED.fullmatch, values)) and any("," in value for value in values):
            return kind._replace(note="1,234 may be thousands or decimals")
        filled = [value for value in values if value][:_MOST_EXAMINED]
        numbers = [value for value in filled if _DECIMAL.fullmatch(value)]
        number = self._number(name, numbers) if numbers else None
        for other in (number, *_OF_TEXTS) if number else _OF_TEXTS:
            odd = [value for value in filled if not self._accepts(other, [value])]
            if len(odd) <= len(filled) * _MOST_ODD and (odd or len(filled) < len(values)):
                example = (odd or [""])[0][:_LONGEST_EXAMPLE]
                return kind._replace(note=f"{{other}} fits all but {example!r}", other=other[:2])
        return kind

    def _accepts(self, kind: Kind, values: Sequence[str]) -> bool:
        """Return whether a type accepts all texts."""
        validator: Any = _row_of(kind.yaml).__pydantic_validator__
        try:
            for value in values:
                if self._is_csv:
                    validator.validate_strings({"value": value})
                else:
                    validator.validate_json(json.dumps({"value": value}))
        except ValueError:
            return False
        return True


def _of_integers(name: str, values: Sequence[int]) -> Kind:
    largest = max(map(abs, values))
    if largest >= 1 << 63:
        return Kind("numeric(38,0)", "DecimalOf(38, 0)")
    note = "only 0 and 1: may be a boolean" if {*values} == {0, 1} else ""
    return _INTEGERS[1 if largest >= 1 << 30 or is_id(name) else 0]._replace(note=note)


@lru_cache(maxsize=256)
def _row_of(words: str) -> type[BaseModel]:
    return contract_from_columns("Row", {"value": words})
