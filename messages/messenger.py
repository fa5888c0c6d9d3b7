"""What may be done with messages, whoever asks and by whatever way: send, edit, delete, mark as read, announce."""

import asyncio
import json
import logging
from contextlib import suppress

from db import Database
from delivery import queries as delivery
from delivery.bus import Bus
from delivery.protocol import (
    MAX_MESSAGE_CHARACTERS,
    Event,
    EventFrames,
    presence_frame,
    read_frame,
    typing_frame,
    unread_frame,
)
from delivery.queries import Told
from errors import PagewireError, PayloadTooLargeError, UserNotFoundError
from hub import Hub
from messages import presence, queries
from messages.queries import MessageDraft, MessageRow, ReadMark, StoredMessage
from messages.writer import MessageWriter

MAX_TOLD_OF_PRESENCE = 500  # people who hear that somebody came or went
REAP_SECONDS = 5.0  # between two looks for presence of processes that died
FORGET_EVERY_SECONDS = 3600.0
RETENTION_DAYS = 30
WHISPERED_PER_NOTE = 200  # users; PostgreSQL takes payloads of less than 8,000 bytes
PRESENCE_LOCKS = 64

logger = logging.getLogger("pagewire.chat")


class Messenger:
    """Chat as this process does it, together with the others: events go to the hub here and, by notes, to theirs."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self.hub = Hub(self._load)
        self.writer = MessageWriter(database, self._publish_message, node_id=bus.node_id, has_company=bus.has_company)
        self._loops: list[asyncio.Task[None]] = []
        self._presence_locks = [asyncio.Lock() for _ in range(PRESENCE_LOCKS)]  # a user's is found by the id
        self._unsettled: set[int] = set()  # whose presence could not be written down

    async def start(self) -> None:
        self.hub.start()
        self.writer.start()
        self._bus.subscribe("e", self._hear_events, echo=True)
        self._bus.subscribe("m", self._hear_messages)
        self._bus.subscribe("w", self._hear_whisper)
        await self._bus.start(self._repair)
        self._loops = [asyncio.create_task(self._reap_presence()), asyncio.create_task(self._forget_events())]

    async def close(self) -> None:
        """Store what was taken, then say goodbye to everybody."""
        self.hub.close()
        await self.writer.close()
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self.hub.stop()
        await self._bus.close()

    # Messages

    def send(self, draft: MessageDraft, *, origin: object | None = None) -> "asyncio.Future[StoredMessage]":
        """Queue a message; the future is done after the commit. See MessageWriter.submit for what may go wrong.

        Raises:
            PayloadTooLargeError, BusyError
        """
        check_length(draft.content)
        return self.writer.submit(draft, origin=origin)

    async def edit(self, *, message_id: int, author_id: int, content: str | None) -> tuple[MessageRow, int]:
        """Replace what a message says, or take it back (*content* None); with the author's number for the event.

        Raises:
            MessageNotFoundError, ForbiddenError, PayloadTooLargeError
        """
        if content is not None:
            check_length(content)
        async with self._database.transaction() as tx:
            row, told = await queries.edit_message(
                tx, message_id=message_id, author_id=author_id, content=content, node_id=self._bus.node_id
            )
        frames = EventFrames(_event_of("deleted" if content is None else "edited", row))
        self._publish(told, frames)
        return row, next(t.seq for t in told if t.user_id == author_id)

    async def announce(self, *, sender_id: int, content: str) -> int:
        """Tell everybody."""
        async with self._database.transaction(seconds=60) as tx:
            announcement_id, told = await queries.insert_announcement(
                tx, sender_id=sender_id, content=content, node_id=self._bus.node_id
            )
        self.expect(told)
        return announcement_id

    async def mark_read(self, *, user_id: int, other_id: int, up_to_id: int) -> ReadMark:
        """Remember what *user_id* has read, and show it on all tabs of both.

        Raises:
            UserNotFoundError: if the two have no conversation.
        """
        mark = await queries.mark_read(self._database, user_id=user_id, other_id=other_id, up_to_id=up_to_id)
        if mark is None:
            raise UserNotFoundError
        if mark.moved:
            frame = read_frame(user_id=user_id, other_id=other_id, up_to_id=mark.read_up_to_id)
            await self.whisper({user_id, other_id}, frame)
            count = unread_frame(user_id=other_id, unread_count=mark.unread_count, read_up_to_id=mark.read_up_to_id)
            await self.whisper({user_id}, count)
        return mark

    async def typing(self, *, user_id: int, recipient_id: int, active: bool) -> None:
        await self.whisper({recipient_id}, typing_frame(user_id=user_id, active=active))

    # Presence

    async def settle_presence(self, user_id: int) -> None:
        """A socket of *user_id* was opened or closed: write down whether one is open here; partners hear of a change.

        One at a time for each user, or the last word might be an old one; what fails is tried again by and by.
        """
        try:
            async with self._presence_locks[user_id % PRESENCE_LOCKS]:
                if self.hub.has_socket(user_id):
                    changed = bool(
                        await presence.set_online(self._database, user_ids=[user_id], node_id=self._bus.node_id)
                    )
                else:
                    changed = await presence.set_offline(self._database, user_id=user_id, node_id=self._bus.node_id)
            self._unsettled.discard(user_id)
            if changed:
                await self._tell_presence(user_id)
        except BaseException:
            self._unsettled.add(user_id)
            raise

    async def list_presence_frames(self, user_id: int) -> list[str]:
        """Who of *user_id*'s partners is online."""
        partners = await presence.list_partners(self._database, user_id=user_id, limit=MAX_TOLD_OF_PRESENCE)
        found = await presence.list_presence(self._database, user_ids=partners) if partners else []
        return [presence_frame(**person._asdict()) for person in found if person.is_online]

    async def _tell_presence(self, user_id: int) -> None:
        partners = await presence.list_partners(self._database, user_id=user_id, limit=MAX_TOLD_OF_PRESENCE)
        if partners:
            for found in await presence.list_presence(self._database, user_ids=[user_id]):
                await self.whisper(set(partners), presence_frame(**found._asdict()))

    async def _reap_presence(self) -> None:
        while True:
            await asyncio.sleep(REAP_SECONDS)
            try:
                for user_id in await presence.drop_dead_presence(self._database):
                    await self._tell_presence(user_id)
                for user_id in list(self._unsettled):
                    await self.settle_presence(user_id)
            except Exception as error:
                _log_failure("presence", error)

    # Between processes

    def expect(self, told: list[Told]) -> None:
        """These events are committed: whoever listens here is told soon."""
        for user_id, seq in told:
            self.hub.expect(user_id, seq)

    async def whisper(self, user_ids: set[int], frame: str) -> None:
        """Hand a frame that is not stored to the v2 sockets of *user_ids*, in every process."""
        for user_id in user_ids:
            self.hub.whisper(user_id, frame)
        everybody = sorted(user_ids)
        with suppress(PagewireError):  # it may be lost
            for start in range(0, len(everybody), WHISPERED_PER_NOTE):
                some = everybody[start : start + WHISPERED_PER_NOTE]
                payload = f"w{self._bus.node_id} {json.dumps([some, frame])}"
                await delivery.notify(self._database, payload=payload)

    def _hear_events(self, text: str) -> None:
        """Another process's commit: "<user>:<seq> …"."""
        for part in text.split():
            user_id, _, seq = part.partition(":")
            self.hub.expect(int(user_id), int(seq))

    def _hear_messages(self, text: str) -> None:
        """Another process's messages, whole; see history.insert_messages."""
        for message in queries.read_whole_messages(text):
            self._publish_message(message, None)

    def _hear_whisper(self, text: str) -> None:
        """Another process's whisper: [users, frame]."""
        user_ids, frame = json.loads(text)
        for user_id in user_ids:
            self.hub.whisper(user_id, frame)

    async def _repair(self) -> None:
        """Notes were missed: look how far everybody here has been told, and say again who is here."""
        for mailbox in await delivery.list_mailboxes(self._database, user_ids=self.hub.user_ids):
            self.hub.expect(mailbox.user_id, mailbox.seq)
        here = list(filter(self.hub.has_socket, self.hub.user_ids))
        back = await presence.set_online(self._database, user_ids=here, node_id=self._bus.node_id)
        self._unsettled.update(back)  # one of them may have left in this moment
        for user_id in back:
            await self._tell_presence(user_id)

    async def position(self, user_id: int) -> tuple[int, int]:
        """The number of *user_id*'s last event, and of the last that is past its retention."""
        for mailbox in await delivery.list_mailboxes(self._database, user_ids=[user_id]):
            return mailbox.seq, mailbox.forgotten_seq
        return 0, 0

    async def refresh(self, user_id: int) -> None:
        """Look whether *user_id* was told something between reading the number and being registered."""
        for mailbox in await delivery.list_mailboxes(self._database, user_ids=[user_id]):
            self.hub.expect(user_id, mailbox.seq)

    async def _load(self, after: list[Told], limit: int) -> list[delivery.EventRow]:
        rows = await delivery.list_events(self._database, after=after, limit=limit)
        if any(row.sender_id == row.user_id for row in rows):
            await self.writer.wait_for_published()  # it knows by which socket they came, and the hub will
        return rows

    def _publish_message(self, message: StoredMessage, origin: object | None) -> None:
        event = Event(
            "message",
            message.id,
            message.sender_id,
            message.recipient_id,
            message.content,
            message.created_at,
            message.sender_name,
            message.client_id,
            None,
            None,
        )
        frames = EventFrames(event)
        assert message.sender_seq is not None
        assert message.recipient_seq is not None
        self.hub.publish(message.recipient_id, message.recipient_seq, frames, origin=origin)
        if message.sender_id != message.recipient_id:
            self.hub.publish(message.sender_id, message.sender_seq, frames, origin=origin)

    def _publish(self, told: list[Told], frames: EventFrames) -> None:
        for user_id, seq in told:
            self.hub.publish(user_id, seq, frames)

    async def _forget_events(self) -> None:
        while True:
            try:
                while await delivery.forget_events(self._database, days=RETENTION_DAYS):
                    pass
            except Exception as error:
                _log_failure("old events", error)
            await asyncio.sleep(FORGET_EVERY_SECONDS)


def _log_failure(what: str, error: Exception) -> None:
    """What a loop could not do it tries again; only what nobody expected needs a traceback."""
    logger.info("%s: %s", what, error, exc_info=not isinstance(error, PagewireError))


def check_length(content: str) -> None:
    if len(content) > MAX_MESSAGE_CHARACTERS:
        raise PayloadTooLargeError(f"A message has at most {MAX_MESSAGE_CHARACTERS:,} characters.")


def _event_of(kind: str, row: MessageRow) -> Event:
    return Event(
        kind,
        row.id,
        row.sender_id,
        row.recipient_id,
        row.content,
        row.created_at,
        row.sender_name,
        row.client_id,
        row.edited_at,
        row.deleted_at,
    )
