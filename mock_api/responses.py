"""Responses with a batch (lote): content negotiation, whole or streamed.

Rows arrive here as blocks of lines, one JSON text per line; both formats send the same texts.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from starlette.responses import Response, StreamingResponse

from mock_api.purchases import BLOCK_ROWS


def _array(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Join blocks of lines into one JSON array; no JSON text contains a newline."""
    opening = b"["
    for lines in blocks:
        yield opening + lines[:-1].replace(b"\n", b",")
        opening = b","
    yield b"]"


class Format(NamedTuple):
    """A media type and its encoder."""

    media_type: str
    encode: Callable[[Iterable[bytes]], Iterator[bytes]]


JSON_ARRAY = Format("application/json", _array)
NDJSON = Format("application/x-ndjson", iter)


def negotiated_format(accept: str) -> Format:
    """Choose by the Accept header: NDJSON if it is named and JSON has no higher weight.

    All other clients get the JSON array, even if the header accepts neither, as from the original API.
    """
    weights = dict(_weights(accept))
    ndjson = weights.get(NDJSON.media_type, 0.0)
    array = next(
        (weights[name] for name in (JSON_ARRAY.media_type, "application/*", "*/*") if name in weights), 0.0
    )
    return NDJSON if ndjson > 0 and ndjson >= array else JSON_ARRAY


def batch_response(blocks: Iterator[bytes], rows: int, media: Format) -> Response:
    """Send a batch of one block whole, with length and digest (RFC 9530); stream a longer one, with neither.

    If a streamed response is cut, the chunked encoding is incomplete, and the client's HTTP library reports it.
    """
    headers = {"X-Row-Count": str(rows), "Vary": "Accept"}
    if rows > BLOCK_ROWS:
        return StreamingResponse(media.encode(blocks), headers=headers, media_type=media.media_type)
    body = b"".join(media.encode(blocks))
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    headers["Content-Digest"] = f"sha-256=:{digest}:"
    return Response(body, headers=headers, media_type=media.media_type)


def _weights(accept: str) -> Iterator[tuple[str, float]]:
    """Yield each media range with its weight; a missing or invalid weight counts as 1."""
    for media_range in accept.split(","):
        name, *parameters = (part.strip().lower() for part in media_range.split(";"))
        weight = next((text.removeprefix("q=") for text in parameters if text.startswith("q=")), "1")
        try:
            yield name, float(weight)
        except ValueError:
            yield name, 1.0
