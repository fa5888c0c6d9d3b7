"""Chat as its users experience it: many sockets that write to each other, on both servers in turn."""

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import random
import struct
import time
from collections.abc import AsyncIterator, Sequence
from statistics import quantiles
from typing import NamedTuple, cast

import jwt
import psycopg2

from bench.servers import SECRET_KEY, Server, cpu_seconds, cpu_seconds_of

FIRST_USER = 1_000_000  # ids of the users created for this, beyond those that register
SETTLE_SECONDS = 0.7
LAST_DELIVERY_SECONDS = 20.0
WARM_UP_SECONDS = 1.0


class ChatSocket(asyncio.Protocol):
    """One user's classic socket (RFC 6455), as cheap as possible; frames are masked with zeros."""

    def __init__(self, user_id: int, crowd: "Crowd", token: str) -> None:
        self.user_id = user_id
        self._token = token
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._crowd = crowd
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(os.urandom(16)).decode()
        path, header = self.sign_in(self._token)
        self._transport.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{header}\r\n\r\n".encode()
        )

    def sign_in(self, token: str) -> tuple[str, str]:
        """The path that is asked for, and the header that says who asks."""
        return f"/ws/{self.user_id}", f"Authorization: Bearer {token}"

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.opened.done():
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self._buffer.startswith(b"HTTP/1.1 101"):
                self.opened.set_exception(RuntimeError(bytes(self._buffer[:end]).decode()))
                return
            del self._buffer[: end + 4]
            self.opened.set_result(None)
        while (frame := self._take_frame()) is not None:
            kind, payload = frame
            if kind == 9:
                self.write(10, payload)
            elif kind == 1:
                self._crowd.received(json.loads(payload))

    def send(self, recipient_id: int, content: str) -> None:
        self.write(1, json.dumps({"recipient_id": recipient_id, "content": content}).encode())

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def write(self, kind: int, payload: bytes) -> None:
        size = len(payload)
        head = (
            struct.pack("!BB", 0x80 | kind, 0x80 | size) if size < 126 else struct.pack("!BBH", 0x80 | kind, 0xFE, size)
        )
        assert self._transport is not None
        self._transport.write(head + bytes(4) + payload)

    def _take_frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        size, start = buffer[1] & 127, 2
        if size == 126:
            size, start = struct.unpack_from("!H", buffer, 2)[0], 4
        if len(buffer) < start + size:
            return None
        frame = buffer[0] & 15, bytes(buffer[start : start + size])
        del buffer[: start + size]
        return frame


