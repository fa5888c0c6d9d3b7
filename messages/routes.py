"""Messages between two users over REST; sockets.py does the same live."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Literal, NoReturn

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse
from starlette.routing import Route

from accounts.queries import find_user
from accounts.routes import User
from auth import FOR_USERS, CurrentAdmin, CurrentUser, Db, UserRow, current_user
from db import Database
from delivery.attachments import describe_attachment
from delivery.events import MessageRow, timestamp
from delivery.feed import Feed
from delivery.protocol import MessageBody
from edge.answers import MAY_WRITE, SIGNED_IN, WITH_BODY, DirectRoute, may_fail, operation_id
from edge.engines import get_engine, opened
from edge.fields import MAX_ID, Id, IdParameter, NotBlank, refusal
from edge.forms import described_json, read_json
from edge.portions import first_portion, portions
from errors import (
    AdminRequiredError,
    ClientIdReusedError,
    DocumentNotFoundError,
    ForbiddenError,
    MessageNotFoundError,
    PageNotFoundError,
    PayloadTooLargeError,
    RateLimitedError,
    UpgradeRequiredError,
    UserNotFoundError,
)
from messages import presence_queries, queries
from messages.messenger import Messenger, draft_of
from messages.portion_queries import MessageSize, list_message_sizes
from messages.presence_queries import PresenceRow
from messages.queries import ConversationRow

Chat = Annotated[Messenger, opened(Messenger)]
MAX_PAGE = 1_000_000
CONVERSATION_LIMIT = 1000
SMALL_LIMIT = 50  # messages that are read and answered at once, whatever their size


def _check_cursor(cursor: str) -> str:
    if any(int(number) > MAX_ID for number in cursor.split("-")):
        raise refusal("Should be a cursor of an earlier answer")
    return cursor


ConversationCursor = Annotated[
    str, Field(pattern=r"^[1-9][0-9]*(-[1-9][0-9]*)?$", max_length=39), AfterValidator(_check_cursor)
]

router = APIRouter(tags=["messages"], generate_unique_id_function=operation_id)


# The wire


class MessageCreate(MessageBody):
    """A message to one user. A repeat with the same client_id is not sent again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"recipient_id": 2, "content": "Page 57 has the figures.", "client_id": "a1"},
                {"recipient_id": 2, "content": "Look!", "document_id": 7, "page": 57, "match": "figures"},
            ]
        }
    )


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


class QuotePart(BaseModel):
    """Some text of a quote."""

    text: str = Field(examples=["Total due"])
    hit: bool = Field(description="it is what `match` looked for")


class Attachment(BaseModel):
    """The document that a message points at, as I may see it now. What was quoted stays."""

    document_id: int = Field(examples=[7])
    filename: str = Field(examples=["invoice.pdf"])
    page_count: int | None = Field(examples=[57])
    page: int | None = Field(examples=[57])
    match: str | None = Field(description="the term to highlight", examples=["figures"])
    snippet: list[QuotePart] = Field(description="the hit, with the words around it")
    thumbnail: str | None = Field(examples=["/documents/7/pages/57/image?width=240&v=9f86d081&q=figures"])
    status: Literal["processing", "ready", "failed"] | None = Field(description="null if it is not available")
    available: bool = Field(description="false once it is deleted, or no longer shared with me")


class Message(BaseModel):
    """A stored message; one that was taken back has `deleted_at` and no content."""

    id: int = Field(examples=[991])
    sender_id: int = Field(examples=[1])
    recipient_id: int = Field(examples=[2])
    content: str = Field(examples=["Page 57 has the figures."])
    created_at: datetime = Field(examples=["2026-11-23T09:30:00.123456Z"])
    sender_name: str = Field(examples=["Alice"])
    client_id: str | None = Field(description="the sender's own name for it; null for the other person")
    edited_at: datetime | None
    deleted_at: datetime | None
    attachment: Attachment | None = Field(description="a document that it points at")

    @classmethod
    def from_row(cls, row: MessageRow, reader: UserRow) -> "Message":
        fields = row._asdict() | {"attachment": describe_attachment(row.attachment)}
        if row.sender_id != reader.id:
            fields["client_id"] = None
        return cls(**fields)


