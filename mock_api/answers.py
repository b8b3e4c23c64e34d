"""How a lot travels: which of two forms a client wants, whole or streamed.

What the rows say is not decided here: they come in blocks of lines, a JSON text each, the same for both forms.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from starlette.responses import Response, StreamingResponse

from mock_api.purchases import BLOCK_ROWS


def _array(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Write blocks of lines as one JSON array; no JSON text has a line's end inside."""
    opening = b"["
    for lines in blocks:
        yield opening + lines[:-1].replace(b"\n", b",")
        opening = b","
    yield b"]"


class Form(NamedTuple):
    """What a lot is sent as, and how that is written."""

    media_type: str
    written: Callable[[Iterable[bytes]], Iterator[bytes]]


JSON_ARRAY = Form("application/json", _array)
NDJSON = Form("application/x-ndjson", iter)


def wanted_form(accept: str) -> Form:
    """Choose by the Accept header: NDJSON for a client that names it and does not like JSON better.

    Everyone else gets the JSON array, also when the header permits neither, as from the original.
    """
    weights = dict(_weights(accept))
    ndjson = weights.get(NDJSON.media_type, 0.0)
    array = next(
        (weights[name] for name in (JSON_ARRAY.media_type, "application/*", "*/*") if name in weights), 0.0
    )
    return NDJSON if ndjson > 0 and ndjson >= array else JSON_ARRAY


def answer(blocks: Iterator[bytes], rows: int, form: Form) -> Response:
    """Send a lot of one block whole, with length and digest (RFC 9530); stream a longer one, with neither.

    A streamed answer that is cut breaks the chunked encoding: the client's HTTP library reports it.
    """
    headers = {"X-Row-Count": str(rows), "Vary": "Accept"}
    if rows > BLOCK_ROWS:
        return StreamingResponse(form.written(blocks), headers=headers, media_type=form.media_type)
    body = b"".join(form.written(blocks))
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    headers["Content-Digest"] = f"sha-256=:{digest}:"
    return Response(body, headers=headers, media_type=form.media_type)


def _weights(accept: str) -> Iterator[tuple[str, float]]:
    """Read each media range with its weight: 1 where none is given, or one that is no number."""
    for media_range in accept.split(","):
        name, *parameters = (part.strip().lower() for part in media_range.split(";"))
        weight = next((text.removeprefix("q=") for text in parameters if text.startswith("q=")), "1")
        try:
            yield name, float(weight)
        except ValueError:
            yield name, 1.0