class Crowd:
    """The sockets of all users, and the fate of what they sent."""

    def __init__(self, circles: Sequence[Sequence[int]]) -> None:
        self.sockets: dict[int, ChatSocket] = {}
        self.circles = circles  # the users n, n + len(circles), … write to users in circles[n]
        self.sent = 0
        self.latencies: list[float] = []  # seconds from sending to the recipient's socket
        self.waiting: dict[int, asyncio.Future[None]] = {}  # by sender: done when its last message arrives
        self._all_here = asyncio.Event()

    def received(self, frame: dict[str, str | int]) -> None:
        sent_at, _, _ = str(frame["content"]).partition(" ")
        self.latencies.append(time.perf_counter() - float(sent_at))
        if len(self.latencies) >= self.sent:
            self._all_here.set()
        waiting = self.waiting.pop(int(frame["sender_id"]), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def send(self, sender_id: int, randomness: random.Random) -> None:
        circle = self.circles[sender_id % len(self.circles)]
        recipient_id = sender_id
        while recipient_id == sender_id:
            recipient_id = randomness.choice(circle)
        self.sent += 1
        content = f"{time.perf_counter()} Have you seen the table on page 57? The totals do not match."
        self.sockets[sender_id].send(recipient_id, content)

    async def wait_for_the_last(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_DELIVERY_SECONDS):
                while len(self.latencies) < self.sent:
                    self._all_here.clear()
                    await self._all_here.wait()


class ChatFigures(NamedTuple):
    cpu_seconds: float  # per message delivered, servers and PostgreSQL
    database_seconds: float  # of that, PostgreSQL
    delivered: int
    delivered_per_second: float
    lost: int
    p99_seconds: float


def make_users(server: Server, count: int) -> None:
    ids = (FIRST_USER, FIRST_USER + count - 1)
    with contextlib.closing(psycopg2.connect(server.database_url)) as connection, connection:
        cursor = connection.cursor()
        cursor.execute(
            "INSERT INTO users (id, email, password_hash, name) "
            "SELECT n, 'user' || n || '@example.com', 'none', 'User ' || n FROM generate_series(%s, %s) AS n "
            "ON CONFLICT DO NOTHING",
            ids,
        )
        cursor.execute("SELECT to_regclass('sessions')")
        if cursor.fetchone() != (None,):  # the plain server has none
            cursor.execute(
                "INSERT INTO sessions (user_id, kind, key) "
                "SELECT n, 'api', md5(n::text) FROM generate_series(%s, %s) AS n ON CONFLICT DO NOTHING",
                ids,
            )


def find_issuer(server: Server) -> str | None:
    """Who signs the tokens there; None for the plain server, which does not say."""
    with contextlib.closing(psycopg2.connect(server.database_url)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT to_regclass('installation')")
        if cursor.fetchone() == (None,):
            return None
        cursor.execute("SELECT mark FROM installation")
        ((mark,),) = cursor.fetchall()
        return str(mark)


def make_token(user_id: int, *, issuer: str | None) -> str:
    now = int(time.time())
    email = f"user{user_id}@example.com"
    session_key = hashlib.md5(str(user_id).encode()).hexdigest()
    claims = {"sub": str(user_id), "user_id": user_id, "email": email, "sid": session_key, "jti": "bench"}
    claims |= {"iat": now, "exp": now + 3600} | ({} if issuer is None else {"iss": issuer})
    return jwt.encode(claims, SECRET_KEY, algorithm="HS256")


@contextlib.asynccontextmanager
async def open_crowd(servers: Sequence[Server], count: int) -> AsyncIterator[Crowd]:
    """Open sockets for *count* users, spread over *servers*; with two, each user writes to users on the other one.

    (Naming the same server twice has the same pairs write to each other.)
    """
    user_ids = range(FIRST_USER, FIRST_USER + count)
    crowd = Crowd([user_ids] if len(servers) == 1 else [user_ids[1::2], user_ids[::2]])
    loop = asyncio.get_running_loop()
    issuer = find_issuer(servers[0])
    for user_id in user_ids:

        def make(user_id: int = user_id) -> ChatSocket:
            return ChatSocket(user_id, crowd, make_token(user_id, issuer=issuer))

        _, socket = await loop.create_connection(make, "127.0.0.1", servers[user_id % len(servers)].port)
        await socket.opened
        crowd.sockets[user_id] = socket
    await asyncio.sleep(SETTLE_SECONDS)
    try:
        yield crowd
    finally:
        for socket in crowd.sockets.values():
            socket.close()


async def keep_talking(crowd: Crowd, stop: asyncio.Event) -> None:
    """Each user sends the next message as soon as the last one has arrived, until *stop* is set."""
    loop = asyncio.get_running_loop()

    async def chatter(user_id: int) -> None:
        randomness = random.Random(user_id)
        while not stop.is_set():
            arrived = crowd.waiting[user_id] = loop.create_future()
            crowd.send(user_id, randomness)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_DELIVERY_SECONDS):
                    await arrived

    await asyncio.gather(*map(chatter, crowd.sockets))
    await crowd.wait_for_the_last()


async def measure_full_rate(servers: Sequence[Server], *, users: int, seconds: float) -> ChatFigures:
    """Each user sends the next message as soon as the last one has arrived; measured after a warm-up."""
    async with open_crowd(servers, users) as crowd:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        talk = asyncio.create_task(keep_talking(crowd, stop))
        await asyncio.sleep(WARM_UP_SECONDS)  # by then everyone knows who is online
        already, before, began = len(crowd.latencies), _cpu_of(servers), loop.time()
        loop.call_later(seconds, stop.set)
        await talk
        return _figures(servers, crowd, before, loop.time() - began, already=already)


async def measure_steady_rate(
    servers: Sequence[Server], *, users: int, per_second: float, seconds: float
) -> ChatFigures:
    """A random user sends a message, *per_second* times a second."""
    async with open_crowd(servers, users) as crowd:
        loop = asyncio.get_running_loop()
        randomness = random.Random(57)
        people = list(crowd.sockets)
        before, began = _cpu_of(servers), loop.time()
        for number in range(int(seconds * per_second)):
            await asyncio.sleep(max(0.0, began + number / per_second - loop.time()))
            crowd.send(randomness.choice(people), randomness)
        await crowd.wait_for_the_last()
        return _figures(servers, crowd, before, loop.time() - began)


def _cpu_of(servers: Sequence[Server]) -> tuple[float, float]:
    """Processor time so far: of all, and of PostgreSQL alone."""
    return cpu_seconds(servers), cpu_seconds_of(servers[0].postmaster_pid)


def _figures(
    servers: Sequence[Server], crowd: Crowd, before: tuple[float, float], seconds: float, *, already: int = 0
) -> ChatFigures:
    """Return the figures of the deliveries after the first *already*."""
    delivered = len(crowd.latencies) - already
    everything, database = (now - then for now, then in zip(_cpu_of(servers), before, strict=True))
    return ChatFigures(
        cpu_seconds=everything / max(delivered, 1),
        database_seconds=database / max(delivered, 1),
        delivered=delivered,
        delivered_per_second=delivered / seconds,
        lost=crowd.sent - len(crowd.latencies),
        p99_seconds=quantiles(crowd.latencies[already:], n=100, method="inclusive")[98],
    )
