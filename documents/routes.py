"""Routes of the PDF library: upload, list, read, rename, delete."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from pydantic import BaseModel, Field, TypeAdapter

from auth import CurrentUser, Db, Limits, UserRow
from db import Database
from delivery.attachments import thumbnail_address
from documents import list_queries, page_queries
from documents.answers import DocumentText, ReadersNote, ReadingWarning
from documents.library import AddedDocument, Library
from documents.list_queries import DocumentCounts, ListedDocument, SameRow, Shelf, Sort
from documents.queries import DetailsRow, DocumentRow, Status
from documents.shares import OwnDocumentError
from documents.sharing import Reader
from documents.texts import list_parts, text_in_parts
from documents.uploads import (
    MAX_FILENAME_CHARACTERS,
    MAX_PASSWORD_CHARACTERS,
    WITH_PDF,
    FileName,
    name_as_pdf,
    received_pdf,
    upload_body,
)
from edge.answers import MAY_WRITE, SIGNED_IN, WITH_BODY, may_fail, operation_id
from edge.engines import opened
from edge.fields import DESCRIBED_MAX_ID, MAX_ID, ClientId, Download, IdParameter, Storable, check_storable
from edge.hangups import while_connected
from edge.ranges import file_response
from errors import (
    ClientIdReusedError,
    DocumentFileMissingError,
    DocumentNotFoundError,
    DocumentNotReadyError,
    QuotaExceededError,
    ReadOnlyKeyError,
    RequestedRangeError,
    StorageUnavailableError,
    UserNotFoundError,
)

MAX_LISTED = 1000  # documents, if the client sets no limit

Docs = Annotated[Library, opened(Library)]

router = APIRouter(tags=["documents"], generate_unique_id_function=operation_id)

DocumentCursor = Annotated[str, Field(pattern=r"^([A-Za-z0-9_-]+\.)?[1-9][0-9]*$", max_length=3000)]

_id: TypeAdapter[int] = TypeAdapter(IdParameter)
_number: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=0, le=MAX_ID)])
MAX_TITLE_CHARACTERS = 300

_client_id: TypeAdapter[str] = TypeAdapter(ClientId)
_content: TypeAdapter[str] = TypeAdapter(Storable)


# The wire


class DocumentPatch(BaseModel):
    """A document's new name."""

    model_config = {"json_schema_extra": {"examples": [{"filename": "invoice.pdf"}]}}

    filename: FileName


class ReadAgain(BaseModel):
    """How to open the file."""

    model_config = {"json_schema_extra": {"examples": [{"password": "open sesame"}]}}

    password: Annotated[Storable, Field(max_length=MAX_PASSWORD_CHARACTERS)] | None = Field(
        default=None, description="null keeps the one that is known"
    )


class Owner(BaseModel):
    """The user who uploaded the document."""

    id: int = Field(examples=[2])
    name: str = Field(examples=["Bob"])


class Failure(BaseModel):
    """Why a document could not be processed."""

    code: str = Field(examples=["bad_pdf"])
    detail: str = Field(examples=["Error processing PDF: the file is damaged."])

    @classmethod
    def from_row(cls, row: DocumentRow) -> "Failure | None":
        return None if row.error_code is None else cls(code=row.error_code, detail=row.error_detail or "")


class Document(BaseModel):
    """A document in the library; while it is processing, what is not known yet is null."""

    id: int = Field(examples=[7])
    filename: str = Field(examples=["invoice.pdf"])
    page_count: int | None = Field(examples=[3])
    file_size: int = Field(description="bytes", examples=[84158])
    created_at: datetime = Field(examples=["2026-11-23T09:30:00.123456Z"])
    status: Status
    error: Failure | None = Field(description="when the status is failed", examples=[None])
    owner: Owner
    tables_found: int | None = Field(examples=[1])
    thumbnail: str | None = Field(
        description="the address of a small picture of the first page",
        examples=["/documents/7/pages/1/image?width=240&v=9f86d081"],
    )
    title: str | None = Field(description="what the PDF calls itself", examples=["Invoice 2026-117"])
    sha256: str | None = Field(description="of the file; `v=` of a picture's address takes its first 8 characters")
    readers: list[Reader] = Field(description="the first three that it is shared with, by id")
    reader_count: int = Field(description="that it is shared with, counted up to 1,000", examples=[1])
    message_count: int = Field(description="about it, to me or by me, counted up to 1,000", examples=[4])
    unread_count: int = Field(description="of those that I have not read", examples=[1])

    @classmethod
    def from_row(cls, row: ListedDocument) -> "Document":
        return cls(**_document_fields(row))


