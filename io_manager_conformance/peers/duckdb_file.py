"""A DuckDB file, as the storage of IO managers under test."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import ClassVar, Self

import dagster as dg
import duckdb

from io_manager_conformance.subject import Columns, Rows


@dataclass
class DuckDBFile:
    """An empty database file, which a connection holds open; a subject adds its IO manager and its frames."""

    database: str
    connection: duckdb.DuckDBPyConnection
    instance: dg.DagsterInstance
    unwritable: ClassVar[Columns] = {"price": [Decimal("1.5"), Decimal("sNaN")]}

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, instance: dg.DagsterInstance) -> Iterator[Self]:
        """Open a new file in a folder."""
        database = str(folder / "conformance.duckdb")
        # One process opens a file once, for connections of the same configuration: here Dagster's.
        with duckdb.connect(database, config={"custom_user_agent": "dagster"}) as connection:
            yield cls(database, connection, instance)

    def stored(self, table: str, schema: str = "public") -> Rows | None:
        """Read a table."""
        try:
            found = self.connection.cursor().table(f'"{schema}"."{table}"')
        except duckdb.CatalogException:
            return None
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
