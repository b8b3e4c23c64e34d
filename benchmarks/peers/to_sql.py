"""`DataFrame.to_sql`: by default, with multi-row INSERT, and with the COPY callable of the pandas documentation."""

import csv
import io
from collections.abc import Callable, Iterable
from typing import Any, Literal

import pandas as pd
import sqlalchemy as sa

from benchmarks.peers.json_lot import fetch_lote
from benchmarks.same_table import IntoSameTable

_ROWS_AN_INSERT = 1_000  # the default would be all rows, 140,000 parameters, in one statement


class ToSql(IntoSameTable):
    """requests, a frame, `to_sql` over psycopg2; only dates are parsed."""

    def __init__(
        self,
        api_url: str,
        database_url: str,
        name: str = "pandas to_sql (no validation)",
        method: Literal["multi"] | Callable[..., int | None] | None = None,
    ) -> None:
        super().__init__(database_url)
        self.name = name
        self._api_url = api_url
        self._method = method
        self._engine = sa.create_engine(sa.make_url(database_url).set(drivername="postgresql+psycopg2"))

    def load(self, lote: str, rows: int) -> None:
        """Load one batch in one transaction."""
        frame = pd.DataFrame(fetch_lote(self._api_url, lote, rows))
        for column in ("date_purchase", "birthday_client"):
            frame[column] = pd.to_datetime(frame[column], format="%Y-%m-%d")
        frame.insert(0, "lote", lote)
        frame.insert(1, "linha", range(1, len(frame) + 1))
        frame.to_sql(
            "tabela_compras",
            self._engine,
            if_exists="append",
            index=False,
            method=self._method,
            chunksize=_ROWS_AN_INSERT if self._method == "multi" else None,
        )


def to_sql_variants(api_url: str, database_url: str) -> list[ToSql]:
    """Return the non-default variants."""
    return [
        ToSql(api_url, database_url, 'pandas to_sql, method="multi" (no validation)', "multi"),
        ToSql(api_url, database_url, "pandas to_sql, COPY callable (no validation)", insert_by_copy),
    ]


def insert_by_copy(
    table: Any,  # noqa: ANN401  # pandas type
    connection: sa.Connection,
    keys: list[str],
    rows: Iterable[tuple[Any, ...]],
) -> None:
    """Insert by COPY from a CSV in memory, as pandas' user guide shows for PostgreSQL."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    buffer.seek(0)
    columns = ", ".join(f'"{key}"' for key in keys)
    driver: Any = connection.connection
    with driver.cursor() as cursor:
        cursor.copy_expert(f"COPY {table.name} ({columns}) FROM STDIN WITH CSV", buffer)
