"""Store messages: one commit for all that queued up while the last commit ran."""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import history
from errors import (
    BusyError,
    ClientIdReusedError,
    DatabaseUnavailableError,
    PagewireError,
    UnstorableTextError,
    UserNotFoundError,
)
from history import MessageDraft, StoredMessage
from pool import Database

MAX_QUEUED = 10_000  # messages; one more is refused with BusyError
MAX_QUEUED_BY_ONE = 5_000  # of one sender
MAX_BATCH = 500  # messages in one statement
MAX_BATCH_CHARACTERS = 512 * 1024
MAX_KNOWN_PAIRS = 100_000
MAX_ATTEMPTS = 5  # while two transactions wait for each other
DEADLOCK_DETECTED = "40P01"  # PostgreSQL manual, appendix A
CLOSE_SECONDS = 2.0  # to store what waits when the server stops
PATIENCE_SECONDS = 0.4  # in the queue before an attempt that may take the pool's 4.5: people are told within five

logger = logging.getLogger("pagewire.chat")


class Job(NamedTuple):
    """A message on its way, and who waits for it."""

    draft: MessageDraft
    origin: object | None  # the socket it came in by
    done: "asyncio.Future[StoredMessage]"
    asked_at: float  # the loop's time


class MessageWriter:
    """The one way into the messages table, for sockets and REST alike.

    A sender's messages keep their order. Senders take turns, a message each, so that nobody waits for one who has much
    to say.

    *publish* is called after the commit, before the senders hear of it, once for each new message.
    """

    def __init__(
        self,
        database: Database,
        publish: Callable[[StoredMessage, object | None], None],
        *,
        worker_id: int,
        has_company: Callable[[], bool] = lambda: False,
    ) -> None:
        self._database = database
        self._worker_id = worker_id
        self._has_company = has_company
        self._known_pairs: dict[tuple[int, int], None] = {}  # whose conversation is surely written down
        self._publish = publish
        self._queues: OrderedDict[int, deque[Job]] = OrderedDict()  # by sender, whose turn comes first
        self._queued = 0
        self._wake = asyncio.Event()
        self._at_rest = asyncio.Event()
        self._at_rest.set()
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
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        while self._queues:
            _fail(self._take_batch(), DatabaseUnavailableError(retry_after=2))

    def submit(self, draft: MessageDraft, *, origin: object | None = None) -> "asyncio.Future[StoredMessage]":
        """Queue *draft*; the future is done after the commit.

        It may raise UserNotFoundError, ClientIdReusedError or DatabaseUnavailableError (then nobody knows whether the
        message was stored: send it again with the same client_id).

        Raises:
            BusyError: if `MAX_QUEUED` messages wait already, or the server is shutting down.
        """
        queue = self._queues.get(draft.sender_id, ())
        if self._closing or self._queued >= MAX_QUEUED or len(queue) >= MAX_QUEUED_BY_ONE:
            raise BusyError(retry_after=1)
        loop = asyncio.get_running_loop()
        job = Job(draft, origin, loop.create_future(), loop.time())
        self._queues.setdefault(draft.sender_id, deque()).append(job)
        self._queued += 1
        self._wake.set()
        return job.done

    async def wait_for_published(self) -> None:
        """Return when whatever is committed by now is published."""
        await self._at_rest.wait()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            while self._queues:
                batch = self._take_batch()
                self._at_rest.clear()
                try:
                    if await self._write(batch):
                        self._refuse_who_waited()
                except asyncio.CancelledError:
                    _fail(batch, DatabaseUnavailableError(retry_after=2))
                    raise
                except Exception:
                    logger.exception("a batch of %d messages could not be stored", len(batch))
                    _fail(batch, DatabaseUnavailableError(retry_after=2))
                finally:
                    self._at_rest.set()
            if self._closing:
                return
            self._wake.clear()

    def _take_batch(self) -> list[Job]:
        batch: list[Job] = []
        characters = 0
        while self._queues and len(batch) < MAX_BATCH:
            sender_id, queue = next(iter(self._queues.items()))
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

    async def _write(self, batch: Sequence[Job]) -> bool:
        """Store *batch* and answer everybody in it; True if the database is away."""
        try:
            stored = await self._insert([self._mark_first(job.draft) for job in batch])
        except UnstorableTextError as error:
            if len(batch) > 1:
                for number, job in enumerate(batch):  # a bad message fails alone
                    if await self._write([job]):
                        _fail(batch[number:], DatabaseUnavailableError(retry_after=2))
                        return True
            else:
                _fail(batch, error)
            return False
        except PagewireError as error:
            _fail(batch, error)
            return True
        self._remember_pairs(stored)
        by_ordinal = {message.ordinal: message for message in stored}
        for ordinal, job in enumerate(batch):
            message = by_ordinal.get(ordinal)
            if message is None:
                _fail([job], UserNotFoundError())
            elif message.duplicate and (message.recipient_id, message.content) != (
                job.draft.recipient_id,
                job.draft.content,
            ):
                _fail([job], ClientIdReusedError())
            else:
                if not message.duplicate:
                    self._publish(message, job.origin)
                if not job.done.done():
                    job.done.set_result(message)
        return False

    def _refuse_who_waited(self) -> None:
        """Tell those who waited while the database did not answer; another attempt would make it twice as long."""
        before = asyncio.get_running_loop().time() - PATIENCE_SECONDS
        for sender_id, queue in list(self._queues.items()):
            while queue and queue[0].asked_at < before:
                _fail([queue.popleft()], DatabaseUnavailableError(retry_after=2))
                self._queued -= 1
            if not queue:
                del self._queues[sender_id]

    async def _insert(self, drafts: Sequence[MessageDraft]) -> list[StoredMessage]:
        attempt = 1
        while True:
            try:
                return await history.insert_messages(
                    self._database, drafts, worker_id=self._worker_id, whole=self._has_company()
                )
            except DatabaseUnavailableError as error:
                # Somebody is being deleted, or the like: the server has chosen us to step back, and nothing is stored.
                if getattr(error.__cause__, "pgcode", None) != DEADLOCK_DETECTED or attempt == MAX_ATTEMPTS:
                    raise
                attempt += 1

    def _mark_first(self, draft: MessageDraft) -> MessageDraft:
        return draft if _pair(draft) in self._known_pairs else draft._replace(is_first=True)

    def _remember_pairs(self, stored: Sequence[StoredMessage]) -> None:
        if len(self._known_pairs) > MAX_KNOWN_PAIRS:
            self._known_pairs.clear()
        for message in stored:
            self._known_pairs[_pair(message)] = None


def _pair(message: MessageDraft | StoredMessage) -> tuple[int, int]:
    return (message.sender_id, message.recipient_id)


def _fail(batch: Sequence[Job], error: PagewireError) -> None:
    for job in batch:
        if not job.done.done():
            job.done.set_exception(error)
