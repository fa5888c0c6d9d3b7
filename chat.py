"""The connection manager: the open sockets of this node; each listener gets its user's events once and in order."""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from enum import IntEnum
from itertools import islice
from typing import NamedTuple, Protocol

from prometheus_client import Histogram
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected

from errors import PagewireError

OUTBOX_FRAMES = 256
OUTBOX_CHARACTERS = 4 * 1024 * 1024
OUTBOXES_CHARACTERS_EACH = 8 * 1024 * 1024  # of one user
OUTBOXES_CHARACTERS = 128 * 1024 * 1024  # of all users
SOCKETS_PER_USER = 20
CLOSE_SECONDS = 1.0
SLOW_CLOSE_SECONDS = 10.0  # for a slow reader to take its close frame
STUCK_SECONDS = 30.0  # without reading one frame, while a backlog is sent
EVENTS_PER_LOAD = 100  # of one user, in one query
USERS_PER_LOAD = 64
REPLAYS_AT_ONCE = 2  # loads for sockets that catch up; the others wait in line
REPLAYS_PER_USER = 2  # sockets of one user that catch up at the same time
FRAMES_PER_TURN = 8  # of a replay, between two turns of other work
EVENTS_EACH_PER_LOAD = 8  # of each user, when many are behind
RETRY_LOAD_SECONDS = 0.2
NOTE_SECONDS = 0.02  # to wait for another node's note before the event is loaded
MAX_AHEAD = 256  # events of one user kept until the ones before them arrive; beyond that they are loaded

logger = logging.getLogger("pagewire.chat")

DELAY = Histogram("pagewire_frame_delay_seconds", "From a frame that a socket is to receive until it took it.")


class CloseCode(IntEnum):
    """Why the server closes a socket: RFC 6455 section 7.4.1, and our own from 4000 on."""

    GOING_AWAY = 1001
    NORMAL = 1000
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    TRY_AGAIN_LATER = 1013
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    TOO_MUCH = 4429  # a slow reader, a flood, or too many sockets


class TooManySocketsError(PagewireError):
    """You have too many open sockets; close one first."""

    status = 429
    code = "too_many_sockets"


class GoingAwayError(PagewireError):
    """The server is going away; reconnect in a moment and resume."""

    status = 503
    code = "going_away"


class Event(Protocol):
    """What happened, as each kind of socket receives it."""

    @property
    def recipient_id(self) -> int | None:
        """The recipient of a message; None for any other event."""

    def durable(self, user_id: int, seq: int) -> str:
        """The frame for a v2 socket of *user_id*."""

    def classic(self) -> str | None:
        """The frame for a classic socket; None if classic sockets do not receive this."""


class NumberedEvent(NamedTuple):
    """An event as one user receives it."""

    user_id: int
    seq: int
    event: Event


# Loads at most so many events of each user after their number, in order of the numbers.
LoadEvents = Callable[[Mapping[int, int], int], Awaitable[Sequence[NumberedEvent]]]


class Listener(Protocol):
    """A receiver of one user's events: a socket or a long poll."""

    user_id: int
    session_id: int  # what it listens by; it ends with it

    def deliver(self, seq: int, event: Event, origin: object | None) -> None:
        """Take the event *seq*; called for each, in order, without a gap. Must not wait."""

    def deliver_ephemeral(self, frame: str) -> None:
        """Take a frame that is neither stored nor repeated."""

    def restart(self, seq: int, frame: str) -> None:
        """The events so far belong to another history: *frame* says so. The next event is the one after *seq*."""

    def end(self, code: CloseCode) -> None:
        """Go away soon."""


class DescribeError(Protocol):
    def __call__(self, error: PagewireError, *, ref: str | int | None = None) -> str:
        """Return an error frame; *ref* is the client's name for what went wrong."""


class _Holding:
    """How many characters outboxes hold: those of one user, as a part of the *whole*, or those of all."""

    __slots__ = ("characters", "whole")

    def __init__(self, whole: "_Holding | None" = None) -> None:
        self.characters = 0
        self.whole = whole

    def add(self, count: int) -> None:
        self.characters += count
        if self.whole is not None:
            self.whole.characters += count


class Signal(asyncio.Event):
    """An event with a list of waiters: asyncio's deque takes 0.6 KB, and an idle socket has four events."""

    def __init__(self) -> None:
        super().__init__()
        self._waiters = []  # type: ignore[assignment]