class Progress(BaseModel):
    """How many pages are extracted, of how many; `pages` is null until they are counted."""

    page: int = Field(examples=[3])
    pages: int | None = Field(examples=[3])


class DocumentDetails(Document):
    """A document with its file's metadata."""

    progress: Progress
    encrypted: bool
    metadata: dict[str, str]
    warnings: list[ReadingWarning]
    notes: list[ReadersNote]

    @classmethod
    def from_rows(cls, row: ListedDocument, details: DetailsRow) -> "DocumentDetails":
        document = row.document
        page = document.pages_read if document.status != "ready" else document.page_count or 0
        return cls(
            **_document_fields(row),
            progress=Progress(page=page, pages=document.page_count),
            encrypted=document.encrypted,
            metadata=details.metadata,
            warnings=[ReadingWarning(**warning) for warning in details.warnings],
            notes=[ReadersNote(**note) for note in details.notes],
        )


def _document_fields(listed: ListedDocument) -> dict[str, Any]:
    row = listed.document
    return {
        "id": row.id,
        "filename": row.filename,
        "page_count": row.page_count,
        "file_size": row.file_size,
        "created_at": row.created_at,
        "status": row.status,
        "error": Failure.from_row(row),
        "owner": Owner(id=row.user_id, name=row.owner_name),
        "tables_found": row.tables_found,
        "thumbnail": None if row.status == "failed" else thumbnail_address(row.id, row.sha256 and row.sha256[:8]),
        "title": (row.title or "").strip()[:MAX_TITLE_CHARACTERS] or None,
        "sha256": row.sha256,
        "readers": listed.readers,
        "reader_count": listed.reader_count,
        "message_count": listed.message_count,
        "unread_count": listed.unread_count,
    }


class Counts(BaseModel):
    """How many documents I may read, whatever the list was asked for; each counted up to 10,000."""

    all: int = Field(examples=[12])
    mine: int = Field(examples=[9])
    shared: int = Field(description="with me", examples=[3])
    failed: int = Field(examples=[0])
    processing: int = Field(examples=[1])

    @classmethod
    def from_counts(cls, counts: DocumentCounts) -> "Counts":
        return cls(**counts._asdict(), all=counts.mine + counts.shared)


class DocumentPage(BaseModel):
    """Documents, newest first as a rule; `next_cursor` leads to more."""

    documents: list[Document]
    next_cursor: str | None = Field(examples=["6"])
    counts: Counts


class SameDocument(BaseModel):
    """A document of mine with the same bytes."""

    document_id: int = Field(examples=[6])
    filename: str = Field(examples=["invoice-copy.pdf"])


class UploadedDocument(BaseModel):
    """An uploaded document; while it is processing, what is not known yet is null."""

    document_id: int = Field(examples=[7])
    filename: str = Field(examples=["invoice.pdf"])
    page_count: int | None = Field(examples=[3])
    file_size: int = Field(description="bytes", examples=[84158])
    text_preview: str | None = Field(description="the first 500 characters, then ... if there is more")
    tables_found: int | None
    status: Status
    error: Failure | None = Field(description="when the status is failed", examples=[None])
    sha256: str | None
    warnings: list[ReadingWarning]
    duplicate: bool = Field(description="this client_id was used before, for this document")
    same_as: list[SameDocument] = Field(description="up to 10 others that I have with the same bytes")

    @classmethod
    def from_row(cls, added: AddedDocument, *, same: Sequence[SameRow]) -> "UploadedDocument":
        row = added.document
        return cls(
            document_id=row.id,
            filename=row.filename,
            page_count=row.page_count,
            file_size=row.file_size,
            text_preview=added.text_preview,
            tables_found=row.tables_found,
            status=row.status,
            error=Failure.from_row(row),
            sha256=row.sha256,
            warnings=[ReadingWarning(**warning) for warning in added.warnings],
            duplicate=added.duplicate,
            same_as=[SameDocument(document_id=other.id, filename=other.filename) for other in same],
        )


# The routes


