"""The chat socket: who may open one, and what each frame does."""

import asyncio
import logging
import time
from contextlib import suppress
from functools import partial

from fastapi import APIRouter, WebSocket
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect, WebSocketDisconnected

from auth import Caller, authenticate, authenticate_browser, check_still_signed_in
from chat import CLOSE_SECONDS, SOCKETS_PER_USER, CloseCode, Connection, Signal
from delivery.feed import Feed
from delivery.protocol import (
    ABSURD_FRAME_BYTES,
    MAX_FRAME_BYTES,
    SUBPROTOCOL,
    TOKEN_SUBPROTOCOL,
    AuthFrame,
    BadFrameError,
    ClientFrame,
    DeleteFrame,
    EditFrame,
    PingFrame,
    ReadFrame,
    ResumeFrame,
    SendFrame,
    TypingFrame,
    ack_frame,
    error_frame,
    parse_frame,
    peek_reference,
    pong_frame,
    ready_frame,
)
from edge.answers import operation_id
from edge.browsers import is_from_own_page
from edge.engines import get_engine
from edge.limits import RateLimits
from errors import NotAuthenticatedError, PagewireError, PayloadTooLargeError, RateLimitedError, ReadOnlyKeyError
from messages.messenger import Messenger, draft_of
from messages.presence import Presence
from messages.queries import StoredMessage
from messages.replay import Replay
from settings import Settings

MAX_SOCKET_SECONDS = 366 * 24 * 3600.0
MAX_UNSTORED_PER_SOCKET = 32  # messages; the next frame is read when one of them is stored

router = APIRouter(generate_unique_id_function=operation_id)
logger = logging.getLogger("pagewire.sockets")


class ForbiddenSocketError(PagewireError):
    """This socket belongs to another user."""

    status = 403
    code = "forbidden"


class ForbiddenOriginError(PagewireError):
    """Pages of this origin may not open sockets here; see CORS_ORIGINS."""

    status = 403
    code = "forbidden_origin"


class FrameTooLargeError(PayloadTooLargeError):
    """The frame is larger than this server accepts; a message has at most 32,000 characters."""


class FloodError(PagewireError):
    """Too many frames; the socket is closed."""

    status = 429
    code = "flood"


# Opening and closing


async def serve_socket(websocket: WebSocket) -> None:
    """Serve one socket. A refused one is accepted first, so that it gets an error frame, and then closed."""
    feed = get_engine(websocket, Feed)
    subprotocol = SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None
    try:
        caller = await _identify(websocket)
        connection = Connection(
            websocket,
            caller.user.id,
            classic=subprotocol is None,
            describe=error_frame,
            session_id=caller.session.id,
        )
        # It listens before it is accepted: it misses nothing that is sent once its user sees it open.
        async with feed.listen(connection) as connection.position:
            await check_still_signed_in(websocket, caller)
            await _serve(websocket, connection, caller, subprotocol)
    except PagewireError as error:
        await websocket.accept(subprotocol=subprotocol)
        await _refuse(websocket, error)


async def _identify(websocket: WebSocket) -> Caller:
    """Who opens this socket.

    Raises:
        ForbiddenOriginError, NotAuthenticatedError, InvalidTokenError, TokenExpiredError, ForbiddenSocketError
    """
    _check_origin(websocket, get_engine(websocket, Settings))
    token = _find_token(websocket)
    caller = await (authenticate(websocket, token) if token else authenticate_browser(websocket))
    if caller is None:
        raise NotAuthenticatedError
    path_user_id: str | None = websocket.path_params.get("user_id")
    if path_user_id is not None and path_user_id != str(caller.user.id):
        raise ForbiddenSocketError
    return caller


async def _serve(websocket: WebSocket, connection: Connection, caller: Caller, subprotocol: str | None) -> None:
    """Accept the socket and serve it until it ends; raises nothing that has to do with it."""
    user = caller.user
    try:
        await websocket.accept(subprotocol=subprotocol)
        connection.start()
        async with connection.live_until(_loop_time(caller.expires_at)):
            await Session(websocket, connection, caller).run()
    except TimeoutError:
        connection.end(CloseCode.UNAUTHORIZED)
    except (WebSocketDisconnect, WebSocketDisconnected, OSError):
        pass  # OSError: it was gone before it was accepted
    except PagewireError as error:
        await connection.end_with(error, CloseCode.TRY_AGAIN_LATER)
    except Exception:
        logger.exception("a socket of user %d failed", user.id)
        connection.end(CloseCode.INTERNAL_ERROR)
    finally:
        connections = get_engine(websocket, Feed).connections
        connection.end(CloseCode.NORMAL)  # unless there was a reason
        if connection.close_code == CloseCode.TOO_MUCH:
            connections.remove(connection)  # a slow reader may take long to close
        await connection.close()
        connections.remove(connection)
        with suppress(PagewireError):
            await get_engine(websocket, Presence).settle(user.id)


