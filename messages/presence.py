"""Who is online: a user is while a living node holds one of their sockets; their conversation partners are notified."""

import asyncio
import logging
from itertools import islice

from db import Database
from delivery.bus import Bus
from delivery.feed import Feed
from delivery.protocol import presence_frame
from edge.background import cancel, repeat
from messages import presence_queries as queries

MAX_PARTNERS = 500  # notified when a user comes or goes
REAP_SECONDS = 5.0  # between two sweeps of the presence that dead nodes left behind
INTRODUCE_SECONDS = 0.2
PAIRS_AT_ONCE = 50
MAX_STRANGERS = 1000  # pairs
LOCKS = 64

logger = logging.getLogger("pagewire.presence")


class Presence:
    """What the database knows of the sockets of this node."""

    def __init__(self, database: Database, feed: Feed, bus: Bus) -> None:
        self._database = database
        self._feed = feed
        self._locks = [asyncio.Lock() for _ in range(LOCKS)]  # a user's is found by the id
        self._unsettled: set[int] = set()  # users whose presence could not be stored
        self._unnotified: set[int] = set()  # users whose partners have not been notified of a change
        self._strangers: dict[tuple[int, int], None] = {}  # pairs whose first message was just stored
        self._reaping: asyncio.Task[None] | None = None
        self._introducing: asyncio.Task[None] | None = None
        bus.on_repair(self._repair)

    def start(self) -> None:
        self._reaping = asyncio.create_task(
            repeat(self._reap, every_seconds=REAP_SECONDS, logger=logger, name="presence")
        )

        self._introducing = asyncio.create_task(
            repeat(self._introduce, every_seconds=INTRODUCE_SECONDS, logger=logger, name="presence of new partners")
        )

    async def close(self) -> None:
        await cancel(self._reaping, self._introducing)

    async def settle(self, user_id: int) -> None:
        """A socket of *user_id* was opened or closed: store whether one is open here, and notify partners of a change.

        One at a time for each user, or the last write might be an old one; what fails is retried later.
        """
        try:
            async with self._locks[user_id % LOCKS]:
                if self._feed.connections.has_socket(user_id):
                    changed = bool(
                        await queries.set_online(self._database, user_ids=[user_id], node_id=self._feed.node_id)
                    )
                else:
                    changed = await queries.set_offline(self._database, user_id=user_id, node_id=self._feed.node_id)
            self._unsettled.discard(user_id)
            if changed:
                self._unnotified.add(user_id)
            if user_id in self._unnotified:
                await self._notify_partners(user_id)
                self._unnotified.discard(user_id)
        except BaseException:
            self._unsettled.add(user_id)
            raise

    async def list_frames(self, user_id: int) -> list[str]:
        """A frame for each of *user_id*'s partners who is online."""
        partners = await queries.list_partners(self._database, user_id=user_id, limit=MAX_PARTNERS)
        found = await queries.list_presence(self._database, user_ids=partners) if partners else []
        return [presence_frame(**person._asdict()) for person in found if person.is_online]

    def introduce(self, one_id: int, other_id: int) -> None:
        """Two people have a conversation now: each soon learns if the other is online, unless too many wait."""
        if len(self._strangers) < MAX_STRANGERS:
            self._strangers[one_id, other_id] = None

    async def _introduce(self) -> None:
        """Look some pairs up in one query: where everybody writes to everybody, one a message would cost too much."""
        pairs = list(islice(self._strangers, PAIRS_AT_ONCE))
        if not pairs:
            return
        for pair in pairs:
            del self._strangers[pair]
        partners: dict[int, set[int]] = {}
        for one_id, other_id in pairs:
            partners.setdefault(one_id, set()).add(other_id)
            partners.setdefault(other_id, set()).add(one_id)
        found = await queries.list_presence(self._database, user_ids=list(partners))
        await self._feed.send_ephemerals(
            [(partners[person.user_id], presence_frame(**person._asdict())) for person in found if person.is_online]
        )

    async def _notify_partners(self, user_id: int) -> None:
        partners = await queries.list_partners(self._database, user_id=user_id, limit=MAX_PARTNERS)
        if partners:
            for found in await queries.list_presence(self._database, user_ids=[user_id]):
                await self._feed.send_ephemeral(set(partners), presence_frame(**found._asdict()))

    async def _reap(self) -> None:
        for user_id in await queries.drop_dead_presence(self._database):
            await self._notify_partners(user_id)
        for user_id in [*self._unsettled, *self._unnotified]:
            await self.settle(user_id)

    async def _repair(self, _epoch: str) -> None:
        """This node's lock was lost, and its presence perhaps with it: store it again."""
        connections = self._feed.connections
        here = list(filter(connections.has_socket, connections.user_ids))
        gone = await queries.drop_absent(self._database, user_ids=here, node_id=self._feed.node_id)
        back = await queries.set_online(self._database, user_ids=here, node_id=self._feed.node_id)
        self._unsettled.update(back)  # one of them may have left in this moment
        for user_id in [*gone, *back]:
            await self._notify_partners(user_id)
