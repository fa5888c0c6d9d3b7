"""Rate limits: so many of one thing from one somebody in a stretch of time."""

import math
import time

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from errors import RateLimitedError


class Rate:
    """A named rule: *text* as `limits` writes it ("10/minute"), or "off"; *times* multiplies the amount."""

    def __init__(self, name: str, text: str, *, times: int = 1) -> None:
        self.name = name
        self.limit: RateLimitItem | None = None
        if text != "off":
            limit = parse(text)
            self.limit = type(limit)(limit.amount * times, limit.multiples)


class RateLimiter:
    """Counts in this process's memory; a moving window, so that nobody gets two windows' worth at a boundary."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def hit(self, rule: Rate, key: str) -> None:
        """Count one.

        Raises:
            RateLimitedError: if *key* has had its share; `retry_after` says when there is room again.
        """
        if rule.limit is None or await self._limiter.hit(rule.limit, rule.name, key):
            return
        stats = await self._limiter.get_window_stats(rule.limit, rule.name, key)
        raise RateLimitedError(retry_after=max(1, math.ceil(stats.reset_time - time.time())))
