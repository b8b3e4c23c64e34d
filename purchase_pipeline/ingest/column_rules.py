"""Rules of the fast path: which values of a field are surely valid, from the contract's core schema.

A rule takes an Arrow array of values as received, and returns an array of texts for PostgreSQL: null where it is not
sure. *Sure* means that pydantic accepts the value, and that the text is what pydantic's value would become. What the
rules do not know about a schema makes them unsure, never wrong.
"""

import re
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

Array = Any  # pyarrow has no types
Schema = Mapping[str, Any]
Texts = Callable[[Array], Array]
"""Returns the texts of values, null where they are not surely valid."""

CSV = "csv"
"""The form of a CSV's fields, which are texts."""

JSON_FORMS = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
"""Forms of JSON values, and how they are read."""

_COMMON = {"type", "metadata", "strict", "ref"}
_COMPARE = {"ge": pc.greater_equal, "gt": pc.greater, "le": pc.less_equal, "lt": pc.less}
_BOUNDS = _COMPARE.keys()
_Bounds = Sequence[tuple[Callable[[Array, Array], Array], Any]]
_PAIR = 2
_SURE_DIGITS = 15  # a double holds every decimal of 15 digits

_NUL_FREE = r"^[^\x00]*$"
_NOT_BLANK = r"^[^\x00]*[^\x00\s][^\x00]*$"
_PORTABLE = r"(?:[^\\()\[\].]|\\[.\-+*?()\[\]{}|^$/]|\\d|\((?!\?)|\)|\[(?!\^)(?:[^\\\]\[]|\\[.\-])*\])*"
"""Patterns that mean the same to Rust's engine and to RE2, or less to RE2: its `\\d` is ASCII."""

_INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"
_FLOAT = r"^-?[0-9]{1,15}(\.[0-9]{1,17})?([eE][-+]?[0-9]{1,2})?$"
_DECIMAL = r"^-?[0-9]{1,15}(\.[0-9]{1,15})?$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
_NAIVE = f"{_TIME}$"
_AWARE = rf"{_TIME}(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])$"
_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


def texts_by_form(schema: Schema, today: date) -> dict[str, Texts]:
    """Return a rule for each form in which values of a schema may be received.

    Args:
        schema: core schema of a field.
        today: the latest day of schemas that are marked `{"at_most": "today"}`.
    """
    try:
        return _rules(schema, today)
    except (
        ArithmeticError,
        TypeError,
        ValueError,
    ):  # a bound that the type cannot have, or one of Arrow's errors
        return {}


def _rules(schema: Schema, today: date) -> dict[str, Texts]:
    kind, marks = schema["type"], schema.get("metadata") or {}
    if kind in {"custom-error", "nullable", "default"}:
        return _rules(schema["schema"], today)
    if kind == "function-after" and marks.get("at_most") == "today" and "le" not in schema["schema"]:
        return _rules({**schema["schema"], "le": today}, today)
    if kind == "chain" and len(schema["steps"]) == _PAIR:
        first, then = schema["steps"]
        rules = _rules(then, today)
        return {form: _after(step, rules[form]) for form, step in _steps(first).items() if form in rules}
    return _RULES[kind](schema) if kind in _RULES else {}


def _after(step: Texts, then: Texts) -> Texts:
    return lambda values: then(step(values))


def _steps(schema: Schema) -> dict[str, Texts]:
    """Return what the first step of a chain surely passes on, by form."""
    kind, marks = schema["type"], schema.get("metadata") or {}
    if "passes" in marks:
        return dict.fromkeys(marks["forms"], _rewritten(marks["passes"], marks.get("rewrites", ())))
    if kind == "custom-error":
        return _steps(schema["schema"])
    if kind == "union":
        return dict(ChainMap(*map(_steps, schema["choices"])))
    if kind == "chain" and len(schema["steps"]) == _PAIR and schema["steps"][0]["type"] == "any":
        return _steps(schema["steps"][1])
    if kind == "str":
        return _text(schema)
    unbounded = kind in {"int", "float"} and not schema.keys() - _COMMON
    return dict.fromkeys(
        ("integer", "number")[: 1 + (kind == "float")] if unbounded else (), lambda values: values
    )


