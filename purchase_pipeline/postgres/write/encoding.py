"""Which form data of a type takes on its way into a column, and whether it must be cast in the database.

Of what a column's own type would change, PostgreSQL's binary input says nothing: it rounds to a scale, pads, and cuts
fields. So what `write.exact_arrays` does not know to be exact is staged in the type that the data has, and cast in the
database, where `write.staged_casts` looks at what came of it.
"""

from typing import Any, NamedTuple

from purchase_pipeline.postgres.schema.real_types import RealType
from purchase_pipeline.postgres.schema.types import ColumnType, family
from purchase_pipeline.postgres.write.exact_arrays import BY_KINDS, lists_of, missing, text_in
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
    """How a column goes to the server.

    Attributes:
        encode: makes the Arrow array that is sent.
        staged: the type that it is staged as, for PostgreSQL to cast; None: it is sent as the column's own.
    """

    encode: Encode
    staged: RealType | None = None


def encoding_for(incoming: ColumnType, real: RealType) -> Encoding | None:
    """Return how data of a type goes into a column, or None: they do not go together."""
    if family(incoming) == "unknown":
        return Encoding(missing, None if _is_plain(real) else _scalar(*_STAGED["text"]))
    direct = _direct(incoming, real)
    if direct is not None:
        return Encoding(direct)
    if not _may_be_cast(incoming, real):
        return None
    staged = _staged(incoming)
    encode = staged and _direct(incoming, staged)
    return Encoding(encode, staged) if staged and encode else None


def _is_plain(real: RealType) -> bool:
    return _is_plain(real.element) if real.element else real.kind == "e" or real.base in _PLAIN


def _direct(incoming: Any, real: RealType) -> Encode | None:  # noqa: ANN401
    kind = family(incoming)
    if kind == "array" and real.element is not None:
        unknown = family(incoming.item_type) == "unknown"
        element = missing if unknown else _direct(incoming.item_type, real.element)
        return lists_of(element, real.element) if element and not real.of_domains else None
    if kind == "text" and real.kind == "e":
        return text_in(real)
    if kind == "array" and family(incoming.item_type) not in _IN_JSON:
        return None
    exact_in = BY_KINDS.get((kind, real.base))
    return exact_in and exact_in(real)


def _may_be_cast(incoming: Any, real: RealType) -> bool:  # noqa: ANN401
    kind = family(incoming)
    if kind == "array" and real.element is not None:
        return _casts_in_lists(incoming.item_type, real.element)
    if kind in _STAGED and _STAGED[kind][0] == real.base:
        return True
    return kind in _CAST.get(real.base, ()) or (
        kind == "text" and (real.base == "uuid" or not _is_plain(real))
    )


def _casts_in_lists(element: ColumnType, real: RealType) -> bool:
    if family(element) == "unknown":
        return True
    # PostgreSQL makes of a float the NUMERIC of its first 15 digits.
    return encoding_for(element, real) is not None and (family(element), real.base) != ("float", "numeric")


def _staged(incoming: Any) -> RealType | None:  # noqa: ANN401
    if family(incoming) != "array":
        names = _STAGED.get(family(incoming))
        return names and _scalar(*names)
    base, name = _STAGED.get(family(incoming.item_type), _STAGED["text"])
    return RealType(f"_{base}", -1, "b", f"{name}[]", f"{name}[]", element=_scalar(base, name))


def _scalar(base: str, name: str) -> RealType:
    return RealType(base, -1, "b", name, name)
