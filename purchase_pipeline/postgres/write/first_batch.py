"""The first batch of a stream, which settles the columns: the first that has rows, and what the next tell of its types.

Pages of an API are empty at times, or have not one value in a column. Such a page says nothing of the others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice

from purchase_pipeline.postgres.errors import RefusedValueError, UnstorableValueError
from purchase_pipeline.postgres.frames.rows import Batch
from purchase_pipeline.postgres.schema.inference import common
from purchase_pipeline.postgres.schema.types import ColumnType
from purchase_pipeline.postgres.schema.untyped import is_open
from purchase_pipeline.postgres.write.coercion import next_batch

_LOOKED_AHEAD = 8  # batches that are in memory at once, of a stream with a column that stays without a value

_Types = Mapping[str, ColumnType]


def first_batch(batches: Iterator[Batch], table: str) -> tuple[Batch | None, Iterator[Batch]]:
    """Return the first batch and the rest. Of batches without rows, the first with columns is all; or there is none.

    Raises:
        UnstorableValueError: a column or value that PostgreSQL has no type for.
    """
    filled = _with_rows(batches)
    empty = first = next_batch(filled, table, rows_before=0)
    if first is not None and not first.rows:
        first = next_batch(filled, table, rows_before=0)
    if empty is None or first is None:
        return empty, filled
    if not first.types:
        raise UnstorableValueError(table, 1, None, "the row has no columns")
    types, held = _with_types_of(first.types, empty.types), list[Batch]()
    while any(map(is_open, types.values())) and len(held) < _LOOKED_AHEAD:
        try:
            following = next(filled, None)
        except RefusedValueError as error:  # its row's number is known when its turn comes
            filled = _refused(error)
            break
        if following is None:
            break
        held.append(following)
        types = _with_types_of(types, following.types)
    return replace(first, types=types), chain(held, filled)


def _with_rows(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yield the batches that have rows; before them, one that has columns alone."""
    begun = False
    for batch in batches:
        rows = iter(batch.rows)
        if head := list(islice(rows, 1)):
            yield replace(batch, rows=chain(head, rows))
        elif batch.types and not begun:
            yield replace(batch, rows=())
        else:
            continue
        begun = True


def _with_types_of(types: _Types, others: _Types) -> _Types:
    """Return the types, and where one is open, what the other batch tells of it."""
    told = {
        name: common(kind, others[name]) for name, kind in types.items() if is_open(kind) and name in others
    }
    return {**types, **{name: kind for name, kind in told.items() if kind is not None}} if told else types


def _refused(error: RefusedValueError) -> Iterator[Batch]:
    raise error
    yield  # a generator, which raises where it is asked for the batch