def _rewritten(pattern: str, rewrites: Iterable[tuple[str, str]]) -> Texts:
    _matching(pattern, _A_TEXT)  # raises an error if the pattern is none of RE2's

    def texts(values: Array) -> Array:
        passed = _matching(pattern, values)
        for found, written in rewrites:
            passed = pc.replace_substring_regex(passed, found, written)
        return passed

    return texts


def _text(schema: Schema) -> dict[str, Texts]:
    _require_known(schema, ("pattern", "max_length", "min_length"))
    pattern = schema.get("pattern")
    if pattern not in {None, _NUL_FREE, _NOT_BLANK}:
        if not _is_portable(pattern):
            return {}
        _matching(pattern, _A_TEXT)  # as above
    lengths = _bounds({"ge": schema.get("min_length"), "le": schema.get("max_length")}, pa.int32())

    def texts(values: Array) -> Array:
        kept = only(pc.invert(pc.match_substring(values, "\x00")), values)  # PostgreSQL cannot store it
        if pattern == _NOT_BLANK:
            kept = only(pc.greater(pc.binary_length(pc.utf8_trim_whitespace(values)), ZERO), kept)
        elif pattern not in {None, _NUL_FREE}:
            kept = _matching(pattern, kept)
        return _within(lengths, pc.utf8_length(values), kept) if lengths else kept

    return dict.fromkeys(("text", CSV), texts)


def _is_portable(pattern: object) -> bool:
    return isinstance(pattern, str) and pattern.isascii() and re.fullmatch(_PORTABLE, pattern) is not None


def _integer(schema: Schema) -> dict[str, Texts]:
    _require_known(schema, _BOUNDS)
    bounds = _bounds(schema, pa.int64())

    def texts(values: Array) -> Array:
        return _within(bounds, values, values.cast(pa.string()))

    return {
        "integer": texts,
        CSV: lambda values: texts(cast_where_possible(_matching(_INTEGER, values), pa.int64())),
    }


def _float(schema: Schema) -> dict[str, Texts]:
    _require_known(schema, {*_BOUNDS, "allow_inf_nan"})
    bounds = _bounds(schema, pa.float64())

    def texts(values: Array, written: Array) -> Array:
        return _within(bounds, values, only(pc.is_finite(values), written))

    def of_csv(values: Array) -> Array:
        matching = _matching(_FLOAT, values)
        return texts(cast_where_possible(matching, pa.float64()), matching)

    return {"number": lambda values: texts(values, values.cast(pa.string())), CSV: of_csv}


def _boolean(schema: Schema) -> dict[str, Texts]:
    _require_known(schema)
    return {"boolean": lambda values: values.cast(pa.string())}


def _decimal(schema: Schema) -> dict[str, Texts]:
    _require_known(schema, {*_BOUNDS, "max_digits", "decimal_places", "allow_inf_nan"})
    digits, places = schema.get("max_digits"), schema.get("decimal_places")
    whole = min(_SURE_DIGITS, digits or _SURE_DIGITS) - (places or 0)
    if whole < 1 or (digits is not None and places is None):
        return {}
    kind = pa.decimal128(38, _SURE_DIGITS if places is None else places)
    limits = _bounds({"lt": Decimal(10) ** whole, "gt": -(Decimal(10) ** whole)}, kind)
    bounds = [*limits, *_bounds(schema, kind)]

    def of_numbers(values: Array) -> Array:
        """Return the decimals that are read as the same doubles: of at most 15 digits there is one, the shortest."""
        decimals = cast_where_possible(values, kind)
        texts = decimals.cast(pa.string())  # Arrow's cast of a decimal to a double is not exact
        return _within(bounds, decimals, only(pc.equal(texts.cast(pa.float64()), values), texts))

    def of_texts(values: Array) -> Array:
        matching = _matching(_DECIMAL, values)
        return _within(bounds, cast_where_possible(matching, kind), matching)

    return {"text": of_texts, CSV: of_texts, **({"number": of_numbers} if places else {})}


