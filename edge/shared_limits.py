"""Rate limits that hold across nodes: counted in PostgreSQL. A sibling of the memory in `limits`."""

import math
from collections.abc import Callable
from typing import ClassVar

from db import Database
from edge import queries
from edge.limits import Rate
from errors import RateLimitedError

MOST_SHARED = 1000  # hits of one key: a limit above that keeps nobody from guessing, and its row would be large


class SharedHits:
    """The same moving window as in memory, in an unlogged table: a crash of PostgreSQL empties it.

    *hide* makes of a key what is stored: a typed login name may be a password.
    """

    counts_messages: ClassVar[bool] = False

    def __init__(self, database: Database, *, hide: Callable[[str], str]) -> None:
        self._database = database
        self._hide = hide

    async def hit(self, rule: Rate, key: str) -> None:
        """Count one; a refused hit does not count.

        Raises:
            RateLimitedError; DatabaseUnavailableError, BusyError: who cannot be counted is not let through.
        """
        if rule.limit is None or rule.limit.amount > MOST_SHARED:
            return
        seconds = rule.limit.get_expiry()
        row = await queries.hit(
            self._database, key=self._hide(f"{rule.name} {key}"), amount=rule.limit.amount, seconds=seconds
        )
        if not row.is_counted:
            free_in = seconds if row.free_in is None else row.free_in
            raise RateLimitedError(retry_after=max(1, math.ceil(free_in)))

    async def sweep(self) -> None:
        await queries.forget_hits(self._database)
