"""Redis (or Valkey), where `REDIS_URL` names one: asked briefly or not at all, since the server can do without it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from redis.asyncio import Redis, RedisError
from redis.asyncio.client import PubSub
from redis.asyncio.connection import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from edge.background import cancel

ANSWER_SECONDS = 0.5  # the longest that a request waits for Redis, before it is taken as away
LINE_SECONDS = 1.0  # the same for what no request waits for
PROBE_SECONDS = 0.5
MAX_CONNECTIONS = 32

logger = logging.getLogger("pagewire.redis")

Answer = TypeVar("Answer")


class RedisAwayError(Exception):
    """Redis does not answer; the caller goes on without it."""


class RedisClient:
    """Callers never wait for a Redis that is down: it is probed in the background until it answers again."""

    def __init__(self, url: str, *, prefix: str) -> None:
        """*prefix* begins the names of this installation's keys and channels."""
        self.prefix = prefix
        self.pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=ANSWER_SECONDS,
            socket_connect_timeout=LINE_SECONDS,
            socket_timeout=LINE_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = Redis(connection_pool=self.pool)
        self._lines = Redis.from_url(url, socket_connect_timeout=LINE_SECONDS, retry=Retry(NoBackoff(), 0))
        self._is_away = False
        self._probing: asyncio.Task[None] | None = None

    async def close(self) -> None:
        await cancel(self._probing)
        await self._redis.aclose()
        await self.pool.aclose()
        await self._lines.aclose()

    async def ask(self, question: Callable[[Redis], Awaitable[Answer]], *, seconds: float = ANSWER_SECONDS) -> Answer:
        """The answer to *question*.

        Raises:
            RedisAwayError: at once if Redis was away lately, else after so many seconds.
        """
        if self._is_away:
            raise RedisAwayError
        try:
            async with asyncio.timeout(seconds):
                return await question(self._redis)
        except (RedisError, OSError, TimeoutError) as error:
            self._note_loss(error)
            raise RedisAwayError from error

    async def publish(self, notes: Sequence[tuple[str, str]]) -> list[int]:
        """Publish each note, (channel, text); how many heard each.

        Raises:
            RedisAwayError
        """

        async def send(redis: Redis) -> list[int]:
            pipeline = redis.pipeline(transaction=False)
            for channel, text in notes:
                pipeline.publish(channel, text)
            heard: list[int] = await pipeline.execute()
            return heard

        return await self.ask(send, seconds=LINE_SECONDS)

    @asynccontextmanager
    async def subscribe(self, *channels: str) -> AsyncIterator[AsyncIterator[str]]:
        """Subscribed to *channels* for the length of the block, to all that is sent there from its beginning on.

        The texts end with RedisAwayError when the line is lost.
        """
        pubsub = self._lines.pubsub()
        try:
            try:
                async with asyncio.timeout(LINE_SECONDS):
                    await pubsub.subscribe(*channels)
                    for _ in channels:
                        await pubsub.get_message(timeout=LINE_SECONDS)
            except (RedisError, OSError, TimeoutError) as error:
                raise RedisAwayError from error
            self._note_return()
            yield _listen(pubsub)
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]

    def _note_loss(self, error: Exception) -> None:
        if not self._is_away:
            self._is_away = True
            logger.warning("Redis is away, going on without it: %s", error or type(error).__name__)
            self._probing = asyncio.create_task(self._probe())

    def _note_return(self) -> None:
        if self._is_away:
            self._is_away = False
            logger.info("Redis is back")

    async def _probe(self) -> None:
        while self._is_away:
            await asyncio.sleep(PROBE_SECONDS)
            try:
                async with asyncio.timeout(LINE_SECONDS):
                    await self._redis.ping()
            except (RedisError, OSError, TimeoutError):
                continue
            self._note_return()


async def _listen(pubsub: PubSub) -> AsyncIterator[str]:
    """The texts that come; after a silence the line is asked whether it is alive."""
    is_asked = False
    try:
        while True:
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=LINE_SECONDS)
            if message is not None:
                is_asked = False
                if message["type"] == "message":
                    yield message["data"].decode(errors="replace")
            elif is_asked:
                raise RedisAwayError("no answer on the line")
            else:
                is_asked = True
                await pubsub.ping()
    except (RedisError, OSError, TimeoutError) as error:
        raise RedisAwayError from error