def _loop_time(expires_at: float) -> float:
    """*expires_at*, seconds since 1970, on the event loop's clock, which has no infinity."""
    return asyncio.get_running_loop().time() + min(expires_at - time.time(), MAX_SOCKET_SECONDS)


def _check_origin(websocket: WebSocket, settings: Settings) -> None:
    """A browser names the origin of its page: it must be this server itself, or one of CORS_ORIGINS."""
    origin = websocket.headers.get("origin")
    if origin is not None and origin not in settings.cors_origins and not is_from_own_page(websocket):
        raise ForbiddenOriginError


def _find_token(websocket: WebSocket) -> str | None:
    """From the Authorization header, the query, or a subprotocol (browsers can use the last two only)."""
    scheme, _, token = websocket.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    if token := websocket.query_params.get("token", ""):
        return token
    for subprotocol in websocket.scope["subprotocols"]:
        if subprotocol.startswith(TOKEN_SUBPROTOCOL):
            return str(subprotocol.removeprefix(TOKEN_SUBPROTOCOL))
    return None


async def _refuse(websocket: WebSocket, error: PagewireError) -> None:
    closing = {401: CloseCode.UNAUTHORIZED, 403: CloseCode.FORBIDDEN, 429: CloseCode.TOO_MUCH}
    with suppress(WebSocketDisconnect, WebSocketDisconnected):
        await websocket.send_text(error_frame(error))
        await websocket.close(closing.get(error.status, CloseCode.TRY_AGAIN_LATER), error.code)


# Frames


