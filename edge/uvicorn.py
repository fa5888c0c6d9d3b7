"""uvicorn's protocols, with the limits they lack: on heads and trailers, on stuck peers, and on floods."""

import asyncio
import contextlib
import re
import socket
import struct
import uuid
from typing import Any

import uvicorn
from uvicorn.middleware.proxy_headers import _TrustedHosts
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import ProtocolError
from websockets.frames import CloseCode, Frame
from websockets.protocol import State

from chat import Signal
from edge.answers import error_response
from edge.browsers import protect
from edge.connections import Connections, raise_descriptor_limit, reserve_of
from edge.limits import network_of

HEAD_SECONDS = 20.0
MAX_HEAD_BYTES = 64 * 1024  # also of what comes between two parts of a body, and of trailers
HTTP_VERSIONS = ("1.0", "1.1")
HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(:[0-9]{0,5})?", re.ASCII)  # RFC 3986, 3.2.2 and 3.2.3
READ_IDLE_SECONDS = 30.0  # for a peer to read what waits for it,
READ_BYTES_PER_SECOND = 1024  # and a second for so much of it
UNACKNOWLEDGED_MILLISECONDS = 30_000  # then the peer is considered gone
SMALL_BODY_BYTES = 64 * 1024
LAST_WORD_SECONDS = 1.0  # for a peer to answer our close frame, when the server stops
MAX_DISCARDED_BYTES = 16 * 1024 * 1024  # of what a peer still sends while our close frame is on its way
MAX_FRAGMENTS = 1024  # of one message
MAX_UNREAD_BYTES = 1024 * 1024  # of pongs among others, which nothing else limits