@router.post(
    "/upload-pdf",
    summary="Upload a PDF",
    responses={
        202: {
            "model": UploadedDocument,
            "description": "Stored; extraction continues in the background (`Prefer: respond-async`)",
            "headers": {"Location": {"description": "The document", "schema": {"type": "string"}}},
        },
        **may_fail(
            *WITH_PDF,
            ReadOnlyKeyError,
            ClientIdReusedError,
            DocumentNotFoundError,
            UserNotFoundError,
            OwnDocumentError,
            QuotaExceededError,
        ),
    },
    openapi_extra=upload_body(
        recipient_id={
            "type": "array",
            "items": {"type": "integer", "minimum": 1, "maximum": DESCRIBED_MAX_ID},
            "description": "Share it with these users, by a message to each.",
        },
        content={"type": "string", "description": "What the message says; at most 32,000 characters."},
        client_id={
            "type": "string",
            "maxLength": 64,
            "description": "An upload repeated with the same id is stored once.",
        },
    ),
)
async def upload_pdf(
    request: Request,
    response: Response,
    database: Db,
    library: Docs,
    limits: Limits,
    user: CurrentUser,
    prefer: Annotated[list[str] | None, Header(description="`respond-async`: do not wait for the extraction")] = None,
) -> UploadedDocument:
    """Store a PDF and extract it. A refused upload leaves nothing behind.

    With `Prefer: respond-async` (RFC 7240) the answer is a 202 as soon as the file is stored. Poll `Location`, or open
    a v2 socket, to follow the extraction; a file that cannot be extracted stays, with the status `failed`.

    `recipient_id` (repeatable) and `content` share it in the same step: with `Prefer: respond-async` as soon as it is
    stored, else when it is ready.
    """
    prefers_async = _prefers_async(prefer or [])
    await limits.hit(limits.upload, str(user.id))
    async with received_pdf(request, user_id=user.id) as upload:
        content = upload.field("content", _content) or ""
        cards = await library.shares.prepare_cards(upload.ids("recipient_id"), user_id=user.id, content=content)
        added = await library.add(
            upload.incoming,
            user_id=user.id,
            filename=upload.filename,
            password=upload.password,
            client_id=upload.field("client_id", _client_id),
            wait=None if prefers_async else while_connected(request),
            cards=cards,
        )
    if prefers_async:
        response.headers["Preference-Applied"] = "respond-async"
    row = added.document
    if row.status == "processing":
        response.status_code = 202
        response.headers["Location"] = f"/documents/{row.id}"
    same = await list_queries.list_same(database, user_id=user.id, sha256=row.sha256, except_id=row.id)
    return UploadedDocument.from_row(added, same=same)


def _prefers_async(prefer: list[str]) -> bool:
    """Whether one of the `Prefer` headers (RFC 7240, section 4.1) has `respond-async`."""
    preferences = ",".join(prefer).split(",")
    return any(preference.partition(";")[0].strip().lower() == "respond-async" for preference in preferences)


@router.get("/documents", summary="Documents that I may read", responses=may_fail(*SIGNED_IN))
async def list_documents(
    database: Db,
    user: CurrentUser,
    limit: Annotated[int | None, Query(ge=1, le=200)] = None,
    cursor: Annotated[DocumentCursor | None, Query()] = None,
    status: Annotated[Status | None, Query()] = None,
    owner: Annotated[Literal["me", "others"] | None, Query(description="mine, or those shared with me")] = None,
    shared: Annotated[Literal["me"] | None, Query(description="shared with me: as `owner=others`")] = None,
    q: Annotated[Storable | None, Query(max_length=MAX_FILENAME_CHARACTERS, description="in the name")] = None,
    sha256: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$", description="of the file")] = None,
    sort: Annotated[Sort, Query()] = "created_at",
    order: Annotated[Literal["asc", "desc"] | None, Query(description="`desc`, but names `asc`")] = None,
) -> DocumentPage:
    """Mine and those shared with me, newest first; at most 1,000 without a *limit*."""
    count = limit or MAX_LISTED
    shelf: Shelf | None = {None: None, "me": "mine", "others": "shared"}[owner]
    if shared and shelf == "mine":
        return DocumentPage(documents=[], next_cursor=None, counts=await _count(database, user.id))
    rows = await list_queries.list_documents(
        database,
        user_id=user.id,
        shelf="shared" if shared else shelf,
        status=status,
        words=q or None,
        sha256=sha256,
        sort=sort,
        ascending=(order or ("asc" if sort == "filename" else "desc")) == "asc",
        after=None if cursor is None else _read_cursor(cursor, sort),
        limit=count + 1,
    )
    return DocumentPage(
        documents=[Document.from_row(row) for row in rows[:count]],
        next_cursor=_write_cursor(rows[count - 1], sort) if len(rows) > count else None,
        counts=await _count(database, user.id),
    )


async def _count(database: Database, user_id: int) -> Counts:
    return Counts.from_counts(await list_queries.count_documents(database, user_id=user_id))


def _write_cursor(last: ListedDocument, sort: Sort) -> str:
    """The id of the last document; the key it was sorted by goes before it."""
    document_id = str(last.document.id)
    if sort == "created_at":
        return document_id
    key = base64.urlsafe_b64encode(str(last.sort_key).encode()).decode().rstrip("=")
    return f"{key}.{document_id}"


