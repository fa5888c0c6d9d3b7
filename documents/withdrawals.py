"""Uploads that were refused after the database may have recorded them, taken back as soon as it answers."""

import asyncio
import contextlib
import logging

from db import Database
from delivery.feed import Feed
from delivery.queries import Delivery
from documents import copy_queries, queries, share_queries
from documents.storage import Storage
from edge.background import cancel
from errors import PagewireError

MAX_WITHDRAWN = 1000  # waiting for the database; of more than that, recovery finds that their files are gone
AT_ONCE_SECONDS = 1.0  # for the first try, which the client waits for
RETRY_SECONDS = 3.0
DELETIONS = 2  # of each: a server that was frozen may execute an INSERT after the first one

logger = logging.getLogger("pagewire.withdrawals")


class Withdrawals:
    """The uploads that this node has still to take back, by their file.

    The file goes first: a document without one is discarded by recovery, whatever becomes of this process.
    """

    def __init__(self, database: Database, storage: Storage, feed: Feed) -> None:
        self._database = database
        self._storage = storage
        self._feed = feed
        self._deletions_left: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._deleting: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        await cancel(self._task, *self._deleting)

    async def withdraw(self, file_path: str) -> None:
        """Delete the file at once and its document as soon as possible; the caller waits for two seconds at most."""
        deleting = asyncio.create_task(self._delete_file(file_path))
        self._deleting.add(deleting)
        deleting.add_done_callback(self._deleting.discard)
        await asyncio.wait({deleting}, timeout=AT_ONCE_SECONDS)  # a store that hangs answers much later
        if len(self._deletions_left) < MAX_WITHDRAWN:
            self._deletions_left[file_path] = DELETIONS
        with contextlib.suppress(PagewireError, TimeoutError):
            async with asyncio.timeout(AT_ONCE_SECONDS):
                await self._delete([file_path])
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._delete_later())

    async def _delete_file(self, file_path: str) -> None:
        with contextlib.suppress(PagewireError):  # the storage is away: what is left in it is swept later
            await self._storage.delete(file_path)

    async def _delete_later(self) -> None:
        while self._deletions_left:
            await asyncio.sleep(RETRY_SECONDS)
            try:
                await self._delete(list(self._deletions_left))
            except PagewireError:
                continue  # the database is still away
            except Exception:
                logger.exception("withdrawing uploads")

    async def _delete(self, file_paths: list[str]) -> None:
        deliveries: list[Delivery] = []
        async with self._database.transaction() as tx:
            withdrawn = await queries.lock_documents_of(tx, file_paths=file_paths)
            document_ids = [document.id for document in withdrawn]
            await copy_queries.hand_over_content(tx, document_ids=document_ids)
            readers = await share_queries.lock_readers(tx, document_ids=document_ids)
            await queries.delete_documents(tx, document_ids=document_ids)
            for document in withdrawn:
                if document.status != "processing" or readers[document.id] != [document.user_id]:  # somebody knows it
                    deliveries += await self._feed.notify(
                        tx, user_ids=readers[document.id], kind="document.deleted", ref_id=document.id
                    )
        self._feed.expect(deliveries)
        for file_path in file_paths:
            self._deletions_left[file_path] = self._deletions_left.get(file_path, 1) - 1
            if self._deletions_left[file_path] == 0:
                del self._deletions_left[file_path]
