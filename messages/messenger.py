"""What can be done with messages, by REST or by socket: send, edit, delete, mark as read, announce."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, NamedTuple

from db import Connection, Database
from delivery.bus import Bus
from delivery.events import Event, EventFrames, MessageRow
from delivery.feed import Feed
from delivery.protocol import MAX_MESSAGE_CHARACTERS, MessageBody, read_frame, typing_frame, unread_frame
from delivery.queries import Delivery, lock_mailboxes
from edge.background import cancel
from edge.limits import RateLimits
from errors import PagewireError, PayloadTooLargeError, UserNotFoundError
from messages import queries
from messages.attachments import quote_document, store_messages
from messages.presence import Presence
from messages.queries import DocumentPointer, MessageDraft, StoredMessage, Unread
from messages.writer import MessageWriter

ANNOUNCE_SECONDS = 60.0  # an event for every user
TYPING_SECONDS = 1.0
MAX_TYPING = 10_000  # pairs of people; beyond that a message no longer ends the typing before it
MAX_BACKGROUND = 1000  # tasks

logger = logging.getLogger("pagewire.messages")


class Posted(NamedTuple):
    """Messages that share a document, and the events of its new readers."""

    stored: list[StoredMessage]
    deliveries: list[Delivery]


class _Typing(NamedTuple):
    shown_at: float
    is_shown: bool


NOT_TYPING = _Typing(-math.inf, False)


def _frames_of(stored: StoredMessage) -> EventFrames:
    return EventFrames(Event("message", stored.message.id, message=stored.message))


def draft_of(body: MessageBody, *, sender_id: int) -> MessageDraft:
    document = None
    if body.document_id is not None:
        document = DocumentPointer(body.document_id, body.page, body.match, body.share)
    return MessageDraft(sender_id, body.recipient_id, body.content, body.client_id, document=document)


class Messenger:
    """Stores what people write, and delivers it by the feed. The length rule and the message limit are kept here."""

    def __init__(self, database: Database, feed: Feed, bus: Bus, presence: Presence, limits: RateLimits) -> None:
        self._database = database
        self._feed = feed
        self._presence = presence
        self._limits = limits
        # Who is typing to whom, by the sockets of this node, and when that was last shown.
        self._typing: dict[tuple[int, int], _Typing] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._writer = MessageWriter(
            database,
            self._publish_own,
            node_id=feed.notes_from,
            has_company=bus.has_company,
            expect=feed.expect,
            announce=self._announce,
        )
        feed.wait_for_published = self._writer.wait_for_published
        bus.subscribe("m", self._hear_messages)
        bus.on_repair(self._repair)

    @property
    def queued(self) -> int:
        """Messages that wait to be stored."""
        return self._writer.queued

    def start(self) -> None:
        self._writer.start()

    async def close(self) -> None:
        """End the sockets, then store what was accepted."""
        self._feed.connections.close()
        await self._writer.close()
        await cancel(*self._background)

    async def send(self, draft: MessageDraft) -> StoredMessage:
        """Store a message; this returns after the commit, when it has been delivered to the sockets here.

        Raises:
            As `submit`, and UserNotFoundError, ClientIdReusedError, DatabaseUnavailableError; see MessageWriter.submit.
        """
        return await (await self.submit(draft))

    async def submit(self, draft: MessageDraft, *, origin: object | None = None) -> "asyncio.Future[StoredMessage]":
        """Queue a message; the future is done after the commit. *origin* is the socket it came in by.

        Raises:
            PayloadTooLargeError, RateLimitedError, BusyError; DocumentNotFoundError, PageNotFoundError
        """
        await self.allow(draft.sender_id, draft.content)
        if draft.document is not None:
            draft = await quote_document(self._database, draft)
        return self._writer.submit(draft, origin=origin)

    async def post_cards(self, tx: Connection, drafts: Sequence[MessageDraft]) -> Posted:
        """Share a document of the sender's by a message to each of those who cannot read it yet, in the caller's
        transaction; the caller asks `allow` before it and calls `publish_cards` after it.

        Raises:
            DocumentNotFoundError, UserNotFoundError, ClientIdReusedError
        """
        return Posted(*await store_messages(tx, drafts, node_id=self._feed.notes_from, only_new_readers=True))

    def publish_cards(self, posted: Posted) -> None:
        """The transaction of `post_cards` is committed."""
        new = [stored for stored in posted.stored if not stored.duplicate]
        self._announce(new)
        for stored in new:
            self._publish_own(stored, None)
        self._feed.expect(posted.deliveries)

    async def forget_person(self, tx: Connection, user_id: int) -> Callable[[], Awaitable[None]]:
        """Delete what *user_id* wrote; there is nothing to do after the commit."""
        await lock_mailboxes(tx, user_ids=[user_id])
        await queries.forget_person(tx, user_id=user_id)

        async def finish() -> None:
            """Others notice when they next load the conversation."""

        return finish

    async def edit(self, *, message_id: int, author_id: int, content: str | None) -> tuple[MessageRow, int]:
        """Replace what a message says, or take it back (*content* None); with the number of the author's event.

        Raises:
            MessageNotFoundError, ForbiddenError, PayloadTooLargeError, RateLimitedError
        """
        await self.allow(author_id, content or "")
        async with self._database.transaction() as tx:
            row, deliveries = await queries.edit_message(
                tx, message_id=message_id, author_id=author_id, content=content, node_id=self._feed.notes_from
            )
        kind = "deleted" if content is None else "edited"
        self._feed.publish(deliveries, EventFrames(Event(kind, row.id, message=row)))
        if content is None and row.recipient_id != author_id:
            self._later(self._count_again(row))
        return row, next(delivery.seq for delivery in deliveries if delivery.user_id == author_id)

    async def announce(self, *, sender_id: int, content: str) -> int:
        """Store an announcement to every user and return its id.

        Raises:
            PayloadTooLargeError, RateLimitedError
        """
        await self.allow(sender_id, content)
        async with self._database.transaction(seconds=ANNOUNCE_SECONDS) as tx:
            announcement_id, deliveries = await queries.insert_announcement(
                tx, sender_id=sender_id, content=content, node_id=self._feed.notes_from
            )
        self._feed.expect(deliveries)
        return announcement_id

    # Read marks and typing

    async def mark_read(self, *, user_id: int, other_id: int, up_to_id: int) -> Unread:
        """Store how far *user_id* has read, and show it on all tabs of both; return what is left.

        Raises:
            UserNotFoundError: if the two have no conversation.
        """
        moved = await queries.mark_read(self._database, user_id=user_id, other_id=other_id, up_to_id=up_to_id)
        unread = await queries.find_unread(self._database, user_id=user_id, other_id=other_id)
        if moved is None or unread is None:
            raise UserNotFoundError
        if moved:
            frame = read_frame(user_id=user_id, other_id=other_id, up_to_id=unread.read_up_to_id)
            await self._feed.send_ephemeral({user_id, other_id}, frame)
            await self._feed.send_ephemeral({user_id}, unread_frame(user_id=other_id, **unread._asdict()))
        return unread

    async def typing(self, *, user_id: int, recipient_id: int, active: bool) -> None:
        """Show *recipient_id* that *user_id* is typing, at most once a second, or no longer. Strangers are not shown
        it, and nobody the end of what was not shown.
        """
        pair, now = (user_id, recipient_id), time.monotonic()
        known = self._typing.get(pair, NOT_TYPING)
        if (now - known.shown_at < TYPING_SECONDS) if active else not known.is_shown:
            return
        if active and len(self._typing) >= MAX_TYPING:
            self._typing.clear()
        self._typing[pair] = _Typing(now, True) if active else known._replace(is_shown=False)
        if not await self._have_talked(user_id, recipient_id):
            return
        await self._feed.send_ephemeral({recipient_id}, typing_frame(user_id=user_id, active=active))

    async def _have_talked(self, user_id: int, other_id: int) -> bool:
        return self._writer.knows(user_id, other_id) or await queries.have_talked(
            self._database, user_id=user_id, other_id=other_id
        )

    async def allow(self, user_id: int, content: str) -> None:
        """Count a message that *user_id* is about to send.

        Raises:
            PayloadTooLargeError, RateLimitedError
        """
        if len(content) > MAX_MESSAGE_CHARACTERS:
            raise PayloadTooLargeError(f"A message has at most {MAX_MESSAGE_CHARACTERS:,} characters.")
        await self._limits.hit(self._limits.message, str(user_id))

    async def _repair(self, _epoch: str) -> None:
        self._writer.forget_pairs()

    def _hear_messages(self, text: str) -> None:
        """Another node's messages, whole; see queries.insert_messages."""
        for stored in queries.read_whole_messages(text):
            self._feed.deliver(stored.deliveries, _frames_of(stored))

    def _announce(self, new: Sequence[StoredMessage]) -> None:
        """This node has committed these messages: tell the others, whole where all people see the same of one."""
        for stored in new:
            write = None if stored.message.attachment else partial(queries.write_whole_message, stored)
            self._feed.announce(stored.deliveries, write)

    def _publish_own(self, stored: StoredMessage, origin: object | None) -> None:
        """Deliver a message that this node has stored, and what follows from it."""
        self._feed.deliver(stored.deliveries, _frames_of(stored), origin=origin)
        sender_id, recipient_id = stored.message.sender_id, stored.message.recipient_id
        if self._typing.get((sender_id, recipient_id), NOT_TYPING).is_shown:  # it has come to its end
            del self._typing[sender_id, recipient_id]
            self._later(self._feed.send_ephemeral({recipient_id}, typing_frame(user_id=sender_id, active=False)))
        if stored.begins_conversation and sender_id != recipient_id:
            self._presence.introduce(sender_id, recipient_id)

    async def _count_again(self, deleted: MessageRow) -> None:
        """The recipient of a message that is gone has one less to read, if it was unread."""
        unread = await queries.find_unread(self._database, user_id=deleted.recipient_id, other_id=deleted.sender_id)
        if unread is not None and deleted.id > unread.read_up_to_id:
            frame = unread_frame(user_id=deleted.sender_id, **unread._asdict())
            await self._feed.send_ephemeral({deleted.recipient_id}, frame)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do in the background what may be lost; nothing if too much waits already."""
        if len(self._background) >= MAX_BACKGROUND:
            work.close()
            return
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background_done)

    def _background_done(self, task: "asyncio.Task[None]") -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            is_expected = isinstance(error, PagewireError)
            logger.warning("after a message: %s", error, exc_info=None if is_expected else error)
