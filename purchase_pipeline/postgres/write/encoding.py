"""How values of a type are encoded for a column, and whether the database must cast them.

PostgreSQL's binary input silently rounds to a scale, pads, and truncates fields. So values that `write.exact_arrays`
cannot prove exact are staged in their own type and cast in the database, where `write.staged_casts` checks the result.
"""

from typing import Any, NamedTuple

from purchase_pipeline.postgres.schema.native_types import NativeType
from purchase_pipeline.postgres.schema.types import ColumnType, family
from purchase_pipeline.postgres.write.exact_arrays import BY_KINDS, array_encoder, nulls, text_in
from purchase_pipeline.postgres.write.exact_numbers import Encode

_STAGED = {
    "boolean": ("bool", "boolean"),
    "integer": ("int8", "bigint"),
    "float": ("float8", "double precision"),
    "numeric": ("numeric", "numeric"),
    "text": ("text", "text"),
    "bytes": ("bytea", "bytea"),
    "date": ("date", "date"),
    "time": ("time", "time"),
    "interval": ("interval", "interval"),
    "timestamp": ("timestamp", "timestamp"),
    "zoned timestamp": ("timestamptz", "timestamptz"),
    "uuid": ("uuid", "uuid"),
    "json": ("jsonb", "jsonb"),
}
_CAST = {
    "money": {"integer", "numeric"},
    "oid": {"integer"},
    "vector": {"array"},
    "halfvec": {"array"},
    "hstore": {"json"},
}
_IN_JSON = {"boolean", "integer", "float", "text", "unknown"}
_PLAIN = {base for _, base in BY_KINDS}


class Encoding(NamedTuple):
    """How a column is sent to the server.

    Attributes:
        encode: returns the Arrow array to send.
        staged: the type in which it is staged, for PostgreSQL to cast; None: it is sent in the column's type.
    """

    encode: Encode
    staged: NativeType | None = None


def encoding_for(incoming: ColumnType, native: NativeType) -> Encoding | None:
    """Return the encoding of a type for a column, or None if they are incompatible."""
    if family(incoming) == "unknown":
        return Encoding(nulls, None if _is_plain(native) else _scalar(*_STAGED["text"]))
    direct = _direct(incoming, native)
    if direct is not None:
        return Encoding(direct)
    if not _may_be_cast(incoming, native):
        return None
    staged = _staged(incoming)
    encode = staged and _direct(incoming, staged)
    return Encoding(encode, staged) if staged and encode else None


def _is_plain(native: NativeType) -> bool:
    return _is_plain(native.element) if native.element else native.kind == "e" or native.base in _PLAIN


def _direct(incoming: Any, native: NativeType) -> Encode | None:  # noqa: ANN401
    kind = family(incoming)
    if kind == "array" and native.element is not None:
        unknown = family(incoming.item_type) == "unknown"
        element = nulls if unknown else _direct(incoming.item_type, native.element)
        return array_encoder(element, native.element) if element and not native.of_domains else None
    if kind == "text" and native.kind == "e":
        return text_in(native)
    if kind == "array" and family(incoming.item_type) not in _IN_JSON:
        return None
    exact_in = BY_KINDS.get((kind, native.base))
    return exact_in and exact_in(native)


def _may_be_cast(incoming: Any, native: NativeType) -> bool:  # noqa: ANN401
    kind = family(incoming)
    if kind == "array" and native.element is not None:
        return _casts_in_lists(incoming.item_type, native.element)
    if kind in _STAGED and _STAGED[kind][0] == native.base:
        return True
    return kind in _CAST.get(native.base, ()) or (
        kind == "text" and (native.base == "uuid" or not _is_plain(native))
    )


def _casts_in_lists(element: ColumnType, native: NativeType) -> bool:
    if family(element) == "unknown":
        return True
    # PostgreSQL casts a float to the NUMERIC of its first 15 digits.
    return encoding_for(element, native) is not None and (family(element), native.base) != (
        "float",
        "numeric",
    )


def _staged(incoming: Any) -> NativeType | None:  # noqa: ANN401
    if family(incoming) != "array":
        names = _STAGED.get(family(incoming))
        return names and _scalar(*names)
    base, name = _STAGED.get(family(incoming.item_type), _STAGED["text"])
    return NativeType(f"_{base}", -1, "b", f"{name}[]", f"{name}[]", element=_scalar(base, name))


def _scalar(base: str, name: str) -> NativeType:
    return NativeType(base, -1, "b", name, name)
