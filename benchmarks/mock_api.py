"""The mock API alone: rows per second from one worker process to a client that only reads."""

from http.client import HTTPConnection
from time import perf_counter
from urllib.parse import urlsplit

from benchmarks.bench import a_bench
from benchmarks.figures import Figure, Measured

_NDJSON = "application/x-ndjson"
_ARRAY = "application/json"
_REQUESTS = {(_NDJSON, 100_000): 2, (_NDJSON, 10_000): 10, (_ARRAY, 100_000): 2, (_ARRAY, 10_000): 10}
"""Media type and rows of a request, and how often it is sent in each round."""

_BUFFER = 1 << 18
_NOTES = (
    "Every request has another batch key, so all rows are generated. Client and server share the machine.",
)


def run(rounds: int) -> Measured:
    """Send each kind of request in every round, after checking one response of each."""
    rates: dict[tuple[str, int], list[float]] = {kind: [] for kind in _REQUESTS}
    with a_bench() as bench:
        where = urlsplit(bench.api_url)
        client = HTTPConnection(where.hostname or "", where.port)
        for accept, rows in _REQUESTS:
            _check(client, f"/gerar_compra/{rows}?lote=lote", accept, rows)
        for number in range(rounds):
            for (accept, rows), times in _REQUESTS.items():
                started = perf_counter()
                for one in range(times):
                    _read(client, f"/gerar_compra/{rows}?lote=lote-{number}-{one}", accept)
                rates[accept, rows].append(rows * times / (perf_counter() - started))
        client.close()
    figures = [
        Figure(
            f"{accept}, responses of {rows:,} rows",
            "rows/s",
            rates[accept, rows],
            at_least=150_000 if accept == _NDJSON else None,
        )
        for accept, rows in _REQUESTS
    ]
    return Measured("mock_api", figures, notes=_NOTES)


def _check(client: HTTPConnection, path: str, accept: str, rows: int) -> None:
    """Check the media type and the number of rows of a response."""
    client.request("GET", path, headers={"Accept": accept})
    response = client.getresponse()
    media_type, sent = response.headers.get_content_type(), response.read().count(b'"price":')
    if (media_type, sent) != (accept, rows):
        raise RuntimeError(f"{path}: {response.status}, {sent} rows of {media_type}")


def _read(client: HTTPConnection, path: str, accept: str) -> None:
    """Read a response to its end and discard it."""
    client.request("GET", path, headers={"Accept": accept})
    response, buffer = client.getresponse(), bytearray(_BUFFER)
    while response.readinto(buffer):
        pass
