"""Who listens in this process, and how every listener is told all of its user's events once, in order."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected

from delivery.protocol import CloseCode, Event, EventFrames, error_frame
from delivery.queries import EventRow, Told
from errors import PagewireError

OUTBOX_FRAMES = 256
OUTBOX_CHARACTERS = 4 * 1024 * 1024
SOCKETS_PER_USER = 20
CLOSE_SECONDS = 1.0
SLOW_CLOSE_SECONDS = 10.0  # for a slow reader to hear that it was one
STUCK_SECONDS = 30.0  # without reading one frame, while a backlog is sent
EVENTS_PER_LOAD = 100  # of one user, in one question to the database
USERS_PER_LOAD = 64
EVENTS_EACH_PER_LOAD = 8  # of each user, when many are behind
RETRY_LOAD_SECONDS = 0.2
NOTE_SECONDS = 0.02  # to wait for another process's note, before what it would tell is loaded
MAX_AHEAD = 256  # events of one user that wait for one before them; of more, nothing is kept: they are loaded
FIRST_WORD_SECONDS = 0.25  # a v2 client may say `resume` so long before anything is sent to it unasked

logger = logging.getLogger("pagewire.chat")
LoadEvents = Callable[[list[Told], int], Awaitable[list[EventRow]]]


class TooManySocketsError(PagewireError):
    """You have too many open sockets; close one first."""

    status = 429
    code = "too_many_sockets"


class GoingAwayError(PagewireError):
    """The server is going away; come back in a moment and resume."""

    status = 503
    code = "going_away"


class Listener(Protocol):
    """Somebody who is told a user's events: a socket, or a long poll."""

    user_id: int

    def tell(self, seq: int, frames: EventFrames, origin: object | None) -> None:
        """The event *seq* has come to pass; called for each, in order, without a gap. Must not wait."""

    def whisper(self, frame: str) -> None:
        """Something that is not stored and not repeated."""

    def end(self, code: CloseCode) -> None:
        """Go away soon."""


