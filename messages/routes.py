"""Messages between two users over REST; the same as sockets.py does it live."""

import asyncio
import json
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from accounts.queries import find_user
from accounts.routes import User
from auth import FOR_USERS, CurrentAdmin, CurrentUser, Db, Limits, UserRow, current_user
from delivery import queries as delivery
from delivery.protocol import CloseCode, EventFrames, timestamp
from delivery.queries import Told
from edge.answers import SIGNED_IN, WITH_BODY, DirectRoute, may_fail, operation_id
from edge.engines import get_engine, opened
from edge.fields import ClientId, Id, NotBlank
from edge.forms import read_json
from edge.limits import RateLimits
from errors import (
    AdminRequiredError,
    ClientIdReusedError,
    ForbiddenError,
    MessageNotFoundError,
    PagewireError,
    PayloadTooLargeError,
    RateLimitedError,
    UserNotFoundError,
)
from hub import TooManySocketsError, event_frames
from messages import queries
from messages.messenger import Messenger, check_length
from messages.queries import ConversationRow, MessageDraft, MessageRow

Chat = Annotated[Messenger, opened(Messenger)]
MAX_PAGE = 1_000_000
CONVERSATION_LIMIT = 1000
EVENTS_LIMIT = 200

router = APIRouter(tags=["messages"], generate_unique_id_function=operation_id)


class ResyncError(PagewireError):
    """What was missed is no longer known: reload the conversations, then go on from the newest event."""

    status = 410
    code = "resync"


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


class MessageSent(BaseModel):
    """The message is stored; nothing can lose it now."""

    id: int = Field(examples=[991])
    message: Literal["Message sent successfully"] = "Message sent successfully"
    created_at: datetime = Field(examples=["2026-11-23T09:30:00.123456Z"])
    duplicate: bool


class MessagePatch(BaseModel):
    """What a message is to say instead."""

    model_config = {"json_schema_extra": {"examples": [{"content": "Page 58 has the figures."}]}}

    content: Annotated[NotBlank, Field(description="at most 32,000 characters")]


class Message(BaseModel):
    """A stored message; one that was taken back has `deleted_at` and no content."""

    id: int = Field(examples=[991])
    sender_id: int = Field(examples=[1])
    recipient_id: int = Field(examples=[2])
    content: str = Field(examples=["Page 57 has the figures."])
    created_at: datetime = Field(examples=["2026-11-23T09:30:00.123456Z"])
    sender_name: str = Field(examples=["Alice"])
    client_id: str | None = Field(description="the sender's own name for it; null to everybody else")
    edited_at: datetime | None
    deleted_at: datetime | None

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


class Conversation(BaseModel):
    """Somebody I have messages with."""

    user: User
    last_message: Message
    unread_count: int = Field(description="counted up to 1,000", examples=[3])
    read_up_to_id: int = Field(description="a message id", examples=[990])

    @classmethod
    def from_row(cls, row: ConversationRow, reader: UserRow) -> "Conversation":
        other = User(id=row.other_id, email=row.other_email, name=row.other_name, created_at=row.other_created_at)
        last = MessageRow._make(row[-len(MessageRow._fields) :])
        return cls(
            user=other,
            last_message=Message.from_row(last, reader),
            unread_count=row.unread_count,
            read_up_to_id=row.read_up_to_id,
        )


class ConversationPage(BaseModel):
    """Some conversations, the one with the newest message first; `next_cursor` leads to older ones."""

    conversations: list[Conversation]
    next_cursor: str | None = Field(examples=["990"])


class ReadUpTo(BaseModel):
    """I have read everything up to this message."""

    model_config = {"json_schema_extra": {"examples": [{"up_to_id": 991}]}}

    up_to_id: Id


class ReadMark(BaseModel):
    """How far I have read, and what is left."""

    read_up_to_id: int = Field(examples=[991])
    unread_count: int = Field(examples=[0])


class EventPage(BaseModel):
    """Events after a number, in order; ask again with `after=` the `seq` of this answer."""

    events: list[dict[str, Any]] = Field(description="the durable frames of the socket, as docs/protocol.md has them")
    seq: int = Field(examples=[1041])


class AnnouncementCreate(BaseModel):
    """Something that everybody is to know."""

    model_config = {"json_schema_extra": {"examples": [{"content": "Pagewire moves to a new machine at six."}]}}

    content: Annotated[NotBlank, Field(description="at most 32,000 characters")]


