"""Extraction of stored documents, beside the requests: PostgreSQL is the record, so that any node can resume it."""

import asyncio
import contextlib
import logging
import math
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from weakref import WeakValueDictionary

from prometheus_client import Counter, Histogram

from db import Connection, Database
from delivery.feed import Feed
from delivery.protocol import progress_frame
from delivery.queries import Delivery
from documents import copy_queries, queries, share_queries
from documents.expiry import Expiry
from documents.extractions import Seen, store_part
from documents.merging import Merging
from documents.passwords import FilePasswords
from documents.queries import DocumentRow
from documents.quotas import Quotas
from documents.renewals import Renewals
from documents.storage import Storage
from edge.background import cancel, repeat
from errors import BadPdfError, ExtractionLimitError, PagewireError, QuotaExceededError
from extraction.values import DAMAGED, READER_VERSION, Part
from extraction.workers.turns import Turns
from pdf import PdfEngine, PdfFile

RECOVER_EVERY_SECONDS = 30.0
SWEEP_EVERY_SECONDS = 6 * 3600.0
SWEEP_SECONDS = 5.0  # for the first one, before the server answers
SAVE_SECONDS = 60.0
PROGRESS_SECONDS = 0.25  # between two progress frames of one document
MAX_EXTRACTIONS = 256  # wait for their turn here; more documents than that wait in the table
RECOVERED_AT_LEAST = 16  # at once, also while that many wait: they may displace another owner's
BACKGROUND_EXTRACTIONS = 4  # at once, of those that no request waits for; their owners take turns
REFUSALS = 256  # remembered, for a repeat of the upload that comes as its document is discarded
CLOSE_SECONDS = 2.0  # for the extractions under way when the server stops

logger = logging.getLogger("pagewire.readings")

