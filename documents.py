"""The PDF library: upload, look, read, rename, delete, and questions about a PDF that is not kept."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile

import db
from access import get_readable_document, get_ready_document
from answers import SIGNED_IN, WITH_BODY, may_fail, operation_id
from auth import CurrentUser
from db import DocumentRow
from deps import AllEngines, Db, Engines
from errors import (
    BadPdfError,
    BusyError,
    ClientIdReusedError,
    DocumentNotFoundError,
    DocumentNotReadyError,
    ExtractionLimitError,
    NotPdfError,
    PagewireError,
    PasswordRequiredError,
    RequestedRangeError,
    StorageFullError,
    StorageUnavailableError,
)
from fields import CONTROLS, ClientId, Id, Storable
from findings import MAX_TERM_CHARACTERS, PageHits, SearchAnswer
from forms import read_form
from ranges import file_response
from storage import Incoming, storage_error

PREVIEW_CHARACTERS = 500
MAX_FILENAME_CHARACTERS = 255
MAX_PASSWORD_CHARACTERS = 255
MAX_LISTED = 1000  # documents in an answer to someone who named no limit
CONTROL_CHARACTERS = re.compile(f"[{CONTROLS}]")
FILE_NAME_PATTERN = (
    rf"^[^/\\{CONTROLS}]*[^/\\{CONTROLS}. ][^/\\{CONTROLS}]*$"  # no slash, and more than dots and spaces
)
PATHS_WITH_LARGE_BODIES = frozenset({"/upload-pdf", "/pdf-info", "/search-pdf", "/extract"})

router = APIRouter(tags=["documents"], generate_unique_id_function=operation_id)


class SearchTermMissingError(PagewireError):
    """Search term is required"""

    status = 400
    code = "search_term_required"


# The wire


def _file_name(name: str) -> str:
    if name.strip() in ("", ".", ".."):
        raise ValueError("must not be empty")
    return name.strip()


class DocumentPatch(BaseModel):
    """What may be changed of a document."""

    model_config = {"json_schema_extra": {"examples": [{"filename": "invoice.pdf"}]}}

    filename: Annotated[
        str,
        Field(min_length=1, max_length=MAX_FILENAME_CHARACTERS, pattern=FILE_NAME_PATTERN),
        AfterValidator(_file_name),
    ]


class Owner(BaseModel):
    """Whose document it is."""

    id: int = Field(examples=[2])
    name: str = Field(examples=["Bob"])


class Document(BaseModel):
    """A document in the library; what is not known yet, while it is processing, is null."""

    id: int = Field(examples=[7])
    filename: str = Field(examples=["invoice.pdf"])
    page_count: int | None = Field(examples=[3])
    file_size: int = Field(description="bytes", examples=[84158])
    created_at: datetime = Field(examples=["2026-11-23T09:30:00.123456Z"])
    status: Literal["processing", "ready"]
    owner: Owner
    tables_found: int | None = Field(examples=[1])

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
            progress=Progress(page=row.page_count or 0, pages=row.page_count),
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
        "owner": Owner(id=row.user_id, name=row.owner_name),
        "tables_found": row.tables_found,
    }


class DocumentPage(BaseModel):
    """Some documents, newest first; `next_cursor` leads to older ones."""

    documents: list[Document]
    next_cursor: str | None = Field(examples=["6"])


class UploadedDocument(BaseModel):
    """A document that was just stored and read."""

    document_id: int = Field(examples=[7])
    filename: str = Field(examples=["invoice.pdf"])
    page_count: int | None = Field(examples=[3])
    file_size: int = Field(description="bytes", examples=[84158])
    text_preview: str | None = Field(description="the first 500 characters, then ... if there is more")
    tables_found: int | None
    status: Literal["processing", "ready"]
    sha256: str | None
    warnings: list[str]
    duplicate: bool = Field(description="this client_id was used before: this is that document")


class PdfInfo(BaseModel):
    """What a PDF says of itself."""

    filename: str = Field(examples=["invoice.pdf"])
    page_count: int = Field(examples=[3])
    metadata: dict[str, str] = Field(examples=[{"Title": "Invoice 57"}])
    file_size: int = Field(description="bytes", examples=[84158])
    has_text: bool
    has_tables: bool
    encrypted: bool


class PageText(BaseModel):
    """The text of one page."""

    page_number: int = Field(examples=[1])
    text: str = Field(examples=["Total due: 1,250.00"])
    char_count: int = Field(examples=[19])


class DocumentText(BaseModel):
    """The text of a document; `text` is that of its pages with form feeds between."""

    text: str = Field(examples=["Total due: 1,250.00"])
    pages: list[PageText]
    page_count: int = Field(examples=[1])


class ExtractedTable(BaseModel):
    """The cells of one table, row by row; an empty cell is null or ""."""

    page: int = Field(examples=[1])
    table_index: int = Field(examples=[0])
    data: list[list[str | None]] = Field(examples=[[["item", "price"], ["paper", "12.50"]]])


class ExtractedPdf(DocumentText):
    """Everything that was read from a PDF."""

    tables: list[ExtractedTable]
    metadata: dict[str, str]


# Receiving a file

_client_id: TypeAdapter[str] = TypeAdapter(ClientId)
_password: TypeAdapter[str] = TypeAdapter(Annotated[Storable, Field(max_length=MAX_PASSWORD_CHARACTERS)])


class Upload(NamedTuple):
    """A PDF that came with a request, in a file that lives as long as the request."""

    incoming: Incoming
    filename: str
    form: FormData

    password: str | None

    def field(self, name: str) -> str | None:
        value = self.form.get(name)
        return value if isinstance(value, str) and value else None


def upload_body(**fields: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI description of a form with a PDF in it. The form is read by hand: who asks is checked first."""
    file = {"type": "string", "format": "binary", "contentMediaType": "application/pdf", "description": "The PDF."}
    password = {"type": "string", "maxLength": MAX_PASSWORD_CHARACTERS, "description": "What opens the PDF."}
    form = {
        "schema": {
            "type": "object",
            "required": ["file"],
            "properties": {"file": file, "password": password, **fields},
        },
        "encoding": {"file": {"contentType": "application/pdf"}},
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": form}}}


@asynccontextmanager
async def received_pdf(request: Request, engines: Engines) -> AsyncIterator[Upload]:
    """The PDF in the form field `file`, streamed to disk; gone after the block unless it is kept.

    Raises:
        NotPdfError, PayloadTooLargeError, StorageFullError, StorageUnavailableError, RequestValidationError
    """
    try:
        form = await read_form(request, max_files=1, max_field_bytes=64 * 1024)
    except OSError as error:
        raise storage_error(error) from error
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise RequestValidationError([{"type": "missing", "loc": ("body", "file"), "msg": "Field required"}])
        filename = clean_filename(file.filename)
        password = _checked(_password, form, "password")
        async with engines.storage.receive(file.file, max_bytes=engines.settings.max_upload_bytes) as incoming:
            await file.close()
            if not incoming.looks_like_pdf and not filename.lower().endswith(".pdf"):
                raise NotPdfError
            yield Upload(incoming, filename, form, password)
    finally:
        await form.close()


def _checked(kind: TypeAdapter[str], form: FormData, name: str) -> str | None:
    """A text of the form; None if it is not there or empty.

    Raises:
        RequestValidationError
    """
    value = form.get(name)
    if not isinstance(value, str) or not value:
        return None
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        raise RequestValidationError([{**e, "loc": ("body", name)} for e in error.errors()]) from error


def clean_filename(name: str | None) -> str:
    """The last part of *name*, without control characters, at most 255 characters; never empty."""
    base = CONTROL_CHARACTERS.sub("", re.split(r"[/\\]", name or "")[-1]).strip()
    base = base.encode("utf-8", "replace").decode()
    if base in ("", ".", ".."):
        return "document.pdf"
    stem, dot, ending = base.rpartition(".")
    if len(base) > MAX_FILENAME_CHARACTERS and stem and len(ending) <= 10:
        return stem[: MAX_FILENAME_CHARACTERS - len(dot + ending)] + dot + ending
    return base[:MAX_FILENAME_CHARACTERS]


# The library

WITH_PDF = (
    *SIGNED_IN,
    *WITH_BODY,
    NotPdfError,
    BadPdfError,
    PasswordRequiredError,
    ExtractionLimitError,
    StorageUnavailableError,
    StorageFullError,
)  # what a route that reads a PDF may answer


@router.post(
    "/upload-pdf",
    summary="Upload a PDF",
    responses=may_fail(*WITH_PDF, ClientIdReusedError, DocumentNotFoundError),
    openapi_extra=upload_body(
        client_id={"type": "string", "maxLength": 64, "description": "A repeat with the same id is not stored again."}
    ),
)
async def upload_pdf(request: Request, engines: AllEngines, user: CurrentUser) -> UploadedDocument:
    """Store a PDF and read it. A refused upload leaves nothing behind."""
    async with received_pdf(request, engines) as upload:
        client_id = _checked(_client_id, upload.form, "client_id")
        await engines.storage.keep(upload.incoming)
        document_id, duplicate = await db.insert_document(
            engines.database,
            user_id=user.id,
            filename=upload.filename,
            file_path=upload.incoming.file_path,
            file_size=upload.incoming.size,
            sha256=upload.incoming.sha256,
            client_id=client_id,
            password=upload.password,
            worker_id=engines.jobs.worker_id,
        )
        if duplicate:
            await engines.storage.delete(upload.incoming.file_path)
    try:
        await asyncio.shield(engines.jobs.extract_document(document_id))  # a repeat waits for the first
    except BusyError:
        if not duplicate:
            await engines.jobs.remove_document(document_id)
        raise
    row = await db.find_document(engines.database, document_id=document_id)
    if row is None:
        raise DocumentNotFoundError
    return UploadedDocument(
        document_id=row.id,
        filename=row.filename,
        page_count=row.page_count,
        file_size=row.file_size,
        text_preview=await _preview(engines, document_id) if row.status == "ready" else None,
        tables_found=row.tables_found,
        status=row.status,  # type: ignore[arg-type]
        sha256=row.sha256,
        warnings=row.warnings,
        duplicate=duplicate,
    )


async def _preview(engines: Engines, document_id: int) -> str:
    text = await db.get_document_text(engines.database, document_id=document_id, characters=PREVIEW_CHARACTERS + 1)
    return text if len(text) <= PREVIEW_CHARACTERS else text[:PREVIEW_CHARACTERS] + "..."


@router.get("/documents", summary="My documents", responses=may_fail(*SIGNED_IN))
async def list_documents(
    database: Db,
    user: CurrentUser,
    limit: Annotated[int | None, Query(ge=1, le=200)] = None,
    cursor: Annotated[Id | None, Query()] = None,
    status: Annotated[Literal["processing", "ready"] | None, Query()] = None,
) -> DocumentPage:
    """My documents, newest first; at most 1,000 where no *limit* is named."""
    count = limit or MAX_LISTED
    rows = await db.list_documents(database, user_id=user.id, status=status, before_id=cursor, limit=count + 1)
    return DocumentPage(
        documents=[Document.from_row(row) for row in rows[:count]],
        next_cursor=str(rows[count - 1].id) if len(rows) > count else None,
    )


@router.get("/documents/{document_id}", summary="One document", responses=may_fail(*SIGNED_IN, DocumentNotFoundError))
async def read_document(database: Db, user: CurrentUser, document_id: Id) -> DocumentDetails:
    return DocumentDetails.from_row(await get_readable_document(database, user, document_id))


@router.patch(
    "/documents/{document_id}",
    summary="Rename a document",
    responses=may_fail(*SIGNED_IN, *WITH_BODY, DocumentNotFoundError),
)
async def rename_document(database: Db, user: CurrentUser, document_id: Id, body: DocumentPatch) -> DocumentDetails:
    row = await get_readable_document(database, user, document_id)
    if not await db.rename_document(database, document_id=document_id, filename=body.filename):
        raise DocumentNotFoundError
    return DocumentDetails.from_row(row._replace(filename=body.filename))


@router.delete(
    "/documents/{document_id}",
    status_code=204,
    summary="Delete a document and its file",
    responses=may_fail(*SIGNED_IN, DocumentNotFoundError, StorageUnavailableError),
)
async def delete_document(engines: AllEngines, user: CurrentUser, document_id: Id) -> None:
    await get_readable_document(engines.database, user, document_id)
    if not await engines.jobs.remove_document(document_id):
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
@router.head(
    "/documents/{document_id}/file",
    name="read_file_headers",
    summary="The original file's headers",
    response_class=FileResponse,
    responses=FILE_ANSWERS,
)
async def read_file(request: Request, engines: AllEngines, user: CurrentUser, document_id: Id) -> Response:
    """The bytes as they were uploaded; Range and If-None-Match are honoured."""
    row = await get_readable_document(engines.database, user, document_id)
    path = engines.storage.path_of(row.file_path)
    try:
        return file_response(request, path, etag=row.sha256, filename=row.filename, headers=FILE_HEADERS)
    except OSError as error:
        raise DocumentNotFoundError("The file of this document is missing.") from error


@router.get(
    "/documents/{document_id}/text",
    summary="The text of a document",
    response_model=DocumentText,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **may_fail(*SIGNED_IN, DocumentNotFoundError, DocumentNotReadyError),
    },
)
async def read_text(request: Request, database: Db, user: CurrentUser, document_id: Id) -> Response:
    """Plain text with form feeds between pages, or JSON when `Accept` asks for `application/json`."""
    row = await get_ready_document(database, user, document_id)
    if "application/json" not in request.headers.get("accept", ""):
        return PlainTextResponse(await db.get_document_text(database, document_id=document_id))
    pages = await db.list_pages(database, document_id=document_id)
    return JSONResponse(
        {
            "text": "\f".join(page.text for page in pages)
            if pages
            else await db.get_document_text(database, document_id=document_id),  # an older installation's
            "pages": [
                {"page_number": page.page_number, "text": page.text, "char_count": len(page.text)} for page in pages
            ],
            "page_count": len(pages) or row.page_count,
        }
    )


