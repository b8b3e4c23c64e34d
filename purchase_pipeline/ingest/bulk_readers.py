"""Bulk readers of the fast path: from the bytes of many rows to Arrow's columns, without the rows it cannot read."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from operator import contains
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv
from pyarrow import json as arrow_json
from pydantic import BaseModel

from purchase_pipeline.ingest.bulk_fields import BulkField
from purchase_pipeline.ingest.column_rules import (
    CSV,
    JSON_FORMS,
    ZERO,
    Array,
    Texts,
    integer_array,
    only,
    text_array,
)
from purchase_pipeline.ingest.csv_rows import is_regular

_ROWS_A_PART = 1_000
_MOST_ATTEMPTS = 100  # of a part, each of which finds a row that Arrow cannot read, or halves the rest
_MANY = 500  # of a batch, one row in this number cannot be read
_PEEKED_ROWS = 50
_FORMS: dict[type, tuple[str, ...]] = {
    str: ("text",),
    bool: ("boolean",),
    int: ("number", "integer"),
    float: ("number",),
}
_CLASSES = {
    form: {type(None), *(kind for kind, forms in _FORMS.items() if form in forms)} for form in JSON_FORMS
}
_UNREADABLE = (UnicodeDecodeError, pa.ArrowInvalid)


class Column(NamedTuple):
    """The values of a field in some rows.

    Attributes:
        values: as received.
        rule: returns the texts of those that are surely valid.
        null_is_valid: where a null would be valid.
    """

    values: Array
    rule: Texts
    null_is_valid: Array


Columns = tuple[Array, Mapping[str, Column]]
"""The rows that Arrow can read: their indexes in the batch, and their columns by field."""


class BulkReader(Protocol):
    """Reads the rows of a page."""

    def columns(self, raw_rows: Sequence[bytes]) -> Columns:
        """Return the rows of a batch that Arrow can read."""


class BulkJson:
    """Reads rows of JSON.

    Arrow reads objects one after the other, wherever a row ends. So each row gets a member with its index, by a name
    that no row has: it shows rows that are JSON only together, or several objects.
    """

    def __init__(self, fields: Sequence[BulkField], contract: type[BaseModel]) -> None:
        self._fields = sorted(  # the nested ones first
            (field for field in fields if field.constant is None), key=lambda field: -len(field.path)
        )
        self._nested = [field.path for field in self._fields if len(field.path) > 1]
        self._names = [field.path[0] for field in self._fields if len(field.path) == 1]
        self._forbids_more = contract.model_config.get("extra") == "forbid"
        self._index = uuid4().hex
        self._forms: dict[str, str] = {}
        self._many_unreadable = False
        self._are_likely = lru_cache(maxsize=1_000)(self._are_of_the_forms)
        self._ambiguous = [f'"{".".join(field.path)}"'.encode() for field in fields if len(field.path) > 1]

    def columns(self, raw_rows: Sequence[bytes]) -> Columns:
        """Return the rows of a batch that Arrow can read."""
        forms = self._forms = self._forms or self._common_forms(raw_rows)
        types: dict[str, Any] = {self._index: pa.int64()}
        for field in self._fields:
            _add(types, field.path, JSON_FORMS[forms[field.name]])
        table = self._table(raw_rows, pa.schema(_arrow_fields(types)))
        self._many_unreadable = (len(raw_rows) - len(table)) * _MANY > len(raw_rows)
        indexes = table[self._index].combine_chunks()
        columns = {}
        for field in self._fields:
            values = table[field.path[0]].combine_chunks()
            if len(field.path) > 1:
                values = pc.struct_field(values, list(field.path[1:]))
            null_is_valid = _null_is_valid(field, values, indexes, raw_rows)
            columns[field.name] = Column(values, field.rules[forms[field.name]], null_is_valid)
        return indexes, columns

    def _table(self, raw_rows: Sequence[bytes], schema: Any) -> Any:  # noqa: ANN401
        """Return the rows that Arrow can read, with their indexes."""
        prefix = f'{{"{self._index}":'.encode()
        indexed = [
            b"%b%d,%b" % (prefix, index, row[1:]) if row[:1] == b"{" else b""
            for index, row in enumerate(raw_rows)
        ]
        for path in self._ambiguous:
            indexed = [b"" if path in row else row for row in indexed]

        def read(part: Sequence[int]) -> Any:  # noqa: ANN401
            table = self._read(b"\n".join(indexed[index] for index in part), schema)
            if table[self._index].to_pylist() != list(part):
                raise pa.ArrowInvalid("not one object a row")
            more = table.column_names[len(schema) :]
            return table.take(_without(more, part, raw_rows)).select(schema.names) if more else table

        def is_likely(index: int) -> bool:
            return self._is_likely(raw_rows[index])

        usable = [index for index, row in enumerate(indexed) if row]
        if self._many_unreadable:  # otherwise an attempt shows it
            usable = list(filter(is_likely, usable))
        # Not `schema.empty_table()`, which imports pandas.
        none = pa.Table.from_arrays([pa.nulls(0, kind) for kind in schema.types], schema=schema)
        return pa.concat_tables([none, *_readable(read, usable, is_likely)])

    def _common_forms(self, raw_rows: Sequence[bytes]) -> dict[str, str]:
        """Return the most common form of each field in the page's first rows."""
        seen: dict[str, Counter[str]] = {field.name: Counter() for field in self._fields}
        for row in islice(raw_rows, _PEEKED_ROWS):
            with suppress(orjson.JSONDecodeError):
                members = orjson.loads(row)
                for field in self._fields:
                    possible = _FORMS.get(type(_at(members, field.path)), ())
                    seen[field.name].update(islice((form for form in possible if form in field.rules), 1))
        known = {field.name: [form for form in JSON_FORMS if form in field.rules] for field in self._fields}
        return {name: max(forms, key=seen[name].__getitem__) for name, forms in known.items()}

    def _are_of_the_forms(self, kinds: tuple[type, ...]) -> bool:
        return all(map(contains, (_CLASSES[self._forms[field.name]] for field in self._fields), kinds))

    def _is_likely(self, row: bytes) -> bool:
        """Return whether a row is an object whose members are of the page's forms."""
        try:
            members = orjson.loads(row)
            kinds = tuple(type(_at(members, path)) for path in self._nested)
            kinds += tuple(map(type, map(members.get, self._names)))
        except (orjson.JSONDecodeError, AttributeError):
            return False
        return self._are_likely(kinds)

    def _read(self, content: bytes, schema: Any) -> Any:  # noqa: ANN401
        content.decode()  # Arrow does not look at what it ignores
        return arrow_json.read_json(
            pa.BufferReader(content),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(content) + 1),
            parse_options=arrow_json.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="infer" if self._forbids_more else "ignore"
            ),
        )


