"""One-line descriptions of error responses: status, explanation, redirect target."""

from contextlib import suppress

import httpx

from purchase_pipeline.ingest.content_coding import DamagedContentError, decoded
from purchase_pipeline.ingest.printable import one_line

_EXPLANATION_BYTES = 300
_REASON_LENGTH = 100
_URL_LENGTH = 200


def status_of(response: httpx.Response) -> str:
    """Return the requested path and the response's status."""
    status = f"returned {response.status_code} {response.reason_phrase}"
    return f"{response.request.url.path} {one_line(status, _REASON_LENGTH)}"


def explanation_of(response: httpx.Response) -> str:
    """Return the redirect target, or else the beginning of the body as far as it can be read."""
    if response.next_request is not None:
        return _redirect(response.next_request.url)
    explanation = b""
    # httpx has already decoded a consumed body.
    encoding = "" if response.is_stream_consumed else response.headers.get("content-encoding", "")
    chunks = response.iter_bytes() if response.is_stream_consumed else response.iter_raw()
    with suppress(httpx.TransportError, DamagedContentError):
        for piece in decoded(encoding, chunks):
            explanation += piece
            if len(explanation) >= _EXPLANATION_BYTES:
                break
    return one_line(explanation[:_EXPLANATION_BYTES].decode(errors="replace"), _EXPLANATION_BYTES)


def _redirect(target: httpx.URL) -> str:
    """Describe a redirect without login and query, which may contain a key."""
    url = one_line(str(target.copy_with(userinfo=b"", query=None, fragment=None)), _URL_LENGTH)
    return f"redirects to {url}. Redirects are not followed; change the API's URL to the new one."
