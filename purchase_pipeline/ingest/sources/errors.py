"""Errors of an API's responses.

PipelineError
├── ApiUnavailableError     transient
│   └── IncompleteResponseError
└── ApiRefusedError         terminal
"""

import httpx

from purchase_pipeline import PipelineError
from purchase_pipeline.ingest.error_responses import explanation_of, status_of
from purchase_pipeline.ingest.printable import labelled
from purchase_pipeline.ingest.sources.waits import LONGEST_WAIT_SECONDS, requested_wait_seconds

_TRANSIENT_STATUSES = {408, 425, 429}


class ApiUnavailableError(PipelineError):
    """The API did not respond, or responded that it is unavailable.

    Attributes:
        retry_after_seconds: how long it asks to wait; an attribute of the error only if it asks.
    """

    transient = True
    retry_after_seconds = 0.0

    def __init__(self, message: str, retry_after_seconds: float = 0.0, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        if retry_after_seconds:
            self.retry_after_seconds = retry_after_seconds


class IncompleteResponseError(ApiUnavailableError):
    """The response is truncated, damaged, or has another number of rows."""


class ApiRefusedError(PipelineError):
    """The API rejected the request; a retry would get the same response."""


def raise_for_status(
    label: str, response: httpx.Response, *, longest_wait_seconds: float = LONGEST_WAIT_SECONDS
) -> None:
    """Raise if a response is not a success.

    Raises:
        ApiUnavailableError: a 5xx, a transient 4xx, or a 403 that is a rate limit.
        ApiRefusedError: any other status.
    """
    if response.is_success:
        return
    message = labelled(label, status_of(response))
    if response.is_server_error or response.status_code in _TRANSIENT_STATUSES or _is_rate_limited(response):
        wait = min(requested_wait_seconds(response), longest_wait_seconds)
        raise ApiUnavailableError(f"{message}.", wait)
    explanation = explanation_of(response)
    raise ApiRefusedError(f"{message}: {explanation}" if explanation else f"{message}.")


def _is_rate_limited(response: httpx.Response) -> bool:
    """Return whether a 403 says to come back later, as GitHub's does."""
    headers = response.headers
    return response.status_code == httpx.codes.FORBIDDEN and (
        "retry-after" in headers or headers.get("x-ratelimit-remaining", "").strip() == "0"
    )