class AnnouncementSent(BaseModel):
    """It is stored, and everybody is told."""

    id: int = Field(examples=[3])
    message: Literal["Announcement sent"] = "Announcement sent"


# Messages


async def send_message(request: Request) -> Response:
    """The answer comes after the message is stored; open sockets of both users have been handed it by then."""
    user = await current_user(request)
    limits = get_engine(request, RateLimits)
    body = await read_json(request, MessageCreate)
    check_length(body.content)
    await limits.hit(limits.message, str(user.id))
    stored = await get_engine(request, Messenger).send(
        MessageDraft(user.id, body.recipient_id, body.content, body.client_id)
    )
    sent = MessageSent(id=stored.id, created_at=stored.created_at, duplicate=stored.duplicate)
    return Response(sent.model_dump_json(), media_type="application/json")


router.add_api_route(
    "/messages",
    send_message,
    methods=["POST"],
    summary="Send a message",
    response_model=MessageSent,
    openapi_extra={
        **FOR_USERS,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": MessageCreate.model_json_schema()}},
        },
    },
    responses=may_fail(
        *SIGNED_IN, *WITH_BODY, UserNotFoundError, ClientIdReusedError, PayloadTooLargeError, RateLimitedError
    ),
    route_class_override=DirectRoute,
)


@router.get("/messages", summary="All my messages", responses=may_fail(*SIGNED_IN))
async def list_messages(
    database: Db,
    user: CurrentUser,
    page: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    order: Annotated[Literal["asc", "desc"], Query()] = "desc",
) -> MessagePage:
    """Messages to and from me, newest first, or oldest first with `order=asc`."""
    rows = await queries.list_messages(
        database, user_id=user.id, offset=(page - 1) * limit, limit=limit + 1, oldest_first=order == "asc"
    )
    return MessagePage(
        messages=[Message.from_row(row, user) for row in rows[:limit]],
        page=page,
        limit=limit,
        has_more=len(rows) > limit,
    )


@router.get(
    "/messages/{user_id}",
    summary="My messages with one user",
    response_model=list[Message],
    responses=may_fail(*SIGNED_IN, UserNotFoundError),
)
async def list_conversation(
    database: Db,
    user: CurrentUser,
    user_id: Id,
    limit: Annotated[int, Query(ge=1, le=CONVERSATION_LIMIT)] = CONVERSATION_LIMIT,
    before: Annotated[Id | None, Query(description="a message id")] = None,
    after: Annotated[Id | None, Query(description="a message id")] = None,
) -> Response:
    """Oldest first: the latest 1,000, or *limit* of those before or after a message."""
    rows = await queries.list_conversation(
        database, user_id=user.id, other_id=user_id, before_id=before, after_id=after, limit=limit
    )
    if not rows and await find_user(database, user_id=user_id) is None:
        raise UserNotFoundError
    # Without a model in between: fifty messages take 60 µs, not 400.
    return Response(json.dumps([_message_fields(row, user) for row in rows]), media_type="application/json")


def _message_fields(row: MessageRow, reader: UserRow) -> dict[str, object]:
    """What Message.from_row(row, reader) is as JSON."""
    return {
        "id": row.id,
        "sender_id": row.sender_id,
        "recipient_id": row.recipient_id,
        "content": row.content,
        "created_at": timestamp(row.created_at),
        "sender_name": row.sender_name,
        "client_id": row.client_id if row.sender_id == reader.id else None,
        "edited_at": timestamp(row.edited_at),
        "deleted_at": timestamp(row.deleted_at),
    }


CHANGE_ERRORS = may_fail(*SIGNED_IN, *WITH_BODY, MessageNotFoundError, ForbiddenError, RateLimitedError)


@router.patch("/message/{message_id}", summary="Change what my message says", responses=CHANGE_ERRORS)
async def edit_message(
    messenger: Chat, limits: Limits, user: CurrentUser, message_id: Id, body: MessagePatch
) -> Message:
    """Both people are told; the message keeps its place."""
    check_length(body.content)
    await limits.hit(limits.message, str(user.id))
    row, _ = await messenger.edit(message_id=message_id, author_id=user.id, content=body.content)
    return Message.from_row(row, user)


