"""ADBC: an Arrow table into PostgreSQL by binary COPY."""

from adbc_driver_postgresql import dbapi

from benchmarks.peers.arrow_lot import fetch_lote
from benchmarks.same_table import IntoSameTable


class AdbcIngest(IntoSameTable):
    """requests, Arrow's JSON parser, `adbc_ingest` of the whole table."""

    name = "ADBC ingest of an Arrow table (types, no validation)"

    def __init__(self, api_url: str, database_url: str) -> None:
        super().__init__(database_url)
        self._api_url = api_url

    def load(self, lote: str, rows: int) -> None:
        """Load one batch in one transaction."""
        table = fetch_lote(self._api_url, lote, rows)
        with dbapi.connect(self.database_url) as connection, connection.cursor() as cursor:
            cursor.adbc_ingest("tabela_compras", table, mode="append")
            connection.commit()
