"""Routes that read an uploaded PDF without storing it."""

import json
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, TypeAdapter

from auth import AskingUser
from documents.answers import MAX_TERM_CHARACTERS, DocumentText, Kind, ReadersNote, ReadingWarning, SearchAnswer
from documents.uploads import WITH_PDF, received_pdf, upload_body
from edge.answers import may_fail, operation_id
from edge.engines import opened
from edge.hangups import while_connected
from errors import PagewireError
from extraction.values import TableKind
from pdf import PdfEngine

Pdf = Annotated[PdfEngine, opened(PdfEngine)]

router = APIRouter(tags=["documents"], generate_unique_id_function=operation_id)

_term: TypeAdapter[str] = TypeAdapter(Annotated[str, Field(max_length=MAX_TERM_CHARACTERS)])


class SearchTermMissingError(PagewireError):
    """Search term is required"""

    status = 400
    code = "search_term_required"


class PdfInfo(BaseModel):
    """The properties of a PDF."""

    filename: str = Field(examples=["invoice.pdf"])
    page_count: int = Field(examples=[3])
    metadata: dict[str, str] = Field(examples=[{"Title": "Invoice 57"}])
    file_size: int = Field(description="bytes", examples=[84158])
    has_text: bool
    has_tables: bool
    encrypted: bool
    pages_without_text: list[int] = Field(examples=[[2, 3]])
    warnings: list[ReadingWarning]


class ExtractedTable(BaseModel):
    """The cells of one table, row by row; an empty cell is null or ""."""

    page: int = Field(examples=[1])
    table_index: int = Field(examples=[0])
    data: list[list[str | None]] = Field(examples=[[["item", "price"], ["paper", "12.50"]]])
    kind: TableKind = Field(description="drawn by rules, or parted by white alone", examples=["unruled"])
    header_rows: int = Field(description="rows of the head", examples=[1])
    spans: list[tuple[int, int, int, int]] = Field(
        description="cells over several rows or columns: row, column, last row, last column", examples=[[(0, 0, 0, 1)]]
    )
    title: str = Field(description='its caption, or the line above it; else ""', examples=["Table 3. Prices"])


class ExtractedPdf(DocumentText):
    """Everything that was extracted from a PDF."""

    tables: list[ExtractedTable]
    metadata: dict[str, str]
    notes: list[ReadersNote]
    warnings: list[ReadingWarning]


@router.post(
    "/pdf-info",
    summary="The properties of a PDF",
    openapi_extra=upload_body(),
    responses=may_fail(*WITH_PDF),
)
async def pdf_info(request: Request, pdf: Pdf, user: AskingUser) -> PdfInfo:
    """Nothing is stored."""
    async with received_pdf(request, user_id=user.id) as upload, while_connected(request):
        found = await pdf.inspect(upload.file_for(user.id))
        return PdfInfo(
            filename=upload.filename,
            page_count=found.page_count,
            metadata=found.metadata,
            file_size=upload.incoming.size,
            has_text=found.has_text,
            has_tables=found.has_tables,
            encrypted=found.encrypted,
            pages_without_text=found.pages_without_text,
            warnings=[ReadingWarning(**warning._asdict()) for warning in found.warnings],
        )


@router.post(
    "/search-pdf",
    summary="Find a term in a PDF",
    response_model=SearchAnswer,
    responses=may_fail(*WITH_PDF, SearchTermMissingError),
    openapi_extra=upload_body(search_term={"type": "string", "description": "Here or in the query string."}),
)
async def search_pdf(
    request: Request,
    pdf: Pdf,
    user: AskingUser,
    search_term: Annotated[str | None, Query(max_length=MAX_TERM_CHARACTERS)] = None,
) -> Response:
    """Case is ignored, and a space in the term matches any white space, line breaks too. Nothing is stored."""
    async with received_pdf(request, user_id=user.id) as upload:
        term = (search_term or upload.field("search_term", _term) or "").strip()
        if not term:
            raise SearchTermMissingError
        async with while_connected(request):
            found = await pdf.search(upload.file_for(user.id), term)
        head = json.dumps({"filename": upload.filename, "search_term": term}).encode()
        return Response(head[:-1] + b"," + found[1:], media_type="application/json")


@router.post(
    "/extract",
    summary="Everything that can be extracted from a PDF",
    response_model=ExtractedPdf,
    openapi_extra=upload_body(),
    responses=may_fail(*WITH_PDF),
)
async def extract_pdf(request: Request, pdf: Pdf, user: AskingUser, kind: Kind = None) -> Response:
    """Text, pages, tables and metadata in one answer. Nothing is stored."""
    async with received_pdf(request, user_id=user.id) as upload, while_connected(request):
        body = await pdf.extract_json(upload.file_for(user.id), wanted=kind or "all")
        return Response(body, media_type="application/json")
