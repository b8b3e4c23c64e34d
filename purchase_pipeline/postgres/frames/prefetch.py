"""Prefetch of a stream's first batch, before a transaction is opened: computing it blocks nobody."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any

from purchase_pipeline.postgres.frames.libraries import is_reader, library_of
from purchase_pipeline.postgres.frames.rows import Batches, Item, RowStream, Together, closing_iterator


@contextmanager
def prefetched(value: Any) -> Iterator[Any]:  # noqa: ANN401
    """Yield the value with the first batch of its stream fetched; close the stream at the end.

    For a `Together` only its own value is prefetched: other tables' streams may depend on it.
    """
    if isinstance(value, Together):
        with prefetched(value.value) as own:
            ready = replace(value, value=own)
            yield ready
        value.written.update(ready.written)
        return
    stream = value.batches if isinstance(value, RowStream) else value
    kind = type(value)
    if not (isinstance(value, RowStream | Batches | Iterator) or is_reader(kind)) or library_of(kind):
        yield value
        return
    with closing_iterator(stream) as batches:
        resumed = _resumed(list(islice(batches, 1)), batches)
        if isinstance(value, RowStream):
            yield replace(value, batches=resumed)
        elif isinstance(value, Batches):
            yield kind(resumed)
        else:
            yield kind.from_batches(value.schema, resumed) if is_reader(kind) else resumed


def _resumed(first: list[Item], rest: Iterator[Item]) -> Iterator[Item]:
    if first:
        yield first.pop()  # hold no reference after the consumer
    yield from rest
