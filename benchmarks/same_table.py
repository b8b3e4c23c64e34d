"""The tables of the contenders, as the pipeline declares them, with keys, indexes and constraints."""

import psycopg

from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.postgres.slices.ledger import ledger_table
from purchase_pipeline.purchases import COMPRAS_REJEITADAS, TABELA_COMPRAS

COLUMNS = [column.name for column in TABELA_COMPRAS.columns if column.identity is None]
"""The written columns: `lote`, `linha`, and the contract's fields in order."""

FIELDS = COLUMNS[2:]


def make_tables(database_url: str) -> None:
    """Create the two tables and the ledger."""
    engine = engine_for(database_url)
    for table in (TABELA_COMPRAS, COMPRAS_REJEITADAS, ledger_table()):
        table.create(engine)


class IntoSameTable:
    """Base of contenders that write into `tabela_compras`; subclasses add `name` and `load`."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url

    def prepare(self, lote: str) -> None:
        """Do nothing: only the tables are needed."""

    def stored(self) -> int:
        """Count the table's rows."""
        with psycopg.connect(self.database_url) as connection:
            (count,) = connection.execute("SELECT count(*) FROM tabela_compras").fetchone() or (0,)
            return int(count)

    def clean(self) -> None:
        """Empty the tables and the ledger."""
        with psycopg.connect(self.database_url) as connection:
            connection.execute("TRUNCATE tabela_compras, compras_rejeitadas, slice_ledger")
