"""Routes of people around a document: who may read it, besides its owner, and what they say about it."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from auth import CurrentUser, Db
from documents import share_queries
from documents.library import Library
from documents.share_queries import ShareRow
from documents.shares import OwnDocumentError, ShareNotFoundError
from edge.answers import MAY_WRITE, SIGNED_IN, may_fail, operation_id
from edge.engines import opened
from edge.fields import IdParameter
from errors import DocumentNotFoundError, RateLimitedError, UserNotFoundError
from messages import attachment_queries
from messages.routes import Message

router = APIRouter(tags=["documents"], generate_unique_id_function=operation_id)

Docs = Annotated[Library, opened(Library)]


class Reader(BaseModel):
    """A user whom a document is shared with."""

    id: int = Field(examples=[3])
    name: str = Field(examples=["Carol"])


class Share(BaseModel):
    """A document is shared with a user, since then."""

    user: Reader
    created_at: datetime = Field(examples=["2026-11-23T09:30:00.123456Z"])

    @classmethod
    def from_row(cls, row: ShareRow) -> "Share":
        return cls(user=Reader(id=row.user_id, name=row.name), created_at=row.created_at)


class SharePage(BaseModel):
    """Whom a document is shared with, by id; `next_cursor` leads to more."""

    shares: list[Share]
    next_cursor: str | None = Field(examples=[None])


@router.get(
    "/documents/{document_id}/shares",
    summary="Whom a document is shared with",
    responses=may_fail(*SIGNED_IN, DocumentNotFoundError),
)
async def list_shares(
    database: Db,
    library: Docs,
    user: CurrentUser,
    document_id: IdParameter,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[IdParameter | None, Query()] = None,
) -> SharePage:
    """Its owner is not among them. Everybody who may read it may ask."""
    row = await library.get_document(document_id, user_id=user.id)
    rows = await share_queries.list_shares(database, document_id=row.id, after_id=cursor or 0, limit=limit + 1)
    return SharePage(
        shares=[Share.from_row(share) for share in rows[:limit]],
        next_cursor=str(rows[limit - 1].user_id) if len(rows) > limit else None,
    )


@router.get(
    "/documents/{document_id}/shares/{user_id}",
    summary="Whether my document is shared with a user",
    responses=may_fail(*SIGNED_IN, DocumentNotFoundError, ShareNotFoundError),
)
async def read_share(
    database: Db, library: Docs, user: CurrentUser, document_id: IdParameter, user_id: IdParameter
) -> Share:
    row = await library.get_owned_document(document_id, user_id=user.id)
    share = await share_queries.find_share(database, document_id=row.id, user_id=user_id)
    if share is None:
        raise ShareNotFoundError
    return Share.from_row(share)


@router.put(
    "/documents/{document_id}/shares/{user_id}",
    summary="Share my document with a user",
    responses=may_fail(*MAY_WRITE, DocumentNotFoundError, UserNotFoundError, OwnDocumentError, RateLimitedError),
)
async def share_document(library: Docs, user: CurrentUser, document_id: IdParameter, user_id: IdParameter) -> Share:
    """They are sent a message that shows it, the first time; a repeat changes nothing."""
    return Share.from_row(await library.shares.share(document_id, user_id=user.id, reader_id=user_id))


@router.delete(
    "/documents/{document_id}/shares/{user_id}",
    status_code=204,
    summary="Take my document back from a user",
    responses=may_fail(*MAY_WRITE, DocumentNotFoundError, ShareNotFoundError),
)
async def unshare_document(library: Docs, user: CurrentUser, document_id: IdParameter, user_id: IdParameter) -> None:
    """They may read nothing of it from now on; messages that show it stay, with what was quoted."""
    await library.shares.unshare(document_id, user_id=user.id, reader_id=user_id)


class DocumentMessages(BaseModel):
    """What was said about a document, newest first; `next_cursor` leads to older messages."""

    messages: list[Message]
    next_cursor: str | None = Field(examples=["990"])


@router.get(
    "/documents/{document_id}/messages",
    summary="What was said about a document",
    responses=may_fail(*SIGNED_IN, DocumentNotFoundError),
)
async def list_document_messages(
    database: Db,
    library: Docs,
    user: CurrentUser,
    document_id: IdParameter,
    page: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="about this page only")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[IdParameter | None, Query()] = None,
) -> DocumentMessages:
    """To me or by me, newest first."""
    row = await library.get_document(document_id, user_id=user.id)
    rows = await attachment_queries.list_document_messages(
        database, document_id=row.id, user_id=user.id, page_number=page, before_id=cursor, limit=limit + 1
    )
    return DocumentMessages(
        messages=[Message.from_row(message, user) for message in rows[:limit]],
        next_cursor=str(rows[limit - 1].id) if len(rows) > limit else None,
    )
