"""A load generator that leaves the processors to the servers: HTTP/1.1 on kept-alive sockets."""

import asyncio
import itertools
import json
import re
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Answer(NamedTuple):
    status: int
    body: bytes


FRESH_MARK = b"%fresh 000000000000"  # a comment after the end of a PDF
_numbers = itertools.count(1)


class Connection(asyncio.Protocol):
    """One kept-alive connection; one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._size = 0  # of the response, 0 until its head is complete
        self._body_start = 0
        self._answer: asyncio.Future[Answer] | None = None

    @classmethod
    async def open(cls, port: int) -> "Connection":
        return (await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port))[1]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._size:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            length = CONTENT_LENGTH.search(self._buffer, 0, end)
            assert length is not None, bytes(self._buffer[:end])
            self._body_start = end + 4
            self._size = self._body_start + int(length[1])
        if len(self._buffer) >= self._size:
            answer = Answer(int(self._buffer[9:12]), bytes(self._buffer[self._body_start : self._size]))
            self._buffer.clear()
            self._size = 0
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the server closed the connection"))

    async def ask(self, request: bytes) -> bytes:
        """Send *request* and return the body of the response.

        Raises:
            RuntimeError: if its status is not 200: a fast error would look like a fast server.
        """
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        answer = await self._answer
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} to {request[:60]!r}: {answer.body[:300]!r}")
        return answer.body

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def get(path: str, token: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def post_json(path: str, value: Any, token: str = "") -> bytes:
    body = json.dumps(value).encode()
    return _post(path, token, "application/json", body)


def post_pdf(path: str, data: bytes, token: str) -> bytes:
    """A multipart form with *data* as the field `file`, as curl sends it."""
    field = b'Content-Disposition: form-data; name="file"; filename="bench.pdf"\r\nContent-Type: application/pdf'
    body = b"--edge\r\n" + field + b"\r\n\r\n" + data + b"\r\n--edge--\r\n"
    return _post(path, token, "multipart/form-data; boundary=edge", body)


def _post(path: str, token: str, content_type: str, body: bytes) -> bytes:
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}Content-Type: {content_type}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def fresh(request: bytes) -> bytes:
    """Make an upload's bytes unique where they have the mark: a file already known is not extracted again."""
    return request.replace(FRESH_MARK, b"%%fresh %012d" % next(_numbers))


async def saturate(connections: Sequence[Connection], requests: Sequence[bytes], *, seconds: float) -> int:
    """Keep every connection busy; return the number of responses."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds

    async def ask_on(connection: Connection, request: bytes) -> int:
        count = 0
        while clock() < end:
            await connection.ask(request)
            count += 1
        return count

    pairs = [(connection, requests[i % len(requests)]) for i, connection in enumerate(connections)]
    return sum(await asyncio.gather(*(ask_on(*pair) for pair in pairs)))


async def keep_asking(connections: Sequence[Connection], request: bytes, stop: asyncio.Event) -> None:
    """Keep every connection busy until *stop* is set; then wait for the last responses."""

    async def ask_on(connection: Connection) -> None:
        while not stop.is_set():
            await connection.ask(fresh(request))

    await asyncio.gather(*map(ask_on, connections))


async def probe(
    connections: Sequence[Connection], request: bytes, *, per_second: float, seconds: float, stop: asyncio.Event
) -> list[float]:
    """Send requests at a steady rate; set *stop* after *seconds*, and return each one's latency.

    A request that could not be sent when it was due, because the previous one was still unanswered, counts from when
    it was due: a stall counts for all requests it delayed, not for one per connection.
    """
    clock = time.perf_counter  # uvloop's clock counts in milliseconds
    interval = len(connections) / per_second
    began = clock()
    asyncio.get_running_loop().call_later(seconds, stop.set)
    latencies: list[float] = []

    async def ask_on(connection: Connection, due: float) -> None:
        while due < began + seconds:
            if (wait := due - clock()) > 0:
                await asyncio.sleep(wait)
                sent = clock()  # a late timer is not the server's fault
            else:
                sent = due
            await connection.ask(request)
            latencies.append(clock() - sent)
            due += interval

    await asyncio.gather(
        *(ask_on(connection, began + interval * i / len(connections)) for i, connection in enumerate(connections))
    )
    return latencies
