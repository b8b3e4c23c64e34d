"""What an API answered in place of rows, in one printable line: status, explanation, or where it redirects to."""

from contextlib import suppress

import httpx

from purchase_pipeline.ingest.content_coding import DamagedContentError, decoded
from purchase_pipeline.ingest.printable import one_line

_EXPLANATION_BYTES = 300
_REASON_LENGTH = 100
_URL_LENGTH = 200


def status_of(response: httpx.Response) -> str:
    """Return what was asked for, and the status that it was answered with."""
    answered = f"answered {response.status_code} {response.reason_phrase}"
    return f"{response.request.url.path} {one_line(answered, _REASON_LENGTH)}"


def explanation_of(response: httpx.Response) -> str:
    """Return where a response redirects to, or else how its body begins, as far as it comes and can be read."""
    if response.next_request is not None:
        return _redirect(response.next_request.url)
    explanation = b""
    # Whoever asked for the whole body at once has it decoded.
    encoding = "" if response.is_stream_consumed else response.headers.get("content-encoding", "")
    chunks = response.iter_bytes() if response.is_stream_consumed else response.iter_raw()
    with suppress(httpx.TransportError, DamagedContentError):
        for piece in decoded(encoding, chunks):
            explanation += piece
            if len(explanation) >= _EXPLANATION_BYTES:
                break
    return one_line(explanation[:_EXPLANATION_BYTES].decode(errors="replace"), _EXPLANATION_BYTES)


def _redirect(target: httpx.URL) -> str:
    """Name the target without its login and query, of which either may be a key."""
    url = one_line(str(target.copy_with(userinfo=b"", query=None, fragment=None)), _URL_LENGTH)
    return (
        f"it redirects to {url}. Redirects are not followed: set the API's URL to the one that it moved to."
    )
