"""What can be done with messages, by REST or by socket: send, edit, delete, mark as read, announce."""

import asyncio

from db import Database
from delivery.bus import Bus
from delivery.events import Event, EventFrames, MessageRow
from delivery.feed import Feed
from delivery.protocol import MAX_MESSAGE_CHARACTERS, read_frame, typing_frame, unread_frame
from edge.limits import RateLimits
from errors import PayloadTooLargeError, UserNotFoundError
from messages import queries
from messages.queries import MessageDraft, ReadMark, StoredMessage
from messages.writer import MessageWriter

ANNOUNCE_SECONDS = 60.0  # an event for every user


class Messenger:
    """Stores what people write, and delivers it by the feed. The length rule and the message limit are kept here."""

    def __init__(self, database: Database, feed: Feed, bus: Bus, limits: RateLimits) -> None:
        self._database = database
        self._feed = feed
        self._limits = limits
        self._writer = MessageWriter(database, self._publish, node_id=feed.node_id, has_company=bus.has_company)
        feed.wait_for_published = self._writer.wait_for_published
        bus.subscribe("m", self._hear_messages)

    def start(self) -> None:
        self._writer.start()

    async def close(self) -> None:
        """End the sockets, then store what was accepted."""
        self._feed.connections.close()
        await self._writer.close()

    async def send(self, draft: MessageDraft) -> StoredMessage:
        """Store a message; this returns after the commit, when it has been delivered to the sockets here.

        Raises:
            As `submit`, and UserNotFoundError, ClientIdReusedError, DatabaseUnavailableError; see MessageWriter.submit.
        """
        return await (await self.submit(draft))

    async def submit(self, draft: MessageDraft, *, origin: object | None = None) -> "asyncio.Future[StoredMessage]":
        """Queue a message; the future is done after the commit. *origin* is the socket it came in by.

        Raises:
            PayloadTooLargeError, RateLimitedError, BusyError
        """
        await self._allow(draft.sender_id, draft.content)
        return self._writer.submit(draft, origin=origin)

    async def edit(self, *, message_id: int, author_id: int, content: str | None) -> tuple[MessageRow, int]:
        """Replace what a message says, or take it back (*content* None); with the number of the author's event.

        Raises:
            MessageNotFoundError, ForbiddenError, PayloadTooLargeError, RateLimitedError
        """
        await self._allow(author_id, content or "")
        async with self._database.transaction() as tx:
            row, deliveries = await queries.edit_message(
                tx, message_id=message_id, author_id=author_id, content=content, node_id=self._feed.node_id
            )
        kind = "deleted" if content is None else "edited"
        self._feed.publish(deliveries, EventFrames(Event(kind, row.id, message=row)))
        return row, next(delivery.seq for delivery in deliveries if delivery.user_id == author_id)

    async def announce(self, *, sender_id: int, content: str) -> int:
        """Store an announcement to every user and return its id.

        Raises:
            PayloadTooLargeError, RateLimitedError
        """
        await self._allow(sender_id, content)
        async with self._database.transaction(seconds=ANNOUNCE_SECONDS) as tx:
            announcement_id, deliveries = await queries.insert_announcement(
                tx, sender_id=sender_id, content=content, node_id=self._feed.node_id
            )
        self._feed.expect(deliveries)
        return announcement_id

    async def mark_read(self, *, user_id: int, other_id: int, up_to_id: int) -> ReadMark:
        """Store how far *user_id* has read, and show it on all tabs of both.

        Raises:
            UserNotFoundError: if the two have no conversation.
        """
        mark = await queries.mark_read(self._database, user_id=user_id, other_id=other_id, up_to_id=up_to_id)
        if mark is None:
            raise UserNotFoundError
        if mark.moved:
            frame = read_frame(user_id=user_id, other_id=other_id, up_to_id=mark.read_up_to_id)
            await self._feed.send_ephemeral({user_id, other_id}, frame)
            count = unread_frame(user_id=other_id, unread_count=mark.unread_count, read_up_to_id=mark.read_up_to_id)
            await self._feed.send_ephemeral({user_id}, count)
        return mark

    async def typing(self, *, user_id: int, recipient_id: int, active: bool) -> None:
        await self._feed.send_ephemeral({recipient_id}, typing_frame(user_id=user_id, active=active))

    async def _allow(self, user_id: int, content: str) -> None:
        if len(content) > MAX_MESSAGE_CHARACTERS:
            raise PayloadTooLargeError(f"A message has at most {MAX_MESSAGE_CHARACTERS:,} characters.")
        await self._limits.hit(self._limits.message, str(user_id))

    def _hear_messages(self, text: str) -> None:
        """Another node's messages, whole; see queries.insert_messages."""
        for stored in queries.read_whole_messages(text):
            self._publish(stored, None)

    def _publish(self, stored: StoredMessage, origin: object | None) -> None:
        frames = EventFrames(Event("message", stored.message.id, message=stored.message))
        self._feed.publish(stored.deliveries, frames, origin=origin)