class Connection:
    """One socket: an outbox of at most `OUTBOX_FRAMES` frames and `OUTBOX_CHARACTERS`, the task that empties it, and
    the last event put into it.
    """

    def __init__(
        self, websocket: WebSocket, user_id: int, *, classic: bool, describe: DescribeError, session_id: int = 0
    ) -> None:
        self.user_id = user_id
        self.session_id = session_id
        self.classic = classic
        self.position = 0  # v2: the last event put into the outbox
        self.is_live = False  # v2: there is nothing left to catch up with
        self.restarts = 0
        self.close_code: CloseCode | None = None
        self._websocket = websocket
        self._describe = describe
        self._outbox: deque[str] = deque()
        self._characters = 0  # in the outbox, and on their way out of it
        self._holding: _Holding | None = None  # counts them too
        self._more: asyncio.Future[float] | None = None  # what the pump waits for; an Event takes twice as long
        self._has_room = Signal()
        self._lifetime: asyncio.Timeout | None = None
        self._pump: asyncio.Task[None] | None = None

    def deliver(self, seq: int, event: Event, origin: object | None) -> None:
        if self.classic:
            # A classic client shows what it sends by itself, and would show it twice.
            is_echo = origin is self and event.recipient_id != self.user_id
            if not is_echo and (frame := event.classic()) is not None:
                self.send(frame)
        elif self.is_live and seq > self.position:
            self.position = seq
            self.send(event.durable(self.user_id, seq))

    def deliver_ephemeral(self, frame: str) -> None:
        if not self.classic:
            self.send(frame)

    def restart(self, seq: int, frame: str) -> None:
        if not self.classic:
            self.restarts += 1
            self.position = seq
            self.send(frame)

    def send(self, frame: str) -> None:
        """Put *frame* in the outbox; a socket whose outbox is full reads too slowly and is closed with 4429."""
        if self._is_full(frame):
            self.end(CloseCode.TOO_MUCH)
        elif self.close_code in (None, CloseCode.GOING_AWAY):  # earlier requests may still be answered
            self._count(len(frame))
            self._outbox.append(frame)
            if self._more is not None and not self._more.done():
                self._more.set_result(time.monotonic())

    async def send_patiently(self, frame: str) -> None:
        """Put *frame* in the outbox once half of it is free; the other half is for events that arrive meanwhile.

        Raises:
            WebSocketDisconnect: if the reader is gone, or took nothing for `STUCK_SECONDS` (it is closed with 4429).
        """
        while self._is_full(frame, share=2):
            if self.close_code is not None or self._pump is None or self._pump.done():
                raise WebSocketDisconnect
            self._has_room.clear()
            try:
                async with asyncio.timeout(STUCK_SECONDS):
                    await self._has_room.wait()
            except TimeoutError:
                self.end(CloseCode.TOO_MUCH)
                raise WebSocketDisconnect from None
        self.send(frame)

    @property
    def held_characters(self) -> int:
        """What waits for this reader; none once it is closed as too slow."""
        return 0 if self.close_code == CloseCode.TOO_MUCH else self._characters

    def count_in(self, holding: _Holding | None) -> None:
        """From now on *holding* counts what the outbox holds."""
        characters = self._characters
        self._count(-characters)
        self._holding = holding
        self._count(characters)

    def _count(self, change: int) -> None:
        self._characters += change
        if self._holding is not None:
            self._holding.add(change)

    def _empty(self) -> None:
        self._count(-sum(map(len, self._outbox)))
        self._outbox.clear()

    def _is_full(self, frame: str, share: int = 1) -> bool:
        frames, characters = len(self._outbox), self._characters + len(frame)
        return frames >= OUTBOX_FRAMES // share or characters > OUTBOX_CHARACTERS // share

    async def flush(self) -> None:
        """Wait until the outbox is empty or its reader gone, for `CLOSE_SECONDS` at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                while self._characters and self._pump is not None and not self._pump.done():
                    self._has_room.clear()
                    await self._has_room.wait()

    async def end_with(self, error: PagewireError, code: CloseCode, *, ref: str | int | None = None) -> None:
        """Send an error frame, wait a moment for it to leave, and close the socket soon."""
        self.send(self._describe(error, ref=ref))
        await self.flush()
        self.end(code)

    def end(self, code: CloseCode) -> None:
        """Close the socket soon; the first reason counts."""
        if self.close_code is None:
            self.close_code = code
            if code == CloseCode.TOO_MUCH:
                self._empty()
            if self._lifetime is not None:
                with suppress(RuntimeError):  # just over
                    self._lifetime.reschedule(0)

    def live_until(self, when: float) -> asyncio.Timeout:
        """A block that ends (TimeoutError) at the loop time *when*, with 4401, or as soon as `end` is called."""
        self._lifetime = asyncio.timeout_at(0 if self.close_code else when)
        return self._lifetime

    def extend(self, when: float) -> None:
        """A newer token: the block of `live_until` now ends at *when*."""
        if self.close_code is None and self._lifetime is not None:
            self._lifetime.reschedule(when)

    def start(self) -> None:
        self._pump = asyncio.create_task(self._empty_outbox())

    async def close(self) -> None:
        """Send the outbox (not to a slow reader), then the close frame; wait only briefly for either."""
        code = self.close_code or CloseCode.NORMAL
        reason = code.name.lower()
        if code != CloseCode.TOO_MUCH:
            await self.flush()
        if self._pump is not None:
            self._pump.cancel()
        self._empty()
        with suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
            async with asyncio.timeout(SLOW_CLOSE_SECONDS if code == CloseCode.TOO_MUCH else CLOSE_SECONDS):
                if code == CloseCode.GOING_AWAY:
                    seconds = random.randint(1, 5)  # noqa: S311, so that clients do not all reconnect at once
                    reason = f"retry_after={seconds}"
                    if not self.classic:
                        await self._websocket.send_text(self._describe(GoingAwayError(retry_after=seconds)))
                await self._websocket.close(code, reason)

    async def _empty_outbox(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            since = time.monotonic()
            while True:
                while self._outbox:
                    frame = self._outbox.popleft()
                    await self._websocket.send_text(frame)
                    self._count(-len(frame))
                    self._has_room.set()
                DELAY.observe(time.monotonic() - since)
                self._more = loop.create_future()
                since = await self._more
        except (WebSocketDisconnect, WebSocketDisconnected, OSError):
            self._has_room.set()  # there is nothing left to wait for


_Published = tuple[Event, object | None]  # an event, and the socket it came in by


class _Channel:
    """One user's listeners and how far they have been delivered to: up to *tail*."""

    __slots__ = ("ahead", "holding", "listeners", "replays", "restarts", "tail")

    def __init__(self, tail: int, whole: _Holding) -> None:
        self.tail = tail
        self.holding = _Holding(whole)
        self.restarts = 0  # what was announced before one is of another history
        self.replays = asyncio.Semaphore(REPLAYS_PER_USER)
        self.listeners: set[Listener] = set()
        self.ahead: dict[int, _Published] = {}  # published before their turn

    @property
    def fullest(self) -> Connection:
        sockets = [listener for listener in self.listeners if isinstance(listener, Connection)]
        return max(sockets, key=lambda socket: socket.held_characters)


