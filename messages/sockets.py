"""The chat socket: who may open one, and what each frame does."""

import asyncio
import logging
import time
from contextlib import suppress
from functools import partial
from itertools import count
from urllib.parse import urlsplit

from fastapi import APIRouter, WebSocket
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect, WebSocketDisconnected

from auth import UserRow, authenticate
from delivery.protocol import (
    MAX_FRAME_BYTES,
    SUBPROTOCOL,
    TOKEN_SUBPROTOCOL,
    AuthFrame,
    BadFrameError,
    ClientFrame,
    CloseCode,
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
    resync_frame,
)
from edge.answers import operation_id
from edge.engines import get_engine
from edge.limits import RateLimits
from errors import NotAuthenticatedError, PagewireError, RateLimitedError
from hub import CLOSE_SECONDS, FIRST_WORD_SECONDS, SOCKETS_PER_USER, Client
from messages.messenger import Messenger
from messages.queries import MessageDraft, StoredMessage
from settings import Settings

MAX_UNSTORED_PER_SOCKET = 32  # messages; the next frame is read when one of them is stored

router = APIRouter(generate_unique_id_function=operation_id)
_session_numbers = count(1)
logger = logging.getLogger("pagewire.chat")


class ForbiddenSocketError(PagewireError):
    """This socket belongs to another user."""

    status = 403
    code = "forbidden"


class ForbiddenOriginError(PagewireError):
    """Pages of this origin may not open sockets here; see CORS_ORIGINS."""

    status = 403
    code = "forbidden_origin"


class FloodError(PagewireError):
    """Too many frames; the socket is closed."""

    status = 429
    code = "flood"


async def serve_socket(websocket: WebSocket) -> None:
    path_user_id: str | None = websocket.path_params.get("user_id")
    messenger = get_engine(websocket, Messenger)
    subprotocol = SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None
    try:
        _check_origin(websocket, get_engine(websocket, Settings))
        token = _find_token(websocket)
        if not token:
            raise NotAuthenticatedError
        user, claims = await authenticate(websocket, token)
        if path_user_id is not None and path_user_id != str(user.id):
            raise ForbiddenSocketError
        seq, _ = await messenger.position(user.id)
        client = Client(websocket, user.id, classic=subprotocol is None)
        messenger.hub.add(client, seq=seq)
    except PagewireError as error:
        await websocket.accept(subprotocol=subprotocol)
        await _refuse(websocket, error)
        return
    # Registered before it is accepted: whatever is sent to it once its owner sees it open, it gets.
    try:
        await websocket.accept(subprotocol=subprotocol)
        client.start()
        async with client.live_until(_loop_time(claims.expires_at)):
            await Session(websocket, client, user).run()
    except TimeoutError:
        client.end(CloseCode.UNAUTHORIZED)
    except (WebSocketDisconnect, WebSocketDisconnected, OSError):
        pass  # OSError: it was gone before it was accepted
    except PagewireError as error:
        client.send(error_frame(error))
        await client.flush()
        client.end(CloseCode.TRY_AGAIN_LATER)
    except Exception:
        logger.exception("a socket of user %d failed", user.id)
        client.end(CloseCode.INTERNAL_ERROR)
    finally:
        client.end(CloseCode.NORMAL)  # unless there was a reason
        if client.close_code == CloseCode.TOO_MUCH:
            messenger.hub.remove(client)  # it may take its time to read its end
        await client.close()
        messenger.hub.remove(client)
        with suppress(PagewireError):
            await messenger.settle_presence(user.id)


def _loop_time(expires_at: float) -> float:
    """*expires_at*, seconds since 1970, on the event loop's clock."""
    return asyncio.get_running_loop().time() + expires_at - time.time()


def _check_origin(websocket: WebSocket, settings: Settings) -> None:
    """A browser says where its page came from: this server itself, or an origin of CORS_ORIGINS."""
    origin = websocket.headers.get("origin")
    if origin is None or "*" in settings.cors_origins or origin in settings.cors_origins:
        return
    try:
        host = urlsplit(origin).netloc
    except ValueError:
        raise ForbiddenOriginError from None
    if host != websocket.headers.get("host"):
        raise ForbiddenOriginError


