"""Indexing in the background: messages while chat is quiet, an older installation's documents, care of the index."""

import asyncio
import logging
import time
from collections.abc import Sequence

from db import Database, SqlError, one_line
from edge.background import cancel, repeat
from errors import PagewireError
from extraction.tokens import TOKENS_VERSION, make_message_vector, make_name_vector
from index import queries as index
from pdf import PdfEngine
from search import queries
from search.queries import TailRow, UnindexedDocument
from search.vocabulary import Vocabulary
from search.windows import TAIL_MESSAGES

EVERY_SECONDS = 1.0
PORTION_SECONDS = 30.0  # at most for one portion
PORTION_PAGES = 64
PORTION_MESSAGES = 1000
BUSY_MESSAGES = 500  # a second; then indexing waits
PATIENT_MESSAGES = TAIL_MESSAGES // 2  # unindexed; then it no longer waits
CLEANED_PORTIONS = 8  # at once: 512 pages cost less to sort into the index than eight times 64
MAX_PAUSE_SECONDS = 0.25  # between two portions; else as long as one took
STATISTICS_SECONDS = 60.0
CLEAN_SECONDS = 5.0  # between two looks for what others have added
SETTLING_SECONDS = 0.05  # between two looks at transactions that write messages
MAX_SETTLING_LOOKS = 20
HERE_CHARACTERS = 20_000  # of messages that are cut into tokens on this thread; more of them by a worker

logger = logging.getLogger("pagewire.search")


