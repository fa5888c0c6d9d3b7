"""How much one user may store and send, and how much room the disks must have left."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from db import Connection
from documents import quota_queries
from errors import QuotaExceededError, RateLimitedError, StorageFullError
from settings import Settings

UPLOADS_AT_ONCE = 4  # of one user
UPLOADS_WAITING = 32  # of one user, with their bodies unread
WAIT_SECONDS = 60.0
MEGABYTE = 1024 * 1024


class Places:
    """Each user has *places* at once; those who come later wait for one of theirs, in order, at most *waiting*."""

    def __init__(self, places: int, *, waiting: int, seconds: float) -> None:
        self._places = places
        self._most = places + waiting
        self._seconds = seconds
        self._asking: Counter[int] = Counter()  # of each user, with a place or without
        self._free: dict[int, asyncio.Semaphore] = {}

    @asynccontextmanager
    async def take(self, user_id: int) -> AsyncIterator[None]:
        """Raises RateLimitedError if too many of *user_id* wait, or none of their places is free in time."""
        if self._asking[user_id] >= self._most:
            raise self._refusal
        self._asking[user_id] += 1
        free = self._free.setdefault(user_id, asyncio.Semaphore(self._places))
        try:
            try:
                async with asyncio.timeout(self._seconds):
                    await free.acquire()
            except TimeoutError as error:
                raise self._refusal from error
            try:
                yield
            finally:
                free.release()
        finally:
            self._asking[user_id] -= 1
            if not self._asking[user_id]:
                del self._asking[user_id], self._free[user_id]

    @property
    def _refusal(self) -> RateLimitedError:
        return RateLimitedError(f"You have {self._places} uploads under way; wait until one is done.", retry_after=5)


class Quotas:
    """What every upload passes: its user's places, the disks, and its user's quota."""

    def __init__(self, settings: Settings) -> None:
        self._quota_bytes = settings.user_quota_bytes
        self._min_free_bytes = settings.min_free_disk_mb * MEGABYTE
        storage = settings.storage
        # The embedded database is in the data folder, and what is fetched from S3.
        self._folders = (settings.data_dir, *([storage] if isinstance(storage, Path) else []))
        self._places = Places(UPLOADS_AT_ONCE, waiting=UPLOADS_WAITING, seconds=WAIT_SECONDS)

    @asynccontextmanager
    async def receiving(self, user_id: int) -> AsyncIterator[None]:
        """While a file of *user_id*'s is received and extracted, whether it is kept or not.

        Raises:
            RateLimitedError: if too many of this user's wait; StorageFullError: if the disks have little room left.
        """
        async with self._places.take(user_id):
            if await asyncio.to_thread(self._find_free_bytes) < self._min_free_bytes:
                raise StorageFullError
            yield

    async def check(self, tx: Connection, *, user_id: int) -> None:
        """Called at the end of a transaction that adds to what *user_id* stores.

        Raises:
            QuotaExceededError: if that is too much now.
        """
        if self._quota_bytes is None:
            return
        stored_bytes = await quota_queries.count_stored_bytes(tx, user_id=user_id)
        if stored_bytes > self._quota_bytes:
            raise QuotaExceededError(
                f"Your documents may take {_in_megabytes(self._quota_bytes)}, files, texts and tables together, and"
                f" would take {_in_megabytes(stored_bytes)}; delete some to make room."
            )

    def _find_free_bytes(self) -> int:
        return min(shutil.disk_usage(folder).free for folder in map(_existing, self._folders))


def _existing(folder: Path) -> Path:
    """*folder*, or what it would be made in."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())


def _in_megabytes(count: int) -> str:
    return f"{count / MEGABYTE:,.1f} MB"