@router.delete("/message/{message_id}", status_code=204, summary="Take my message back", responses=CHANGE_ERRORS)
async def delete_message(messenger: Chat, limits: Limits, user: CurrentUser, message_id: Id) -> None:
    """Its content is gone for both people; a tombstone keeps its place."""
    await limits.hit(limits.message, str(user.id))
    await messenger.edit(message_id=message_id, author_id=user.id, content=None)


# Conversations and events


@router.get("/conversations", summary="Whom I have messages with", responses=may_fail(*SIGNED_IN))
async def list_conversations(
    database: Db,
    user: CurrentUser,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[Id | None, Query()] = None,
) -> ConversationPage:
    """With the last message and how many I have not read, the newest first."""
    rows = await queries.list_conversations(database, user_id=user.id, before_id=cursor, limit=limit + 1)
    return ConversationPage(
        conversations=[Conversation.from_row(row, user) for row in rows[:limit]],
        next_cursor=str(rows[limit - 1].id) if len(rows) > limit else None,
    )


@router.post(
    "/messages/{user_id}/read",
    summary="Mark a conversation as read",
    responses=may_fail(*SIGNED_IN, *WITH_BODY, UserNotFoundError),
)
async def mark_read(messenger: Chat, user: CurrentUser, user_id: Id, body: ReadUpTo) -> ReadMark:
    """Up to a message, never backwards. The other person and my other tabs are told."""
    mark = await messenger.mark_read(user_id=user.id, other_id=user_id, up_to_id=body.up_to_id)
    return ReadMark(read_up_to_id=mark.read_up_to_id, unread_count=mark.unread_count)


class LongPoll:
    """A request that waits for its user's next event."""

    def __init__(self, user_id: int, *, after: int) -> None:
        self.user_id = user_id
        self.something = asyncio.Event()
        self._after = after

    def tell(self, seq: int, frames: EventFrames, origin: object | None) -> None:
        if seq > self._after:
            self.something.set()

    def whisper(self, frame: str) -> None:
        """Only what is stored ends the wait."""

    def end(self, code: CloseCode) -> None:
        self.something.set()


@router.get(
    "/events",
    summary="What I was told after an event (long poll)",
    responses=may_fail(*SIGNED_IN, ResyncError, TooManySocketsError),
)
async def list_events(
    request: Request,
    database: Db,
    messenger: Chat,
    user: CurrentUser,
    after: Annotated[int, Query(ge=0, le=2**63 - 1)],
    wait: Annotated[float, Query(ge=0, le=60, description="seconds")] = 0,
) -> EventPage:
    """The durable frames of the socket, for clients without sockets; at most 200 at once."""
    seq, forgotten_seq = await messenger.position(user.id)
    if after == seq and wait > 0:
        await _wait_for_event(request, messenger, user.id, seq, wait)
    rows = await delivery.list_events(database, after=[Told(user.id, after)], limit=EVENTS_LIMIT)
    is_whole = [row.seq for row in rows] == list(range(after + 1, after + 1 + len(rows)))
    if not (forgotten_seq <= after <= seq and is_whole and (rows or after == seq)):
        raise ResyncError(f"What was missed is no longer known: reload the conversations, then go on after={seq}.")
    events = [json.loads(event_frames(row).durable(row.user_id, row.seq)) for row in rows]
    return EventPage(events=events, seq=rows[-1].seq if rows else after)


async def _wait_for_event(request: Request, messenger: Messenger, user_id: int, seq: int, seconds: float) -> None:
    """Until there is an event after *seq*, the time is over, or the client is gone."""
    poll = LongPoll(user_id, after=seq)
    hub = messenger.hub
    hub.add(poll, seq=seq)
    waiting = [asyncio.create_task(poll.something.wait()), asyncio.create_task(_until_gone(request))]
    try:
        if hub.tail(user_id) <= seq:  # a feed that was here before may have been told more
            await messenger.refresh(user_id)
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
        hub.remove(poll)


async def _until_gone(request: Request) -> object:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return None


@router.post(
    "/admin/broadcast",
    summary="Tell everybody",
    responses=may_fail(*SIGNED_IN, *WITH_BODY, AdminRequiredError, RateLimitedError),
)
async def broadcast(messenger: Chat, limits: Limits, admin: CurrentAdmin, body: AnnouncementCreate) -> AnnouncementSent:
    """An `announcement` frame to everybody, now or when they come back."""
    check_length(body.content)
    await limits.hit(limits.message, str(admin.id))
    return AnnouncementSent(id=await messenger.announce(sender_id=admin.id, content=body.content))
