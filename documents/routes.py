"""Routes of the PDF library: upload, list, read, rename, delete."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from pydantic import BaseModel, Field, TypeAdapter

from auth import CurrentUser, Db
from delivery.attachments import THUMBNAIL_WIDTH
from documents import queries
from documents.answers import DocumentText
from documents.library import Library, OwnDocumentError
from documents.queries import DocumentRow, Status
from documents.uploads import WITH_PDF, FileName, received_pdf, upload_body
from edge.answers import SIGNED_IN, WITH_BODY, may_fail, operation_id
from edge.engines import opened
from edge.fields import DESCRIBED_MAX_ID, ClientId, IdParameter, Storable
from edge.ranges import file_response
from errors import (
    ClientIdReusedError,
    DocumentFileMissingError,
    DocumentNotFoundError,
    DocumentNotReadyError,
    RateLimitedError,
    RequestedRangeError,
    StorageUnavailableError,
    UserNotFoundError,
)

MAX_LISTED = 1000  # documents, if the client sets no limit

Docs = Annotated[Library, opened(Library)]

router = APIRouter(tags=["documents"], generate_unique_id_function=operation_id)

_client_id: TypeAdapter[str] = TypeAdapter(ClientId)
_content: TypeAdapter[str] = TypeAdapter(Storable)


# The wire


class DocumentPatch(BaseModel):
    """A document's new name."""

    model_config = {"json_schema_extra": {"examples": [{"filename": "invoice.pdf"}]}}

    filename: FileName


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
        examples=["/documents/7/pages/1/image?width=240"],
    )

    @classmethod
    def from_row(cls, row: DocumentRow) -> "Document":
        return cls(**_document_fields(row))


class Progress(BaseModel):
    """How many pages are extracted, of how many; `pages` is null until they are counted."""

    page: int = Field(examples=[3])
    pages: int | None = Field(examples=[3])


class DocumentDetails(Document):
    """A document with its file's metadata."""

    progress: Progress
    sha256: str | None
    encrypted: bool
    metadata: dict[str, str]
    warnings: list[str]

    @classmethod
    def from_row(cls, row: DocumentRow) -> "DocumentDetails":
        return cls(
            **_document_fields(row),
            progress=Progress(
                page=row.pages_read if row.status != "ready" else row.page_count or 0, pages=row.page_count
            ),
            sha256=row.sha256,
            encrypted=row.encrypted,
            metadata=row.metadata,
            warnings=row.warnings,
        )


def _document_fields(row: DocumentRow) -> dict[str, Any]:
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
        "thumbnail": None if row.status == "failed" else f"/documents/{row.id}/pages/1/image?width={THUMBNAIL_WIDTH}",
    }