class MessagePage(BaseModel):
    """One page of my messages."""

    messages: list[Message]
    page: int = Field(examples=[1])
    limit: int = Field(examples=[50])
    has_more: bool


class Partner(User):
    """Whom I have a conversation with, and whether they are here."""

    online: bool = Field(description="a socket of theirs is open", examples=[False])
    last_seen_at: datetime | None = Field(
        description="when their last socket closed; null before the first did", examples=["2026-11-23T09:34:00.123456Z"]
    )


class Conversation(BaseModel):
    """One of my conversations."""

    user: Partner
    last_message: Message
    unread_count: int = Field(description="counted up to 1,000", examples=[3])
    read_up_to_id: int = Field(description="by me: a message id", examples=[990])
    their_read_up_to_id: int = Field(description="by the other person: a message id", examples=[991])

    @classmethod
    def from_row(cls, row: ConversationRow, reader: UserRow, presence: PresenceRow) -> "Conversation":
        return cls(
            user=Partner(
                **User.from_row(row.other).model_dump(),
                online=presence.is_online,
                last_seen_at=presence.last_seen_at,
            ),
            last_message=Message.from_row(row.last_message, reader),
            unread_count=row.unread_count,
            read_up_to_id=row.read_up_to_id,
            their_read_up_to_id=row.their_read_up_to_id,
        )


class ConversationPage(BaseModel):
    """Some conversations, the one with the newest message first; `next_cursor` leads to older ones."""

    conversations: list[Conversation]
    next_cursor: str | None = Field(examples=["990-1012"])
    seq: int = Field(description="of my last event; what follows it may be missing here", examples=[1041])


class ReadUpTo(BaseModel):
    """I have read everything up to this message."""

    model_config = {"json_schema_extra": {"examples": [{"up_to_id": 991}]}}

    up_to_id: Id


class ReadMark(BaseModel):
    """How far I have read, and what is left."""

    read_up_to_id: int = Field(examples=[991])
    unread_count: int = Field(description="of this conversation, counted up to 1,000", examples=[0])
    total: int = Field(description="unread messages of all conversations, counted up to 1,000", examples=[3])


class AnnouncementCreate(BaseModel):
    """An announcement to every user."""

    model_config = {"json_schema_extra": {"examples": [{"content": "Pagewire moves to a new machine at six."}]}}

    content: Annotated[NotBlank, Field(description="at most 32,000 characters")]


class AnnouncementSent(BaseModel):
    """The announcement is stored; every user receives it."""

    id: int = Field(examples=[3])
    message: Literal["Announcement sent"] = "Announcement sent"


# Messages


async def send_message(request: Request) -> Response:
    """The answer comes after the message is stored; open sockets of both users have been handed it by then.

    With `document_id` it shows a document that the sender may read. The owner's message shares it with the recipient;
    anybody else's, and one with `share` false, goes only to people who may read it already: an answer about a document
    that was taken back meanwhile is a 404. Words may be left out then.
    """
    user = await current_user(request)
    body = await read_json(request, MessageCreate)
    draft = draft_of(body, sender_id=user.id)
    stored = await get_engine(request, Messenger).send(draft)
    sent = MessageSent(id=stored.message.id, created_at=stored.message.created_at, duplicate=stored.duplicate)
    return Response(sent.model_dump_json(), media_type="application/json")


router.add_api_route(
    "/messages",
    send_message,
    methods=["POST"],
    summary="Send a message",
    response_model=MessageSent,
    openapi_extra={
        **FOR_USERS,
        **described_json(MessageCreate),
    },
    responses=may_fail(
        *MAY_WRITE,
        *WITH_BODY,
        UserNotFoundError,
        DocumentNotFoundError,
        PageNotFoundError,
        ClientIdReusedError,
        PayloadTooLargeError,
        RateLimitedError,
    ),
    route_class_override=DirectRoute,
)


