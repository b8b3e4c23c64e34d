"""The rate at which an API may be asked, kept by all workers together: each asks Redis for its turn first."""

from time import monotonic, sleep, time

import redis
from limits import RateLimitItem, parse
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter

from purchase_pipeline.ingest.purchase_api import ApiUnavailableError

_LONGEST_SLEEP_SECONDS = 5.0
_SHORTEST_SLEEP_SECONDS = 0.02


class SharedRate:
    """At most so many requests in any window of that length: `600/minute`, `10/second`, `5/2second`.

    What is refused is not asked later in a burst: a window moves, it does not begin anew (limits' moving window).
    """

    def __init__(self, rate: str, redis_url: str, api_url: str) -> None:
        """Take turns for an API, by its address.

        Raises:
            ValueError: a text that is no rate.
        """
        self._rate: RateLimitItem = parse(rate)
        self._api_url = api_url
        storage = RedisStorage(redis_url, socket_connect_timeout=5, socket_timeout=10, wrap_exceptions=False)
        self._limiter = MovingWindowRateLimiter(storage)

    def wait_for_turn(self, seconds: float) -> None:
        """Return as soon as one more request is within the rate.

        Raises:
            ApiUnavailableError: it is not within so many seconds, or Redis is silent: worth another try.
        """
        ends_at = monotonic() + seconds
        try:
            while not self._limiter.hit(self._rate, self._api_url):
                if monotonic() > ends_at:
                    raise ApiUnavailableError(f"No turn within {seconds:.0f} s at a rate of {self._rate}.")
                due_in = self._limiter.get_window_stats(self._rate, self._api_url).reset_time - time()
                left = max(ends_at - monotonic(), 0.0)
                sleep(min(max(due_in, _SHORTEST_SLEEP_SECONDS), _LONGEST_SLEEP_SECONDS, left))
        except redis.RedisError as error:
            raise ApiUnavailableError(
                f"No turn to be had: Redis, which keeps the rate of the API, does not answer ({error}). "
                "PURCHASE_REDIS_URL says where it is."
            ) from error
