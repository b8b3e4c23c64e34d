"""The feeds of docs/recipes.md that are measured, from the code that the page shows."""

import sys
from types import ModuleType

import dagster as dg

from purchase_pipeline.feeds import Feed
from purchase_pipeline_tests.documents import PROJECT, blocks_of


def _feed_of(file: str) -> Feed:
    """Return the feed of a file of the page, as if the file were a module."""
    (code,) = (block.text for block in blocks_of(PROJECT / "docs" / "recipes.md") if block.file == file)
    module = ModuleType(f"recipes_{file.removesuffix('.py')}")
    sys.modules[module.__name__] = module  # pydantic looks for it
    exec(compile(code, file, "exec"), module.__dict__)  # noqa: S102  # our own page
    return next(value for value in vars(module).values() if isinstance(value, Feed))


exports, rates = _feed_of("exports.py"), _feed_of("series.py")
exports.partitions = dg.DailyPartitionsDefinition("2026-01-05", end_date="2026-01-06")
rates.partitions = dg.MonthlyPartitionsDefinition("2006-01-01", end_date="2026-01-01")
defs = dg.Definitions.merge(exports.definitions(), rates.definitions())
