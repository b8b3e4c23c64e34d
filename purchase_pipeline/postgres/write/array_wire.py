"""Arrays in PostgreSQL's binary format, for elements that pgpq cannot encode: exact numbers, instants, UUIDs."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from struct import pack
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from purchase_pipeline.postgres.frames.exact import Array

ELEMENTS = {
    "bool": 16,
    "bytea": 17,
    "int8": 20,
    "int2": 21,
    "int4": 23,
    "text": 25,
    "json": 114,
    "float4": 700,
    "float8": 701,
    "bpchar": 1042,
    "varchar": 1043,
    "date": 1082,
    "time": 1083,
    "timestamp": 1114,
    "timestamptz": 1184,
    "interval": 1186,
    "numeric": 1700,
    "uuid": 2950,
    "jsonb": 3802,
}
"""OIDs of the base types (src/include/catalog/pg_type.dat). Those of other types differ between databases."""
_Y2K = 946_684_800_000_000  # microseconds from 1970 to PostgreSQL's epoch


def array_wire(lists: Array, flat: Array, base: str) -> Array:
    """Return lists as the bytes that `array_recv` reads (PostgreSQL, src/backend/utils/adt/arrayfuncs.c).

    Of the lists, only lengths and nulls are used; `flat` holds their encoded elements.
    """
    elements, oid = _as_bytes(flat), ELEMENTS[base]
    lengths: list[int] = pc.fill_null(pc.list_value_length(lists), 0).to_pylist()
    bounds = pairwise(accumulate(lengths, initial=0))
    found = [
        None if missing else _array(elements[first:beyond], oid)
        for missing, (first, beyond) in zip(lists.is_null().to_pylist(), bounds, strict=True)
    ]
    return pa.array(found, pa.large_binary())


def _array(elements: Sequence[bytes | None], oid: int) -> bytes:
    if not elements:
        return pack(">iiI", 0, 0, oid)
    head = pack(">iiIii", 1, int(None in elements), oid, len(elements), 1)
    return head + b"".join(pack(">i", -1) if one is None else pack(">i", len(one)) + one for one in elements)


def _as_bytes(flat: Array) -> list[Any]:
    if flat.null_count == len(flat):
        return [None] * len(flat)
    if pa.types.is_timestamp(flat.type):
        counts = flat.cast(pa.int64()).to_pylist()
        return [None if count is None else pack(">q", count - _Y2K) for count in counts]
    return flat.cast(pa.large_binary()).to_pylist()  # type: ignore[no-any-return]