class Client:
    """One socket: an outbox of at most `OUTBOX_FRAMES` frames and `OUTBOX_CHARACTERS`, the task that empties it, how
    far it was told.
    """

    def __init__(self, websocket: WebSocket, user_id: int, *, classic: bool) -> None:
        self.user_id = user_id
        self.classic = classic
        self.position = 0  # v2: the last event put in the outbox
        self.is_live = False  # v2: nothing is left to catch up with
        self.close_code: CloseCode | None = None
        self._websocket = websocket
        self._outbox: deque[str] = deque()
        self._characters = 0  # in the outbox, and on their way from it
        self._more: asyncio.Future[None] | None = None  # what the pump waits for; an Event takes twice as long
        self._has_room = asyncio.Event()
        self._lifetime: asyncio.Timeout | None = None
        self._pump: asyncio.Task[None] | None = None

    def tell(self, seq: int, frames: EventFrames, origin: object | None) -> None:
        if self.classic:
            # A classic client shows what it sends by itself, and would show it twice.
            is_echo = origin is self and frames.event.recipient_id != self.user_id
            if not is_echo and (frame := frames.classic()) is not None:
                self.send(frame)
        elif self.is_live and seq > self.position:
            self.position = seq
            self.send(frames.durable(self.user_id, seq))

    def whisper(self, frame: str) -> None:
        if not self.classic:
            self.send(frame)

    def send(self, frame: str) -> None:
        """Put *frame* in the outbox; a socket whose outbox is full reads too slowly and is closed with 4429."""
        if self._is_full(frame):
            self.end(CloseCode.TOO_MUCH)
        elif self.close_code in (None, CloseCode.GOING_AWAY):  # what was asked before may be answered yet
            self._characters += len(frame)
            self._outbox.append(frame)
            if self._more is not None and not self._more.done():
                self._more.set_result(None)

    async def send_patiently(self, frame: str) -> None:
        """Put *frame* in the outbox when half of it is free; the other half is for what comes meanwhile.

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

    def _is_full(self, frame: str, share: int = 1) -> bool:
        frames, characters = len(self._outbox), self._characters + len(frame)
        return frames >= OUTBOX_FRAMES // share or characters > OUTBOX_CHARACTERS // share

    async def flush(self) -> None:
        """Wait until the outbox is empty or its reader gone, but not for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                while self._characters and self._pump is not None and not self._pump.done():
                    self._has_room.clear()
                    await self._has_room.wait()

    def end(self, code: CloseCode) -> None:
        """Close the socket soon; the first reason counts."""
        if self.close_code is None:
            self.close_code = code
            if self._lifetime is not None:
                with suppress(RuntimeError):  # just over
                    self._lifetime.reschedule(0)

    def live_until(self, when: float) -> asyncio.Timeout:
        """A block that ends (TimeoutError) at the loop time *when*, with 4401, or as soon as `end` is called."""
        self._lifetime = asyncio.timeout_at(0 if self.close_code else when)
        return self._lifetime

    def extend(self, when: float) -> None:
        """A newer token: the block of `live_until` ends at *when* now."""
        if self.close_code is None and self._lifetime is not None:
            self._lifetime.reschedule(when)

    def start(self) -> None:
        self._pump = asyncio.create_task(self._empty_outbox())

    async def close(self) -> None:
        """Send what is in the outbox (but to a slow reader), then the close frame; wait for neither for long."""
        code = self.close_code or CloseCode.NORMAL
        reason = code.name.lower()
        if code != CloseCode.TOO_MUCH:
            await self.flush()
        if self._pump is not None:
            self._pump.cancel()
        self._outbox.clear()
        with suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
            async with asyncio.timeout(SLOW_CLOSE_SECONDS if code == CloseCode.TOO_MUCH else CLOSE_SECONDS):
                if code == CloseCode.GOING_AWAY:
                    seconds = random.randint(1, 5)  # noqa: S311, so that not all come back at once
                    reason = f"retry_after={seconds}"
                    if not self.classic:
                        await self._websocket.send_text(error_frame(GoingAwayError(retry_after=seconds)))
                await self._websocket.close(code, reason)

    async def _empty_outbox(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                while self._outbox:
                    frame = self._outbox.popleft()
                    await self._websocket.send_text(frame)
                    self._characters -= len(frame)
                    self._has_room.set()
                self._more = loop.create_future()
                await self._more
        except (WebSocketDisconnect, WebSocketDisconnected, OSError):
            self._has_room.set()  # whoever waits for it need not


_Published = tuple[EventFrames, object | None]  # an event, and the socket it came in by


class _Feed:
    """One user's events as this process knows them: told up to *tail*."""

    __slots__ = ("ahead", "listeners", "tail")

    def __init__(self, tail: int) -> None:
        self.tail = tail
        self.listeners: set[Listener] = set()
        self.ahead: dict[int, _Published] = {}  # before its turn


class Hub:
    """Every listener of this process, by user.

    Events may be announced out of order and from anywhere (this process's commits, other processes' notes); what is
    missing in between is loaded, so that listeners see each number once and in order.
    """

    def __init__(self, load: LoadEvents) -> None:
        self._load = load
        self._feeds: dict[int, _Feed] = {}
        self._wanted: dict[int, int] = {}  # by user: an event that was announced and must be loaded
        self._wake = asyncio.Event()
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

    def add(self, listener: Listener, *, seq: int) -> None:
        """Register *listener*, who knows everything up to *seq*.

        Raises:
            TooManySocketsError: if the user has `SOCKETS_PER_USER` already.
        """
        feed = self._feeds.get(listener.user_id)
        if feed is None:
            feed = self._feeds[listener.user_id] = _Feed(seq)
        elif len(feed.listeners) >= SOCKETS_PER_USER:
            raise TooManySocketsError
        feed.listeners.add(listener)
        self._empty.clear()
        if self._closing:
            listener.end(CloseCode.GOING_AWAY)

    def remove(self, listener: Listener) -> None:
        feed = self._feeds.get(listener.user_id)
        if feed is None:
            return
        feed.listeners.discard(listener)
        if not feed.listeners:
            del self._feeds[listener.user_id]
            self._wanted.pop(listener.user_id, None)
        if not self._feeds:
            self._empty.set()

    def has_socket(self, user_id: int) -> bool:
        feed = self._feeds.get(user_id)
        return feed is not None and any(isinstance(listener, Client) for listener in feed.listeners)

    def tail(self, user_id: int) -> int:
        return self._feeds[user_id].tail

    @property
    def user_ids(self) -> list[int]:
        return list(self._feeds)

    def publish(self, user_id: int, seq: int, frames: EventFrames, *, origin: object | None = None) -> None:
        """The event *seq* of *user_id* is committed; never waits. *origin* is the socket it came in by."""
        feed = self._feeds.get(user_id)
        if feed is None or seq <= feed.tail:
            return
        if seq > feed.tail + 1:  # another process's commit came between; its note is on its way
            if len(feed.ahead) < MAX_AHEAD:
                feed.ahead[seq] = (frames, origin)
            asyncio.get_running_loop().call_later(NOTE_SECONDS, self._want, user_id, seq)
            return
        while True:
            frames, origin = feed.ahead.pop(seq, (frames, origin))
            feed.tail = seq
            for listener in list(feed.listeners):
                listener.tell(seq, frames, origin)
            seq += 1
            if seq not in feed.ahead:
                return

    def expect(self, user_id: int, seq: int) -> None:
        """The event *seq* of *user_id* is committed, somewhere; it and what is before it are loaded."""
        feed = self._feeds.get(user_id)
        if feed is not None and seq not in feed.ahead:  # else it waits for its turn already
            self._want(user_id, seq)

    def _want(self, user_id: int, seq: int) -> None:
        feed = self._feeds.get(user_id)
        if feed is not None and seq > feed.tail:
            self._wanted[user_id] = max(seq, self._wanted.get(user_id, 0))
            self._wake.set()

    def whisper(self, user_id: int, frame: str, *, but: object | None = None) -> None:
        """Hand *frame* to the v2 sockets of *user_id* except *but*; it is not stored and not repeated."""
        feed = self._feeds.get(user_id)
        if feed is not None:
            for listener in list(feed.listeners):
                if listener is not but:
                    listener.whisper(frame)

    def close(self) -> None:
        """Tell every listener, and every one that still comes, that the server is going away."""
        self._closing = True
        for feed in list(self._feeds.values()):
            for listener in list(feed.listeners):
                listener.end(CloseCode.GOING_AWAY)

    async def wait_until_empty(self) -> None:
        await self._empty.wait()

    async def catch_up(self, client: Client, *, from_seq: int, to_seq: int) -> bool:
        """Tell a v2 *client* everything after *from_seq*, to *to_seq* at least, as fast as it reads; then it is live.

        False if an event after *from_seq* is no longer kept: then it is not live.
        """
        client.is_live = False
        client.position = from_seq
        feed = self._feeds[client.user_id]
        while client.position < max(feed.tail, to_seq):
            rows = await self._load([Told(client.user_id, client.position)], EVENTS_PER_LOAD)
            if not rows:
                return False
            for row in rows:
                if row.seq != client.position + 1:
                    return False
                await client.send_patiently(event_frames(row).durable(row.user_id, row.seq))
                client.position = row.seq
        client.is_live = True  # nothing was awaited since position and tail were compared
        self.expect(client.user_id, client.position)  # loaded before it was announced: the others want it too
        return True

    async def _load_wanted(self) -> None:
        while True:
            await self._wake.wait()
            wanted = dict(islice(self._wanted.items(), USERS_PER_LOAD))
            for user_id in wanted:
                del self._wanted[user_id]
            if not self._wanted:
                self._wake.clear()
            tails = {user_id: self._feeds[user_id].tail for user_id in wanted}
            after = [Told(user_id, tail) for user_id, tail in tails.items()]
            try:
                rows = await self._load(after, max(EVENTS_EACH_PER_LOAD, EVENTS_PER_LOAD // max(1, len(after))))
                self._publish_loaded(rows, tails, wanted)
            except Exception as error:  # whatever it was, those who wait for these events cannot do without
                is_strange = not isinstance(error, PagewireError)
                logger.warning("events could not be loaded: %s", error, exc_info=is_strange)
                await asyncio.sleep(RETRY_LOAD_SECONDS)
            for user_id, seq in wanted.items():
                self._want(user_id, seq)  # what is still missing

    def _publish_loaded(self, rows: Sequence[EventRow], asked: Mapping[int, int], wanted: Mapping[int, int]) -> None:
        """Publish what was found after the tails *asked*; what was *wanted* and is not there is past its retention."""
        frames: dict[tuple[str, int], EventFrames] = {}  # most events are told to two people, or to all
        found = set()
        for row in rows:
            found.add(row.user_id)
            if row.seq > wanted[row.user_id]:
                continue  # nobody has announced it yet; whoever does may know by which socket it came
            self._skip_forgotten(row.user_id, asked, row.seq - 1)
            event = frames.get((row.kind, row.ref_id)) or frames.setdefault((row.kind, row.ref_id), event_frames(row))
            self.publish(row.user_id, row.seq, event)
        for user_id in wanted.keys() - found:
            self._skip_forgotten(user_id, asked, wanted[user_id])

    def _skip_forgotten(self, user_id: int, asked: Mapping[int, int], seq: int) -> None:
        feed = self._feeds.get(user_id)
        if feed is not None and feed.tail == asked[user_id] < seq:  # else it is not the feed that was asked for
            feed.tail = seq
            feed.ahead = {number: event for number, event in feed.ahead.items() if number > seq}


def event_frames(row: EventRow) -> EventFrames:
    return EventFrames(Event(*row[2:]))
