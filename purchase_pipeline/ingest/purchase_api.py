"""The client of the purchase API: one route, its responses, its errors.

PipelineError
├── ApiUnavailableError     transient
│   └── IncompleteResponseError
└── ApiRefusedError         terminal
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import TypeVar

import httpx
import tenacity

from purchase_pipeline.errors import PipelineError
from purchase_pipeline.ingest.content_coding import ACCEPT_ENCODING
from purchase_pipeline.ingest.deadline import RequestDeadline, request_deadline
from purchase_pipeline.ingest.error_responses import explanation_of, status_of
from purchase_pipeline.ingest.printable import one_line
from purchase_pipeline.ingest.response_body import complete_rows, content_of
from purchase_pipeline.ingest.row_splitter import RawFormat, UnreadableResponseError, raw_format_of

Landed = TypeVar("Landed")

_LOGGER = logging.getLogger(__name__)
_LONGEST_WAIT_SECONDS = 60.0
_ERROR_LENGTH = 200
_EXPONENTIAL_WAIT = tenacity.wait_exponential(multiplier=0.5, max=20) + tenacity.wait_random(0, 0.5)
_TRANSIENT_STATUSES = {408, 425, 429}
_PREFER_NDJSON = f"{RawFormat.NDJSON}, {RawFormat.JSON_ARRAY};q=0.9"


class ApiUnavailableError(PipelineError):
    """The API did not respond, or responded that it is unavailable."""

    transient = True

    def __init__(self, message: str, retry_after_seconds: float = 0.0, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class IncompleteResponseError(ApiUnavailableError):
    """The response is truncated, damaged, or has another number of rows."""


class ApiRefusedError(PipelineError):
    """The API rejected the request; a retry would get the same response."""


class PurchaseApi:
    """Fetches raw batches over HTTP; independent of Dagster.

    It uses the mock API's extensions where available. A server that ignores `lote` and `Accept`, and sends a plain
    JSON array, works too.
    """

    def __init__(
        self,
        client: httpx.Client,
        *,
        attempts: int = 5,
        lote_timeout_seconds: float = 600.0,
        throttle: Callable[[float], None] | None = None,
    ) -> None:
        """`throttle` is called before each request, with the seconds that it may wait."""
        self._client = client
        self._attempts = attempts
        self._throttle = throttle
        self._lote_timeout_seconds = lote_timeout_seconds

    def fetch_lote(
        self, lote: str, rows: int, land: Callable[[RawFormat, Iterator[bytes]], Landed]
    ) -> Landed:
        """Fetch a batch of `rows` rows, and stream its format and bytes to `land`.

        Retries with back-off, and as the server's `Retry-After` says; each attempt calls `land` again. The iterator
        raises on a truncated or damaged response, and `land` must then keep nothing. The timeout covers all attempts
        and waits.

        Raises:
            ApiUnavailableError: the last attempt failed.
            ApiRefusedError: a 4xx; not retried.
        """
        ends_at = monotonic() + self._lote_timeout_seconds
        retrying = retrying_api(self._attempts, self._lote_timeout_seconds)
        landed: Landed = retrying(self._fetch_once, lote, rows, land, ends_at)
        return landed

    def _fetch_once(
        self, lote: str, rows: int, land: Callable[[RawFormat, Iterator[bytes]], Landed], ends_at: float
    ) -> Landed:
        if self._throttle is not None:
            self._throttle(ends_at - monotonic())
        with self._open(lote, rows, ends_at - monotonic()) as (response, deadline):
            raw_format = _raw_format(lote, response)
            return land(
                raw_format, _complete_response(lote, rows, raw_format, content_of(response, deadline))
            )

    @contextmanager
    def _open(self, lote: str, rows: int, seconds: float) -> Iterator[tuple[httpx.Response, RequestDeadline]]:
        """Request the batch. Transport errors, now or while reading, are transient."""
        with request_deadline(seconds) as deadline:
            try:
                with self._client.stream(
                    "GET",
                    f"/gerar_compra/{rows}",
                    params={"lote": lote},
                    headers={
                        "Accept": _PREFER_NDJSON,
                        "Accept-Encoding": ACCEPT_ENCODING,
                        "Connection": "close",
                    },
                    extensions={"trace": deadline.trace},
                ) as response:
                    raise_for_status(lote, response)
                    yield response, deadline
            except httpx.TransportError as error:
                if deadline.is_over:
                    raise ApiUnavailableError(
                        f"{lote}: response not complete after {self._lote_timeout_seconds:g} s."
                    ) from error
                base_url = self._client.base_url.copy_with(userinfo=b"")
                raise ApiUnavailableError(
                    f"{lote}: incomplete or no response from {base_url} ({_summary(error)}).",
                    hint="Check that the API is running, and PURCHASE_API_URL.",
                ) from error


def retrying_api(attempts: int, timeout_seconds: float) -> tenacity.Retrying:
    """Return a retrier for an unavailable API, with back-off and support for `Retry-After`."""
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(ApiUnavailableError),
        stop=tenacity.stop_after_attempt(attempts) | tenacity.stop_before_delay(timeout_seconds),
        wait=_back_off,
        before_sleep=tenacity.before_sleep_log(_LOGGER, logging.WARNING),
        reraise=True,
    )


def _complete_response(
    lote: str, rows: int, raw_format: RawFormat, content: Iterable[bytes]
) -> Iterator[bytes]:
    try:
        yield from complete_rows(rows, raw_format, content)
    except UnreadableResponseError as error:
        raise IncompleteResponseError(f"{lote}: {one_line(str(error), _ERROR_LENGTH)}") from error


def _summary(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}", _ERROR_LENGTH)


def raise_for_status(lote: str, response: httpx.Response) -> None:
    """Raise if a response is not a success.

    Raises:
        ApiUnavailableError: a 5xx, or a transient 4xx.
        ApiRefusedError: any other status.
    """
    if response.is_success:
        return
    message = f"{lote}: {status_of(response)}"
    if response.is_server_error or response.status_code in _TRANSIENT_STATUSES:
        raise ApiUnavailableError(f"{message}.", _retry_after_seconds(response))
    explanation = explanation_of(response)
    raise ApiRefusedError(f"{message}: {explanation}" if explanation else f"{message}.")


def _raw_format(lote: str, response: httpx.Response) -> RawFormat:
    content_type = response.headers.get("content-type", "")
    raw_format = raw_format_of(content_type)
    if raw_format is None:
        media_type = one_line(content_type.partition(";")[0], 100).lower()
        raise ApiUnavailableError(
            f"{lote}: expected {RawFormat.NDJSON} or {RawFormat.JSON_ARRAY}, got {media_type or 'no type'!r}.",
            hint="The response may be a proxy's error page.",
        )
    return raw_format


def _retry_after_seconds(response: httpx.Response) -> float:
    """Parse `Retry-After`, seconds or a date (RFC 9110, 10.2.3); 0 if it is absent or malformed."""
    stated = response.headers.get("retry-after", "").strip()
    if re.fullmatch("[0-9]+", stated):
        return min(float(stated), _LONGEST_WAIT_SECONDS)
    try:
        seconds = (parsedate_to_datetime(stated) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT_SECONDS)


def _back_off(state: tenacity.RetryCallState) -> float:
    """Return the longer of the server's `Retry-After` and an exponential back-off, at most one minute."""
    error = state.outcome.exception() if state.outcome else None
    requested = error.retry_after_seconds if isinstance(error, ApiUnavailableError) else 0.0
    exponential = _EXPONENTIAL_WAIT(state)
    return min(max(requested, exponential), _LONGEST_WAIT_SECONDS)
