"""The purchase API as the pipeline sees it: one route, its answers, its failures.

Exception
├── ApiUnavailableError     worth another try
│   └── IncompleteLotError
└── ApiRefusedError         the same question gets the same answer
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
from purchase_pipeline.ingest.response_body import content_of, whole_lot
from purchase_pipeline.ingest.row_splitter import RawFormat, UnreadableLotError, raw_format_of

Landed = TypeVar("Landed")

_LOGGER = logging.getLogger(__name__)
_LONGEST_WAIT_SECONDS = 60.0
_ERROR_LENGTH = 200
_GROWING_WAIT = tenacity.wait_exponential(multiplier=0.5, max=20) + tenacity.wait_random(0, 0.5)
_WORTH_ANOTHER_TRY = {408, 425, 429}
_PREFER_NDJSON = f"{RawFormat.NDJSON}, {RawFormat.JSON_ARRAY};q=0.9"


class ApiUnavailableError(PipelineError):
    """The API did not answer, or said that it could not. Worth another try."""

    transient = True

    def __init__(self, message: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class IncompleteLotError(ApiUnavailableError):
    """The answer is not all that was asked for: cut short, damaged, or of another number of rows."""


class ApiRefusedError(PipelineError):
    """The API will not answer this question, however often it is asked."""


class PurchaseApi:
    """Fetches raw lots over HTTP. Knows the route; knows nothing of Dagster.

    It asks for the mock's extras and needs none of them: a server that ignores `lote` and `Accept`, and sends one
    plain JSON array, is understood as well.
    """

    def __init__(
        self,
        client: httpx.Client,
        *,
        attempts: int = 5,
        lote_timeout_seconds: float = 600.0,
        wait_for_turn: Callable[[float], None] | None = None,
    ) -> None:
        """Ask through a client; before each request wait, if there is such a rule, for one's turn, at most so long."""
        self._client = client
        self._attempts = attempts
        self._wait_for_turn = wait_for_turn
        self._lote_timeout_seconds = lote_timeout_seconds

    def fetch_lote(
        self, lote: str, rows: int, land: Callable[[RawFormat, Iterator[bytes]], Landed]
    ) -> Landed:
        """Fetch one lot of `rows` rows, and hand its format and bytes to `land` while they arrive.

        Tries again, with back-off and as the server's `Retry-After` asks; each try calls `land` anew. `land` is to
        keep nothing when its bytes end in an error: that is how a short or damaged answer shows. All tries and waits
        together end within the lot's timeout.

        Raises:
            ApiUnavailableError: the last try's failure.
            ApiRefusedError: a 4xx, at once.
        """
        ends_at = monotonic() + self._lote_timeout_seconds
        retrying = retrying_api(self._attempts, self._lote_timeout_seconds)
        landed: Landed = retrying(self._fetch_once, lote, rows, land, ends_at)
        return landed

    def _fetch_once(
        self, lote: str, rows: int, land: Callable[[RawFormat, Iterator[bytes]], Landed], ends_at: float
    ) -> Landed:
        if self._wait_for_turn is not None:
            self._wait_for_turn(ends_at - monotonic())
        with self._open(lote, rows, ends_at - monotonic()) as (response, deadline):
            raw_format = _raw_format(lote, response)
            return land(raw_format, _whole_answer(lote, rows, raw_format, content_of(response, deadline)))

    @contextmanager
    def _open(self, lote: str, rows: int, seconds: float) -> Iterator[tuple[httpx.Response, RequestDeadline]]:
        """Ask for the lot. Every failure of the transport, now or while reading, is worth another try."""
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
                        f"{lote}: not whole after {self._lote_timeout_seconds:g} s."
                    ) from error
                base_url = self._client.base_url.copy_with(userinfo=b"")
                raise ApiUnavailableError(
                    f"{lote}: no whole answer from {base_url} ({_told(error)}). "
                    "Is the API running there? PURCHASE_API_URL says where to look."
                ) from error


def retrying_api(attempts: int, timeout_seconds: float) -> tenacity.Retrying:
    """Return what calls again while the API is unavailable: with back-off, and as its `Retry-After` asks."""
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(ApiUnavailableError),
        stop=tenacity.stop_after_attempt(attempts) | tenacity.stop_before_delay(timeout_seconds),
        wait=_back_off,
        before_sleep=tenacity.before_sleep_log(_LOGGER, logging.WARNING),
        reraise=True,
    )


def _whole_answer(lote: str, rows: int, raw_format: RawFormat, content: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from whole_lot(rows, raw_format, content)
    except UnreadableLotError as error:
        raise IncompleteLotError(f"{lote}: {one_line(str(error), _ERROR_LENGTH)}") from error


def _told(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}", _ERROR_LENGTH)


def raise_for_status(lote: str, response: httpx.Response) -> None:
    """Say whether an answer that is no success is worth another try.

    Raises:
        ApiUnavailableError: a 5xx, or a 4xx that passes.
        ApiRefusedError: any other.
    """
    if response.is_success:
        return
    message = f"{lote}: {status_of(response)}"
    if response.is_server_error or response.status_code in _WORTH_ANOTHER_TRY:
        raise ApiUnavailableError(f"{message}.", _retry_after_seconds(response))
    explanation = explanation_of(response)
    raise ApiRefusedError(f"{message}: {explanation}" if explanation else f"{message}.")


def _raw_format(lote: str, response: httpx.Response) -> RawFormat:
    content_type = response.headers.get("content-type", "")
    raw_format = raw_format_of(content_type)
    if raw_format is None:
        media_type = one_line(content_type.partition(";")[0], 100).lower()
        raise ApiUnavailableError(
            f"{lote}: expected {RawFormat.NDJSON} or {RawFormat.JSON_ARRAY}, got {media_type or 'no type'!r}. "
            "A proxy's page, perhaps."
        )
    return raw_format


def _retry_after_seconds(response: httpx.Response) -> float:
    """Read `Retry-After`, seconds or a date (RFC 9110, 10.2.3); 0 where it is absent or not understood."""
    stated = response.headers.get("retry-after", "").strip()
    if re.fullmatch("[0-9]+", stated):
        return min(float(stated), _LONGEST_WAIT_SECONDS)
    try:
        seconds = (parsedate_to_datetime(stated) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT_SECONDS)


def _back_off(state: tenacity.RetryCallState) -> float:
    """Wait as the server asked, or longer with each try; never more than a minute."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_seconds if isinstance(error, ApiUnavailableError) else 0.0
    grown = _GROWING_WAIT(state)
    return min(max(asked, grown), _LONGEST_WAIT_SECONDS)
