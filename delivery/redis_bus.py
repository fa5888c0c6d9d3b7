"""The line between the nodes over Redis: each node hears what its users need, and PostgreSQL does not pass it on.

A sibling of `bus`, whose line by PostgreSQL it keeps: for who is alive, ended sessions, and while Redis is away.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress

from db import Database
from delivery.bus import Bus
from delivery.queries import NOTES_PER_CALL, Delivery, sign
from edge.background import cancel
from edge.redis_client import RedisAwayError, RedisClient
from errors import PagewireError

RECONNECT_SECONDS = 0.5
GATHER_SECONDS = 0.005  # from one note to a node to the next: what comes meanwhile goes together
MAX_UNPUBLISHED = 50_000  # texts and numbers that wait for Redis; beyond that they are found in the database
EVERYBODY = "all"  # the channel on which nodes say whose listeners they have
INTEREST = "i"  # the kind of those notes

logger = logging.getLogger("pagewire.bus")


class RedisBus(Bus):
    """Notes as the other line has them, on one channel a node: all that gathers for a node meanwhile is one note.

    (With a channel a user, publishing and receiving would take 22 µs of processor time a note, a fifth of a message.)

    Nodes tell each other whose listeners they have: all of them when a node comes, then each change. A note may be
    lost, say with a node that is killed between its commit and Redis: the feed looks for missed events in the database.
    """

    misses_notes = True

    def __init__(self, database: Database, client: RedisClient) -> None:
        super().__init__(database)
        self.notes_from = None
        self._client = client
        self._followed: set[int] = set()  # users with listeners here
        self._users_of: dict[int, set[int]] = {}  # by node: users with listeners there
        self._changed: dict[int, bool] = {}  # users whose listeners have come or gone, not yet published
        self._texts: dict[tuple[int, str], list[str]] = {}  # by node and kind, not yet published
        self._numbers: list[Delivery] = []  # those of events in _texts: the database passes them on if Redis cannot
        self._more = asyncio.Event()
        self._is_open = False  # Redis answers, and the other nodes are asked for their users
        self._listening: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.subscribe(INTEREST, self._hear_interest)

    async def start(self) -> None:
        await super().start()
        tried = asyncio.Event()
        self._tasks = [asyncio.create_task(self._keep_listening(tried)), asyncio.create_task(self._publish_all())]
        await tried.wait()

    async def close(self) -> None:
        await cancel(*self._tasks, self._listening)
        await super().close()

    # What the feed says

    def follow(self, user_id: int) -> None:
        if user_id not in self._followed:
            self._followed.add(user_id)
            self._change(user_id, True)

    def unfollow(self, user_id: int) -> None:
        if user_id in self._followed:
            self._followed.discard(user_id)
            self._change(user_id, False)

    def _change(self, user_id: int, is_followed: bool) -> None:
        if self._is_open:  # else all of them are named when it is
            self._changed[user_id] = is_followed
            self._more.set()

    def announce(self, deliveries: Sequence[Delivery], write: Callable[[], str] | None = None) -> None:
        if not self._is_open:
            if self.has_other_nodes():
                self._pass_to_database(deliveries)
            return
        text = ""
        for node_id, users in self._users_of.items():
            wanted = [delivery for delivery in deliveries if delivery.user_id in users]
            if not wanted:
                continue
            if write is None:
                self._put(node_id, "e", [f"{user_id}:{seq}" for user_id, seq in wanted])
            else:
                text = text or write()
                self._put(node_id, "m", [text])
            self._numbers += wanted

    async def send_frames(self, deliveries: Iterable[tuple[Collection[int], str]]) -> None:
        if not self._is_open:
            await super().send_frames(deliveries)
            return
        for user_ids, frame in deliveries:
            for node_id, users in self._users_of.items():
                if wanted := users.intersection(user_ids):
                    self._put(node_id, "w", [json.dumps((sorted(wanted), frame))])

    # Publishing

    def _put(self, node_id: int, kind: str, texts: Sequence[str]) -> None:
        waiting = self._texts.setdefault((node_id, kind), [])
        if len(waiting) < MAX_UNPUBLISHED:
            waiting += texts
            self._more.set()

    def _pass_to_database(self, deliveries: Sequence[Delivery]) -> None:
        if len(self._numbers) < MAX_UNPUBLISHED:
            self._numbers += deliveries
            self._more.set()

    async def _publish_all(self) -> None:
        """Publish what has gathered meanwhile, again and again."""
        while True:
            await self._more.wait()
            self._more.clear()
            texts, self._texts = self._texts, {}
            numbers, self._numbers = self._numbers, []
            changed, self._changed = self._changed, {}
            try:
                if not self._is_open:
                    raise RedisAwayError
                await self._publish(texts, changed)
            except RedisAwayError:
                self._reopen()
                await self._notify(numbers)
            except Exception:
                logger.exception("notes could not be published")
            await asyncio.sleep(GATHER_SECONDS)

    async def _publish(self, texts: dict[tuple[int, str], list[str]], changed: dict[int, bool]) -> None:
        notes: list[tuple[int | str, str]] = []
        if changed:
            ids = [str(user_id if is_followed else -user_id) for user_id, is_followed in changed.items()]
            notes.append((EVERYBODY, self._write(INTEREST, " ".join((str(self.node_id), "+", *ids)))))
        for (node_id, kind), waiting in texts.items():
            joined = f"[{','.join(waiting)}]" if kind in "mw" else " ".join(waiting)
            notes.append((node_id, self._write(kind, joined)))
        heard = await self._client.publish([(self._channel_of(place), note) for place, note in notes])
        for (place, _), count in zip(notes, heard, strict=True):
            if count == 0 and isinstance(place, int):
                self._users_of.pop(place, None)  # dead, or looking for Redis: it will say so

    async def _notify(self, numbers: Sequence[Delivery]) -> None:
        """Have the database pass on what Redis could not."""
        with suppress(PagewireError):  # then the other nodes find it by themselves
            for start in range(0, len(numbers), NOTES_PER_CALL):
                part = numbers[start : start + NOTES_PER_CALL]
                await self.send("e", " ".join(f"{user_id}:{seq}" for user_id, seq in part))

    def _write(self, kind: str, text: str) -> str:
        payload = f"{kind}{self.node_id} {text}"
        return payload + sign(self._key, payload)

    def _channel_of(self, place: int | str) -> str:
        return f"{self._client.prefix}:{place}"

    # Listening

    async def _keep_listening(self, tried: asyncio.Event) -> None:
        while True:
            self._listening = asyncio.create_task(self._listen(tried))
            (ended,) = (await asyncio.wait({self._listening}))[0]
            self._is_open = False
            self._users_of.clear()
            if not ended.cancelled() and (error := ended.exception()) is not None:
                is_strange = not isinstance(error, RedisAwayError)
                logger.log(logging.ERROR if is_strange else logging.DEBUG, "the line over Redis: %r", error)
            tried.set()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self, tried: asyncio.Event) -> None:
        async with self._client.subscribe(self._channel_of(self.node_id), self._channel_of(EVERYBODY)) as texts:
            named = set(self._followed)
            await self._client.publish([(self._channel_of(EVERYBODY), self._write(INTEREST, self._name_users("?")))])
            self._is_open = True
            self._changed = {user_id: user_id in self._followed for user_id in named ^ self._followed}
            self._more.set()
            tried.set()
            async for text in texts:
                self._hear(text)

    def _reopen(self) -> None:
        if self._is_open and self._listening is not None:
            self._listening.cancel()

    def _name_users(self, mark: str) -> str:
        return " ".join((str(self.node_id), mark, *map(str, self._followed)))

    def _hear_interest(self, text: str) -> None:
        """Another node's users with listeners: "<node> = <user> …" all of them; "?" all, and it asks for ours; "+"
        changes, with a minus before those who have gone.

        It may have missed what was committed meanwhile, and is sent the last number of each user.
        """
        sender, mark, *ids = text.split()
        node_id = int(sender)
        if mark != "+":
            self._users_of[node_id] = set()
        users = self._users_of.setdefault(node_id, set())
        come = {user_id for user_id in map(int, ids) if user_id > 0}
        users.difference_update(-int(gone) for gone in ids if gone.startswith("-"))
        users.update(come)
        if mark == "?":
            self._texts[node_id, INTEREST] = [self._name_users("=")]
            self._more.set()
        if known := [f"{user_id}:{self._promised[user_id]}" for user_id in come if user_id in self._promised]:
            self._put(node_id, "e", known)