class Session:
    """One signed-in socket, from its first frame to its last."""

    def __init__(self, websocket: WebSocket, connection: Connection, caller: Caller) -> None:
        self._websocket = websocket
        self._connection = connection
        self._messenger = get_engine(websocket, Messenger)
        self._limits = get_engine(websocket, RateLimits)
        self._user = caller.user
        self._is_read_only = caller.session.is_read_only
        self._unstored = 0  # messages of this socket on their way to the table
        self._one_less = Signal()
        self._replay = Replay(connection, get_engine(websocket, Feed), partial(self._send_ready, resumed=True))

    async def run(self) -> None:
        presence = get_engine(self._websocket, Presence)
        try:
            if not self._connection.classic:
                self._send_ready(resumed=False)
                for frame in await presence.list_frames(self._user.id):
                    await self._connection.send_patiently(frame)
            with suppress(PagewireError):  # it is retried
                await presence.settle(self._user.id)
            if not self._connection.classic:
                self._replay.start()
            await self._read_frames()
        finally:
            self._replay.cancel()
            if self._connection.close_code == CloseCode.GOING_AWAY:
                await self._settle()

    async def _settle(self) -> None:
        """Wait until everything that was sent is stored and answered, for `CLOSE_SECONDS` at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._wait_for_unstored(0)

    def _send_ready(self, *, resumed: bool) -> None:
        self._connection.send(
            ready_frame(
                user_id=self._user.id,
                seq=self._connection.position,
                epoch=get_engine(self._websocket, Feed).epoch,
                resumed=resumed,
                messages=get_engine(self._websocket, Settings).message_rate_limit,
                sockets=SOCKETS_PER_USER,
            )
        )

    async def _read_frames(self) -> None:
        while True:
            received = await self._websocket.receive()
            if received["type"] == "websocket.disconnect":
                return
            text: str | None = received.get("text")
            byte_count = _byte_count(text if text is not None else received["bytes"])
            if byte_count > ABSURD_FRAME_BYTES:
                self._connection.end(CloseCode.MESSAGE_TOO_BIG)
                return
            ref: str | int | None = None
            client_id: str | None = None
            is_message = False
            try:
                if byte_count > MAX_FRAME_BYTES:
                    raise FrameTooLargeError
                frame = parse_frame(text, classic=self._connection.classic)
                is_message = isinstance(frame, SendFrame)
                ref, client_id = frame.ref, getattr(frame, "client_id", None)
                if not isinstance(frame, ResumeFrame):
                    await self._replay.go_live()
                await self._handle(frame)
            except PagewireError as error:
                is_message = False
                if isinstance(error, BadFrameError | FrameTooLargeError):
                    ref, client_id = await asyncio.to_thread(peek_reference, text)
                await self._connection.send_patiently(error_frame(error, ref=ref, client_id=client_id))
            if not is_message and await self._is_flood():
                return

    async def _is_flood(self) -> bool:
        """Messages have a limit of their own; here count all other frames, and messages that were refused."""
        try:
            await self._limits.hit(self._limits.frame, str(self._user.id))
        except RateLimitedError:
            await self._connection.end_with(FloodError(), CloseCode.TOO_MUCH)
            return True
        return False

    async def _handle(self, frame: ClientFrame) -> None:
        if self._is_read_only and not isinstance(frame, ResumeFrame | AuthFrame | PingFrame):
            raise ReadOnlyKeyError
        match frame:
            case SendFrame():
                await self._send_message(frame)
            case ResumeFrame():
                await self._replay.resume(frame)
            case EditFrame() | DeleteFrame():
                await self._change(frame)
            case ReadFrame():
                await self._messenger.mark_read(user_id=self._user.id, other_id=frame.user_id, up_to_id=frame.up_to_id)
            case TypingFrame():
                await self._messenger.typing(
                    user_id=self._user.id, recipient_id=frame.recipient_id, active=frame.active
                )
            case AuthFrame():
                await self._authenticate_again(frame)
            case PingFrame():
                await self._connection.send_patiently(pong_frame(ref=frame.ref))

    async def _send_message(self, frame: SendFrame) -> None:
        draft = draft_of(frame, sender_id=self._user.id)
        stored = await self._messenger.submit(draft, origin=self._connection)
        self._unstored += 1
        stored.add_done_callback(partial(self._report, frame))
        await self._wait_for_unstored(MAX_UNSTORED_PER_SOCKET)

    async def _wait_for_unstored(self, at_most: int) -> None:
        while self._unstored > at_most:
            self._one_less.clear()
            await self._one_less.wait()

    def _report(self, frame: SendFrame, future: "asyncio.Future[StoredMessage]") -> None:
        self._unstored -= 1
        self._one_less.set()
        if future.cancelled():
            return
        error = future.exception()
        if isinstance(error, PagewireError):
            self._connection.send(error_frame(error, ref=frame.ref, client_id=frame.client_id))
        elif error is None and not self._connection.classic:
            stored = future.result()
            self._connection.send(
                ack_frame(
                    ref=frame.ref,
                    client_id=frame.client_id,
                    message_id=stored.message.id,
                    created_at=stored.message.created_at,
                    duplicate=stored.duplicate,
                    seq=stored.sender_seq,
                )
            )

    async def _change(self, frame: EditFrame | DeleteFrame) -> None:
        content = frame.content if isinstance(frame, EditFrame) else None
        row, seq = await self._messenger.edit(message_id=frame.id, author_id=self._user.id, content=content)
        await self._connection.send_patiently(
            ack_frame(
                ref=frame.ref,
                client_id=None,
                message_id=row.id,
                created_at=row.created_at,
                duplicate=False,
                seq=seq,
            )
        )

    async def _authenticate_again(self, frame: AuthFrame) -> None:
        try:
            caller = await authenticate(self._websocket, frame.token)
            if caller.user.id != self._user.id:
                raise ForbiddenSocketError
            self._connection.session_id = caller.session.id
            self._is_read_only = caller.session.is_read_only
            await check_still_signed_in(self._websocket, caller)
        except PagewireError as error:
            if error.status in (401, 403):
                code = CloseCode.UNAUTHORIZED if error.status == 401 else CloseCode.FORBIDDEN
                await self._connection.end_with(error, code, ref=frame.ref)
            else:
                self._connection.send(error_frame(error, ref=frame.ref))
            return
        self._connection.extend(_loop_time(caller.expires_at))
        self._send_ready(resumed=False)


def _byte_count(data: str | bytes) -> int:
    if isinstance(data, bytes) or len(data) * 4 <= MAX_FRAME_BYTES:  # a character has at most four
        return len(data)
    return len(data.encode("utf-8", "replace"))


# Starlette's routes, not FastAPI's: each layer around a socket keeps its frame (KiBs) as long as the socket lives.
router.routes += [WebSocketRoute("/ws/{user_id}", serve_socket), WebSocketRoute("/ws", serve_socket)]
