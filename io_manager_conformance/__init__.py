"""A test suite for Dagster IO managers that store assets as tables: its behaviours, promise by promise.

What an IO manager is to be tested with is a `Subject`; a subclass of `Conformance` is its tests. Nothing here knows a
storage: the suite needs Dagster and pytest, and `frames/` the library of the frames that are used.
"""

from io_manager_conformance.subject import Columns, PartitionExpr, Rows, Subject
from io_manager_conformance.suite import Conformance

__all__ = ["Columns", "Conformance", "PartitionExpr", "Rows", "Subject"]
