"""The first batch of a stream determines the columns: the first with rows, completed by the types of the next ones.

Pages of an API may be empty, or have no value in some column. Such a page says nothing about the others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice

from purchase_pipeline.postgres.errors import RefusedValueError
from purchase_pipeline.postgres.frames.rows import AnyBatch, Batch, CopyText, DeclaredBatch
from purchase_pipeline.postgres.schema.inference import common_type
from purchase_pipeline.postgres.schema.pending_types import is_pending
from purchase_pipeline.postgres.schema.types import ColumnType

_MAX_HELD = 8  # batches held in memory while a column has no value

_Types = Mapping[str, ColumnType]


def with_lookahead(batches: Iterator[AnyBatch]) -> Iterator[AnyBatch]:
    """Yield the batches that have rows, the first with complete types; if none has rows, one that has columns.

    Raises:
        RefusedValueError: a row without columns, or an error of the batches.
    """
    filled = _with_rows(batches)
    empty = first = next(filled, None)
    if first is not None and not _has_rows(first):
        first = next(filled, None)
    if empty is None or first is None:
        if empty is not None:
            yield empty
        return
    types, held = _with_types_of(first.types, empty.types), list[AnyBatch]()
    while any(map(is_pending, types.values())) and len(held) < _MAX_HELD:
        try:
            following = next(filled, None)
        except RefusedValueError as error:  # raised in turn, when the row's number is known
            filled = _raising(error)
            break
        if following is None:
            break
        held.append(following)
        types = _with_types_of(types, following.types)
    yield replace(first, types=types)
    yield from held
    yield from filled


def _has_rows(batch: AnyBatch) -> bool:
    return bool(batch.frame.num_rows if isinstance(batch, Batch) else batch.rows)


def _with_rows(batches: Iterator[AnyBatch]) -> Iterator[AnyBatch]:
    """Yield the batches that have rows, and before them one that has only columns."""
    begun = False
    for batch in batches:
        one = batch
        if isinstance(batch, DeclaredBatch) and not isinstance(batch.rows, CopyText):
            rows = iter(batch.rows)
            head = list(islice(rows, 1))
            one = replace(batch, rows=chain(head, rows) if head else ())
        if _has_rows(one) or (one.types and not begun):
            yield one
            begun = True


def _with_types_of(types: _Types, others: _Types) -> _Types:
    """Return the types, with pending ones completed from the other batch."""
    found = {
        name: common_type(kind, others[name])
        for name, kind in types.items()
        if is_pending(kind) and name in others
    }
    return {**types, **{name: kind for name, kind in found.items() if kind is not None}}


def _raising(error: RefusedValueError) -> Iterator[AnyBatch]:
    raise error
    yield  # makes this a generator, which raises on the first next()
