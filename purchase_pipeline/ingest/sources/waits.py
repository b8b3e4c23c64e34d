"""How long to wait before a request is repeated: as the server says, or with exponential back-off."""

import logging
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import time

import httpx
import tenacity

LONGEST_WAIT_SECONDS = 60.0

_LOGGER = logging.getLogger(__name__)
_EXPONENTIAL_WAIT = tenacity.wait_exponential(multiplier=0.5, max=20) + tenacity.wait_random(0, 0.5)
_RESET_HEADERS = ("x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset")
_FIRST_EPOCH_SECONDS = 10**9  # as a delay it would be 30 years


def requested_wait_seconds(response: httpx.Response) -> float:
    """Return the wait that a response asks for; 0 if it asks for none, or not in a known form.

    `Retry-After` is seconds or a date (RFC 9110, 10.2.3); `X-RateLimit-Reset` is seconds, or seconds since 1970.
    """
    if "retry-after" in response.headers:
        return _retry_after_seconds(response.headers["retry-after"].strip())
    stated = next((response.headers[name].strip() for name in _RESET_HEADERS if name in response.headers), "")
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", stated):
        return 0.0
    seconds = float(stated)
    return max(seconds - time(), 0.0) if seconds >= _FIRST_EPOCH_SECONDS else seconds


def retrying(
    transient: type[Exception],
    attempts: int,
    seconds: float,
    longest_wait_seconds: float = LONGEST_WAIT_SECONDS,
) -> tenacity.Retrying:
    """Return a retrier for a transient error, which ends before `seconds` have passed.

    It waits for the error's `retry_after_seconds` or an exponential back-off, whichever is longer, up to the longest.
    """

    def wait(state: tenacity.RetryCallState) -> float:
        requested = getattr(_error_of(state), "retry_after_seconds", 0.0)
        return min(max(requested, _EXPONENTIAL_WAIT(state)), longest_wait_seconds)

    def log(state: tenacity.RetryCallState) -> None:
        attempt = state.attempt_number + 1
        _LOGGER.warning(
            "%s Attempt %d of %d in %.1f s.", _error_of(state), attempt, attempts, state.upcoming_sleep
        )

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(transient),
        stop=tenacity.stop_after_attempt(attempts) | tenacity.stop_before_delay(seconds),
        wait=wait,
        before_sleep=log,
        reraise=True,
    )


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _retry_after_seconds(stated: str) -> float:
    if re.fullmatch("[0-9]+", stated):
        return float(stated)
    try:
        seconds = (parsedate_to_datetime(stated) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return max(seconds, 0.0)