def _find_token(websocket: WebSocket) -> str | None:
    """From the Authorization header, the query, or a subprotocol (the one way open to browsers but the query)."""
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


class Session:
    """One signed-in socket, from its first frame to its last."""

    def __init__(self, websocket: WebSocket, client: Client, user: UserRow) -> None:
        self._websocket = websocket
        self._client = client
        self._messenger = get_engine(websocket, Messenger)
        self._limits = get_engine(websocket, RateLimits)
        self._user = user
        self._number = next(_session_numbers)
        self._unstored = 0  # messages of this socket on their way to the table
        self._one_less = asyncio.Event()
        self._catching_up = asyncio.Lock()
        self._going_live: asyncio.Task[None] | None = None

    async def run(self) -> None:
        await self._messenger.refresh(self._user.id)
        try:
            if not self._client.classic:
                self._client.position = self._messenger.hub.tail(self._user.id)
                self._send_ready(resumed=False)
                for frame in await self._messenger.list_presence_frames(self._user.id):
                    await self._client.send_patiently(frame)
            with suppress(PagewireError):  # it is tried again
                await self._messenger.settle_presence(self._user.id)
            if not self._client.classic:
                self._going_live = asyncio.create_task(self._go_live_soon())
            await self._read_frames()
        finally:
            if self._going_live is not None:
                self._going_live.cancel()
            if self._client.close_code == CloseCode.GOING_AWAY:
                await self._settle()

    async def _settle(self) -> None:
        """Wait until all that was sent is stored and answered, but not for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._wait_for_unstored(0)

    def _send_ready(self, *, resumed: bool) -> None:
        self._client.send(
            ready_frame(
                user_id=self._user.id,
                seq=self._client.position,
                resumed=resumed,
                messages=get_engine(self._websocket, Settings).message_rate_limit,
                sockets=SOCKETS_PER_USER,
            )
        )

    async def _go_live_soon(self) -> None:
        """A client that says nothing first is told what happens from `ready` on; one that resumes, from there on."""
        await asyncio.sleep(FIRST_WORD_SECONDS)
        with suppress(WebSocketDisconnect):
            await self._go_live()

    async def _go_live(self) -> None:
        async with self._catching_up:
            if not self._client.is_live:
                await self._catch_up(self._client.position, to_seq=self._client.position)

    async def _catch_up(self, from_seq: int, *, to_seq: int) -> bool:
        """Tell the client what it has missed, or that this cannot be done; a client that is not live is closed."""
        try:
            if await self._messenger.hub.catch_up(self._client, from_seq=from_seq, to_seq=to_seq):
                return True
            await self._resync("too_old")
        except PagewireError as error:
            await self._give_up(error)
        return False

    async def _give_up(self, error: PagewireError, *, ref: str | int | None = None) -> None:
        """Close a client that is not live: it would wait for ever for what it missed."""
        self._client.send(error_frame(error, ref=ref))
        await self._client.flush()
        self._client.end(CloseCode.TRY_AGAIN_LATER)

    async def _resync(self, reason: str) -> None:
        seq, _ = await self._messenger.position(self._user.id)
        self._client.send(resync_frame(reason=reason, seq=seq))
        await self._catch_up(seq, to_seq=seq)

    async def _read_frames(self) -> None:
        while True:
            received = await self._websocket.receive()
            if received["type"] == "websocket.disconnect":
                return
            text: str | None = received.get("text")
            if _byte_count(text if text is not None else received["bytes"]) > MAX_FRAME_BYTES:
                self._client.end(CloseCode.MESSAGE_TOO_BIG)
                return
            ref: str | int | None = None
            client_id: str | None = None
            is_message = False
            try:
                frame = parse_frame(text, classic=self._client.classic)
                is_message = isinstance(frame, SendFrame)
                ref, client_id = frame.ref, getattr(frame, "client_id", None)
                if self._going_live is not None and not isinstance(frame, ResumeFrame):
                    await self._stop_waiting()
                    await self._go_live()
                await self._handle(frame)
            except PagewireError as error:
                is_message = False
                if isinstance(error, BadFrameError):
                    ref, client_id = peek_reference(text)
                await self._client.send_patiently(error_frame(error, ref=ref, client_id=client_id))
            if not is_message and await self._is_flood():
                return

    async def _is_flood(self) -> bool:
        """Messages have a limit of their own; here count all other frames, and what was refused."""
        try:
            await self._limits.hit(self._limits.frame, str(self._number))
        except RateLimitedError:
            self._client.send(error_frame(FloodError()))
            await self._client.flush()
            self._client.end(CloseCode.TOO_MUCH)
            return True
        return False

    async def _stop_waiting(self) -> None:
        if self._going_live is not None:
            async with self._catching_up:  # it sleeps, or it is done
                self._going_live.cancel()
                self._going_live = None

    async def _handle(self, frame: ClientFrame) -> None:
        match frame:
            case SendFrame():
                await self._send_message(frame)
            case ResumeFrame():
                await self._resume(frame)
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
                await self._client.send_patiently(pong_frame(ref=frame.ref))

    async def _send_message(self, frame: SendFrame) -> None:
        draft = MessageDraft(self._user.id, frame.recipient_id, frame.content, frame.client_id)
        await self._limits.hit(self._limits.message, str(self._user.id))
        stored = self._messenger.send(draft, origin=self._client)
        self._unstored += 1
        stored.add_done_callback(partial(self._report, frame))
        await self._wait_for_unstored(MAX_UNSTORED_PER_SOCKET)

    async def _wait_for_unstored(self, at_most: int) -> None:
        while self._unstored > at_most:
            self._one_less.clear()
            await self._one_less.wait()

    def _report(self, frame: SendFrame, stored: "asyncio.Future[StoredMessage]") -> None:
        self._unstored -= 1
        self._one_less.set()
        if stored.cancelled():
            return
        error = stored.exception()
        if isinstance(error, PagewireError):
            self._client.send(error_frame(error, ref=frame.ref, client_id=frame.client_id))
        elif error is None and not self._client.classic:
            message = stored.result()
            self._client.send(
                ack_frame(
                    ref=frame.ref,
                    client_id=frame.client_id,
                    message_id=message.id,
                    created_at=message.created_at,
                    duplicate=message.duplicate,
                    seq=message.sender_seq,
                )
            )

    async def _resume(self, frame: ResumeFrame) -> None:
        await self._stop_waiting()
        async with self._catching_up:
            self._client.is_live = False
            try:
                seq, forgotten_seq = await self._messenger.position(self._user.id)
                if not forgotten_seq <= frame.last_seq <= seq:
                    await self._resync("unknown" if frame.last_seq > seq else "too_old")
                    return
            except PagewireError as error:
                await self._give_up(error, ref=frame.ref)
                return
            if await self._catch_up(frame.last_seq, to_seq=seq):
                self._send_ready(resumed=True)

    async def _change(self, frame: EditFrame | DeleteFrame) -> None:
        await self._limits.hit(self._limits.message, str(self._user.id))
        content = frame.content if isinstance(frame, EditFrame) else None
        row, seq = await self._messenger.edit(message_id=frame.id, author_id=self._user.id, content=content)
        await self._client.send_patiently(
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
            user, claims = await authenticate(self._websocket, frame.token)
            if user.id != self._user.id:
                raise ForbiddenSocketError
        except PagewireError as error:
            self._client.send(error_frame(error, ref=frame.ref))
            if error.status in (401, 403):
                await self._client.flush()
                self._client.end(CloseCode.UNAUTHORIZED if error.status == 401 else CloseCode.FORBIDDEN)
            return
        self._client.extend(_loop_time(claims.expires_at))
        self._send_ready(resumed=False)


def _byte_count(data: str | bytes) -> int:
    if isinstance(data, bytes) or len(data) * 4 <= MAX_FRAME_BYTES:  # a character has at most four
        return len(data)
    return len(data.encode("utf-8", "replace"))


# Starlette's routes, not FastAPI's: a socket lives long, and each layer around it keeps its frame so long (KiBs).
router.routes += [WebSocketRoute("/ws/{user_id}", serve_socket), WebSocketRoute("/ws", serve_socket)]
