"""Messages between two users, by REST and by WebSocket."""

import asyncio
import json
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, WebSocket
from pydantic import BaseModel, Field, ValidationError
from starlette.websockets import WebSocketDisconnect, WebSocketDisconnected

import db
from answers import SIGNED_IN, WITH_BODY, may_fail
from auth import CurrentUser, authenticate
from db import MessageDraft, MessageRow, StoredMessage, UserRow
from deps import AllEngines, Db, Engines, get_engines
from errors import (
    ClientIdReusedError,
    NotAuthenticatedError,
    PagewireError,
    PayloadTooLargeError,
    RateLimitedError,
    UserNotFoundError,
)
from fields import ClientId, Id, NotBlank
from hub import Client, CloseCode, Hub

MAX_MESSAGE_CHARACTERS = 32_000
MAX_FRAME_BYTES = 64 * 1024
MAX_UNSTORED_PER_SOCKET = 32  # messages; the next frame is read when one of them is stored
MAX_PAGE = 1_000_000
CONVERSATION_LIMIT = 1000
SUBPROTOCOL = "pagewire.v2"
TOKEN_SUBPROTOCOL = "bearer."  # noqa: S105

router = APIRouter(tags=["messages"])


class ForbiddenSocketError(PagewireError):
    """This socket belongs to another user."""

    status = 403
    code = "forbidden"


class ForbiddenOriginError(PagewireError):
    """Pages of this origin may not open sockets here; see CORS_ORIGINS."""

    status = 403
    code = "forbidden_origin"


class BadFrameError(PagewireError):
    """The frame is not a message: {"recipient_id": 2, "content": "hi"}"""

    status = 422
    code = "bad_frame"


# The wire


class MessageCreate(BaseModel):
    """A message to one user. A repeat with the same client_id is not sent again."""

    model_config = {
        "json_schema_extra": {
            "examples": [{"recipient_id": 2, "content": "Page 57 has the figures.", "client_id": "a1"}]
        }
    }

    recipient_id: Id
    content: Annotated[NotBlank, Field(description="at most 32,000 characters")]
    client_id: ClientId | None = None

    def draft(self, sender: UserRow) -> MessageDraft:
        """What the writer stores.

        Raises:
            PayloadTooLargeError
        """
        if len(self.content) > MAX_MESSAGE_CHARACTERS:
            raise PayloadTooLargeError(f"A message has at most {MAX_MESSAGE_CHARACTERS:,} characters.")
        return MessageDraft(sender.id, self.recipient_id, self.content, self.client_id)


class MessageSent(BaseModel):
    """The message is stored; nothing can lose it now."""

    id: int = Field(examples=[991])
    message: Literal["Message sent successfully"] = "Message sent successfully"
    created_at: datetime = Field(examples=["2026-11-23T09:30:00.123456Z"])
    duplicate: bool


class Message(BaseModel):
    """A stored message."""

    id: int = Field(examples=[991])
    sender_id: int = Field(examples=[1])
    recipient_id: int = Field(examples=[2])
    content: str = Field(examples=["Page 57 has the figures."])
    created_at: datetime = Field(examples=["2026-11-23T09:30:00.123456Z"])
    sender_name: str = Field(examples=["Alice"])
    client_id: str | None = Field(description="the sender's own name for it; null to everybody else")

    @classmethod
    def from_row(cls, row: MessageRow, reader: UserRow) -> "Message":
        fields = row._asdict()
        if row.sender_id != reader.id:
            fields["client_id"] = None
        return cls(**fields)


class MessagePage(BaseModel):
    """One page of my messages."""

    messages: list[Message]
    page: int = Field(examples=[1])
    limit: int = Field(examples=[50])
    has_more: bool


def message_frame(message: StoredMessage) -> str:
    return json.dumps(
        {
            "sender_id": message.sender_id,
            "content": message.content,
            "timestamp": message.created_at.isoformat().replace("+00:00", "Z"),
            "id": message.id,
            "recipient_id": message.recipient_id,
            "sender_name": message.sender_name,
        }
    )


def error_frame(error: PagewireError, *, client_id: str | None = None) -> str:
    return json.dumps(
        {
            "type": "error",
            "code": error.code,
            "detail": error.detail,
            "client_id": client_id,
            "retry_after": error.retry_after,
        }
    )


def publish_message(hub: Hub, message: StoredMessage, origin: object | None) -> None:
    """Hand a stored message to both users' sockets, but not back to the classic socket it came in by."""
    frame = message_frame(message)
    hub.publish(message.recipient_id, frame)
    if message.sender_id != message.recipient_id:
        hub.publish(message.sender_id, frame, but=origin if isinstance(origin, Client) else None)


# REST


@router.post(
    "/messages",
    summary="Send a message",
    responses=may_fail(*SIGNED_IN, *WITH_BODY, UserNotFoundError, ClientIdReusedError, RateLimitedError),
)
async def send_message(engines: AllEngines, user: CurrentUser, body: MessageCreate) -> MessageSent:
    """The answer comes after the message is stored; open sockets of both users have been handed it by then."""
    draft = body.draft(user)
    await engines.limiter.hit(engines.rates.message, str(user.id))
    stored = await engines.writer.submit(draft)
    return MessageSent(id=stored.id, created_at=stored.created_at, duplicate=stored.duplicate)


