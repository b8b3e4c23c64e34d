"""The mock API alone: rows a second that one worker process serves to a client that does nothing but read."""

from http.client import HTTPConnection
from time import perf_counter
from urllib.parse import urlsplit

from benchmarks.bench import a_bench
from benchmarks.figures import Figure, Measured

_NDJSON = "application/x-ndjson"
_ARRAY = "application/json"
_ANSWERS = {(_NDJSON, 100_000): 2, (_NDJSON, 10_000): 10, (_ARRAY, 100_000): 2, (_ARRAY, 10_000): 10}
"""What is asked for, and how often in a row in each round."""

_BUFFER = 1 << 18
_NOTES = (
    "Rows are generated for each request: each has another lot's key. Client and server share the machine.",
)


def run(rounds: int) -> Measured:
    """Ask for each kind of answer in every round, after the rows of one answer of each kind were counted."""
    rates: dict[tuple[str, int], list[float]] = {kind: [] for kind in _ANSWERS}
    with a_bench() as bench:
        where = urlsplit(bench.api_url)
        client = HTTPConnection(where.hostname or "", where.port)
        for accept, rows in _ANSWERS:
            _check(client, f"/gerar_compra/{rows}?lote=lote", accept, rows)
        for number in range(rounds):
            for (accept, rows), times in _ANSWERS.items():
                started = perf_counter()
                for one in range(times):
                    _read(client, f"/gerar_compra/{rows}?lote=lote-{number}-{one}", accept)
                rates[accept, rows].append(rows * times / (perf_counter() - started))
        client.close()
    figures = [
        Figure(
            f"{accept}, answers of {rows:,} rows",
            "rows/s",
            rates[accept, rows],
            at_least=150_000 if accept == _NDJSON else None,
        )
        for accept, rows in _ANSWERS
    ]
    return Measured("mock_api", figures, notes=_NOTES)


def _check(client: HTTPConnection, path: str, accept: str, rows: int) -> None:
    """Make sure that an answer has its form, and the rows that were asked for."""
    client.request("GET", path, headers={"Accept": accept})
    response = client.getresponse()
    form, sent = response.headers.get_content_type(), response.read().count(b'"price":')
    if (form, sent) != (accept, rows):
        raise RuntimeError(f"{path}: {response.status}, {sent} rows of {form}")


def _read(client: HTTPConnection, path: str, accept: str) -> None:
    """Read an answer to its end, and look at nothing in it."""
    client.request("GET", path, headers={"Accept": accept})
    response, buffer = client.getresponse(), bytearray(_BUFFER)
    while response.readinto(buffer):
        pass
