"""What the tables must hold of a lot, by the API's own answer; and what they do hold."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import psycopg

from purchase_pipeline_tests.builders import FIELDS

_ACCEPTED = (
    f"SELECT linha, {', '.join(f'{field}::text' for field in FIELDS)} FROM tabela_compras WHERE lote = %s"  # noqa: S608
)
_REJECTED = "SELECT linha, original_sha256 FROM compras_rejeitadas WHERE lote = %s"
# The sales note what they sum of a lot under the same partition, in their own time.
LOT_ENTRIES = (
    "(SELECT * FROM slice_ledger WHERE asset IN ('tabela_compras', 'compras_rejeitadas')) AS lot_entries"
)
_LEDGER = f"SELECT asset, rows, source_rows, digest FROM {LOT_ENTRIES} WHERE partition = %s ORDER BY asset"  # noqa: S608
_COUNTS = """
    SELECT lote, count(*), count(DISTINCT linha) FILTER (WHERE linha BETWEEN 1 AND %s)
    FROM (SELECT lote, linha FROM tabela_compras UNION ALL SELECT lote, linha FROM compras_rejeitadas) AS position
    GROUP BY lote
"""


@dataclass(frozen=True)
class Wanted:
    """One version of a lot: the digest of its raw bytes, its raw rows, and how many of them break the contract."""

    digest: str
    raw_rows: Sequence[bytes]
    rejects: int

    def is_held(self, connection: psycopg.Connection[tuple[Any, ...]], lote: str) -> bool:
        """Tell whether both tables and the ledger hold this version: each row's values, none beside."""
        ledger = _rows(connection, _LEDGER, lote)
        if {digest for *_, digest in ledger} != {self.digest}:
            return False
        accepted = {linha: tuple(values) for linha, *values in _rows(connection, _ACCEPTED, lote)}
        rejected = dict(_rows(connection, _REJECTED, lote))
        if accepted.keys() & rejected.keys() or len(rejected) != self.rejects:
            return False
        stated = [
            ("compras_rejeitadas", len(rejected), len(self.raw_rows), self.digest),
            ("tabela_compras", len(accepted), len(self.raw_rows), self.digest),
        ]
        return (
            sorted(accepted.keys() | rejected.keys()) == list(range(1, len(self.raw_rows) + 1))
            and all(values == _as_stored(self.raw_rows[linha - 1]) for linha, values in accepted.items())
            and all(sha == _sha256(self.raw_rows[linha - 1]) for linha, sha in rejected.items())
            and ledger == stated
        )


def ask_for(api_url: str, key: str, rows: int, defects: float) -> Wanted:
    """Ask the API itself what a lot of this key must be."""
    answer = httpx.get(
        f"{api_url}/gerar_compra/{rows}",
        params={"lote": key},
        headers={"Accept": "application/x-ndjson"},
        timeout=60,
        trust_env=False,
    ).raise_for_status()
    lines = answer.content.split(b"\n")[:-1]
    return Wanted(f"sha256:{_sha256(answer.content)}", lines, round(rows * defects))


def lost_and_doubled(ask: Callable[..., Sequence[tuple[Any, ...]]], lots: int, rows: int) -> tuple[int, int]:
    """Count, over all wanted lots, the rows that are in neither table, and those that are there twice or too much."""
    found = {lote: (count, distinct) for lote, count, distinct in ask(_COUNTS, rows)}
    names = [f"lote-{number:04d}" for number in range(1, lots + 1)]
    lost = sum(rows - found.get(name, (0, 0))[1] for name in names)
    doubled = sum(count - distinct for count, distinct in found.values())
    return lost, doubled


def _rows(connection: psycopg.Connection[tuple[Any, ...]], query: str, lote: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode(), [lote]).fetchall()


def _as_stored(raw: bytes) -> tuple[str, ...]:
    values: Mapping[str, object] = json.loads(raw, parse_float=Decimal)
    return tuple(f"{Decimal(str(values[f])):.2f}" if f == "price" else str(values[f]) for f in FIELDS)


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
