"""What several people uploaded is extracted for each of them, and then kept once, in the background."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from db import Database
from documents import copy_queries
from documents.copy_queries import Twins
from edge.background import cancel, repeat

MERGE_EVERY_SECONDS = 600.0
COMPARED_AT_ONCE = 1000  # pairs
COMPARE_SECONDS = 60.0

logger = logging.getLogger("pagewire.merging")


class Merging:
    """Any number of nodes may do so. An upload takes as long whether others have the same file or not."""

    def __init__(self, database: Database, *, wait_for_others: Callable[[], Awaitable[None]]) -> None:
        """*wait_for_others*: until this node extracts nothing."""
        self._database = database
        self._wait_for_others = wait_for_others
        self._different: set[Twins] = set()  # although their files are the same: one was cut short, for lack of time
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(
            repeat(self.merge, every_seconds=MERGE_EVERY_SECONDS, logger=logger, name="keeping equal documents once")
        )

    async def close(self) -> None:
        await cancel(self._task)

    async def merge(self) -> None:
        await self._wait_for_others()
        twins = await copy_queries.list_twins(self._database, limit=COMPARED_AT_ONCE)
        self._different.intersection_update(twins)
        for pair in twins:
            if pair not in self._different:
                await self._wait_for_others()
                async with self._database.transaction(seconds=COMPARE_SECONDS) as tx:
                    if not await copy_queries.merge_twins(tx, pair):
                        self._different.add(pair)
