"""Rate limits that hold across nodes, counted by `limits` in Redis. A sibling of `shared_limits`."""

import math
import time
from collections.abc import Callable
from typing import ClassVar

from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import Redis

from edge.limits import Rate
from edge.redis_client import RedisAwayError, RedisClient
from errors import RateLimitedError


class RedisHits:
    """A moving window for each key; while Redis is away each node has its own count, in memory.

    *hide* makes of a key what is stored: a typed login name may be a password.
    """

    counts_messages: ClassVar[bool] = True

    def __init__(self, client: RedisClient, *, hide: Callable[[str], str]) -> None:
        self._client = client
        self._hide = hide
        storage = RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix=f"{client.prefix}:limits",
            connection_pool=client.pool,  # type: ignore[arg-type]
        )
        self._limiter = MovingWindowRateLimiter(storage)

    async def hit(self, rule: Rate, key: str) -> None:
        """Count one; a refused hit does not count.

        Raises:
            RateLimitedError
        """
        limit, hidden = rule.limit, self._hide(f"{rule.name} {key}")
        if limit is None:
            return

        async def count(_: Redis) -> float | None:
            """None, or when there is room again."""
            if await self._limiter.hit(limit, hidden):
                return None
            return (await self._limiter.get_window_stats(limit, hidden)).reset_time

        try:
            free_at = await self._client.ask(count)
        except RedisAwayError:
            return
        if free_at is not None:
            raise RateLimitedError(retry_after=max(1, math.ceil(free_at - time.time())))

    async def sweep(self) -> None:
        """Redis forgets what has expired by itself."""
