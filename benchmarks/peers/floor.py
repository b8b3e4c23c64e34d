"""The floor: the time that PostgreSQL itself needs for the rows."""

import csv
import io

import psycopg

from benchmarks.peers.json_lot import fetch_lote
from benchmarks.same_table import COLUMNS, FIELDS, IntoSameTable

_COPY = f"COPY tabela_compras ({', '.join(COLUMNS)}) FROM STDIN WITH (FORMAT csv)"


class RawCopy(IntoSameTable):
    """COPY of a CSV in memory over an open connection: no HTTP, no parsing, no validation."""

    name = "the floor (COPY of a CSV in memory, nothing else)"

    def __init__(self, api_url: str, database_url: str, rows: int) -> None:
        super().__init__(database_url)
        self._api_url = api_url
        self._rows = rows
        self._csv = b""
        self._connection = psycopg.connect(database_url)

    def prepare(self, lote: str) -> None:
        """Fetch the batch, and encode it as CSV."""
        text = io.StringIO()
        csv.writer(text).writerows(
            (lote, linha, *(row[field] for field in FIELDS))
            for linha, row in enumerate(fetch_lote(self._api_url, lote, self._rows), start=1)
        )
        self._csv = text.getvalue().encode()

    def load(self, lote: str, rows: int) -> None:  # noqa: ARG002  # prepared before
        """Write the bytes, and commit."""
        with self._connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.write(self._csv)
        self._connection.commit()