class DocumentPage(BaseModel):
    """Documents, newest first; `next_cursor` leads to older ones."""

    documents: list[Document]
    next_cursor: str | None = Field(examples=["6"])


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
    warnings: list[str]
    duplicate: bool = Field(description="this client_id was used before, for this document")

    @classmethod
    def from_row(cls, row: DocumentRow, *, text_preview: str | None, duplicate: bool) -> "UploadedDocument":
        return cls(
            document_id=row.id,
            filename=row.filename,
            page_count=row.page_count,
            file_size=row.file_size,
            text_preview=text_preview,
            tables_found=row.tables_found,
            status=row.status,
            error=Failure.from_row(row),
            sha256=row.sha256,
            warnings=row.warnings,
            duplicate=duplicate,
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
            ClientIdReusedError,
            DocumentNotFoundError,
            UserNotFoundError,
            OwnDocumentError,
            RateLimitedError,
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
    library: Docs,
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
    async with received_pdf(request) as upload:
        content = upload.field("content", _content) or ""
        cards = await library.prepare_cards(upload.ids("recipient_id"), user_id=user.id, content=content)
        row, text_preview, duplicate = await library.add(
            upload.incoming,
            user_id=user.id,
            filename=upload.filename,
            password=upload.password,
            client_id=upload.field("client_id", _client_id),
            wait=not prefers_async,
            cards=cards,
        )
    if prefers_async:
        response.headers["Preference-Applied"] = "respond-async"
    if row.status == "processing":
        response.status_code = 202
        response.headers["Location"] = f"/documents/{row.id}"
    return UploadedDocument.from_row(row, text_preview=text_preview, duplicate=duplicate)


def _prefers_async(prefer: list[str]) -> bool:
    """Whether one of the `Prefer` headers (RFC 7240, section 4.1) has `respond-async`."""
    preferences = ",".join(prefer).split(",")
    return any(preference.partition(";")[0].strip().lower() == "respond-async" for preference in preferences)


@router.get("/documents", summary="My documents", responses=may_fail(*SIGNED_IN))
async def list_documents(
    database: Db,
    user: CurrentUser,
    limit: Annotated[int | None, Query(ge=1, le=200)] = None,
    cursor: Annotated[IdParameter | None, Query()] = None,
    status: Annotated[Status | None, Query()] = None,
) -> DocumentPage:
    """My documents, newest first; at most 1,000 without a *limit*."""
    count = limit or MAX_LISTED
    rows = await queries.list_documents(database, user_id=user.id, status=status, before_id=cursor, limit=count + 1)
    return DocumentPage(
        documents=[Document.from_row(row) for row in rows[:count]],
        next_cursor=str(rows[count - 1].id) if len(rows) > count else None,
    )


@router.get("/documents/{document_id}", summary="One document", responses=may_fail(*SIGNED_IN, DocumentNotFoundError))
async def read_document(library: Docs, user: CurrentUser, document_id: IdParameter) -> DocumentDetails:
    return DocumentDetails.from_row(await library.get_document(document_id, user_id=user.id))


@router.patch(
    "/documents/{document_id}",
    summary="Rename a document",
    responses=may_fail(*SIGNED_IN, *WITH_BODY, DocumentNotFoundError),
)
async def rename_document(
    library: Docs, user: CurrentUser, document_id: IdParameter, body: DocumentPatch
) -> DocumentDetails:
    return DocumentDetails.from_row(await library.rename(document_id, user_id=user.id, filename=body.filename))


@router.delete(
    "/documents/{document_id}",
    status_code=204,
    summary="Delete a document and its file",
    responses=may_fail(*SIGNED_IN, DocumentNotFoundError, StorageUnavailableError),
)
async def delete_document(library: Docs, user: CurrentUser, document_id: IdParameter) -> None:
    await library.delete(document_id, user_id=user.id)


FILE_HEADERS = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}
FILE_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}},
    206: {"description": "Part of it (Range)"},
    304: {"description": "Not changed (If-None-Match)"},
    **may_fail(*SIGNED_IN, DocumentNotFoundError, RequestedRangeError),
}


@router.get(
    "/documents/{document_id}/file",
    summary="The original file",
    response_class=FileResponse,
    responses=FILE_ANSWERS,
)
async def read_file(request: Request, library: Docs, user: CurrentUser, document_id: IdParameter) -> Response:
    """The bytes as they were uploaded; Range and If-None-Match are honoured."""
    row = await library.get_document(document_id, user_id=user.id)
    file = library.file_of(row, user_id=user.id)
    try:
        return file_response(request, file.path, etag=row.sha256, filename=row.filename, headers=FILE_HEADERS)
    except OSError as error:
        raise DocumentFileMissingError from error


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
    if "application/json" not in request.headers.get("accept", ""):
        return PlainTextResponse(await queries.get_document_text(database, document_id=document_id))
    pages = await queries.list_pages(database, document_id=document_id)
    return JSONResponse(
        {
            "text": "\f".join(page.text for page in pages)
            if pages
            else await queries.get_document_text(
                database, document_id=document_id
            ),  # no pages: an older installation's
            "pages": [
                {"page_number": page.page_number, "text": page.text, "char_count": len(page.text)} for page in pages
            ],
            "page_count": len(pages) or row.page_count,
        }
    )