def _in_time(pattern: str, kind: Any, first: date) -> Callable[[Schema], dict[str, Texts]]:  # noqa: ANN401
    def rules(schema: Schema) -> dict[str, Texts]:
        _require_known(schema, {*_BOUNDS, "microseconds_precision", "tz_constraint"})
        bounds = [*_bounds({"ge": first}, kind), *_bounds(schema, kind)]

        def texts(values: Array) -> Array:
            matching = _matching(pattern, values)
            return _within(bounds, cast_where_possible(matching, kind), matching)

        return dict.fromkeys(("text", CSV), texts)

    return rules


def _moment(schema: Schema) -> dict[str, Texts]:
    if "tz_constraint" not in schema:
        return {}
    return (_aware if schema["tz_constraint"] == "aware" else _naive)(schema)


def _uuid(schema: Schema) -> dict[str, Texts]:
    _require_known(schema)
    return dict.fromkeys(("text", CSV), lambda values: _matching(_UUID, values))


_FIRST = datetime.min.replace(tzinfo=UTC)
_naive = _in_time(_NAIVE, pa.timestamp("us"), _FIRST.replace(tzinfo=None))
_aware = _in_time(_AWARE, pa.timestamp("us", "UTC"), _FIRST)
_RULES: dict[str, Callable[[Schema], dict[str, Texts]]] = {
    "str": _text,
    "int": _integer,
    "float": _float,
    "bool": _boolean,
    "decimal": _decimal,
    "date": _in_time(_DATE, pa.date32(), date.min),
    "datetime": _moment,
    "uuid": _uuid,
}


def _require_known(schema: Schema, more: Iterable[str] = ()) -> None:
    if unknown := schema.keys() - _COMMON - set(more):
        raise ValueError(f"no rule for {sorted(unknown)}")


def _bounds(schema: Schema, kind: Any) -> _Bounds:  # noqa: ANN401
    return [
        (compare, scalar(schema[name], kind))
        for name, compare in _COMPARE.items()
        if schema.get(name) is not None
    ]


def _within(bounds: _Bounds, values: Array, texts: Array) -> Array:
    """Return the texts of the values that are within the bounds."""
    for compare, bound in bounds:
        texts = only(compare(values, bound), texts)
    return texts


def _matching(pattern: str, values: Array) -> Array:
    return only(pc.match_substring_regex(values, pattern), values)


def only(holds: Array, values: Array) -> Array:
    """Return the values for which a condition holds, null in place of the others."""
    if pc.all(holds, skip_nulls=False).as_py():  # the usual case, without a copy
        return values
    return pc.if_else(holds, values, pa.nulls(1, values.type)[0])


def text_array(texts: Iterable[str | None]) -> Array:
    """Return texts as an array. `pyarrow.array` and `pyarrow.scalar` would import pandas: 40 MiB, and half a second."""
    builder = pa.lib.StringBuilder()
    builder.append_values(texts)
    return builder.finish()


def integer_array(numbers: Iterable[int]) -> Array:
    """Return integers as an array, likewise without pandas."""
    return text_array(map(str, numbers)).cast(pa.int64())


def scalar(value: Any, kind: Any) -> Any:  # noqa: ANN401
    """Return a value as a scalar of a type.

    Raises:
        ValueError: it is none of that type.
    """
    text = value.isoformat() if isinstance(value, date) else str(value)
    return text_array([text]).cast(kind)[0]


def cast_where_possible(values: Array, kind: Any) -> Array:  # noqa: ANN401
    """Return the values in another type, null in place of those that it cannot hold."""
    try:
        return values.cast(kind)
    except pa.ArrowInvalid:
        if len(values) == 1:
            return pa.nulls(1, kind)
        half = len(values) // 2
        return pa.concat_arrays(
            [cast_where_possible(values.slice(0, half), kind), cast_where_possible(values.slice(half), kind)]
        )


ZERO = scalar(0, pa.int32())
_A_TEXT = text_array([""])
