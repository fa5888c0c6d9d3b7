"""The PDF library: upload, look, read, rename, delete."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from pydantic import BaseModel, Field, TypeAdapter

from auth import CurrentUser, Db
from db import Database
from documents import queries
from documents.answers import DocumentText
from documents.library import get_readable_document, get_ready_document
from documents.queries import DocumentRow
from documents.readings import Jobs
from documents.storage import Storage
from documents.uploads import WITH_PDF, FileName, received_pdf, upload_body
from edge.answers import SIGNED_IN, WITH_BODY, may_fail, operation_id
from edge.engines import opened
from edge.fields import ClientId, IdParameter
from edge.ranges import file_response
from errors import (
    BusyError,
    ClientIdReusedError,
    DocumentFileMissingError,
    DocumentNotFoundError,
    DocumentNotReadyError,
    RequestedRangeError,
    StorageUnavailableError,
)

PREVIEW_CHARACTERS = 500
THUMBNAIL_WIDTH = 240  # pixels
MAX_LISTED = 1000  # documents in an answer to someone who named no limit

Files = Annotated[Storage, opened(Storage)]
Work = Annotated[Jobs, opened(Jobs)]
Status = Literal["processing", "ready", "failed"]

router = APIRouter(tags=["documents"], generate_unique_id_function=operation_id)

_client_id: TypeAdapter[str] = TypeAdapter(ClientId)


# The wire


class DocumentPatch(BaseModel):
    """What may be changed of a document."""

    model_config = {"json_schema_extra": {"examples": [{"filename": "invoice.pdf"}]}}

    filename: FileName


class Owner(BaseModel):
    """Whose document it is."""

    id: int = Field(examples=[2])
    name: str = Field(examples=["Bob"])


class Failure(BaseModel):
    """Why a document could not be read."""

    code: str = Field(examples=["bad_pdf"])
    detail: str = Field(examples=["Error processing PDF: the file is damaged."])

    @classmethod
    def from_row(cls, row: DocumentRow) -> "Failure | None":
        return None if row.error_code is None else cls(code=row.error_code, detail=row.error_detail or "")


class Document(BaseModel):
    """A document in the library; what is not known yet, while it is processing, is null."""

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
        description="where a small picture of the first page is", examples=["/documents/7/pages/1/image?width=240"]
    )

    @classmethod
    def from_row(cls, row: DocumentRow) -> "Document":
        return cls(**_document_fields(row))


class Progress(BaseModel):
    """How far the reading is; `pages` is null until they are counted."""

    page: int = Field(examples=[3])
    pages: int | None = Field(examples=[3])


class DocumentDetails(Document):
    """A document with what its file says of itself."""

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
    """Some documents, newest first; `next_cursor` leads to older ones."""

    documents: list[Document]
    next_cursor: str | None = Field(examples=["6"])


class UploadedDocument(BaseModel):
    """A document that was just stored and read; while it is processing, what is not known yet is null."""

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
    duplicate: bool = Field(description="this client_id was used before: this is that document")


@router.post(
    "/upload-pdf",
    summary="Upload a PDF",
    responses={
        202: {
            "model": UploadedDocument,
            "description": "Stored, and read by and by (`Prefer: respond-async`)",
            "headers": {"Location": {"description": "The document", "schema": {"type": "string"}}},
        },
        **may_fail(*WITH_PDF, ClientIdReusedError, DocumentNotFoundError),
    },
    openapi_extra=upload_body(
        client_id={"type": "string", "maxLength": 64, "description": "A repeat with the same id is not stored again."}
    ),
)
async def upload_pdf(
    request: Request,
    response: Response,
    database: Db,
    storage: Files,
    jobs: Work,
    user: CurrentUser,
    prefer: Annotated[list[str] | None, Header(description="`respond-async`: do not wait until it is read")] = None,
) -> UploadedDocument:
    """Store a PDF and read it. A refused upload leaves nothing behind.

    With `Prefer: respond-async` (RFC 7240) the answer is a 202 as soon as the file is stored: how the reading goes is
    told by `Location` and on v2 sockets, and a file that cannot be read stays, with the status `failed`.
    """
    waits = not _wants_no_wait(prefer or [])
    async with received_pdf(request) as upload:
        client_id = upload.field("client_id", _client_id)
        await storage.keep(upload.incoming)
        document_id, duplicate = await queries.insert_document(
            database,
            user_id=user.id,
            filename=upload.filename,
            file_path=upload.incoming.file_path,
            file_size=upload.incoming.size,
            sha256=upload.incoming.sha256,
            client_id=client_id,
            password=upload.password,
            keep_failed=not waits,
            node_id=jobs.node_id,
        )
        if duplicate:
            await storage.delete(upload.incoming.file_path)
    if waits:
        await _wait_until_read(jobs, document_id, duplicate=duplicate)
    else:
        response.headers["Preference-Applied"] = "respond-async"
        jobs.extract_document_later(document_id)
    row = await queries.find_document(database, document_id=document_id)
    if row is None:
        raise DocumentNotFoundError
    if row.status == "processing":
        response.status_code = 202
        response.headers["Location"] = f"/documents/{row.id}"
    return UploadedDocument(
        document_id=row.id,
        filename=row.filename,
        page_count=row.page_count,
        file_size=row.file_size,
        text_preview=await _preview(database, document_id) if row.status == "ready" else None,
        tables_found=row.tables_found,
        status=row.status,  # type: ignore[arg-type]
        error=Failure.from_row(row),
        sha256=row.sha256,
        warnings=row.warnings,
        duplicate=duplicate,
    )


def _wants_no_wait(prefer: list[str]) -> bool:
    """Whether the `Prefer` headers say so (RFC 7240, section 4.1), among whatever else they say."""
    preferences = ",".join(prefer).split(",")
    return any(preference.partition(";")[0].strip().lower() == "respond-async" for preference in preferences)


async def _wait_until_read(jobs: Jobs, document_id: int, *, duplicate: bool) -> None:
    """Wait for the reading, whoever began it; a client that goes away does not stop it."""
    try:
        await asyncio.shield(jobs.extract_document(document_id))
    except BusyError:
        if not duplicate:
            await jobs.remove_document(document_id, refused=True)
        raise


async def _preview(database: Database, document_id: int) -> str:
    text = await queries.get_document_text(database, document_id=document_id, characters=PREVIEW_CHARACTERS + 1)
    return text if len(text) <= PREVIEW_CHARACTERS else text[:PREVIEW_CHARACTERS] + "..."


@router.get("/documents", summary="My documents", responses=may_fail(*SIGNED_IN))
async def list_documents(
    database: Db,
    user: CurrentUser,
    limit: Annotated[int | None, Query(ge=1, le=200)] = None,
    cursor: Annotated[IdParameter | None, Query()] = None,
    status: Annotated[Status | None, Query()] = None,
) -> DocumentPage:
    """My documents, newest first; at most 1,000 where no *limit* is named."""
    count = limit or MAX_LISTED
    rows = await queries.list_documents(database, user_id=user.id, status=status, before_id=cursor, limit=count + 1)
    return DocumentPage(
        documents=[Document.from_row(row) for row in rows[:count]],
        next_cursor=str(rows[count - 1].id) if len(rows) > count else None,
    )


@router.get("/documents/{document_id}", summary="One document", responses=may_fail(*SIGNED_IN, DocumentNotFoundError))
async def read_document(database: Db, user: CurrentUser, document_id: IdParameter) -> DocumentDetails:
    return DocumentDetails.from_row(await get_readable_document(database, user, document_id))


@router.patch(
    "/documents/{document_id}",
    summary="Rename a document",
    responses=may_fail(*SIGNED_IN, *WITH_BODY, DocumentNotFoundError),
)
async def rename_document(
    database: Db, user: CurrentUser, document_id: IdParameter, body: DocumentPatch
) -> DocumentDetails:
    row = await get_readable_document(database, user, document_id)
    if not await queries.rename_document(database, document_id=document_id, filename=body.filename):
        raise DocumentNotFoundError
    return DocumentDetails.from_row(row._replace(filename=body.filename))


@router.delete(
    "/documents/{document_id}",
    status_code=204,
    summary="Delete a document and its file",
    responses=may_fail(*SIGNED_IN, DocumentNotFoundError, StorageUnavailableError),
)
async def delete_document(database: Db, jobs: Work, user: CurrentUser, document_id: IdParameter) -> None:
    await get_readable_document(database, user, document_id)
    if not await jobs.remove_document(document_id):
        raise DocumentNotFoundError


FILE_HEADERS = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}
FILE_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}},
    206: {"description": "A part of it (Range)"},
    304: {"description": "Not changed (If-None-Match)"},
    **may_fail(*SIGNED_IN, DocumentNotFoundError, RequestedRangeError),
}


@router.get(
    "/documents/{document_id}/file",
    summary="The original file",
    response_class=FileResponse,
    responses=FILE_ANSWERS,
)
async def read_file(
    request: Request, database: Db, storage: Files, user: CurrentUser, document_id: IdParameter
) -> Response:
    """The bytes as they were uploaded; Range and If-None-Match are honoured."""
    row = await get_readable_document(database, user, document_id)
    path = storage.path_of(row.file_path)
    try:
        return file_response(request, path, etag=row.sha256, filename=row.filename, headers=FILE_HEADERS)
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
async def read_text(request: Request, database: Db, user: CurrentUser, document_id: IdParameter) -> Response:
    """Plain text with form feeds between pages, or JSON when `Accept` asks for `application/json`."""
    row = await get_ready_document(database, user, document_id)
    if "application/json" not in request.headers.get("accept", ""):
        return PlainTextResponse(await queries.get_document_text(database, document_id=document_id))
    pages = await queries.list_pages(database, document_id=document_id)
    return JSONResponse(
        {
            "text": "\f".join(page.text for page in pages)
            if pages
            else await queries.get_document_text(database, document_id=document_id),  # an older installation's
            "pages": [
                {"page_number": page.page_number, "text": page.text, "char_count": len(page.text)} for page in pages
            ],
            "page_count": len(pages) or row.page_count,
        }
    )
