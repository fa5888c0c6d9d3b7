"""Events on their way to people: numbered in PostgreSQL, delivered to listeners here, announced to other nodes."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from auth import list_living_sessions
from chat import ConnectionManager, Event, Listener, NumberedEvent
from db import Connection, Database
from delivery import queries
from delivery.bus import Bus
from delivery.events import EventFrames
from delivery.protocol import epoch_frame, resync_frame
from delivery.queries import RETENTION_DAYS, Delivery, EventRow, Mailbox
from edge.background import cancel, repeat
from errors import PagewireError

FORGET_EVERY_SECONDS = 3600.0
SESSIONS_PER_NOTE = 300
LOOK_EVERY_SECONDS = 1.2  # for events whose note was missed, where one can be
MISSED_SECONDS = 0.2  # for a note to arrive; what is still missing then was missed
LATE_SECONDS = 0.1  # to wait for a note before its event is loaded, where notes are sent after the commit

logger = logging.getLogger("pagewire.feed")


async def _nothing_to_wait_for() -> None:
    pass


class Feed:
    """The one way to notify people.

    A durable event is stored for each user by `notify`, in the transaction of what happened, and delivered after the
    commit: by `expect`, or by `publish` where its frames are known already. An ephemeral frame is not stored.
    """

    def __init__(self, database: Database, bus: Bus) -> None:
        self.node_id = bus.node_id
        self.notes_from = bus.notes_from
        self.connections = ConnectionManager(self._load, note_seconds=LATE_SECONDS if bus.misses_notes else None)
        # Awaited before an event of the sender's own is delivered from the database: the node that is about to publish
        # it knows by which socket it came in.
        self.wait_for_published: Callable[[], Awaitable[None]] = _nothing_to_wait_for
        self._database = database
        self.bus = bus
        self._forgetting: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        bus.subscribe("e", self._hear_events, echo=True)
        bus.subscribe("w", self._hear_ephemeral)
        bus.subscribe("s", self._hear_ended, echo=True)
        bus.on_repair(self._repair)

    def start(self) -> None:
        self.connections.start()
        self._forgetting = asyncio.create_task(
            repeat(self._forget_events, every_seconds=FORGET_EVERY_SECONDS, logger=logger, name="deleting old events")
        )
        if self.bus.misses_notes:
            self._looking = asyncio.create_task(
                repeat(
                    self._find_missed, every_seconds=LOOK_EVERY_SECONDS, logger=logger, name="looking for missed events"
                )
            )

    async def close(self) -> None:
        self.connections.close()
        await cancel(self._forgetting, self._looking)
        await self.connections.stop()

    # Events

    async def notify(self, tx: Connection, *, user_ids: Sequence[int], kind: str, ref_id: int) -> list[Delivery]:
        """Store an event for each of *user_ids*; hand what this returns to `expect` or `publish` after the commit."""
        return await queries.insert_events(tx, user_ids=user_ids, kind=kind, ref_id=ref_id, node_id=self.notes_from)

    def expect(self, deliveries: Sequence[Delivery]) -> None:
        """These events are committed by this node: load them for the listeners here, and announce them."""
        self.bus.announce(deliveries)
        for user_id, seq in deliveries:
            self.bus.remember(user_id, seq)
            self.connections.expect(user_id, seq)

    def publish(
        self,
        deliveries: Sequence[Delivery],
        event: Event,
        *,
        origin: object | None = None,
    ) -> None:
        """*event* is committed by this node: announce it, and deliver it to the listeners here. *origin* is the socket
        it came in by.
        """
        self.announce(deliveries)
        self.deliver(deliveries, event, origin=origin)

    def announce(self, deliveries: Sequence[Delivery], write: Callable[[], str] | None = None) -> None:
        """This node has committed an event, which *write* shows whole: tell the others, if the commit has not."""
        self.bus.announce(deliveries, write)

    def deliver(self, deliveries: Iterable[Delivery], event: Event, *, origin: object | None = None) -> None:
        """*event* is committed: deliver it to the listeners here."""
        for user_id, seq in deliveries:
            self.bus.remember(user_id, seq)
            self.connections.publish(user_id, seq, event, origin=origin)

    async def send_ephemeral(self, user_ids: Collection[int], frame: str) -> None:
        """Hand a frame that is not stored to the v2 sockets of *user_ids*, on every node; it may be lost."""
        await self.send_ephemerals([(user_ids, frame)])

    async def send_ephemerals(self, deliveries: Iterable[tuple[Collection[int], str]]) -> None:
        """As `send_ephemeral`, for several frames, each with its users."""
        frames = list(deliveries)
        for user_ids, frame in frames:
            for user_id in user_ids:
                self.connections.send_ephemeral(user_id, frame)
        with suppress(PagewireError):
            await self.bus.send_frames(frames)

    # Listening

    @asynccontextmanager
    async def listen(self, listener: Listener, *, seq: int | None = None) -> AsyncIterator[int]:
        """Deliver to *listener* every event after the number that this yields, until the block is left.

        *seq* is the user's last event, where that is known already.

        Raises:
            TooManySocketsError, DatabaseUnavailableError
        """
        if seq is None:
            seq = (await self.position(listener.user_id)).seq
        self.connections.add(listener, seq=seq)
        self.bus.follow(listener.user_id)
        try:
            self.connections.expect(listener.user_id, (await self.position(listener.user_id)).seq)
            yield self.connections.tail(listener.user_id) or 0
        finally:
            self.connections.remove(listener)
            if self.connections.tail(listener.user_id) is None:
                self.bus.unfollow(listener.user_id)

    async def position(self, user_id: int) -> Mailbox:
        """The numbers of *user_id*'s last event, and of the last that is past its retention; 0 if there is none."""
        found = await queries.list_mailboxes(self._database, user_ids=[user_id])
        return found[0] if found else Mailbox(user_id, 0, 0)

    @property
    def epoch(self) -> str:
        """The id of the database's present history."""
        return self.bus.epoch

    async def find_gap(self, mailbox: Mailbox, *, seq: int, epoch: str | None) -> str | None:
        """Why a client that has the events up to *seq*, received in *epoch*, cannot go on from there; None if it can.

        "unknown": that event was never given. "too_old": what follows is past its retention. "put_back": it was given
        in a history that the database no longer has. A client that names no *epoch* is not asked for it.
        """
        if seq > mailbox.seq:
            return "unknown"
        if seq < mailbox.forgotten_seq:
            return "too_old"
        if epoch in (None, self.epoch) or await queries.is_part_of_history(
            self._database, user_id=mailbox.user_id, seq=seq, epoch=epoch or ""
        ):
            return None
        return "put_back"

    async def list_events(self, user_id: int, *, after: int, limit: int) -> list[NumberedEvent]:
        """*user_id*'s events after a number, in order."""
        return await self._load({user_id: after}, limit)

    async def _load(self, after: Mapping[int, int], limit: int) -> list[NumberedEvent]:
        rows = await queries.list_events(self._database, after=after, limit=limit)
        if any(row.event.message is not None and row.event.message.sender_id == row.user_id for row in rows):
            await self.wait_for_published()
        frames = {_look(row): EventFrames(row.event) for row in rows}  # most go to several people
        return [NumberedEvent(row.user_id, row.seq, frames[_look(row)]) for row in rows]

    # Sessions

    async def announce_ended(self, tx: Connection, user_id: int, session_ids: Sequence[int] | None = None) -> None:
        """With the commit of *tx*, have the other nodes end what listens by these sessions, or by any of the user's."""
        everything: list[Sequence[int]] = [()]
        parts = everything if session_ids is None else _batches(session_ids)
        for part in parts:
            text = " ".join(map(str, (user_id, *part)))
            await queries.send_note(tx, payload=f"s{self.node_id} {text}")

    def drop_sessions(self, user_id: int, session_ids: Sequence[int] | None = None) -> None:
        """These sessions have ended, or all of *user_id*'s: end what listens by them here."""
        self.connections.end_sessions(user_id, session_ids)

    # Other nodes

    def _hear_ended(self, text: str) -> None:
        """Ended sessions: "<user> <session> …", or "<user>" for all of that user's."""
        user_id, *session_ids = map(int, text.split())
        self.drop_sessions(user_id, session_ids or None)

    def _hear_events(self, text: str) -> None:
        """Another node's commit: "<user>:<seq> …"."""
        for part in text.split():
            user_id, _, seq = part.partition(":")
            self.connections.expect(int(user_id), int(seq))

    def _hear_ephemeral(self, text: str) -> None:
        """Another node's ephemeral frames: [[users, frame], …]."""
        for user_ids, frame in json.loads(text):
            for user_id in user_ids:
                self.connections.send_ephemeral(user_id, frame)

    async def _find_missed(self) -> None:
        """Load the events whose note did not come."""
        tails = self.connections.tails
        if behind := await queries.list_behind(self._database, tails=tails) if tails else []:
            await asyncio.sleep(MISSED_SECONDS)
            for user_id, seq in behind:
                self.connections.expect(user_id, seq)

    async def _repair(self, epoch_before: str) -> None:
        """Notes were missed: load what the listeners here lack, or resync them if the history is another."""
        here = self.connections.session_ids
        self.connections.end_listeners_by(here - await list_living_sessions(self._database, session_ids=here))
        user_ids = self.connections.user_ids
        found = await queries.list_mailboxes(self._database, user_ids=user_ids)
        mailboxes = {mailbox.user_id: mailbox for mailbox in found}
        for user_id in user_ids:
            mailbox = mailboxes.get(user_id, Mailbox(user_id, 0, 0))
            if epoch_before != self.epoch and await self._restart(mailbox, epoch_before):
                continue
            self.connections.expect(user_id, mailbox.seq)

    async def _restart(self, mailbox: Mailbox, epoch_before: str) -> bool:
        """Name the new epoch to a user's listeners; whether they had events that this history does not have."""
        seq = self.connections.tail(mailbox.user_id)
        if seq is None:
            return True  # gone meanwhile
        if await self.find_gap(mailbox, seq=max(seq, mailbox.forgotten_seq), epoch=epoch_before) is None:
            self.connections.send_ephemeral(mailbox.user_id, epoch_frame(epoch=self.epoch))
            return False
        frame = resync_frame(reason="put_back", seq=mailbox.seq, epoch=self.epoch)
        self.connections.restart(mailbox.user_id, mailbox.seq, frame)
        return True

    async def _forget_events(self) -> None:
        while await queries.forget_events(self._database, days=RETENTION_DAYS):
            pass


def _look(row: EventRow) -> tuple[object, ...]:
    """What makes an event look different: a document is not the same to everybody."""
    event = row.event
    has_document = event.document is not None
    has_attachment = event.message is not None and event.message.attachment is not None
    return event.kind, event.ref_id, has_document, row.user_id if has_attachment else None


def _batches(session_ids: Sequence[int]) -> list[Sequence[int]]:
    return [session_ids[start : start + SESSIONS_PER_NOTE] for start in range(0, len(session_ids), SESSIONS_PER_NOTE)]