class BulkCsv:
    """Reads rows of CSV."""

    def __init__(self, fields: Sequence[BulkField], header: Sequence[str], delimiter: str) -> None:
        self._fields, self._delimiter = fields, delimiter
        self._names = [str(position) for position in range(len(header))]
        self._column_names = {
            field.name: str(header.index(field.path[0])) for field in fields if field.path[0] in header
        }

    @classmethod
    def of(
        cls, fields: Sequence[BulkField], contract: type[BaseModel], header: Sequence[str], delimiter: str
    ) -> "BulkCsv | None":
        """Return a reader; None if the header does not name the contract's fields, each once."""
        fields = [field for field in fields if field.constant is None]
        if not fields or any(len(field.path) > 1 for field in fields):
            return None
        named = {field.path[0]: header.count(field.path[0]) for field in fields}
        if contract.model_config.get("extra") == "forbid" and not named.keys() >= set(header):
            return None
        once = all(named[field.path[0]] in ({0, 1} if field.may_be_empty else {1}) for field in fields)
        return cls(fields, header, delimiter) if once else None

    def columns(self, raw_rows: Sequence[bytes]) -> Columns:
        """Return the rows of a batch that Arrow can read."""
        usable = [index for index, row in enumerate(raw_rows) if is_regular(row, self._delimiter)]

        def read(part: Sequence[int]) -> Any:  # noqa: ANN401
            table, skipped = self._read(b"\n".join(raw_rows[index] for index in part))
            indexes = [index for position, index in enumerate(part, 1) if position not in skipped]
            if table.num_rows != len(indexes):
                raise pa.ArrowInvalid("not one record a row")
            return table.append_column("index", integer_array(indexes))

        columns = {}
        tables = [*_readable(read, usable, lambda index: _is_text(raw_rows[index]))] or [read([])]
        table = pa.concat_tables(tables)
        indexes = table["index"].combine_chunks()
        yes, no = pc.is_valid(indexes), pc.is_null(indexes)
        for field in self._fields:
            position = self._column_names.get(field.name)
            values = (
                pa.nulls(len(indexes), pa.string()) if position is None else table[position].combine_chunks()
            )
            if field.optional:
                values = only(pc.greater(pc.binary_length(values), ZERO), values)
            columns[field.name] = Column(values, field.rules[CSV], yes if field.may_be_empty else no)
        return indexes, columns

    def _read(self, content: bytes) -> tuple[Any, set[int]]:
        """Return the table, and the numbers of the records with another number of fields."""
        content.decode()  # an invalid row's text is decoded for `skip`
        skipped = set[int]()

        def skip(row: Any) -> str:  # noqa: ANN401
            skipped.add(row.number)
            return "skip"

        table = arrow_csv.read_csv(
            pa.BufferReader(content),
            read_options=arrow_csv.ReadOptions(
                use_threads=False, column_names=self._names, block_size=len(content) + 1
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=skip
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(self._names, pa.string()),
                strings_can_be_null=False,
                include_columns=[*self._column_names.values()],
            ),
        )
        return table, skipped