@router.get("/messages", summary="All my messages", responses=may_fail(*SIGNED_IN))
async def list_messages(
    database: Db,
    user: CurrentUser,
    page: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    order: Annotated[Literal["asc", "desc"], Query()] = "desc",
) -> MessagePage:
    """Messages to and from me, newest first, or oldest first with `order=asc`."""
    rows = await db.list_messages(
        database, user_id=user.id, offset=(page - 1) * limit, limit=limit + 1, oldest_first=order == "asc"
    )
    return MessagePage(
        messages=[Message.from_row(row, user) for row in rows[:limit]],
        page=page,
        limit=limit,
        has_more=len(rows) > limit,
    )


@router.get(
    "/messages/{user_id}", summary="My messages with one user", responses=may_fail(*SIGNED_IN, UserNotFoundError)
)
async def list_conversation(
    database: Db,
    user: CurrentUser,
    user_id: Id,
    limit: Annotated[int, Query(ge=1, le=CONVERSATION_LIMIT)] = CONVERSATION_LIMIT,
    before: Annotated[Id | None, Query(description="a message id")] = None,
    after: Annotated[Id | None, Query(description="a message id")] = None,
) -> list[Message]:
    """Oldest first: the latest 1,000, or *limit* of those before or after a message."""
    rows = await db.list_conversation(
        database, user_id=user.id, other_id=user_id, before_id=before, after_id=after, limit=limit
    )
    if not rows and await db.find_user(database, user_id=user_id) is None:
        raise UserNotFoundError
    return [Message.from_row(row, user) for row in rows]


# The socket


@router.websocket("/ws/{user_id}")
async def serve_user_socket(websocket: WebSocket, user_id: str) -> None:
    await _serve(websocket, user_id)


@router.websocket("/ws")
async def serve_socket(websocket: WebSocket) -> None:
    await _serve(websocket, None)


async def _serve(websocket: WebSocket, user_id: str | None) -> None:
    engines = await get_engines(websocket)
    await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None)
    try:
        _check_origin(websocket, engines)
        token = _find_token(websocket)
        if not token:
            raise NotAuthenticatedError
        user, claims = await authenticate(websocket, token)
        if user_id is not None and user_id != str(user.id):
            raise ForbiddenSocketError
        client = Client(websocket, user.id)
        engines.hub.add(client)
    except PagewireError as error:
        await _refuse(websocket, error)
        return
    try:
        client.start()
        with suppress(TimeoutError, WebSocketDisconnect, WebSocketDisconnected):
            loop = asyncio.get_running_loop()
            async with client.live_until(loop.time() + claims.expires_at - datetime.now().timestamp()):
                await _read_frames(websocket, client, engines, user)
    finally:
        engines.hub.remove(client)
        await client.close()


def _check_origin(websocket: WebSocket, engines: Engines) -> None:
    """A browser says where its page came from: this server itself, or an origin of CORS_ORIGINS."""
    origin = websocket.headers.get("origin")
    if origin is None or "*" in engines.settings.cors_origins or origin in engines.settings.cors_origins:
        return
    if urlsplit(origin).netloc != websocket.headers.get("host"):
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
    closing = {401: CloseCode.UNAUTHORIZED, 403: CloseCode.FORBIDDEN, 429: CloseCode.SLOW_READER}
    with suppress(WebSocketDisconnect, WebSocketDisconnected):
        await websocket.send_text(error_frame(error))
        await websocket.close(closing.get(error.status, CloseCode.TRY_AGAIN_LATER), error.code)


async def _read_frames(websocket: WebSocket, client: Client, engines: Engines, user: UserRow) -> None:
    room = asyncio.Semaphore(MAX_UNSTORED_PER_SOCKET)
    while True:
        received = await websocket.receive()
        if received["type"] == "websocket.disconnect":
            return
        text = received.get("text")
        if len(text.encode("utf-8", "replace") if text is not None else received["bytes"]) > MAX_FRAME_BYTES:
            client.end(CloseCode.MESSAGE_TOO_BIG)
            return
        client_id = None
        try:
            message = _parse_frame(text)
            client_id = message.client_id
            draft = message.draft(user)
            await engines.limiter.hit(engines.rates.message, str(user.id))
            stored = engines.writer.submit(draft, origin=client)
        except PagewireError as error:
            client.send(error_frame(error, client_id=client_id))
        else:
            stored.add_done_callback(partial(_report, client, room, client_id))
            await room.acquire()


def _parse_frame(text: str | None) -> MessageCreate:
    if text is None:
        raise BadFrameError("Frames are JSON text, not bytes.")
    try:
        return MessageCreate.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BadFrameError(f"{where}: {first['msg']}" if where else first["msg"]) from error


def _report(
    client: Client, room: asyncio.Semaphore, client_id: str | None, stored: "asyncio.Future[StoredMessage]"
) -> None:
    room.release()
    if not stored.cancelled() and isinstance(error := stored.exception(), PagewireError):
        client.send(error_frame(error, client_id=client_id))
