"""Who is connected to this process, and how a frame reaches all of a user's sockets without waiting for any."""

import asyncio
from collections import defaultdict
from contextlib import suppress
from enum import IntEnum

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected

from errors import PagewireError

OUTBOX_FRAMES = 256
SOCKETS_PER_USER = 20
CLOSE_SECONDS = 1.0


class CloseCode(IntEnum):
    """Why the server closes a socket: RFC 6455 section 7.4.1, and our own from 4000 on."""

    GOING_AWAY = 1001
    MESSAGE_TOO_BIG = 1009
    TRY_AGAIN_LATER = 1013
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SLOW_READER = 4429


class TooManySocketsError(PagewireError):
    """You have too many open sockets; close one first."""

    status = 429
    code = "too_many_sockets"


class Client:
    """One socket: an outbox of at most `OUTBOX_FRAMES` frames and the task that empties it."""

    def __init__(self, websocket: WebSocket, user_id: int) -> None:
        self.user_id = user_id
        self.close_code: CloseCode | None = None
        self._websocket = websocket
        self._outbox: asyncio.Queue[str] = asyncio.Queue(OUTBOX_FRAMES)
        self._lifetime: asyncio.Timeout = asyncio.timeout(None)
        self._pump: asyncio.Task[None] | None = None

    def send(self, frame: str) -> None:
        """Put *frame* in the outbox; a socket whose outbox is full reads too slowly and is closed with 4429."""
        try:
            self._outbox.put_nowait(frame)
        except asyncio.QueueFull:
            self.end(CloseCode.SLOW_READER)

    def end(self, code: CloseCode) -> None:
        """Close the socket soon; the first reason counts."""
        if self.close_code is None:
            self.close_code = code
            with suppress(RuntimeError):  # not begun, or just over: then `live_until` or the end sees the code
                self._lifetime.reschedule(0)

    def live_until(self, when: float) -> asyncio.Timeout:
        """A block that ends (TimeoutError) at the loop time *when*, with 4401, or as soon as `end` is called."""
        self._lifetime = asyncio.timeout_at(0 if self.close_code else when)
        return self._lifetime

    def start(self) -> None:
        self._pump = asyncio.create_task(self._empty_outbox())

    async def close(self) -> None:
        """Send the close frame; a peer that reads nothing is not waited for longer than `CLOSE_SECONDS`."""
        if self._pump is not None:
            self._pump.cancel()
        with suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._websocket.close(self.close_code or CloseCode.UNAUTHORIZED)

    async def _empty_outbox(self) -> None:
        with suppress(WebSocketDisconnect, WebSocketDisconnected, OSError):
            while True:
                await self._websocket.send_text(await self._outbox.get())


class Hub:
    """Every open socket of this process, by user."""

    def __init__(self) -> None:
        self._clients: defaultdict[int, set[Client]] = defaultdict(set)
        self._closing = False
        self._empty = asyncio.Event()
        self._empty.set()

    def add(self, client: Client) -> None:
        """Register *client*, so that it gets what is published from now on.

        Raises:
            TooManySocketsError: if its user has `SOCKETS_PER_USER` already.
        """
        if len(self._clients[client.user_id]) >= SOCKETS_PER_USER:
            raise TooManySocketsError
        self._clients[client.user_id].add(client)
        self._empty.clear()
        if self._closing:
            client.end(CloseCode.GOING_AWAY)

    def remove(self, client: Client) -> None:
        clients = self._clients.get(client.user_id)
        if clients is not None:
            clients.discard(client)
            if not clients:
                del self._clients[client.user_id]
        if not self._clients:
            self._empty.set()

    def publish(self, user_id: int, frame: str, *, but: Client | None = None) -> None:
        """Hand *frame* to every socket of *user_id* except *but*; never waits."""
        for client in list(self._clients.get(user_id, ())):
            if client is not but:
                client.send(frame)

    def close(self) -> None:
        """Tell every socket, and every one that still comes, that the server is going away."""
        self._closing = True
        for clients in list(self._clients.values()):
            for client in list(clients):
                client.end(CloseCode.GOING_AWAY)

    async def wait_until_empty(self) -> None:
        await self._empty.wait()
