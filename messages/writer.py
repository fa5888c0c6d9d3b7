"""Store messages: one commit for all that queued up while the last commit ran."""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from prometheus_client import Histogram

from db import Database
from delivery.events import MessageRow
from delivery.queries import Delivery
from errors import (
    BusyError,
    ClientIdReusedError,
    DatabaseUnavailableError,
    PagewireError,
    UnstorableTextError,
    UserNotFoundError,
)
from messages import queries
from messages.attachments import store_messages
from messages.queries import MessageDraft, StoredMessage

MAX_QUEUED = 10_000  # messages; one more is refused with BusyError
MAX_QUEUED_BY_ONE = 5_000  # of one sender
MAX_BATCH = 500  # messages in one statement
SHOWN_AT_ONCE = 4  # messages that point at a document; each takes a connection
MAX_BATCH_CHARACTERS = 512 * 1024
PUBLISHED_AT_ONCE = 8  # messages, between two turns of other work; of a large batch, this share:
PUBLISHED_SHARE = 16
WORTH_STORING_AHEAD = 200  # messages that wait: they are stored while those before them are published
MAX_KNOWN_PAIRS = 100_000
MAX_ATTEMPTS = 5  # while two transactions wait for each other
DEADLOCK_DETECTED = "40P01"  # PostgreSQL manual, appendix A
CLOSE_SECONDS = 2.0  # to store what waits when the server stops
PATIENCE_SECONDS = 0.4  # in the queue before an attempt that may take the pool's 4.5: people are answered within five

logger = logging.getLogger("pagewire.messages")

BATCH = Histogram(
    "pagewire_message_batch", "Messages that one statement stored.", buckets=(1, 2, 5, 10, 25, 50, 100, 250, MAX_BATCH)
)


class Job(NamedTuple):
    """A message on its way to the table, and the future of its sender."""

    draft: MessageDraft
    origin: object | None  # the socket it came in by
    done: "asyncio.Future[StoredMessage]"
    asked_at: float  # the loop's time


Stored = tuple[Job, StoredMessage]
T = TypeVar("T")


def _announce_nothing(stored: Sequence[StoredMessage]) -> None:
    pass


def _expect_nothing(deliveries: Sequence[Delivery]) -> None:
    pass


