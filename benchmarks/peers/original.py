"""The method of the first version: one JSON array, one model instance per row, SQLAlchemy's INSERT of dicts."""

import sqlalchemy as sa

from benchmarks.peers.json_lot import fetch_lote
from benchmarks.peers.original_worker import Purchase
from benchmarks.same_table import IntoSameTable
from purchase_pipeline.purchases import TABELA_COMPRAS


class OriginalMethod(IntoSameTable):
    """requests, pydantic, SQLAlchemy Core over psycopg2, in SQLAlchemy's default pages of 1,000 rows."""

    def __init__(self, name: str, api_url: str, database_url: str) -> None:
        super().__init__(database_url)
        self.name = name
        self._api_url = api_url
        self._engine = sa.create_engine(sa.make_url(database_url).set(drivername="postgresql+psycopg2"))

    def load(self, lote: str, rows: int) -> None:
        """Load one batch in one transaction."""
        purchases = [Purchase(**row) for row in fetch_lote(self._api_url, lote, rows)]
        with self._engine.begin() as connection:
            connection.execute(
                sa.insert(TABELA_COMPRAS),
                [
                    {"lote": lote, "linha": linha, **purchase.model_dump()}
                    for linha, purchase in enumerate(purchases, start=1)
                ],
            )
