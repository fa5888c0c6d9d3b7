"""Extraction by Celery workers: the server's side, which waits for what they store, and the worker's."""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

from db import Database
from delivery.feed import Feed
from delivery.task_queue import EXTRACT, TaskQueue
from documents import queries
from documents.queries import DocumentRow
from documents.readings import LocalReadings, Readings
from documents.storage import Storage
from edge.background import cancel
from errors import BadPdfError, DatabaseUnavailableError, PagewireError
from extraction.values import DAMAGED

DONE = "d"  # the kind of a note: a worker has stored how a document ended
STOP = "x"  # a document was withdrawn, or has another file
LOOK_SECONDS = 1.0  # between two looks at a document whose note may have been lost
UNCLAIMED_SECONDS = 10.0  # until an upload that no worker takes is answered without being extracted
RECOVER_EVERY_SECONDS = 5.0
AT_ONCE = 16  # documents that an idle worker takes from the table

logger = logging.getLogger("pagewire.readings")


class RemoteReadings(Readings):
    """Has Celery workers extract stored documents."""

    def __init__(self, database: Database, storage: Storage, feed: Feed, tasks: TaskQueue) -> None:
        super().__init__(database, storage, feed, node_id=None)
        self._celery = tasks
        self._notes: dict[int, asyncio.Event] = {}  # by document that is waited for
        self._sending: set[asyncio.Task[None]] = set()
        feed.bus.subscribe(DONE, self._hear_done)

    async def start(self) -> None:
        """There is nothing to do in the background."""

    async def close(self) -> None:
        await super().close()
        await cancel(*self._sending)

    def extract(self, document_id: int) -> "asyncio.Task[None]":
        """The task also ends where no worker takes the document soon: it is still processing."""
        return self._start(document_id, self._follow)

    def extract_later(self, document_id: int) -> None:
        self._celery.publish(EXTRACT, document_id)

    def stop(self, document_id: int) -> None:
        super().stop(document_id)
        self._later(self._feed.bus.send(STOP, str(document_id)))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        async def do() -> None:
            with contextlib.suppress(PagewireError):
                await work

        task = asyncio.create_task(do())
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def _hear_done(self, text: str) -> None:
        if (event := self._notes.get(int(text))) is not None:
            event.set()

    async def _follow(self, document_id: int) -> None:
        note = self._notes[document_id] = asyncio.Event()
        loop = asyncio.get_running_loop()
        try:
            until = loop.time() + (UNCLAIMED_SECONDS if await self._celery.publish(EXTRACT, document_id) else 0)
            while True:
                document = await queries.find_document(self._database, document_id=document_id)
                if document is None:  # withdrawn, or refused to another request
                    raise DatabaseUnavailableError(retry_after=1)
                if document.status == "ready":
                    return
                if document.status == "failed":
                    await self._refuse_upload(document)
                if document.node_id is not None:
                    until = loop.time() + UNCLAIMED_SECONDS
                elif loop.time() >= until and await queries.keep_if_failed(self._database, document_id=document_id):
                    return
                note.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await note.wait()
        finally:
            self._notes.pop(document_id, None)

    async def _refuse_upload(self, document: DocumentRow) -> None:
        """Raise why the document could not be extracted; it is removed first if it is to leave nothing behind."""
        if not document.keep_failed:
            await self._remove(document, lambda tx: queries.delete_documents(tx, document_ids=[document.id]))
        raise _error_of(document.error_code, document.error_detail)


def _error_of(code: str | None, detail: str | None) -> PagewireError:
    """The error that a worker stored."""
    waiting = [PagewireError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.code == code and kind is not PagewireError:
            return kind(detail)
    return BadPdfError(detail or DAMAGED)


class WorkerReadings(LocalReadings):
    """The extractions of a Celery worker. What its tasks do not bring, from a broker that is away or a worker that was
    killed, it finds in the table while it has little to do.
    """

    recover_every_seconds = RECOVER_EVERY_SECONDS
    most_at_once = AT_ONCE
    least_at_once = 0

    async def start(self) -> None:
        self._feed.bus.subscribe(STOP, self._hear_stop)
        await super().start()

    async def extract_and_tell(self, document_id: int) -> None:
        """Extract one document when it is its owner's turn, and notify the server that waits for it.

        A document that cannot be extracted raises nothing: its row has the reason.
        """
        task = self._start(document_id, self._extract_in_turn)
        await asyncio.wait({task})

    def _hear_stop(self, text: str) -> None:
        self.stop(int(text))

    async def _extract_in_turn(self, document_id: int) -> None:
        try:
            await super()._extract_in_turn(document_id)
        finally:
            with contextlib.suppress(PagewireError):
                await self._feed.bus.send(DONE, str(document_id))

    async def _refuse(self, document: DocumentRow, reason: PagewireError) -> None:
        """Store why: the server that waits for the document removes it."""
        await self._fail(document.id, reason, notify=document.keep_failed)