class _OneWrite:
    """A transport that sends the head of a response with the body that follows at once: one packet, not two."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def write(self, data: bytes) -> None:
        if not self._head and data.startswith(b"HTTP/"):
            self._head = data
            self._loop.call_soon(self._flush)
        elif self._head and len(data) < SMALL_BODY_BYTES:
            self._head, head = b"", self._head
            self._transport.write(head + data)
        else:
            self._flush()
            self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def _flush(self) -> None:
        if self._head:
            self._head, head = b"", self._head
            self._transport.write(head)


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection, until it becomes a WebSocket."""

    counted: Connections | None = None  # all that this process has, see `serve`
    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = False
    _reading_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.counted is not None and not self.counted.come(transport, self, self._network()):
            self.give_up()
            return
        with contextlib.suppress(OSError, AttributeError):  # Linux
            raw: socket.socket = transport.get_extra_info("socket")
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MILLISECONDS)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self.give_up()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._in_head:
            self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # else a trailer, which is no header (RFC 9110, 6.5.1)
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Raises ValueError, of which the parser makes a 400."""
        if not self._names_one_host():
            raise ValueError
        self._head_arrived()
        if self.counted is not None:
            self.counted.begin(self.transport)
        cycle = self.cycle
        super().on_headers_complete()
        if self.cycle is not cycle:
            self.cycle.transport = _OneWrite(self.transport, self.loop)  # type: ignore[assignment]

    def _names_one_host(self) -> bool:
        """As RFC 9112, 3.2 requires: of several, a proxy and we may pick different ones. HTTP/1.0 needs none."""
        version = self.parser.get_http_version()
        hosts = [value for name, value in self.headers if name == b"host"]
        if not hosts:
            return version == "1.0"
        return version in HTTP_VERSIONS and len(hosts) == 1 and HOST.fullmatch(hosts[0]) is not None

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.counted is not None and self.cycle.response_complete:  # else the next one is under way
            self.counted.end(self.transport, self)

    def pause_writing(self) -> None:
        """More waits for the peer than it takes at once. One that reads hardly any of it is given up."""
        super().pause_writing()
        waiting = self.transport.get_write_buffer_size()
        patience = READ_IDLE_SECONDS + waiting / READ_BYTES_PER_SECOND
        self._reading_timer = self.loop.call_later(patience, self._give_up_reader)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_reading_timer()

    def _give_up_reader(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # what the kernel still holds for it goes, too
            raw: socket.socket = self.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.give_up()

    def _stop_reading_timer(self) -> None:
        if self._reading_timer is not None:
            self._reading_timer.cancel()
            self._reading_timer = None

    def _network(self) -> str | None:
        """The peer's; None for a proxy that is trusted to bring others."""
        host = self.client[0] if self.client else ""
        return None if not host or host in _TrustedHosts(self.config.forwarded_allow_ips) else network_of(host)

    def send_400_response(self, msg: str) -> None:
        """In the one shape of every error: a malformed request never reaches the envelope."""
        request_id = uuid.uuid4().hex
        answer = error_response({"type": "http", "request_id": request_id}, 400, "bad_request", msg)
        head = [*protect({"scheme": self.scheme}, 400, answer.raw_headers), (b"x-request-id", request_id.encode())]
        lines = [b"HTTP/1.1 400 Bad Request", *(name + b": " + value for name, value in head), b"connection: close"]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + bytes(answer.body))
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        self._stop_reading_timer()
        if self.counted is not None:
            self.counted.go(self.transport)
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.give_up)

    def _head_arrived(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def give_up(self) -> None:
        self._head_arrived()
        self._stop_reading_timer()
        transport: Any = self.transport
        transport.abort()


class _Inbox:
    """A queue for one reader; an asyncio.Queue takes 3 KB. It stays short: reading pauses while it holds anything."""

    __slots__ = ("_items", "_more")

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._more = Signal()

    def put_nowait(self, item: Any) -> None:
        self._items.append(item)
        self._more.set()

    def empty(self) -> bool:
        return not self._items

    async def get(self) -> Any:
        while not self._items:
            self._more.clear()
            await self._more.wait()
        return self._items.pop(0)


class BoundedWebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket. An idle one takes little memory: people leave it open all day."""

    _discarded_bytes = 0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.queue = _Inbox()  # type: ignore[assignment]
        self.writable = Signal()
        self.writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if BoundedHttpProtocol.counted is not None:
            BoundedHttpProtocol.counted.go(self.transport)
        super().connection_lost(exc)

    async def send(self, message: Any) -> None:
        """Write a text as one frame at once (RFC 6455, section 5.2), if nothing prevents it."""
        text = message.get("text")
        if (
            text is None
            or not self.writable.is_set()
            or self.conn.state is not State.OPEN
            or self.disconnected
            or self.close_sent
            or not self.handshake_complete
        ):
            await super().send(message)
            if message["type"] == "websocket.accept":
                self._forget_handshake()
            return
        data = text.encode()
        size = len(data)
        if size < 126:
            head = struct.pack("!BB", 0x81, size)
        elif size < 65536:
            head = struct.pack("!BBH", 0x81, 126, size)
        else:
            head = struct.pack("!BBQ", 0x81, 127, size)
        self.transport.write(head + data)

    def _forget_handshake(self) -> None:
        """Its headers, which the parser and the tasks of the app would keep."""
        self.request.headers.clear()
        self.response.headers.clear()
        self.scope["headers"].clear()  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if self.conn.parser_exc is not None:
            self._discard(data)
            return
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.transport.is_closing():
            self.transport.write(b"".join(self.conn.data_to_send()))  # the refusal, which uvicorn does not send
            self.transport.close()

    def shutdown(self) -> None:
        """The server stops. A peer that is still sending would lose our close frame by a reset: give it a moment."""
        if self.close_sent and self.close_timer is not None and not self.transport.is_closing():
            self.stop_keepalive()
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(LAST_WORD_SECONDS, self.transport.close)
        else:
            super().shutdown()

    def handle_ping(self) -> None:
        if self.close_sent:
            return
        super().handle_ping()
        if self.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self.transport.abort()

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= MAX_FRAGMENTS:
            self._fail(CloseCode.MESSAGE_TOO_BIG, f"more than {MAX_FRAGMENTS} fragments")
        else:
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:  # uvicorn logs a traceback of it
                self._fail(CloseCode.INVALID_DATA, "not UTF-8")
                return
        super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        """Close with the code that says why. What the peer is still sending is read and thrown away for a while: a
        socket closed with unread data is reset, and a reset takes our close frame with it.
        """
        if self.close_sent:
            return
        if self.conn.close_sent is None:  # nobody has accepted it yet
            self.transport.abort()
            return
        code, reason = self.conn.close_sent.code, self.conn.close_sent.reason
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.stop_keepalive()
        self.close_sent = self.disconnected = True
        self.frames = []
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def _fail(self, code: CloseCode, reason: str) -> None:
        self.conn.fail(code, reason)
        self.conn.parser_exc = ProtocolError(reason)
        self.handle_parser_exception()

    def _discard(self, data: bytes) -> None:
        self._discarded_bytes += len(data)
        if self._discarded_bytes > MAX_DISCARDED_BYTES:
            self.transport.close()


def count_connections(*, each: int) -> int:
    """Limit the connections of this process; return how many descriptors they leave free."""
    descriptors = raise_descriptor_limit()
    reserve = reserve_of(descriptors)
    BoundedHttpProtocol.counted = Connections(each=each, most=descriptors - reserve)
    return reserve


def limit_server(server: uvicorn.Server, *, connections_each: int, frame_bytes: int) -> None:
    """Give a server that another command than ours has started (`uvicorn`, gunicorn) the same limits.

    Called before it listens. Each of several processes counts its own connections.
    """
    config = server.config
    if config.http_protocol_class is HttpToolsProtocol:  # else it is ours, or another one was asked for
        count_connections(each=connections_each)
        config.http_protocol_class = BoundedHttpProtocol
        config.ws_max_size = min(config.ws_max_size, frame_bytes)
        if config.ws_protocol_class is WebSocketsSansIOProtocol:
            config.ws_protocol_class = BoundedWebSocketProtocol
