"""The chat protocol apart from its sockets: frames in, and frames out that are not events. See docs/protocol.md."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    StrictBool,
    Tag,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import PydanticKnownError

from delivery.events import timestamp
from edge.fields import ClientId, Id, NotBlank, SequenceNumber, Storable, check_number, check_storable, refusal
from errors import PagewireError

SUBPROTOCOL = "pagewire.v2"
TOKEN_SUBPROTOCOL = "bearer."  # noqa: S105
MAX_FRAME_BYTES = 400 * 1024  # 32,000 characters fit in any script, escaped too: an emoji takes 12 bytes then
ABSURD_FRAME_BYTES = 2 * 1024 * 1024  # ends the socket; one that is merely too large is answered by an error frame
MAX_MESSAGE_CHARACTERS = 32_000
MAX_MATCH_CHARACTERS = 1000
HEARTBEAT_SECONDS = 20


class BadFrameError(PagewireError):
    """Unknown or malformed frame; see docs/protocol.md."""

    status = 422
    code = "bad_frame"


# Frames in


Reference = (
    Annotated[str, Field(strict=True, max_length=64)] | Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
)


def _check_content(text: str, info: ValidationInfo) -> str:
    """What a message says may be empty if it points at a document."""
    if not text.strip() and info.data.get("document_id") is None:
        raise refusal("Should not be empty") if text else PydanticKnownError("string_too_short", {"min_length": 1})
    return check_storable(text)


def _check_pointer(value: Any, info: ValidationInfo) -> Any:
    if value is not None and info.data.get("document_id", value) is None:
        raise refusal("Should come together with document_id")
    return value


PageNumber = Annotated[int, Field(ge=1, le=2**31 - 1), BeforeValidator(check_number)]
Match = Annotated[NotBlank, Field(max_length=MAX_MATCH_CHARACTERS)]


class MessageBody(BaseModel):
    """What people send each other: words, a document, or both."""

    recipient_id: Id
    document_id: Annotated[Id | None, Field(description="a document to show; its owner's message shares it")] = None
    page: Annotated[PageNumber | None, AfterValidator(_check_pointer)] = None
    match: Annotated[
        Match | None, AfterValidator(_check_pointer), Field(description="a term to highlight; quoted from `page`")
    ] = None
    share: Annotated[
        bool, Field(strict=True, description="false: only to people who may already read the document")
    ] = True
    content: Annotated[Storable, AfterValidator(_check_content), Field(validate_default=True)] = ""
    client_id: ClientId | None = None


class _Frame(BaseModel):
    ref: Reference | None = None  # the client's own; comes back in ack and error


class SendFrame(_Frame, MessageBody):
    """Send a message. The type may be left out, as classic clients do."""

    type: Literal["message"] = "message"


class ResumeFrame(_Frame):
    """What did I miss after this event?"""

    type: Literal["resume"]
    last_seq: SequenceNumber
    epoch: Annotated[Storable, Field(max_length=64)] | None = None  # in which the client received it


class ReadFrame(_Frame):
    """I have read what this user wrote, up to this message."""

    type: Literal["read"]
    user_id: Id
    up_to_id: Id


class TypingFrame(_Frame):
    """I am writing to this user, or no longer."""

    type: Literal["typing"]
    recipient_id: Id
    active: StrictBool = True


class EditFrame(_Frame):
    """Replace what my message says."""

    type: Literal["edit"]
    id: Id
    content: NotBlank


class DeleteFrame(_Frame):
    """Take my message back."""

    type: Literal["delete"]
    id: Id


class AuthFrame(_Frame):
    """A newer token of the same user, before the old one expires."""

    type: Literal["auth"]
    token: Annotated[str, Field(max_length=8192)]


class PingFrame(_Frame):
    """Are you there?"""

    type: Literal["ping"]


ClientFrame = SendFrame | ResumeFrame | ReadFrame | TypingFrame | EditFrame | DeleteFrame | AuthFrame | PingFrame


def _type_of(frame: Any) -> str:
    kind = frame.get("type", "message") if isinstance(frame, dict) else None
    return kind if isinstance(kind, str) else ""


_client_frame: TypeAdapter[ClientFrame] = TypeAdapter(
    Annotated[
        Annotated[SendFrame, Tag("message")]
        | Annotated[ResumeFrame, Tag("resume")]
        | Annotated[ReadFrame, Tag("read")]
        | Annotated[TypingFrame, Tag("typing")]
        | Annotated[EditFrame, Tag("edit")]
        | Annotated[DeleteFrame, Tag("delete")]
        | Annotated[AuthFrame, Tag("auth")]
        | Annotated[PingFrame, Tag("ping")],
        Discriminator(_type_of),
    ]
)


_reference: TypeAdapter[str | int] = TypeAdapter(Reference)


def parse_frame(text: str | None, *, classic: bool) -> ClientFrame:
    """Understand one frame; *text* None was a binary one. A classic client can only send messages.

    Raises:
        BadFrameError: with what is wrong.
    """
    if text is None:
        raise BadFrameError("Frames are JSON text, not bytes.")
    text = text.removeprefix("\ufeff")
    try:
        return SendFrame.model_validate_json(text) if classic else _client_frame.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"] if part != "message")
        raise BadFrameError(f"{where}: {first['msg']}" if where else first["msg"]) from error


def peek_reference(text: str | None) -> tuple[str | int | None, str | None]:
    """The `ref` and `client_id` of a malformed frame, where they can be made out."""
    try:
        frame = json.loads((text or "").removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(frame, dict):
        return None, None
    ref, client_id = frame.get("ref"), frame.get("client_id")
    return (
        ref if _is_reference(ref) else None,
        client_id if isinstance(client_id, str) and len(client_id) <= 64 else None,
    )


def _is_reference(ref: object) -> bool:
    try:
        _reference.validate_python(ref)
    except ValidationError:
        return False
    return True


# Frames out


def ready_frame(*, user_id: int, seq: int, epoch: str, resumed: bool, messages: str, sockets: int) -> str:
    """After signing in, and after a replay: from here on everything after *seq* comes by itself."""
    limits = {
        "frame_bytes": MAX_FRAME_BYTES,
        "message_characters": MAX_MESSAGE_CHARACTERS,
        "messages": messages,
        "sockets": sockets,
    }
    return json.dumps(
        {
            "type": "ready",
            "user_id": user_id,
            "seq": seq,
            "epoch": epoch,
            "resumed": resumed,
            "heartbeat": HEARTBEAT_SECONDS,
            "limits": limits,
        }
    )


def ack_frame(
    *,
    ref: str | int | None,
    client_id: str | None,
    message_id: int,
    created_at: datetime | None,
    duplicate: bool,
    seq: int | None,
) -> str:
    """What the client asked for is stored; nothing can lose it now."""
    return json.dumps(
        {
            "type": "ack",
            "ref": ref,
            "client_id": client_id,
            "id": message_id,
            "created_at": timestamp(created_at),
            "duplicate": duplicate,
            "seq": seq,
        }
    )


def error_frame(error: PagewireError, *, ref: str | int | None = None, client_id: str | None = None) -> str:
    return json.dumps(
        {
            "type": "error",
            "code": error.code,
            "detail": error.detail,
            "ref": ref,
            "client_id": client_id,
            "retry_after": error.retry_after,
        }
    )


def resync_frame(*, reason: str, seq: int, epoch: str) -> str:
    """The missed events are no longer kept, or the history is another: reload by REST, then go on from *seq*."""
    return json.dumps({"type": "resync", "reason": reason, "seq": seq, "epoch": epoch})


def epoch_frame(*, epoch: str) -> str:
    """The history goes on under a new name: resume with it from now on."""
    return json.dumps({"type": "epoch", "epoch": epoch})


def typing_frame(*, user_id: int, active: bool) -> str:
    return json.dumps({"type": "typing", "user_id": user_id, "active": active})


def presence_frame(*, user_id: int, is_online: bool, last_seen_at: datetime | None) -> str:
    status = "online" if is_online else "offline"
    return json.dumps(
        {"type": "presence", "user_id": user_id, "status": status, "last_seen_at": timestamp(last_seen_at)}
    )


def read_frame(*, user_id: int, other_id: int, up_to_id: int) -> str:
    """For both people: *user_id* has read what *other_id* wrote, up to a message."""
    return json.dumps({"type": "read", "user_id": user_id, "other_id": other_id, "up_to_id": up_to_id})


def unread_frame(*, user_id: int, unread_count: int, read_up_to_id: int, total: int) -> str:
    """To my own sockets: how much of what *user_id* wrote I have not read, and how much in all."""
    return json.dumps(
        {
            "type": "unread",
            "user_id": user_id,
            "unread_count": unread_count,
            "read_up_to_id": read_up_to_id,
            "total": total,
        }
    )


def progress_frame(*, document_id: int, page: int, pages: int, stage: str) -> str:
    """How far the reading of a document is."""
    return json.dumps(
        {"type": "document.progress", "document_id": document_id, "page": page, "pages": pages, "stage": stage}
    )


def pong_frame(*, ref: str | int | None) -> str:
    return json.dumps({"type": "pong", "ref": ref})