def _readable(
    read: Callable[[Sequence[int]], Any], indexes: Sequence[int], is_likely: Callable[[int], bool]
) -> Iterator[Any]:
    """Yield tables of the rows that can be read, in order: of all, of parts, or of a part's likely rows."""
    try:
        if indexes:
            yield read(indexes)
    except _UNREADABLE:
        for first in range(0, len(indexes), _ROWS_A_PART):
            yield from _readable_part(read, indexes[first : first + _ROWS_A_PART], is_likely)


def _readable_part(
    read: Callable[[Sequence[int]], Any], indexes: Sequence[int], is_likely: Callable[[int], bool]
) -> Iterator[Any]:
    pending, attempts = [indexes], 0
    while pending and attempts < _MOST_ATTEMPTS:
        part, attempts = pending.pop(), attempts + 1
        try:
            if part:
                yield read(part)
        except _UNREADABLE:
            if part is indexes:
                pending.append([index for index in indexes if is_likely(index)])
            elif (half := len(part) // 2) > 0:
                pending += [part[half:], part[:half]]


def _is_text(row: bytes) -> bool:
    try:
        row.decode()
    except UnicodeDecodeError:
        return False
    return True


def _without(names: Sequence[str], part: Sequence[int], raw_rows: Sequence[bytes]) -> Array:
    """Return the positions of the rows that have none of these members."""
    unwanted = [json.dumps(name, ensure_ascii=False).encode() for name in names]
    unwanted.append(b"\\")  # an escape may be part of a name
    return integer_array(
        position
        for position, index in enumerate(part)
        if not any(name in raw_rows[index] for name in unwanted)
    )


def _null_is_valid(field: BulkField, values: Array, indexes: Array, raw_rows: Sequence[bytes]) -> Array:
    """Return where null is valid: a missing member is read as null too, so it may have to be looked for."""
    if field.null is not None or not values.null_count:
        return pc.is_valid(indexes) if field.null else pc.is_null(indexes)
    name = f'"{field.path[-1]}":'.encode()  # so only a name ends: within a text the quotes would be escaped
    null = pc.is_null(values).to_pylist()
    found = [
        "" if is_null and raw_rows[index].count(b"{") == 1 and name in raw_rows[index] else None
        for index, is_null in zip(indexes.to_pylist(), null, strict=True)
    ]
    return pc.is_valid(text_array(found))


def _at(members: Any, path: Sequence[str]) -> Any:  # noqa: ANN401
    """Return the value that a path leads to: None if there is none, `...` if something else is in its way."""
    for name in path:
        if members is not None:
            members = members.get(name) if isinstance(members, dict) else ...
    return members


def _add(types: dict[str, Any], path: Sequence[str], kind: Any) -> None:  # noqa: ANN401
    *outer, name = path
    for each in outer:
        types = types.setdefault(each, {})
    types[name] = kind


def _arrow_fields(types: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        (name, pa.struct(_arrow_fields(kind)) if isinstance(kind, dict) else kind)
        for name, kind in types.items()
    ]