class ConnectionManager:
    """Every listener of this node, by user.

    Events may be published out of order and from anywhere (this node's commits, other nodes' notes); missing ones are
    loaded, so that listeners receive each number once and in order.

    What outboxes hold is bounded for each user and for all together: then the fullest of that user's, or of the user
    with the most, is closed with 4429.
    """

    def __init__(self, load: LoadEvents, *, note_seconds: float | None = None) -> None:
        """*note_seconds*: how long another node's note is waited for before its event is loaded."""
        self._load = load
        self._note_seconds = note_seconds
        self._channels: dict[int, _Channel] = {}
        self._holding = _Holding()
        self._wanted: dict[int, int] = {}  # by user: an event that was announced and must be loaded
        self._wake = asyncio.Event()
        self._replays = asyncio.Semaphore(REPLAYS_AT_ONCE)
        self._closing = False
        self._empty = asyncio.Event()
        self._empty.set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._load_wanted())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def add(self, listener: Listener, *, seq: int) -> int:
        """Register *listener*, who has everything up to *seq*; return the event after which it receives everything.

        Raises:
            TooManySocketsError: if the user has `SOCKETS_PER_USER` already.
        """
        channel = self._channels.get(listener.user_id)
        if channel is None:
            channel = self._channels[listener.user_id] = _Channel(seq, self._holding)
        elif len(channel.listeners) >= SOCKETS_PER_USER:
            raise TooManySocketsError
        channel.listeners.add(listener)
        if isinstance(listener, Connection):
            listener.count_in(channel.holding)
        self._empty.clear()
        if self._closing:
            listener.end(CloseCode.GOING_AWAY)
        return channel.tail

    def remove(self, listener: Listener) -> None:
        """Forget *listener*, if it is still registered."""
        channel = self._channels.get(listener.user_id)
        if channel is None:
            return
        if listener in channel.listeners and isinstance(listener, Connection):
            listener.count_in(None)
        channel.listeners.discard(listener)
        if not channel.listeners:
            del self._channels[listener.user_id]
            self._wanted.pop(listener.user_id, None)
        if not self._channels:
            self._empty.set()

    def count(self) -> int:
        """The open sockets and long polls."""
        return sum(len(channel.listeners) for channel in self._channels.values())

    def has_socket(self, user_id: int) -> bool:
        channel = self._channels.get(user_id)
        return channel is not None and any(isinstance(listener, Connection) for listener in channel.listeners)

    def tail(self, user_id: int) -> int | None:
        """The number of the last event delivered to the listeners of *user_id*; None if there are none."""
        channel = self._channels.get(user_id)
        return None if channel is None else channel.tail

    @property
    def tails(self) -> dict[int, int]:
        """By user: the number of the last event delivered to their listeners."""
        return {user_id: channel.tail for user_id, channel in self._channels.items()}

    @property
    def user_ids(self) -> list[int]:
        return list(self._channels)

    @property
    def session_ids(self) -> set[int]:
        return {listener.session_id for channel in self._channels.values() for listener in channel.listeners}

    def end_sessions(self, user_id: int, session_ids: Collection[int] | None = None) -> None:
        """End the listeners of *user_id* by these sessions, or all of them: who they listen for is signed out."""
        channel = self._channels.get(user_id)
        if channel is not None:
            for listener in list(channel.listeners):
                if session_ids is None or listener.session_id in session_ids:
                    listener.end(CloseCode.UNAUTHORIZED)

    def end_listeners_by(self, session_ids: Collection[int]) -> None:
        for channel in list(self._channels.values()):
            for listener in list(channel.listeners):
                if listener.session_id in session_ids:
                    listener.end(CloseCode.UNAUTHORIZED)

    def publish(self, user_id: int, seq: int, event: Event, *, origin: object | None = None) -> None:
        """Deliver the committed event *seq* of *user_id*; never waits. *origin* is the socket it came in by."""
        channel = self._channels.get(user_id)
        if channel is None or seq <= channel.tail:
            return
        if seq > channel.tail + 1:  # another node's commit came between; its note is on its way
            if len(channel.ahead) < MAX_AHEAD:
                channel.ahead[seq] = (event, origin)
            loop = asyncio.get_running_loop()
            seconds = NOTE_SECONDS if self._note_seconds is None else self._note_seconds
            loop.call_later(seconds, self._want_still, channel, channel.restarts, user_id, seq)
            return
        while True:
            event, origin = channel.ahead.pop(seq, (event, origin))
            channel.tail = seq
            for listener in list(channel.listeners):
                listener.deliver(seq, event, origin)
            self._bound(channel)
            seq += 1
            if seq not in channel.ahead:
                return

    def expect(self, user_id: int, seq: int) -> None:
        """The event *seq* of *user_id* was committed on some node; load it and those before it."""
        channel = self._channels.get(user_id)
        if channel is not None and seq not in channel.ahead:  # else it waits for its turn already
            self._want(user_id, seq)

    def _want(self, user_id: int, seq: int) -> None:
        channel = self._channels.get(user_id)
        if channel is not None and seq > channel.tail:
            self._wanted[user_id] = max(seq, self._wanted.get(user_id, 0))
            self._wake.set()

    def _want_still(self, channel: _Channel, restarts: int, user_id: int, seq: int) -> None:
        if self._channels.get(user_id) is channel and channel.restarts == restarts:
            self._want(user_id, seq)

    def send_ephemeral(self, user_id: int, frame: str) -> None:
        """Hand *frame* to the v2 sockets of *user_id*; it is neither stored nor repeated."""
        channel = self._channels.get(user_id)
        if channel is not None:
            for listener in list(channel.listeners):
                listener.deliver_ephemeral(frame)
            self._bound(channel)

    def _bound(self, channel: _Channel) -> None:
        """Close sockets that read too slowly, until *channel* and all of them hold no more than they may."""
        if channel.holding.characters > OUTBOXES_CHARACTERS_EACH:
            channel.fullest.end(CloseCode.TOO_MUCH)
        if self._holding.characters > OUTBOXES_CHARACTERS:
            largest = max(self._channels.values(), key=lambda one: one.holding.characters)
            largest.fullest.end(CloseCode.TOO_MUCH)

    def restart(self, user_id: int, seq: int, frame: str) -> None:
        """The database was put back to an older state: send *frame*, and go on after *seq*."""
        channel = self._channels.get(user_id)
        if channel is None:
            return
        channel.tail = seq
        channel.restarts += 1
        channel.ahead.clear()
        self._wanted.pop(user_id, None)
        for listener in list(channel.listeners):
            listener.restart(seq, frame)

    def close(self) -> None:
        """End every listener, and any that still comes: the server is going away."""
        self._closing = True
        for channel in list(self._channels.values()):
            for listener in list(channel.listeners):
                listener.end(CloseCode.GOING_AWAY)

    async def wait_until_empty(self) -> None:
        await self._empty.wait()

    async def catch_up(self, connection: Connection, *, from_seq: int, to_seq: int) -> bool:
        """Send a v2 *connection* everything after *from_seq*, at least to *to_seq*, as it reads and turns allow.

        Then it is live. False if an event after *from_seq* is no longer kept: then it is not live.
        """
        connection.is_live = False
        connection.position = from_seq
        channel = self._channels[connection.user_id]
        async with channel.replays:
            while connection.position < max(channel.tail, to_seq):
                async with self._replays:
                    found = await self._load({connection.user_id: connection.position}, EVENTS_PER_LOAD)
                if not found or not await self._send_replay(connection, channel, found):
                    return False
            connection.is_live = True  # nothing was awaited since position and tail were compared
        self.expect(connection.user_id, connection.position)  # loaded before it was announced: the others want it too
        return True

    async def _send_replay(self, connection: Connection, channel: _Channel, events: Sequence[NumberedEvent]) -> bool:
        """Send the next events to a socket that catches up; False if one is missing, or they are of another history."""
        restarts = connection.restarts
        for count, (user_id, seq, event) in enumerate(events, 1):
            if seq != connection.position + 1:
                return False
            await connection.send_patiently(event.durable(user_id, seq))
            if connection.restarts != restarts:
                return False
            connection.position = seq
            self._bound(channel)
            if count % FRAMES_PER_TURN == 0:
                await asyncio.sleep(0)
        return True

    async def _load_wanted(self) -> None:
        while True:
            await self._wake.wait()
            wanted = dict(islice(self._wanted.items(), USERS_PER_LOAD))
            for user_id in wanted:
                del self._wanted[user_id]
            if not self._wanted:
                self._wake.clear()
            channels = {user_id: self._channels[user_id] for user_id in wanted}
            restarts = {user_id: channel.restarts for user_id, channel in channels.items()}
            tails = {user_id: channel.tail for user_id, channel in channels.items()}
            try:
                found = await self._load(tails, max(EVENTS_EACH_PER_LOAD, EVENTS_PER_LOAD // max(1, len(tails))))
                for user_id, channel in channels.items():
                    if self._channels.get(user_id) is not channel or channel.restarts != restarts[user_id]:
                        del wanted[user_id]  # asked for listeners who are gone, or in another history
                self._publish_loaded([row for row in found if row.user_id in wanted], tails, wanted)
            except Exception as error:  # whatever it was, these events must still be delivered
                is_strange = not isinstance(error, PagewireError)
                logger.warning("events could not be loaded: %s", error, exc_info=is_strange)
                await asyncio.sleep(RETRY_LOAD_SECONDS)
            for user_id, seq in wanted.items():  # what is still missing
                self._want_still(channels[user_id], restarts[user_id], user_id, seq)

    def _publish_loaded(
        self, loaded: Sequence[NumberedEvent], asked: Mapping[int, int], wanted: Mapping[int, int]
    ) -> None:
        """Publish what was *loaded* after the tails *asked*; a *wanted* event that is missing is past its retention."""
        found = set()
        for user_id, seq, event in loaded:
            found.add(user_id)
            if seq > wanted[user_id]:
                continue  # not announced yet; its announcement may say by which socket it came
            self._skip_forgotten(user_id, asked, seq - 1)
            self.publish(user_id, seq, event)
        for user_id in wanted.keys() - found:
            self._skip_forgotten(user_id, asked, wanted[user_id])

    def _skip_forgotten(self, user_id: int, asked: Mapping[int, int], seq: int) -> None:
        channel = self._channels.get(user_id)
        if channel is not None and channel.tail == asked[user_id] < seq:  # else it is another channel by now
            channel.tail = seq
            channel.ahead = {number: event for number, event in channel.ahead.items() if number > seq}
