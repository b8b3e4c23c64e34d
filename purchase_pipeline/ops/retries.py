"""Retries of requests, as lines on the terminal."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging.handlers import QueueListener

from purchase_pipeline.ops.run_processes import Retries


class _FirstRetry(logging.Handler):
    """Says the first retry since a batch was loaded; those that follow have the same cause, most often."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say
        self.is_said = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self.is_said:
            self.is_said = True
            self._say(record.getMessage())


@contextmanager
def retries_shown(records: Retries, say: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Show retries of requests that a run's process makes.

    Yield a function that ends a series of retries: the next one is shown.
    """
    handler = _FirstRetry(say)

    def end_series() -> None:
        handler.is_said = False

    listener = QueueListener(records, handler)
    listener.start()
    try:
        yield end_series
    finally:
        listener.stop()
