"""A batch as an Arrow table."""

import io

import pyarrow as pa
import pyarrow.json as pj
import requests

_TIMEOUT_SECONDS = 60
_NOT_TEXT = {
    "date_purchase": pa.date32(),
    "birthday_client": pa.date32(),
    "store": pa.int32(),
    "price": pa.decimal128(12, 2),
}


def fetch_lote(api_url: str, lote: str, rows: int) -> pa.Table:
    """Return a batch parsed by Arrow's NDJSON reader, with `lote` and `linha`, in the table's types."""
    response = requests.get(
        f"{api_url}/gerar_compra/{rows}",
        params={"lote": lote},
        headers={"Accept": "application/x-ndjson"},
        timeout=_TIMEOUT_SECONDS,
    )
    response.raise_for_status()
    read = pj.read_json(io.BytesIO(response.content))
    table = read.cast(pa.schema([(name, _NOT_TEXT.get(name, pa.string())) for name in read.column_names]))
    table = table.add_column(0, "linha", pa.array(range(1, table.num_rows + 1), pa.int32()))
    return table.add_column(0, "lote", pa.repeat(lote, table.num_rows))
