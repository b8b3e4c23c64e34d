"""What the tables must hold of a lot, by the API's own response; and what they do hold."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import psycopg

from purchase_pipeline.ingest.tables import FeedTables
from purchase_pipeline.purchases import PURCHASES


def entries_of(tables: FeedTables) -> str:
    """Return the ledger's entries of a feed as SQL: others, the sales, note theirs under the same partitions."""
    names = ", ".join(f"'{table.name}'" for table in tables.both)
    return f"(SELECT * FROM slice_ledger WHERE asset IN ({names})) AS lot_entries"  # noqa: S608


LOT_ENTRIES = entries_of(PURCHASES)
_COUNTS = """
    SELECT lote, count(*), count(DISTINCT linha) FILTER (WHERE linha BETWEEN 1 AND %s)
    FROM (SELECT lote, linha FROM tabela_compras UNION ALL SELECT lote, linha FROM compras_rejeitadas) AS position
    GROUP BY lote
"""


def purchase_as_stored(raw: bytes) -> tuple[str, ...]:
    """Return the texts of the columns that a purchase must have."""
    values: Mapping[str, object] = json.loads(raw, parse_float=Decimal)
    fields = PURCHASES.contract.model_fields
    return tuple(f"{Decimal(str(values[f])):.2f}" if f == "price" else str(values[f]) for f in fields)


@dataclass(frozen=True)
class Version:
    """One version of a partition: the digest of its raw bytes, its raw rows, and how many of them are invalid.

    `as_stored` returns the texts of the columns that a raw row must have in `tables`.
    """

    digest: str
    raw_rows: Sequence[bytes]
    rejects: int
    tables: FeedTables = PURCHASES
    as_stored: Callable[[bytes], tuple[str | None, ...]] = purchase_as_stored

    def is_held(self, connection: psycopg.Connection[tuple[Any, ...]], partition: str) -> bool:
        """Return whether both tables and the ledger hold this version: each row's values, and no other row."""
        number, key = self.tables.row_number, self.tables.partition
        of_accepted, of_rejected = (table.name for table in self.tables.both)
        entries = (
            f"SELECT asset, rows, source_rows, digest FROM {entries_of(self.tables)} WHERE partition = %s"  # noqa: S608
        )
        ledger = sorted(_rows(connection, entries, partition))
        if {digest for *_, digest in ledger} != {self.digest}:
            return False
        texts = ", ".join(f"{field}::text" for field in self.tables.contract.model_fields)
        query = f"SELECT {number}, {texts} FROM {of_accepted} WHERE {key} = %s"  # noqa: S608
        accepted = {row: tuple(values) for row, *values in _rows(connection, query, partition)}
        query = f"SELECT {number}, original_sha256 FROM {of_rejected} WHERE {key} = %s"  # noqa: S608
        rejected = dict(_rows(connection, query, partition))
        if accepted.keys() & rejected.keys() or len(rejected) != self.rejects:
            return False
        stated = sorted(
            (name, len(rows), len(self.raw_rows), self.digest)
            for name, rows in ((of_rejected, rejected), (of_accepted, accepted))
        )
        return (
            sorted(accepted.keys() | rejected.keys()) == list(range(1, len(self.raw_rows) + 1))
            and all(values == self.as_stored(self.raw_rows[row - 1]) for row, values in accepted.items())
            and all(found == sha256_of(self.raw_rows[row - 1]) for row, found in rejected.items())
            and ledger == stated
        )


def fetch_version(api_url: str, key: str, rows: int, defects: float) -> Version:
    """Fetch what a lot of this key must be from the API itself."""
    response = httpx.get(
        f"{api_url}/gerar_compra/{rows}",
        params={"lote": key},
        headers={"Accept": "application/x-ndjson"},
        timeout=60,
        trust_env=False,
    ).raise_for_status()
    lines = response.content.split(b"\n")[:-1]
    return Version(f"sha256:{sha256_of(response.content)}", lines, round(rows * defects))


def lost_and_doubled(ask: Callable[..., Sequence[tuple[Any, ...]]], lots: int, rows: int) -> tuple[int, int]:
    """Count, over all lots, the rows that are in neither table, and those that are there twice or too much."""
    found = {lote: (count, distinct) for lote, count, distinct in ask(_COUNTS, rows)}
    names = [f"lote-{number:04d}" for number in range(1, lots + 1)]
    lost = sum(rows - found.get(name, (0, 0))[1] for name in names)
    doubled = sum(count - distinct for count, distinct in found.values())
    return lost, doubled


def _rows(connection: psycopg.Connection[tuple[Any, ...]], query: str, lote: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode(), [lote]).fetchall()


def sha256_of(text: bytes) -> str:
    """Return the SHA-256, hexadecimal."""
    return hashlib.sha256(text).hexdigest()