EXTRACTIONS = Histogram(
    "pagewire_extraction_seconds",
    "Extractions of stored documents; the outcome is ready, copied, or the code of what went wrong.",
    ("outcome",),
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
PAGES = Counter("pagewire_extracted_pages", "Pages that were extracted.")


class Readings(ABC):
    """The extractions that this server waits for, a task each; a subclass says who extracts."""

    def __init__(self, database: Database, storage: Storage, feed: Feed, *, node_id: int | None) -> None:
        """*node_id*: whose new documents are; None: they wait for a worker to claim them."""
        self.node_id = node_id
        self._database = database
        self._storage = storage
        self._feed = feed
        self._tasks: dict[int, asyncio.Task[None]] = {}

    @abstractmethod
    async def start(self) -> None: ...

    async def close(self) -> None:
        await cancel(*self._tasks.values())

    @property
    def count(self) -> int:
        """The extractions under way, or waiting for their turn."""
        return len(self._tasks)

    @abstractmethod
    def extract(self, document_id: int) -> "asyncio.Task[None]":
        """Extract a stored document; the task is done when it is ready, or raises why it cannot be (BadPdfError, …).

        In that case the document is marked as failed and its readers notified, or it is discarded, as its `keep_failed`
        says.
        """

    @abstractmethod
    def extract_later(self, document_id: int) -> None:
        """Extract a stored document that no request waits for, when it is its owner's turn; see `extract`."""

    def stop(self, document_id: int) -> None:
        """Give up an extraction: its document was withdrawn, or has another file now."""
        if (task := self._tasks.pop(document_id, None)) is not None:
            task.cancel()

    def _start(self, document_id: int, work: Callable[[int], Coroutine[Any, Any, None]]) -> "asyncio.Task[None]":
        task = self._tasks.get(document_id)
        if task is None:
            task = self._tasks[document_id] = asyncio.create_task(work(document_id))
            task.add_done_callback(lambda done: self._end(document_id, done))
        return task

    def _end(self, document_id: int, task: "asyncio.Task[None]") -> None:
        if self._tasks.get(document_id) is task:
            del self._tasks[document_id]
        error = None if task.cancelled() else task.exception()
        if isinstance(error, PagewireError):
            logger.info("document %d was not extracted: %s", document_id, error)
        elif error is not None:
            logger.error("document %d was not extracted: %s", document_id, error, exc_info=error)

    async def _remove(self, document: DocumentRow, delete: Callable[[Connection], Awaitable[object]]) -> None:
        """Remove a document that was refused, unless *delete* finds that it is another one by now.

        Its owner is answered; people with whom it is shared already are notified.

        Its row goes first: a crash in between leaves a file for the next sweep.
        """
        async with self._database.transaction() as tx:
            if not await queries.lock_document(tx, document_id=document.id):
                return
            readers = (await share_queries.lock_readers(tx, document_ids=[document.id]))[document.id]
            if not await delete(tx):
                return
            others = [user_id for user_id in readers if user_id != document.user_id]
            deliveries: list[Delivery] = []
            if others:
                deliveries = await self._feed.notify(tx, user_ids=others, kind="document.deleted", ref_id=document.id)
        self._feed.expect(deliveries)
        await self._storage.delete(document.file_path)


class LocalReadings(Readings):
    """The extractions of this node. Every step is safe to run twice.

    A node holds a lock in the database while it lives (see Bus); documents whose *node_id* has no such lock are taken
    over by any other node, once the nodes have had time to come back (db.NODE_IS_GONE).
    """

    recover_every_seconds = RECOVER_EVERY_SECONDS
    most_at_once = MAX_EXTRACTIONS  # that are under way when recovery has taken over more
    least_at_once = RECOVERED_AT_LEAST  # that it takes over

    def __init__(
        self,
        database: Database,
        engine: PdfEngine,
        storage: Storage,
        feed: Feed,
        quotas: Quotas,
        passwords: FilePasswords,
    ) -> None:
        super().__init__(database, storage, feed, node_id=feed.node_id)
        self._engine = engine
        self._quotas = quotas
        self._passwords = passwords
        self._node_id = feed.node_id
        self._locks: WeakValueDictionary[tuple[int, str | None, str | None], asyncio.Lock] = WeakValueDictionary()
        self._refusals: OrderedDict[int, PagewireError] = OrderedDict()  # by document, the last one at the end
        self._turns = Turns(BACKGROUND_EXTRACTIONS, most=MAX_EXTRACTIONS, each=MAX_EXTRACTIONS)
        self._recovery: asyncio.Task[None] | None = None
        self._may_recover = asyncio.Event()
        feed.bus.on_settled(self._may_recover.set)
        self._expiry = Expiry(database, storage, feed)
        self._sweeping: asyncio.Task[None] | None = None
        self._swept = asyncio.Event()  # once, well or not
        self._merging = Merging(database, wait_for_others=self._wait_until_idle)
        self._renewals = Renewals(
            database, engine, storage, passwords, node_id=feed.node_id, wait_for_others=self._wait_until_idle
        )

    async def start(self) -> None:
        self._sweeping = asyncio.create_task(
            repeat(self._sweep, every_seconds=SWEEP_EVERY_SECONDS, logger=logger, name="removing unfinished uploads")
        )
        with contextlib.suppress(TimeoutError):  # one that takes longer goes on beside the requests
            async with asyncio.timeout(SWEEP_SECONDS):
                await self._swept.wait()
        self._recovery = asyncio.create_task(
            repeat(
                self._recover,
                every_seconds=self.recover_every_seconds,
                logger=logger,
                name="resuming extractions",
                sooner=self._may_recover,
            )
        )
        self._renewals.start()
        self._expiry.start()
        self._merging.start()

    async def close(self) -> None:
        """Give the extractions under way a moment; the others are resumed after the next start, or by another node."""
        await cancel(self._recovery, self._sweeping)
        await self._renewals.close()
        await self._expiry.close()
        await self._merging.close()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=CLOSE_SECONDS)
        await super().close()

    def extract(self, document_id: int) -> "asyncio.Task[None]":
        return self._start(document_id, self._extract)

    def extract_later(self, document_id: int) -> None:
        self._start(document_id, self._extract_in_turn)

    # Tasks

    async def _wait_until_idle(self) -> None:
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def _extract_in_turn(self, document_id: int) -> None:
        document = await queries.find_document(self._database, document_id=document_id)
        if document is None:
            return
        async with self._turns.take(document.user_id):  # a document refused its turn stays in the table for recovery
            await self._extract(document_id)

    # One document

    async def _extract(self, document_id: int) -> None:
        document = await queries.find_document(self._database, document_id=document_id)
        if document is None and (refusal := self._refusals.get(document_id)) is not None:
            raise refusal.with_traceback(None)
        if document is None or document.status != "processing" or not await self._claim(document):
            return
        began = time.monotonic()
        try:
            password = await self._passwords.find(self._database, document)
            async with self._lock_of(document, password):
                is_copied = await self._copy(document_id)
                if not is_copied:
                    await self._extract_parts(document, password)
            EXTRACTIONS.labels("copied" if is_copied else "ready").observe(time.monotonic() - began)
        except Exception as error:
            reason = error if isinstance(error, PagewireError) else BadPdfError(DAMAGED)
            EXTRACTIONS.labels(reason.code).observe(time.monotonic() - began)
            if reason.status >= 500 and not isinstance(reason, QuotaExceededError):
                raise  # the database is down or the server busy: recovery tries again
            if isinstance(reason, ExtractionLimitError):
                self._turns.put_last(document.user_id)
            await self._refuse(document, reason)
            raise

    async def _refuse(self, document: DocumentRow, reason: PagewireError) -> None:
        if document.keep_failed:
            await self._fail(document.id, reason)
            return
        self._refusals[document.id] = reason
        if len(self._refusals) > REFUSALS:
            self._refusals.popitem(last=False)
        await self._discard(document)

    async def _claim(self, document: DocumentRow) -> bool:
        """Make a document ours; False if another node extracts it."""
        return document.node_id == self._node_id or await queries.claim_document(
            self._database, document_id=document.id, node_id=self._node_id
        )

    def _lock_of(self, document: DocumentRow, password: str | None) -> asyncio.Lock:
        """Held while these bytes are extracted: another upload of its owner's waits, and then takes a copy."""
        return self._locks.setdefault((document.user_id, document.sha256, password), asyncio.Lock())

    async def _copy(self, document_id: int) -> bool:
        """Copy what was extracted from the same bytes before; False if there is nothing that the owner may read."""
        async with self._database.transaction(seconds=SAVE_SECONDS) as tx:
            owner_id = await copy_queries.copy_extraction(
                tx, document_id=document_id, node_id=self._node_id, reader_version=READER_VERSION
            )
            deliveries = await self._finish(tx, owner_id, document_id)
        self._feed.expect(deliveries)
        return owner_id is not None

    async def _extract_parts(self, document: DocumentRow, password: str | None) -> None:
        seen = Seen([], [])
        reported_at = -math.inf
        source = await self._storage.fetch(document.file_path)
        file = PdfFile(source, password, user_id=document.user_id)
        async with contextlib.aclosing(self._engine.extract_parts(file, with_vectors=True)) as parts:
            async for part in parts:
                seen.add(part)
                PAGES.inc(len(part.pages))
                if not await self._save(document.id, part, seen):
                    return  # it was deleted, or another node has taken it over
                page = part.pages[-1].page_number
                now = time.monotonic()
                if page < part.page_count and now - reported_at >= PROGRESS_SECONDS:
                    reported_at = now
                    frame = progress_frame(document_id=document.id, page=page, pages=part.page_count, stage="reading")
                    await self._feed.send_ephemeral({document.user_id}, frame)

    async def _save(self, document_id: int, part: Part, seen: Seen) -> bool:
        """Store one part, and with the last one the state of the whole; False if the document is no longer ours."""
        async with self._database.transaction(seconds=SAVE_SECONDS) as tx:
            stored = await store_part(tx, document_id=document_id, node_id=self._node_id, part=part, seen=seen)
            deliveries = await self._finish(tx, stored.owner_id, document_id)
        self._feed.expect(deliveries)
        return stored.is_ours

    async def _finish(self, tx: Connection, owner_id: int | None, document_id: int) -> list[Delivery]:
        """The document is ready, if *owner_id* is not None: notify its readers, unless it takes too much room."""
        deliveries = await self._notify(tx, owner_id, "document.ready", document_id)
        if owner_id is not None:
            await self._quotas.check(tx, user_id=owner_id)
        return deliveries

    async def _fail(self, document_id: int, error: PagewireError, *, notify: bool = True) -> None:
        async with self._database.transaction() as tx:
            owner_id = await queries.fail_extraction(
                tx,
                document_id=document_id,
                node_id=self._node_id,
                error_code=error.code,
                error_detail=error.detail,
            )
            deliveries = await self._notify(tx, owner_id if notify else None, "document.failed", document_id)
        self._feed.expect(deliveries)

    async def _discard(self, document: DocumentRow) -> None:
        """Remove a document that was refused; not if it is another node's now, or has another file."""

        def delete(tx: Connection) -> Awaitable[object]:
            return queries.discard_document(
                tx, document_id=document.id, node_id=self._node_id, file_path=document.file_path
            )

        await self._remove(document, delete)

    async def _notify(self, tx: Connection, owner_id: int | None, kind: str, document_id: int) -> list[Delivery]:
        if owner_id is None:
            return []
        readers = await share_queries.lock_readers(tx, document_ids=[document_id])
        await share_queries.update_sort_keys(tx, document_id=document_id)
        return await self._feed.notify(tx, user_ids=readers[document_id], kind=kind, ref_id=document_id)

    # Recovery

    async def _recover(self) -> None:
        """Resume the extractions that a dead node left, and those of our own that were put off."""
        claimed = await queries.claim_documents(
            self._database,
            node_id=self._node_id,
            busy_with=list(self._tasks),
            limit=max(self.most_at_once - len(self._tasks), self.least_at_once),
        )
        for document_id in claimed:
            logger.info("resuming extraction of document %d", document_id)
            self.extract_later(document_id)

    async def _sweep(self) -> None:
        """Delete the files that a crash left without a document."""
        try:
            names = await self._storage.list_unlocked()
            kept = [name for name in names if not self._storage.is_temporary(name)]
            known = await queries.list_known_files(self._database, file_paths=kept)
            orphans = [name for name in names if name not in known]
            if orphans:
                logger.info("removing %d unfinished uploads", len(orphans))
                await self._storage.delete_unlocked(orphans)
        finally:
            self._swept.set()
