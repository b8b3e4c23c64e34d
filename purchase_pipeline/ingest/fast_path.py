"""The fast path of validation: Arrow reads rows in bulk, and rules accept those that are surely valid.

The others are left to the contract's full validation, which alone rejects and explains.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from purchase_pipeline.ingest.bulk_fields import BulkField, bulk_fields
from purchase_pipeline.ingest.bulk_readers import BulkCsv, BulkJson, BulkReader
from purchase_pipeline.ingest.column_rules import Array, scalar, text_array
from purchase_pipeline.ingest.formats import Csv
from purchase_pipeline.ingest.landing.pages import PageRows
from purchase_pipeline.ingest.row_readers import SYSTEM_ERRORS
from purchase_pipeline.postgres import CopyText

_ESCAPES = {b"\\": r"\\", b"\t": r"\t", b"\n": r"\n", b"\r": r"\r"}  # the backslash first
_MOST_BYTES = 64 << 20  # of a batch, which takes several times as much memory
_USEFUL = 10  # of a page, one row in this number is surely valid, or the rest is not tried
_TAB, _LINE_END, _NOTHING = text_array(["\t", "\n", ""])


class Passed(NamedTuple):
    """The surely valid rows of a batch.

    Attributes:
        indexes: their indexes in the batch.
        lines: their lines in COPY's text format.
    """

    indexes: Sequence[int]
    lines: Array

    def between(self, first: int, last: int) -> CopyText:
        """Return the rows whose indexes in the batch are from the first to before the last."""
        begin, end = bisect_left(self.indexes, first), bisect_left(self.indexes, last)
        if begin == end:
            return CopyText(b"", 0)
        _, offsets, data = self.lines.buffers()
        positions = memoryview(offsets).cast("i")
        return CopyText(memoryview(data)[positions[begin] : positions[end]], end - begin)


class FastPath:
    """Accepts rows of a page that the contract would surely accept."""

    def __init__(
        self, fields: Sequence[BulkField], partition: str, variables: Mapping[str, Any], reader: BulkReader
    ) -> None:
        self._fields, self._reader, self._is_useful = fields, reader, True
        self._partition = _escaped(text_array([partition]))[0]
        self._constants = {
            field.name: _escaped(text_array([field.constant(variables)]))[0]
            for field in fields
            if field.constant
        }

    def passed(self, raw_rows: Sequence[bytes], first: int) -> Passed:
        """Return the surely valid rows of a batch, whose first has that row number."""
        if not self._is_useful or sum(map(len, raw_rows)) > _MOST_BYTES:
            return Passed([], pa.nulls(0, pa.string()))
        positions, columns = self._reader.columns(raw_rows)
        texts = {name: rule(values) for name, (values, rule, _) in columns.items()}
        sure = pc.is_valid(positions)
        for name, (values, _, null_is_valid) in columns.items():
            if texts[name].null_count:
                null = pc.and_(pc.is_null(values), null_is_valid)
                sure = pc.and_(sure, pc.or_(pc.is_valid(texts[name]), null))
        kept = positions.filter(sure)
        if len(kept) < len(positions):
            texts = {name: text.filter(sure) for name, text in texts.items()}
        texts = {name: _escaped(text) for name, text in texts.items()} | self._constants
        self._is_useful = len(kept) * _USEFUL >= len(raw_rows)
        numbers = pc.add(kept, scalar(first, pa.int64())).cast(pa.string())
        fields = (texts[field.name] for field in self._fields)
        joined = pc.binary_join_element_wise(
            self._partition, numbers, *fields, _TAB, null_handling="replace", null_replacement=r"\N"
        )
        return Passed(kept.to_pylist(), pc.binary_join_element_wise(joined, _NOTHING, _LINE_END))


def fast_path_for(contract: type[BaseModel], today: date, partition: str, page: PageRows) -> FastPath | None:
    """Return the fast path for the rows of a page; None if there is none."""
    fields, row_format = _fields(contract, today), page.page.format
    reader: BulkReader | None
    if isinstance(row_format, Csv):
        reader = BulkCsv.of(fields, contract, page.splitter.header or (), row_format.delimiter)
    else:
        reader = BulkJson(fields, contract) if fields else None
    if reader is None:
        return None
    try:
        return FastPath(fields, partition, page.page.variables, reader)
    except SYSTEM_ERRORS:
        raise
    except Exception:  # noqa: BLE001  # a variable of the request is not valid, as full validation will say
        return None


@lru_cache(maxsize=8)
def _fields(contract: type[BaseModel], today: date) -> list[BulkField]:
    return bulk_fields(contract, today)


def _escaped(texts: Array) -> Array:
    """Return texts as COPY's text format has them."""
    data = texts.buffers()[2]
    for character, escape in _ESCAPES.items():
        if data is not None and character in data.to_pybytes():
            texts = pc.replace_substring(texts, character.decode(), escape)
    return texts
