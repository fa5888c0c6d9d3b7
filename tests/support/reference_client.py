"""A client of the v2 protocol as docs/protocol.md tells people to write one: it resumes, and keeps the client rule."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

Frame = dict[str, Any]
RECONNECT_SECONDS = 0.05


class Inbox:
    """The client rule, apart from the network: every durable frame once, in order."""

    def __init__(self, last_seq: int = 0) -> None:
        self.last_seq = last_seq
        self.started_at = last_seq  # the number before the first of the frames
        self.frames: list[Frame] = []

    def take(self, frame: Frame) -> bool:
        """Keep the durable *frame* if it comes next; False if something is missing before it."""
        if frame["seq"] <= self.last_seq:
            return True
        if frame["prev"] != self.last_seq:
            return False
        self.last_seq = frame["seq"]
        self.frames.append(frame)
        return True

    def restart(self, seq: int) -> None:
        """The history is another: what comes now follows *seq*."""
        self.last_seq = self.started_at = seq
        self.frames.clear()


class SocketLostError(Exception):
    """The socket closed before the answer came."""


class ReferenceClient:
    """One device of one user. *find_url* says where to connect, anew each time; *reload* is what a resync asks for."""

    def __init__(
        self, token: str, find_url: Callable[[], str], *, reload: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self.inbox = Inbox()
        self.others: list[Frame] = []  # what is not durable
        self.resyncs: list[str] = []  # their reasons
        self.epoch: str | None = None
        self._token = token
        self._find_url = find_url
        self._reload = reload
        self._socket: ClientConnection | None = None
        self._is_resuming = False
        self._answers: dict[str, asyncio.Future[Frame | None]] = {}  # by ref; None: the socket was lost
        self._refs = count(1)
        self._changed = asyncio.Condition()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            with contextlib.suppress(OSError, ConnectionClosed, InvalidHandshake, InvalidMessage, TimeoutError):
                async with connect(
                    self._find_url().replace("http", "ws") + "/ws",
                    subprotocols=["pagewire.v2", f"bearer.{self._token}"],  # type: ignore[list-item]
                    max_size=None,
                    ping_interval=None,
                    close_timeout=1,
                ) as socket:
                    await self._listen(socket)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self, socket: ClientConnection) -> None:
        try:
            await self._resume(socket)
            self._socket = socket
            async for text in socket:
                await self._take(socket, json.loads(text))
        finally:
            self._socket = None
            self._is_resuming = False
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_result(None)
            self._answers.clear()

    async def _resume(self, socket: ClientConnection) -> None:
        if not self._is_resuming:
            self._is_resuming = True
            await socket.send(json.dumps({"type": "resume", "last_seq": self.inbox.last_seq, "epoch": self.epoch}))

    async def _take(self, socket: ClientConnection, frame: Frame) -> None:
        self.epoch = frame.get("epoch", self.epoch)
        if "seq" in frame and "prev" in frame:
            if not self.inbox.take(frame):
                await self._resume(socket)
        elif frame["type"] in ("ack", "error", "pong"):
            answer = self._answers.pop(str(frame.get("ref")), None)
            if answer is not None and not answer.done():
                answer.set_result(frame)
        elif frame["type"] == "resync":
            self.resyncs.append(frame["reason"])
            self._is_resuming = False
            if self._reload is not None:
                await self._reload()
            self.inbox.restart(frame["seq"])
        else:
            if frame["type"] == "ready" and frame["resumed"]:
                self._is_resuming = False
            self.others.append(frame)
        async with self._changed:
            self._changed.notify_all()

    async def ask(self, **frame: object) -> Frame:
        """Send a frame; its ack, error or pong.

        Raises:
            SocketLostError: nobody knows what became of it.
        """
        socket, ref = self._socket, f"r{next(self._refs)}"
        if socket is None:
            raise SocketLostError
        answer: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()
        self._answers[ref] = answer
        try:
            await socket.send(json.dumps({**frame, "ref": ref}))
        except ConnectionClosed:
            answer.cancel()
            raise SocketLostError from None
        answered = await answer
        if answered is None:
            raise SocketLostError
        return answered

    async def tell(self, **frame: object) -> None:
        """Send a frame that has no answer."""
        if self._socket is None:
            raise SocketLostError
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(json.dumps(frame))

    def cut(self) -> None:
        """Lose the socket without a word."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def wait_for(self, condition: Callable[[], object]) -> None:
        """Until *condition*, asked after each frame, is true."""
        async with self._changed:
            await self._changed.wait_for(condition)