@router.get("/messages", summary="All my messages", response_model=MessagePage, responses=may_fail(*SIGNED_IN))
async def list_messages(
    database: Db,
    user: CurrentUser,
    page: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    order: Annotated[Literal["asc", "desc"], Query()] = "desc",
) -> MessagePage | Response:
    """Messages to and from me, newest first, or oldest first with `order=asc`."""
    rows = await queries.list_messages(
        database, user_id=user.id, offset=(page - 1) * limit, limit=limit + 1, oldest_first=order == "asc"
    )
    has_more = len(rows) > limit
    if len(list(portions(rows[:limit], _size_of))) > 1:
        end = json.dumps({"page": page, "limit": limit, "has_more": has_more})[1:]
        return StreamingResponse(_write_rows(rows[:limit], user, f"], {end}"), media_type="application/json")
    return MessagePage(
        messages=[Message.from_row(row, user) for row in rows[:limit]], page=page, limit=limit, has_more=has_more
    )


def _size_of(row: MessageRow) -> int:
    return 2 * len(row.content)


async def _write_rows(rows: list[MessageRow], reader: UserRow, end: str) -> AsyncIterator[str]:
    yield '{"messages": ['
    comma = ""
    for portion in portions(rows, _size_of):
        yield comma + json.dumps([_message_fields(row, reader) for row in portion])[1:-1]
        comma = ", "
    yield end


