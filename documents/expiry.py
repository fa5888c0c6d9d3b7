"""Documents that could not be extracted are kept for a week, so that their owners see why, and then deleted."""

import asyncio
import logging

from db import Database
from delivery.feed import Feed
from delivery.queries import Delivery
from documents import queries, quota_queries, share_queries
from documents.storage import Storage
from edge.background import cancel, repeat

FAILED_DAYS = 7
EXPIRED_AT_ONCE = 100
SWEEP_EVERY_SECONDS = 600.0

logger = logging.getLogger("pagewire.expiry")


class Expiry:
    """Deletes documents that failed long ago, with their files; any number of nodes may do so."""

    def __init__(self, database: Database, storage: Storage, feed: Feed) -> None:
        self._database = database
        self._storage = storage
        self._feed = feed
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(
            repeat(self.sweep, every_seconds=SWEEP_EVERY_SECONDS, logger=logger, name="deleting what failed long ago")
        )

    async def close(self) -> None:
        await cancel(self._task)

    async def sweep(self) -> None:
        while await self._delete_some():
            pass

    async def _delete_some(self) -> bool:
        """Delete the oldest, rows first: a crash leaves files for the next start. False if there are none."""
        deliveries: list[Delivery] = []
        async with self._database.transaction() as tx:
            expired = await quota_queries.lock_expired(tx, days=FAILED_DAYS, limit=EXPIRED_AT_ONCE)
            ids = [document.id for document in expired]
            readers = await share_queries.lock_readers(tx, document_ids=ids)
            await queries.delete_documents(tx, document_ids=ids)
            for document_id in ids:
                deliveries += await self._feed.notify(
                    tx, user_ids=readers[document_id], kind="document.deleted", ref_id=document_id
                )
        self._feed.expect(deliveries)
        for document in expired:
            await self._storage.delete(document.file_path)
        if expired:
            logger.info("deleted %d documents that failed %d days ago", len(expired), FAILED_DAYS)
        return bool(expired)
