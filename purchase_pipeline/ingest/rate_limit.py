"""A request rate that all workers share, through Redis."""

from time import monotonic, sleep, time

import redis
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter

from purchase_pipeline.ingest.sources.errors import ApiUnavailableError

_LONGEST_SLEEP_SECONDS = 5.0
_SHORTEST_SLEEP_SECONDS = 0.02


class SharedRate:
    """A limit on requests in any window of time: `600/minute`, `10/second`, `5/2second`.

    The window moves continuously, so there is no burst at the start of a new one.
    """

    def __init__(self, rate: str, redis_url: str | None, api_url: str) -> None:
        """Limit the requests to an API, identified by its URL; of this process alone without a Redis.

        Raises:
            ValueError: malformed rate.
        """
        self._rate: RateLimitItem = parse(rate)
        self._api_url = api_url
        self._limiter = MovingWindowRateLimiter(_storage(redis_url))

    def wait_for_turn(self, seconds: float) -> None:
        """Wait until the rate allows another request.

        Raises:
            ApiUnavailableError: it does not within `seconds`, or Redis does not respond.
        """
        ends_at = monotonic() + seconds
        try:
            while not self._limiter.hit(self._rate, self._api_url):
                if monotonic() > ends_at:
                    raise ApiUnavailableError(
                        f"The request rate of {self._rate} allowed no request within {seconds:.0f} s."
                    )
                due_in = self._limiter.get_window_stats(self._rate, self._api_url).reset_time - time()
                left = max(ends_at - monotonic(), 0.0)
                sleep(min(max(due_in, _SHORTEST_SLEEP_SECONDS), _LONGEST_SLEEP_SECONDS, left))
        except redis.RedisError as error:
            raise ApiUnavailableError(
                f"Rate limiter unavailable: Redis did not respond ({error}).",
                hint="Check PURCHASE_REDIS_URL.",
            ) from error


def _storage(redis_url: str | None) -> MemoryStorage | RedisStorage:
    if redis_url is None:
        return MemoryStorage()
    return RedisStorage(redis_url, socket_connect_timeout=5, socket_timeout=10, wrap_exceptions=False)
