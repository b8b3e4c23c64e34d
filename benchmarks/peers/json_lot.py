"""A batch as requested by clients of the first version: one JSON array, read whole."""

from typing import Any

import requests

_TIMEOUT_SECONDS = 60


def fetch_lote(api_url: str, lote: str, rows: int) -> list[dict[str, Any]]:
    """Return the rows of a batch as dicts."""
    response = requests.get(f"{api_url}/gerar_compra/{rows}", params={"lote": lote}, timeout=_TIMEOUT_SECONDS)
    response.raise_for_status()
    purchases: list[dict[str, Any]] = response.json()
    return purchases