class MessageWriter:
    """The one way into the messages table, for sockets and REST alike.

    One batch is stored while the one before it is published, a few messages at a time, so that other work on this
    node is not kept waiting (GET /me while 500 people write: p50 15–22 → 6 ms). A sender's messages keep their order.
    Senders take turns, a message each, so that one with much to say does not hold up the others.

    A message that points at a document is stored alone, in a transaction with what it shares. It may have to wait for
    the document, which holds up nobody but its sender.

    Commits notify other nodes in the name of *node_id*; without one, *announce* and *expect* have to. *announce* is
    called at once after a commit, with its new messages.

    *publish* is called after the commit, before the senders are answered, once for each new message. *expect* is called
    with the events of people with whom a document is now shared.
    """

    def __init__(
        self,
        database: Database,
        publish: Callable[[StoredMessage, object | None], None],
        *,
        node_id: int | None,
        has_company: Callable[[], bool] = lambda: False,
        expect: Callable[[Sequence[Delivery]], None] = _expect_nothing,
        announce: Callable[[Sequence[StoredMessage]], None] = _announce_nothing,
    ) -> None:
        self._database = database
        self._node_id = node_id
        self._has_company = has_company
        self._expect = expect
        self._announce = announce
        self._known_pairs: dict[tuple[int, int], None] = {}  # whose conversation surely has its rows,
        self._known_since = 0.0  # as far as connections know that are older than this
        self._publish = publish
        self._queues: OrderedDict[int, deque[Job]] = OrderedDict()  # by sender, whose turn comes first
        self._queued = 0
        self._wake = asyncio.Event()
        self._ahead: asyncio.Task[list[Stored]] | None = None  # the batch that is stored meanwhile
        self._held: dict[int, deque[Job]] = {}  # the queues of senders whose document is being shown
        self._showing: set[asyncio.Task[None]] = set()
        self._showing_turns = asyncio.Semaphore(SHOWN_AT_ONCE)
        self._unpublished: deque[asyncio.Event] = deque()  # of the batches under way, two at most
        self._unpublished_alone: set[asyncio.Event] = set()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Take no more; return when all that was taken is stored, or refused because the database is away."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=CLOSE_SECONDS)
            tasks = [task for task in (self._task, self._ahead, *self._showing) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        while self._unpublished:
            self._unpublished.popleft().set()
        for queue in (*self._queues.values(), *self._held.values()):
            _fail(queue, DatabaseUnavailableError(retry_after=2))

    def submit(self, draft: MessageDraft, *, origin: object | None = None) -> "asyncio.Future[StoredMessage]":
        """Queue *draft*; the future is done after the commit.

        It may raise UserNotFoundError, ClientIdReusedError or DatabaseUnavailableError (then it is unknown whether the
        message was stored: send it again with the same client_id).

        Raises:
            BusyError: if `MAX_QUEUED` messages wait already, or the server is shutting down.
        """
        queue = self._held.get(draft.sender_id, self._queues.get(draft.sender_id))
        if self._closing or self._queued >= MAX_QUEUED or (queue is not None and len(queue) >= MAX_QUEUED_BY_ONE):
            raise BusyError(retry_after=1)
        if queue is None:
            queue = self._queues[draft.sender_id] = deque()
        loop = asyncio.get_running_loop()
        job = Job(draft, origin, loop.create_future(), loop.time())
        queue.append(job)
        self._queued += 1
        self._wake.set()
        return job.done

    async def wait_for_published(self) -> None:
        """Return when whatever is committed by now is published."""
        for published in [*self._unpublished, *self._unpublished_alone]:
            await published.wait()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            while self._ahead is not None or self._queues:
                storing, self._ahead = self._ahead or self._store_next(), None
                try:
                    await self._publish_batch(await storing)
                finally:
                    self._unpublished.popleft().set()
            if self._closing and not self._held:
                return
            self._wake.clear()

    async def _publish_batch(self, batch: Sequence[Stored]) -> None:
        portions = self._publish_portions(batch)
        try:
            for _ in portions:
                if self._ahead is None and self._queued >= WORTH_STORING_AHEAD:
                    self._ahead = asyncio.create_task(self._store_next())
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            for _ in portions:  # what is stored is answered
                pass
            raise

    def _publish_portions(self, batch: Sequence[Stored]) -> Iterator[None]:
        """Publish *batch* and answer its senders, with a pause after each portion."""
        portion = max(PUBLISHED_AT_ONCE, len(batch) // PUBLISHED_SHARE)
        for number, (job, stored) in enumerate(batch, 1):
            try:
                if not stored.duplicate:
                    self._publish(stored, job.origin)
            except Exception:
                logger.exception("message %d could not be published", stored.message.id)
            if not job.done.done():
                job.done.set_result(stored)
            if number % portion == 0:
                yield

    def _take_batch(self) -> list[Job]:
        batch: list[Job] = []
        characters = 0
        while self._queues and len(batch) < MAX_BATCH:
            sender_id, queue = next(iter(self._queues.items()))
            if queue[0].draft.document is not None:
                self._hold(sender_id)
                continue
            characters += len(queue[0].draft.content)
            if batch and characters > MAX_BATCH_CHARACTERS:
                break
            batch.append(queue.popleft())
            if queue:
                self._queues.move_to_end(sender_id)
            else:
                del self._queues[sender_id]
        self._queued -= len(batch)
        return batch

    async def _store_next(self) -> list[Stored]:
        """Store what waits, as much as one statement takes; messages that cannot be stored are refused here."""
        self._unpublished.append(asyncio.Event())
        batch = self._take_batch()
        stored: list[Stored] = []
        left: deque[Sequence[Job]] = deque([batch] if batch else [])
        while left:
            jobs = left.popleft()
            try:
                stored += await self._store(jobs)
            except UnstorableTextError as error:
                if len(jobs) > 1:
                    left.extend([job] for job in jobs)  # a bad message fails alone
                else:
                    _fail(jobs, error)
            except Exception as error:
                if not isinstance(error, PagewireError):
                    logger.exception("a batch of %d messages could not be stored", len(batch))
                    error = DatabaseUnavailableError(retry_after=2)
                _fail([job for unstored in (jobs, *left) for job in unstored], error)
                for sender_id, queue in list(self._queues.items()):
                    self._refuse_the_late(queue)
                    if not queue:
                        del self._queues[sender_id]
                break
            except BaseException:
                _fail(batch, DatabaseUnavailableError(retry_after=2))
                raise
        return stored

    async def _store(self, jobs: Sequence[Job]) -> list[Stored]:
        rows = await self._insert([job.draft for job in jobs])
        BATCH.observe(len(jobs))
        self._remember_pairs(rows)
        by_ordinal = {row.ordinal: row for row in rows}
        stored: list[Stored] = []
        for ordinal, job in enumerate(jobs):
            row = by_ordinal.get(ordinal)
            if row is None:
                _fail([job], UserNotFoundError())
            elif row.duplicate and not row.is_repeat:
                _fail([job], ClientIdReusedError())
            else:
                stored.append((job, row))
        self._announce([row for _, row in stored if not row.duplicate])
        return stored

    def _refuse_the_late(self, queue: deque[Job]) -> None:
        """Refuse messages that waited while the database did not answer; another attempt would double their wait."""
        before = asyncio.get_running_loop().time() - PATIENCE_SECONDS
        while queue and queue[0].asked_at < before:
            _fail([queue.popleft()], DatabaseUnavailableError(retry_after=2))
            self._queued -= 1

    async def _insert(self, drafts: Sequence[MessageDraft]) -> list[StoredMessage]:
        return await _persist(lambda: self._insert_together(drafts))

    async def _insert_together(self, drafts: Sequence[MessageDraft]) -> list[StoredMessage]:
        async with self._database.connection() as connection:
            if connection.opened_at > self._known_since:  # perhaps to a database that was put back to an older state
                self.forget_pairs()
                self._known_since = asyncio.get_running_loop().time()
            marked = [self._mark_first(draft) for draft in drafts]
            return await queries.insert_messages(connection, marked, node_id=self._node_id, whole=self._has_company())

    # Messages that point at a document

    def _hold(self, sender_id: int) -> None:
        """Store the first message of a sender's queue by itself; the rest of the queue waits for it."""
        queue = self._held[sender_id] = self._queues.pop(sender_id)
        self._queued -= 1
        task = asyncio.create_task(self._show(queue.popleft(), after=list(self._unpublished)))
        self._showing.add(task)
        task.add_done_callback(self._showing.discard)
        task.add_done_callback(lambda _: self._go_on(sender_id))

    def _go_on(self, sender_id: int) -> None:
        queue = self._held.pop(sender_id)
        if queue:
            self._queues[sender_id] = queue
        self._wake.set()

    async def _show(self, job: Job, *, after: Sequence[asyncio.Event]) -> None:
        """*after* the batches under way, where the sender may have messages."""
        published = asyncio.Event()
        try:
            for batch in after:
                await batch.wait()
            async with self._showing_turns:
                stored = await _persist(lambda: self._insert_alone(job.draft, published))
            for _ in self._publish_portions([(job, stored)]):
                pass
        except PagewireError as error:
            _fail([job], error)
            if error.status >= 500:
                self._refuse_the_late(self._held[job.draft.sender_id])
        except Exception:
            logger.exception("a message that points at a document could not be stored")
            _fail([job], DatabaseUnavailableError(retry_after=2))
        except BaseException:
            _fail([job], DatabaseUnavailableError(retry_after=2))
            raise
        finally:
            published.set()
            self._unpublished_alone.discard(published)

    async def _insert_alone(self, draft: MessageDraft, published: asyncio.Event) -> StoredMessage:
        async with self._database.transaction() as tx:
            (stored,), deliveries = await store_messages(tx, [draft], node_id=self._node_id)
            self._unpublished_alone.add(published)
        if not stored.duplicate:
            self._announce([stored])
        self._expect(deliveries)
        self._remember_pairs([stored])
        return stored

    @property
    def queued(self) -> int:
        """Messages that wait to be stored."""
        return self._queued

    def forget_pairs(self) -> None:
        """The database may be in an older state: conversations may lack their rows."""
        self._known_pairs.clear()

    def knows(self, sender_id: int, recipient_id: int) -> bool:
        """Whether the two surely have a conversation."""
        return (sender_id, recipient_id) in self._known_pairs

    def _mark_first(self, draft: MessageDraft) -> MessageDraft:
        return draft if _pair(draft) in self._known_pairs else draft._replace(is_first=True)

    def _remember_pairs(self, stored: Sequence[StoredMessage]) -> None:
        if len(self._known_pairs) > MAX_KNOWN_PAIRS:
            self._known_pairs.clear()
        for row in stored:
            self._known_pairs[_pair(row.message)] = None


def _pair(message: MessageDraft | MessageRow) -> tuple[int, int]:
    return (message.sender_id, message.recipient_id)


def _fail(batch: Sequence[Job], error: PagewireError) -> None:
    for job in batch:
        if not job.done.done():
            job.done.set_exception(error)


async def _persist(insert: Callable[[], Awaitable[T]]) -> T:
    """Try again after a deadlock, say with the deletion of an account: the statement was rolled back."""
    attempt = 1
    while True:
        try:
            return await insert()
        except DatabaseUnavailableError as error:
            if getattr(error.__cause__, "pgcode", None) != DEADLOCK_DETECTED or attempt == MAX_ATTEMPTS:
                raise
            attempt += 1
