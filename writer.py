"""Store messages: one commit for all that queued up while the last commit ran."""

import asyncio
import logging
from collections import deque
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
from pool import Database, IntegrityError

MAX_QUEUED = 10_000  # messages; one more is refused with BusyError
MAX_BATCH = 500  # messages in one statement
MAX_BATCH_CHARACTERS = 512 * 1024
MAX_KNOWN_PAIRS = 100_000

logger = logging.getLogger("pagewire.chat")


class Job(NamedTuple):
    """A message on its way, and who waits for it."""

    draft: MessageDraft
    origin: object | None  # the socket it came in by
    done: "asyncio.Future[StoredMessage]"


class MessageWriter:
    """The one way into the messages table, for sockets and REST alike. A sender's messages keep their order.

    *publish* is called after the commit, before the senders hear of it, once for each new message.
    """

    def __init__(
        self, database: Database, publish: Callable[[StoredMessage, object | None], None], *, worker_id: int
    ) -> None:
        self._database = database
        self._worker_id = worker_id
        self._known_pairs: dict[tuple[int, int], None] = {}  # whose conversation is surely written down
        self._publish = publish
        self._queue: deque[Job] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Take no more; return when all that was taken is stored."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task

    def submit(self, draft: MessageDraft, *, origin: object | None = None) -> "asyncio.Future[StoredMessage]":
        """Queue *draft*; the future is done after the commit.

        It may raise UserNotFoundError, ClientIdReusedError or DatabaseUnavailableError (then nobody knows whether the
        message was stored: send it again with the same client_id).

        Raises:
            BusyError: if `MAX_QUEUED` messages wait already, or the server is shutting down.
        """
        if self._closing or len(self._queue) >= MAX_QUEUED:
            raise BusyError(retry_after=1)
        job = Job(draft, origin, asyncio.get_running_loop().create_future())
        self._queue.append(job)
        self._wake.set()
        return job.done

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            while self._queue:
                await self._write(self._take_batch())
            if self._closing:
                return
            self._wake.clear()

    def _take_batch(self) -> list[Job]:
        batch: list[Job] = []
        characters = 0
        while self._queue and len(batch) < MAX_BATCH:
            characters += len(self._queue[0].draft.content)
            if batch and characters > MAX_BATCH_CHARACTERS:
                break
            batch.append(self._queue.popleft())
        return batch

    async def _write(self, batch: Sequence[Job]) -> None:
        try:
            drafts = [job.draft._replace(is_first=_pair(job.draft) not in self._known_pairs) for job in batch]
            stored = await history.insert_messages(self._database, drafts, worker_id=self._worker_id)
        except (IntegrityError, UnstorableTextError) as error:
            if len(batch) > 1:
                for job in batch:  # a bad message fails alone
                    await self._write([job])
            else:  # a broken constraint: somebody was deleted in this moment
                _fail(batch, UserNotFoundError() if isinstance(error, IntegrityError) else error)
            return
        except PagewireError as error:
            _fail(batch, error)
            return
        except Exception:
            logger.exception("a batch of %d messages could not be stored", len(batch))
            _fail(batch, DatabaseUnavailableError(retry_after=2))
            return
        self._remember_pairs(drafts)
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

    def _remember_pairs(self, drafts: Sequence[MessageDraft]) -> None:
        if len(self._known_pairs) > MAX_KNOWN_PAIRS:
            self._known_pairs.clear()
        for draft in drafts:
            self._known_pairs[_pair(draft)] = None


def _pair(draft: MessageDraft) -> tuple[int, int]:
    return (draft.sender_id, draft.recipient_id)


def _fail(batch: Sequence[Job], error: PagewireError) -> None:
    for job in batch:
        if not job.done.done():
            job.done.set_exception(error)
