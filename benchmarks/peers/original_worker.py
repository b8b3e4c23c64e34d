"""The worker of the first version without its sleeps: batch after batch from its API into its own table.

`python -m benchmarks.peers.original_worker API_URL DATABASE_URL ROWS LOTS`
"""

import json
import sys
from datetime import date
from time import perf_counter

import requests
import sqlalchemy as sa
from pydantic import BaseModel

_TIMEOUT_SECONDS = 60
_TEXT = sa.String(255)  # the first version's 50 characters are too short for current job titles

_TABLE = sa.Table(
    "tabela_compras",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("date_purchase", sa.Date, nullable=False),
    sa.Column("client_name", _TEXT, nullable=False),
    sa.Column("client_lastname", _TEXT, nullable=False),
    sa.Column("state", _TEXT),
    sa.Column("birthday_client", sa.Date),
    sa.Column("job", _TEXT),
    sa.Column("payment_type", _TEXT),
    sa.Column("store", sa.Integer),
    sa.Column("category", _TEXT),
    sa.Column("product", _TEXT),
    sa.Column("brand", _TEXT),
    sa.Column("price", sa.Float),
)


class Purchase(BaseModel):
    """A purchase, as a plain model without strict validation."""

    date_purchase: date
    client_name: str
    client_lastname: str
    state: str
    birthday_client: date
    job: str
    payment_type: str
    store: int
    category: str
    product: str
    brand: str
    price: float


def main() -> None:
    """Load one batch to warm up, then the requested number; print the seconds of each as JSON."""
    api_url, database_url = sys.argv[1:3]
    rows, lots = (int(word) for word in sys.argv[3:5])
    engine = sa.create_engine(sa.make_url(database_url).set(drivername="postgresql+psycopg2"))
    _TABLE.create(engine, checkfirst=True)
    load(api_url, engine, rows)
    seconds = list[float]()
    for _ in range(lots):
        started = perf_counter()
        load(api_url, engine, rows)
        seconds.append(perf_counter() - started)
    print(json.dumps(seconds))


def load(api_url: str, engine: sa.Engine, rows: int) -> None:
    """Load one batch in one transaction, in SQLAlchemy's default pages of 1,000 rows."""
    response = requests.get(f"{api_url}/gerar_compra/{rows}", timeout=_TIMEOUT_SECONDS)
    response.raise_for_status()
    purchases = [Purchase(**row) for row in response.json()]
    with engine.begin() as connection:
        connection.execute(sa.insert(_TABLE), [purchase.model_dump() for purchase in purchases])


if __name__ == "__main__":
    main()
