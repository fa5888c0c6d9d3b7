"""Work that outlives its request: PostgreSQL is the record, and what a crash left unfinished is found again."""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Coroutine
from typing import Any
from weakref import WeakValueDictionary

from db import Connection, Database
from delivery.feed import Feed
from delivery.protocol import progress_frame
from delivery.queries import Delivery
from documents import queries
from documents.queries import DocumentRow, PageRow, TableRow
from documents.storage import Storage
from errors import BadPdfError, DocumentFileMissingError, PagewireError
from extraction.turns import Turns
from extraction.values import DAMAGED, READER_VERSION, Part
from pdf import PdfEngine, PdfFile

RECOVERY_SECONDS = 30.0  # between two looks for work that a dead process left
SAVE_SECONDS = 60.0
PROGRESS_SECONDS = 0.25  # between two words about one document
MAX_EXTRACTIONS = 256  # tasks; more documents than that wait in the table
PATIENT_EXTRACTIONS = 4  # of those that nobody waits for, at once; their owners take turns

logger = logging.getLogger("pagewire.jobs")


class Jobs:
    """The jobs of this process. Each is a function of an id and safe to run twice.

    A process holds a lock in the database while it lives (Bus); rows whose *node_id* has no such lock are taken
    over by any other.
    """

    def __init__(
        self,
        database: Database,
        engine: PdfEngine,
        storage: Storage,
        feed: Feed,
    ) -> None:
        self.node_id = feed.node_id
        self._database = database
        self._engine = engine
        self._storage = storage
        self._feed = feed
        self._extractions: dict[int, asyncio.Task[None]] = {}
        self._locks: WeakValueDictionary[tuple[str | None, str | None], asyncio.Lock] = WeakValueDictionary()
        self._turns = Turns(PATIENT_EXTRACTIONS)
        self._recovery: asyncio.Task[None] | None = None
        self._closing = False

    async def start(self) -> None:
        await self._sweep()
        self._recovery = asyncio.create_task(self._recover())

    async def close(self, *, seconds: float) -> None:
        """Give what is under way *seconds* to end; the rest is found again at the next start."""
        self._closing = True
        if self._recovery is not None:
            self._recovery.cancel()
        tasks = {task for task in (self._recovery, *self._extractions.values()) if task is not None}
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Documents

    def extract_document(self, document_id: int) -> "asyncio.Task[None]":
        """Read a stored document; the task is done when it is ready.

        One that cannot be read fails for good and its owner is told, if it is one to keep; else it is removed with its
        file. Either way the task raises why (BadPdfError, …).
        """
        return self._start_extraction(document_id, self._extract(document_id))

    def extract_document_later(self, document_id: int) -> None:
        """Read a stored document that nobody waits for, when it is its turn; as `extract_document`."""
        if len(self._extractions) < MAX_EXTRACTIONS:
            self._start_extraction(document_id, self._extract_in_turn(document_id))
        # else it is found by the next look for unfinished work

    def _start_extraction(self, document_id: int, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = self._extractions.get(document_id)
        if task is not None:
            work.close()
            return task
        task = self._extractions[document_id] = asyncio.create_task(work)
        task.add_done_callback(lambda done: self._extraction_done(document_id, done))
        return task

    def _extraction_done(self, document_id: int, task: "asyncio.Task[None]") -> None:
        del self._extractions[document_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            level = logging.INFO if isinstance(error, PagewireError) else logging.ERROR
            logger.log(
                level, "document %d was not read: %s", document_id, error, exc_info=error if level > 20 else None
            )

    async def _extract_in_turn(self, document_id: int) -> None:
        document = await queries.find_document(self._database, document_id=document_id)
        if document is None:
            return
        await self._turns.take(document.user_id)
        try:
            await self._extract(document_id)
        finally:
            self._turns.give_back()

    async def _extract(self, document_id: int) -> None:
        document = await queries.find_document(self._database, document_id=document_id)
        if document is None or document.status != "processing":
            return
        if document.node_id != self.node_id and not await queries.claim_document(
            self._database, document_id=document_id, node_id=self.node_id
        ):
            return  # another process reads it
        try:
            async with self._lock_of(document):
                if not await self._copy(document_id):
                    await self._read(document)
        except Exception as error:
            reason = error if isinstance(error, PagewireError) else BadPdfError(DAMAGED)
            if reason.status >= 500:
                raise  # the database is away, or there is too much to do: it is read again by and by
            if document.keep_failed:
                await self._fail(document_id, reason)
            else:
                await self.remove_document(document_id, refused=True)
            raise

    def _lock_of(self, document: DocumentRow) -> asyncio.Lock:
        """Held while these bytes are read: who brings them too waits, and then takes a copy."""
        return self._locks.setdefault((document.sha256, document.password), asyncio.Lock())

    async def _copy(self, document_id: int) -> bool:
        """Take what was read of the same bytes before, if they were."""
        async with self._database.transaction(seconds=SAVE_SECONDS) as tx:
            owner_id = await queries.copy_extraction(
                tx, document_id=document_id, node_id=self.node_id, reader_version=READER_VERSION
            )
            told = await self._tell(tx, owner_id, "document.ready", document_id)
        self._feed.expect(told)
        return owner_id is not None

    async def _read(self, document: DocumentRow) -> None:
        path = self._storage.path_of(document.file_path)
        if not path.exists():
            raise DocumentFileMissingError
        warnings: list[str] = []
        last_told = -math.inf
        async with contextlib.aclosing(
            self._engine.read(PdfFile(path, document.password, user_id=document.user_id))
        ) as parts:
            async for part in parts:
                warnings += part.warnings
                if not await self._save(document.id, part, warnings):
                    return  # deleted, or another process reads it
                page = part.pages[-1].page_number
                now = time.monotonic()
                if page < part.page_count and now - last_told >= PROGRESS_SECONDS:
                    last_told = now
                    frame = progress_frame(document_id=document.id, page=page, pages=part.page_count, stage="reading")
                    await self._feed.send_ephemeral({document.user_id}, frame)

    async def _save(self, document_id: int, part: Part, warnings: list[str]) -> bool:
        """Store one part, and what all of them together are with the last; False if the document is no longer ours."""
        told: list[Delivery] = []
        ours = {"document_id": document_id, "node_id": self.node_id}
        async with self._database.transaction(seconds=SAVE_SECONDS) as tx:
            if part.pages[0].page_number == 1 and not await queries.begin_extraction(
                tx, **ours, page_count=part.page_count, metadata=part.metadata, encrypted=part.encrypted
            ):
                return False
            pages = [PageRow(*page) for page in part.pages]
            tables = [TableRow(t.page_number, t.table_index, t.data, list(t.bbox)) for t in part.tables]
            if not await queries.save_pages(tx, **ours, pages=pages, tables=tables):
                return False
            if pages[-1].page_number == part.page_count:
                owner_id = await queries.finish_extraction(tx, **ours, warnings=warnings, reader_version=READER_VERSION)
                told = await self._tell(tx, owner_id, "document.ready", document_id)
        self._feed.expect(told)
        return True

    async def _fail(self, document_id: int, error: PagewireError) -> None:
        async with self._database.transaction() as tx:
            owner_id = await queries.fail_extraction(
                tx,
                document_id=document_id,
                node_id=self.node_id,
                error_code=error.code,
                error_detail=error.detail,
            )
            told = await self._tell(tx, owner_id, "document.failed", document_id)
        self._feed.expect(told)

    async def remove_document(self, document_id: int, *, refused: bool = False) -> bool:
        """Forget a document, then its file: a crash between leaves a file that the next start sweeps away.

        One that is *refused* goes without a word, unless another process has taken it over.
        """
        async with self._database.transaction() as tx:
            removed = await queries.delete_document(
                tx, document_id=document_id, unread_by=self.node_id if refused else None
            )
            if removed is None:
                return False
            told = [] if refused else await self._tell(tx, removed.user_id, "document.deleted", document_id)
        self._feed.expect(told)
        await self._storage.delete(removed.file_path)
        return True

    async def _tell(self, tx: Connection, owner_id: int | None, kind: str, document_id: int) -> list[Delivery]:
        if owner_id is None:
            return []
        return await self._feed.notify(tx, user_ids=[owner_id], kind=kind, ref_id=document_id)

    # Recovery

    async def _recover(self) -> None:
        while True:
            try:
                claimed = await queries.claim_documents(
                    self._database,
                    node_id=self.node_id,
                    busy_with=list(self._extractions),
                    limit=MAX_EXTRACTIONS - len(self._extractions),
                )
                for document_id in claimed:
                    logger.info("document %d is read again: its reader did not finish", document_id)
                    self.extract_document_later(document_id)
            except PagewireError as error:
                logger.warning("looking for unfinished work: %s", error)
            except Exception:
                logger.exception("looking for unfinished work")
            await asyncio.sleep(RECOVERY_SECONDS)

    async def _sweep(self) -> None:
        """Delete the files that a crash left without a document."""
        names = await self._storage.list_orphans()
        kept = [name for name in names if not self._storage.is_temporary(name)]
        known = await queries.list_known_files(self._database, file_paths=kept)
        orphans = [name for name in names if name not in known]
        if orphans:
            logger.info("removing %d unfinished uploads", len(orphans))
            await self._storage.delete_orphans(orphans)
