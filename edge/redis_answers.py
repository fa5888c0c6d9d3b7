"""Answers about PDFs that all nodes remember together, in Redis. Beside the memory of each in `extraction.recent`."""

import asyncio
import contextlib
import hashlib
import hmac

from redis.asyncio import Redis

from edge.redis_client import LINE_SECONDS, RedisAwayError, RedisClient

MAX_ANSWER_BYTES = 2 * 1024 * 1024
MAX_UNKEPT = 64  # answers on their way to Redis; beyond that they are not kept
SEAL_BYTES = 16


class RedisAnswers:
    """Only its key finds an answer: the key names the file, and whom the answer is kept for.

    Names in Redis tell neither, and an answer that no node of this installation has sealed is none.
    """

    def __init__(self, client: RedisClient, *, secret: str, seconds: float) -> None:
        self._client = client
        self._secret = secret.encode()
        self._seconds = seconds
        self._keeping: set[asyncio.Task[None]] = set()

    async def find(self, key: tuple[object, ...]) -> bytes | None:
        name = self._name(key)

        async def get(redis: Redis) -> bytes | None:
            found = await redis.get(name)
            return found if isinstance(found, bytes) else None

        try:
            sealed = await self._client.ask(get)
        except RedisAwayError:
            return None
        if sealed is None:
            return None
        seal, answer = sealed[:SEAL_BYTES], sealed[SEAL_BYTES:]
        return answer if hmac.compare_digest(seal, self._seal(name, answer)) else None

    def keep(self, key: tuple[object, ...], answer: bytes) -> None:
        """Store *answer* in the background."""
        if len(answer) <= MAX_ANSWER_BYTES and len(self._keeping) < MAX_UNKEPT:
            task = asyncio.create_task(self._keep(self._name(key), answer))
            self._keeping.add(task)
            task.add_done_callback(self._keeping.discard)

    async def _keep(self, name: str, answer: bytes) -> None:
        async def put(redis: Redis) -> None:
            await redis.set(name, self._seal(name, answer) + answer, px=int(self._seconds * 1000))

        with contextlib.suppress(RedisAwayError):
            await self._client.ask(put, seconds=LINE_SECONDS)

    def _name(self, key: tuple[object, ...]) -> str:
        digest = hmac.digest(self._secret, f"name {key!r}".encode(), hashlib.sha256).hex()
        return f"{self._client.prefix}:answers:{digest}"

    def _seal(self, name: str, answer: bytes) -> bytes:
        return hmac.digest(self._secret, f"seal {name} ".encode() + answer, hashlib.sha256)[:SEAL_BYTES]
