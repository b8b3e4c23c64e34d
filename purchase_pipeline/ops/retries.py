"""Retries of requests that this process makes, as lines on the terminal."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from purchase_pipeline.ingest.sources import waits


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
def retries_shown(say: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Show retries of requests that this process makes, instead of logging them.

    Yield a function that ends a series of retries: the next one is shown.
    """
    logger, handler = logging.getLogger(waits.__name__), _FirstRetry(say)
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False

    def end_series() -> None:
        handler.is_said = False

    try:
        yield end_series
    finally:
        logger.propagate = propagate
        logger.removeHandler(handler)