@router.get(
    "/messages/{user_id}",
    summary="My messages with one user",
    response_model=list[Message],
    responses=may_fail(*SIGNED_IN, UserNotFoundError),
)
async def list_conversation(
    database: Db,
    user: CurrentUser,
    user_id: IdParameter,
    limit: Annotated[int, Query(ge=1, le=CONVERSATION_LIMIT)] = CONVERSATION_LIMIT,
    before: Annotated[IdParameter | None, Query(description="a message id")] = None,
    after: Annotated[IdParameter | None, Query(description="a message id")] = None,
    around: Annotated[IdParameter | None, Query(description="a message id; it is in the middle")] = None,
) -> Response:
    """Oldest first: the latest 1,000, or *limit* of those before, after or around a message."""
    between = {"user_id": user.id, "other_id": user_id}
    if limit > SMALL_LIMIT:
        sizes = await _list_sizes(database, between, before=before, after=after, around=around, limit=limit)
        parts = list(portions(sizes, lambda size: size.byte_count))
        if len(parts) > 1:
            return StreamingResponse(_write_parts(database, between, parts, user), media_type="application/json")
    if around is None:
        rows = await queries.list_conversation(database, **between, before_id=before, after_id=after, limit=limit)
    else:
        rows = await queries.list_conversation(database, **between, before_id=around, limit=limit // 2)
        rows += await queries.list_conversation(database, **between, after_id=around - 1, limit=limit - limit // 2)
    if not rows and await find_user(database, user_id=user_id) is None:
        raise UserNotFoundError
    # Without a model in between: fifty messages take 60 µs, not 400.
    return Response(json.dumps([_message_fields(row, user) for row in rows]), media_type="application/json")


async def _list_sizes(
    database: Database,
    between: dict[str, int],
    *,
    before: int | None,
    after: int | None,
    around: int | None,
    limit: int,
) -> list[MessageSize]:
    if around is None:
        return await list_message_sizes(database, **between, before_id=before, after_id=after, limit=limit)
    sizes = await list_message_sizes(database, **between, before_id=around, limit=limit // 2)
    return sizes + await list_message_sizes(database, **between, after_id=around - 1, limit=limit - limit // 2)


async def _write_parts(
    database: Database, between: dict[str, int], parts: list[list[MessageSize]], reader: UserRow
) -> AsyncIterator[str]:
    yield "["
    comma = ""
    for part in parts:
        rows = await queries.list_conversation(
            database, **between, after_id=part[0].id - 1, before_id=part[-1].id + 1, limit=len(part)
        )
        if rows:
            yield comma + json.dumps([_message_fields(row, reader) for row in rows])[1:-1]
            comma = ", "
    yield "]"


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
        "attachment": describe_attachment(row.attachment),
    }


CHANGE_ERRORS = may_fail(*MAY_WRITE, *WITH_BODY, MessageNotFoundError, ForbiddenError, RateLimitedError)


@router.patch(
    "/message/{message_id}",
    summary="Change what my message says",
    openapi_extra=described_json(MessagePatch),
    responses=CHANGE_ERRORS,
)
async def edit_message(request: Request, messenger: Chat, user: CurrentUser, message_id: IdParameter) -> Message:
    """Both people receive the change; the message keeps its place."""
    body = await read_json(request, MessagePatch)
    row, _ = await messenger.edit(message_id=message_id, author_id=user.id, content=body.content)
    return Message.from_row(row, user)


@router.delete("/message/{message_id}", status_code=204, summary="Take my message back", responses=CHANGE_ERRORS)
async def delete_message(messenger: Chat, user: CurrentUser, message_id: IdParameter) -> None:
    """Its content is gone for both people; a tombstone keeps its place."""
    await messenger.edit(message_id=message_id, author_id=user.id, content=None)


# Conversations and events


@router.get("/conversations", summary="Whom I have messages with", responses=may_fail(*SIGNED_IN))
async def list_conversations(
    database: Db,
    feed: Annotated[Feed, opened(Feed)],
    user: CurrentUser,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[ConversationCursor | None, Query()] = None,
) -> ConversationPage:
    """With the last message and how much I have not read, the newest first. One that moves up between two pages is in
    the second at its old place.
    """
    seq = (await feed.position(user.id)).seq  # first: an event that comes meanwhile is told again
    before_id, as_of_id = _read_cursor(cursor)
    rows = await queries.list_conversations(
        database, user_id=user.id, before_id=before_id, as_of_id=as_of_id, limit=limit + 1
    )
    shown = first_portion(rows[:limit], lambda row: _size_of(row.last_message))
    next_cursor = None
    if len(rows) > len(shown):
        next_cursor = f"{shown[-1].position_id}-{as_of_id or rows[0].position_id}"
    found = await presence_queries.list_presence(database, user_ids=[row.other.id for row in shown])
    presence = {person.user_id: person for person in found}
    return ConversationPage(
        conversations=[Conversation.from_row(row, user, presence[row.other.id]) for row in shown],
        next_cursor=next_cursor,
        seq=seq,
    )


def _read_cursor(cursor: str | None) -> tuple[int | None, int | None]:
    """The place before which the page begins, and the first place of the first page."""
    before_id, _, as_of_id = (cursor or "").partition("-")
    return int(before_id) if before_id else None, int(as_of_id) if as_of_id else None


@router.post(
    "/messages/{user_id}/read",
    summary="Mark a conversation as read",
    responses=may_fail(*MAY_WRITE, *WITH_BODY, UserNotFoundError),
)
async def mark_read(messenger: Chat, user: CurrentUser, user_id: IdParameter, body: ReadUpTo) -> ReadMark:
    """Up to a message, never backwards. The other person and my other tabs see it."""
    unread = await messenger.mark_read(user_id=user.id, other_id=user_id, up_to_id=body.up_to_id)
    return ReadMark(**unread._asdict())


@router.post(
    "/admin/broadcast",
    summary="Announce something to every user",
    openapi_extra=described_json(AnnouncementCreate),
    responses=may_fail(*MAY_WRITE, *WITH_BODY, AdminRequiredError, RateLimitedError),
)
async def broadcast(request: Request, messenger: Chat, admin: CurrentAdmin) -> AnnouncementSent:
    """An `announcement` frame to every user, now or when they are back."""
    body = await read_json(request, AnnouncementCreate)
    return AnnouncementSent(id=await messenger.announce(sender_id=admin.id, content=body.content))


# The address of the socket, without its upgrade


async def refuse_http(request: Request) -> NoReturn:
    raise UpgradeRequiredError


router.routes += [Route("/ws/{user_id}", refuse_http), Route("/ws", refuse_http)]