class Indexer:
    """Of all nodes one indexes at a time; each keeps an eye on how far that is."""

    def __init__(self, database: Database, engine: PdfEngine, vocabulary: Vocabulary) -> None:
        self._database = database
        self._engine = engine
        self._vocabulary = vocabulary
        self._document: UnindexedDocument | None = None  # that is being indexed,
        self._indexed_page = 0  # up to here
        self._are_documents_behind = True  # until it is known
        self._are_messages_behind = True
        self._seen: tuple[float, int] | None = None  # the last message id, and when
        self._mark: int | None = None  # up to which messages were indexed, at the last look
        self._cleaned_at: float | None = None  # None: there is something to clean
        self._learned_at: float | None = None
        self._has_cleaning_rights = True
        self._is_checked = False
        self._is_failing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(
            repeat(self._work_or_wait, every_seconds=EVERY_SECONDS, logger=logger, name="indexing")
        )

    async def close(self) -> None:
        await cancel(self._task)

    @property
    def is_behind(self) -> bool:
        """Whether something that was there before is not found yet."""
        return self._are_documents_behind or self._are_messages_behind

    async def _work_or_wait(self) -> None:
        """An outage is logged once, not every second."""
        try:
            await self._work()
        except PagewireError:
            if not self._is_failing:
                self._is_failing = True
                raise
        else:
            self._is_failing = False

    async def _work(self) -> None:
        if not self._is_checked:
            await queries.mark_outdated(self._database, tokens_version=TOKENS_VERSION)
            self._is_checked = True
        if self._cleaned_at is None or time.monotonic() - self._cleaned_at >= CLEAN_SECONDS:
            await self._clean()
        portions = 0
        has_indexed_pages = False
        has_messages = has_documents = True
        while has_messages or has_documents:
            began = time.monotonic()
            has_messages = has_messages and await self._index_messages()
            has_documents = has_documents and await self._index_pages()
            has_indexed_pages = has_indexed_pages or has_documents
            portions += 1
            if portions % CLEANED_PORTIONS == 0:
                await self._clean()
            await asyncio.sleep(min(time.monotonic() - began, MAX_PAUSE_SECONDS))  # others want the database, too
        if has_indexed_pages:
            await self._clean()
            await queries.analyze_pages(self._database)
            self._learned_at = None
        await self._learn()

    async def _learn(self) -> None:
        now = time.monotonic()
        if self._learned_at is None or now - self._learned_at >= STATISTICS_SECONDS:
            rows = await queries.list_frequencies(self._database)
            count = await queries.estimate_pages(self._database)
            self._vocabulary.learn({row.token: row.share for row in rows}, page_count=count)
            self._learned_at = now

    async def _clean(self) -> None:
        """Only the owner of the index may; without us autovacuum does it, later."""
        self._cleaned_at = time.monotonic()
        if not self._has_cleaning_rights:
            return
        try:
            async with self._database.transaction(seconds=PORTION_SECONDS) as tx:
                await queries.clean_index(tx)
        except PagewireError:
            raise
        except SqlError as error:
            self._has_cleaning_rights = False
            logger.warning("the index is left to autovacuum: %s", one_line(error))

    # Messages

    async def _index_messages(self) -> bool:
        """Index a thousand messages; whether there may be more."""
        last_id = await queries.get_last_message_id(self._database)
        mark = await queries.get_message_mark(self._database)
        waiting = max(last_id - mark, 0)
        self._are_messages_behind = waiting > TAIL_MESSAGES
        before, self._mark = self._mark, mark
        is_other_node_at_it = before is not None and mark > before
        if not waiting or ((self._is_chat_busy(last_id) or is_other_node_at_it) and waiting < PATIENT_MESSAGES):
            return False
        if not await self._are_settled():
            return False
        async with self._database.transaction(seconds=PORTION_SECONDS) as tx:
            if not await queries.try_lock_index(tx):
                return False
            mark = await queries.lock_message_mark(tx)
            rows = await queries.list_messages_between(tx, after_id=mark, up_to_id=last_id, limit=PORTION_MESSAGES)
            if rows:
                people = {user_id for row in rows for user_id in (row.sender_id, row.recipient_id)}
                vectors = await self._make_message_vectors(rows)
                await queries.put_messages(
                    tx, user_ids=list(people), message_ids=[row.id for row in rows], vectors=vectors
                )
            is_full = len(rows) == PORTION_MESSAGES
            mark = rows[-1].id if is_full else max(last_id, mark)
            await queries.set_message_mark(tx, messages_up_to=mark)
        self._mark, self._cleaned_at = mark, None
        return is_full

    def _is_chat_busy(self, last_id: int) -> bool:
        """Whether many messages were written since the last look."""
        now = time.monotonic()
        before, self._seen = self._seen, (now, last_id)
        if before is None:
            return False
        seconds, count = now - before[0], last_id - before[1]
        return count > BUSY_MESSAGES * max(seconds, 0.1)

    async def _are_settled(self) -> bool:
        """Whether all transactions that may hold an id up to now have ended: then no smaller id can still appear.

        A transaction locks the table before it takes an id from the sequence, and keeps the lock until its end.
        """
        writers = await queries.list_message_writers(self._database)
        for _ in range(MAX_SETTLING_LOOKS):
            if not writers:
                return True
            await asyncio.sleep(SETTLING_SECONDS)
            writers &= await queries.list_message_writers(self._database)
        return not writers

    async def _make_message_vectors(self, rows: Sequence[TailRow]) -> list[str]:
        messages = [(row.content, row.sender_id, row.recipient_id) for row in rows]
        if sum(len(row.content) for row in rows) > HERE_CHARACTERS:
            return await self._engine.make_message_vectors(messages)
        return [
            make_message_vector(content, sender_id=sender_id, recipient_id=recipient_id)
            for content, sender_id, recipient_id in messages
        ]

    # Documents

    async def _index_pages(self) -> bool:
        """Index the next pages of a document that is not indexed; whether there may be more."""
        waiting = self._document or await queries.find_unindexed(self._database)
        self._are_documents_behind = waiting is not None
        if waiting is None:
            return False
        async with self._database.transaction(seconds=PORTION_SECONDS) as tx:
            if not await queries.try_lock_index(tx):
                self._document = None
                return False
            document = await queries.lock_unindexed(tx, document_id=waiting.id)
            if document is None:
                self._document = None
                return True
            names = make_name_vector(document.filename, document.title or "")
            if document.copy_of is not None:
                await index.put_copy(tx, document_id=document.id, names=names)
                self._document = None
                return True
            if document != self._document:  # a new one, or it was renamed meanwhile
                self._document, self._indexed_page = document, 0
            pages = await queries.list_pages_after(
                tx, document_id=document.id, after_page=self._indexed_page, limit=PORTION_PAGES
            )
            if pages:
                vectors = await self._engine.make_page_vectors([page.text for page in pages])
                await index.put_pages(
                    tx,
                    document_id=document.id,
                    names=names,
                    page_numbers=[page.page_number for page in pages],
                    vectors=vectors,
                )
            is_last = len(pages) < PORTION_PAGES
            if is_last:
                await queries.mark_indexed(tx, document_id=document.id, tokens_version=TOKENS_VERSION)
        if is_last:
            self._document = None
        else:
            self._indexed_page = pages[-1].page_number
        return True