def _read_cursor(cursor: str, sort: Sort) -> tuple[int | str, int]:
    encoded, _, number = cursor.rpartition(".")
    try:
        document_id = _id.validate_python(number)
        if sort == "created_at" and not encoded:
            return document_id, document_id
        key = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        if encoded and sort == "filename":
            return check_storable(key), document_id
        if encoded and sort != "created_at":
            return _number.validate_python(key), document_id
    except ValueError:  # ValidationError too
        pass
    problem = {"type": "value_error", "loc": ("query", "cursor"), "msg": "Should be a cursor of an earlier answer"}
    raise RequestValidationError([problem])


async def _describe(library: Library, user: UserRow, document_id: int) -> DocumentDetails:
    listed = await library.get_listed_document(document_id, user_id=user.id)
    return DocumentDetails.from_rows(listed, await library.get_details(document_id))


@router.get("/documents/{document_id}", summary="One document", responses=may_fail(*SIGNED_IN, DocumentNotFoundError))
async def read_document(library: Docs, user: CurrentUser, document_id: IdParameter) -> DocumentDetails:
    return await _describe(library, user, document_id)


@router.patch(
    "/documents/{document_id}",
    summary="Rename a document",
    responses=may_fail(*MAY_WRITE, *WITH_BODY, DocumentNotFoundError),
)
async def rename_document(
    library: Docs, user: CurrentUser, document_id: IdParameter, body: DocumentPatch
) -> DocumentDetails:
    await library.rename(document_id, user_id=user.id, filename=body.filename)
    return await _describe(library, user, document_id)


@router.delete(
    "/documents/{document_id}",
    status_code=204,
    summary="Delete a document and its file",
    responses=may_fail(*MAY_WRITE, DocumentNotFoundError),
)
async def delete_document(library: Docs, user: CurrentUser, document_id: IdParameter) -> None:
    await library.delete(document_id, user_id=user.id)


@router.post(
    "/documents/{document_id}/read",
    status_code=202,
    summary="Extract a document again",
    responses=may_fail(*MAY_WRITE, *WITH_BODY, DocumentNotFoundError, DocumentFileMissingError, DocumentNotReadyError),
)
async def read_again(library: Docs, user: CurrentUser, document_id: IdParameter, body: ReadAgain) -> DocumentDetails:
    """Of my own, from the file that is stored: with its password, or after it failed, or as newer versions do it."""
    await library.read_again(document_id, user_id=user.id, password=body.password)
    return await _describe(library, user, document_id)


FILE_HEADERS = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
}
FILE_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}},
    206: {"description": "Part of it (Range)"},
    304: {"description": "Not changed (If-None-Match)"},
    **may_fail(*SIGNED_IN, DocumentNotFoundError, RequestedRangeError, StorageUnavailableError),
}


@router.get(
    "/documents/{document_id}/file",
    summary="The original file",
    response_class=FileResponse,
    responses=FILE_ANSWERS,
)
async def read_file(
    request: Request, library: Docs, user: CurrentUser, document_id: IdParameter, download: Download = False
) -> Response:
    """The bytes as they were uploaded; Range and If-None-Match are honoured."""
    row = await library.get_document(document_id, user_id=user.id)
    return file_response(
        request,
        await library.find_stored_file(row),
        etag=row.sha256,
        filename=name_as_pdf(row.filename),
        headers=FILE_HEADERS,
        download=download,
    )


@router.get(
    "/documents/{document_id}/text",
    summary="The text of a document",
    response_model=DocumentText,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **may_fail(*SIGNED_IN, DocumentNotFoundError, DocumentNotReadyError),
    },
)
async def read_text(
    request: Request, database: Db, library: Docs, user: CurrentUser, document_id: IdParameter
) -> Response:
    """Plain text with form feeds between pages, or JSON if `Accept` names `application/json`."""
    row = await library.get_ready_document(document_id, user_id=user.id)
    parts = await list_parts(database, document_id=document_id)
    if len(parts) > 1:
        return text_in_parts(database, row, parts, as_json="application/json" in request.headers.get("accept", ""))
    if "application/json" not in request.headers.get("accept", ""):
        return PlainTextResponse(await page_queries.get_document_text(database, document_id=document_id))
    pages = await page_queries.list_pages(database, document_id=document_id)
    return JSONResponse(
        {
            "text": "\f".join(page.text for page in pages)
            if pages
            else await page_queries.get_document_text(
                database, document_id=document_id
            ),  # no pages: an older installation's
            "pages": [
                {"page_number": page.page_number, "text": page.text, "char_count": len(page.text)} for page in pages
            ],
            "page_count": len(pages) or row.page_count,
        }
    )