# Questions about a PDF that is not kept


@router.post(
    "/pdf-info",
    summary="What a PDF says of itself",
    openapi_extra=upload_body(),
    responses=may_fail(*WITH_PDF),
)
async def pdf_info(request: Request, engines: AllEngines, user: CurrentUser) -> PdfInfo:
    """Nothing is stored."""
    async with received_pdf(request, engines) as upload:
        found = await engines.pdf.inspect(upload.incoming.path, upload.password)
        return PdfInfo(
            filename=upload.filename,
            page_count=found.page_count,
            metadata=found.metadata,
            file_size=upload.incoming.size,
            has_text=found.has_text,
            has_tables=found.has_tables,
            encrypted=found.encrypted,
        )


@router.post(
    "/search-pdf",
    summary="Find a term in a PDF",
    response_model_exclude_none=True,
    responses=may_fail(*WITH_PDF, SearchTermMissingError),
    openapi_extra=upload_body(search_term={"type": "string", "description": "Here or in the query."}),
)
async def search_pdf(
    request: Request,
    engines: AllEngines,
    user: CurrentUser,
    search_term: Annotated[str | None, Query(max_length=MAX_TERM_CHARACTERS)] = None,
) -> SearchAnswer:
    """Case does not count, and a space in the term matches any white space, line ends too. Nothing is stored."""
    async with received_pdf(request, engines) as upload:
        term = (search_term or upload.field("search_term") or "").strip()
        if not term:
            raise SearchTermMissingError
        if len(term) > MAX_TERM_CHARACTERS:
            raise RequestValidationError(
                [{"type": "string_too_long", "loc": ("body", "search_term"), "msg": "at most 1000 characters"}]
            )
        pages = await engines.pdf.search(upload.incoming.path, term, upload.password)
        return SearchAnswer(
            filename=upload.filename,
            search_term=term,
            total_matches=sum(page.matches for page in pages),
            matches_by_page=[PageHits.from_matches(page) for page in pages],
        )


@router.post(
    "/extract",
    summary="Everything that can be read in a PDF",
    response_model=ExtractedPdf,
    openapi_extra=upload_body(),
    responses=may_fail(*WITH_PDF),
)
async def extract_pdf(request: Request, engines: AllEngines, user: CurrentUser) -> Response:
    """Text, pages, tables and metadata in one answer. Nothing is stored."""
    async with received_pdf(request, engines) as upload:
        return Response(
            await engines.pdf.extract_json(upload.incoming.path, upload.password), media_type="application/json"
        )
