"""What events are made of, and the frames that sockets receive of them."""

import json
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from delivery.attachments import Attachment, describe_attachment

_dumps = json.JSONEncoder(ensure_ascii=False).encode  # an emoji takes four bytes, not twelve

DOCUMENT_FIELDS = {
    "document.added": ("document_id", "filename", "status"),
    "document.changed": ("document_id", "filename", "status"),
    "document.ready": ("document_id", "filename", "page_count", "tables_found"),
    "document.failed": ("document_id", "filename", "code", "detail"),
    "document.shared": ("document_id", "filename", "page_count", "status", "owner_id", "owner_name"),
}


def timestamp(moment: datetime | None) -> str | None:
    """*moment* as the JSON answers write it."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


class MessageRow(NamedTuple):
    id: int
    sender_id: int
    recipient_id: int
    content: str
    created_at: datetime
    sender_name: str
    client_id: str | None  # shown to the sender alone
    edited_at: datetime | None
    deleted_at: datetime | None  # a tombstone, without content
    attachment: Attachment | None = None  # as one reader may see it: see attachment_column()


class AnnouncementRow(NamedTuple):
    id: int
    sender_id: int | None  # None: the account is gone
    content: str
    created_at: datetime
    sender_name: str | None


class Event(NamedTuple):
    """What a durable frame is made of, apart from its number."""

    kind: str  # message, edited, deleted, announcement, or one of a document, as DOCUMENT_FIELDS has them
    ref_id: int
    message: MessageRow | None = None  # None: it is gone with its sender's account
    announcement: AnnouncementRow | None = None
    document: dict[str, Any] | None = None  # the fields of DOCUMENT_FIELDS; None: this user may not read it now


class EventFrames:
    """The frames of one event, each made once and only if a socket needs it."""

    def __init__(self, event: Event) -> None:
        self._event = event
        self._durable: tuple[int, int, str] | None = None  # the last one: all sockets of its user share it

    @property
    def recipient_id(self) -> int | None:
        message = self._event.message
        return None if message is None else message.recipient_id

    def durable(self, user_id: int, seq: int) -> str:
        """The frame for a v2 socket of *user_id*."""
        if self._durable is not None and self._durable[:2] == (user_id, seq):
            return self._durable[2]
        message = self._event.message
        is_sender = message is not None and message.sender_id == user_id
        rest = self._for_sender if is_sender else self._for_others
        frame = f'{{"type": "{self._type}", "seq": {seq}, "prev": {seq - 1}, {rest}'
        self._durable = (user_id, seq, frame)
        return frame

    def classic(self) -> str | None:
        """The frame for a classic socket; None if classic sockets do not receive this."""
        message = self._event.message
        return self._classic if self._type == "message" and message and message.deleted_at is None else None

    @property
    def _type(self) -> str:
        kind = self._event.kind
        if kind.startswith("document."):
            if self._event.document is not None or kind == "document.unshared":
                return kind
            return "document.unshared" if kind == "document.shared" else "document.deleted"
        return "deleted" if self._event.message is None and kind != "announcement" else kind

    @cached_property
    def _for_sender(self) -> str:
        return _dumps(self._fields(for_sender=True))[1:]

    @cached_property
    def _for_others(self) -> str:
        return _dumps(self._fields(for_sender=False))[1:]

    @cached_property
    def _classic(self) -> str:
        message = self._event.message
        assert message is not None
        return _dumps(
            {
                "sender_id": message.sender_id,
                "content": message.content or _name_attachment(message.attachment),
                "timestamp": timestamp(message.created_at),
                "id": message.id,
                "recipient_id": message.recipient_id,
                "sender_name": message.sender_name,
            }
        )

    def _fields(self, *, for_sender: bool) -> dict[str, object]:
        event, kind = self._event, self._type
        if kind.startswith("document."):
            return _document_fields(kind, event)
        if kind == "announcement":
            return _announcement_fields(event)
        if event.message is None:
            return {"id": event.ref_id, "sender_id": None, "recipient_id": None, "deleted_at": None}
        return _message_fields(kind, event.message, for_sender=for_sender)


def _message_fields(kind: str, message: MessageRow, *, for_sender: bool) -> dict[str, object]:
    people = {"id": message.id, "sender_id": message.sender_id, "recipient_id": message.recipient_id}
    is_gone = message.deleted_at is not None
    if kind == "deleted":
        return {**people, "deleted_at": timestamp(message.deleted_at)}
    content = None if is_gone else message.content
    if kind == "edited":
        return {**people, "content": content, "edited_at": timestamp(message.edited_at), "deleted": is_gone}
    return {
        **people,
        "content": content,
        "timestamp": timestamp(message.created_at),
        "sender_name": message.sender_name,
        "client_id": message.client_id if for_sender else None,
        "attachment": None if is_gone else describe_attachment(message.attachment),
        "edited_at": timestamp(message.edited_at),
        "deleted": is_gone,
    }


def _name_attachment(attachment: Attachment | None) -> str:
    """What a classic client shows of a message without words."""
    if attachment is None:
        return ""
    name = str(attachment["filename"])
    return name if attachment["page"] is None else f"{name}, page {attachment['page']}"


def _announcement_fields(event: Event) -> dict[str, object]:
    announcement = event.announcement
    assert announcement is not None  # announcements are never deleted
    return {
        "id": announcement.id,
        "sender_id": announcement.sender_id,
        "content": announcement.content,
        "timestamp": timestamp(announcement.created_at),
        "sender_name": announcement.sender_name,
    }


def _document_fields(kind: str, event: Event) -> dict[str, object]:
    wanted = DOCUMENT_FIELDS.get(kind)
    if wanted is None or event.document is None:
        return {"document_id": event.ref_id}
    return {name: event.document[name] for name in wanted}
