"""Routes that export tables as JSON, CSV or a workbook, of a document or of an uploaded PDF."""

import asyncio
import re
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from auth import AskingUser, CurrentUser, Db
from db import Database
from documents import page_queries
from documents.answers import Kind
from documents.library import Library
from documents.queries import DocumentRow
from documents.uploads import WITH_PDF, received_pdf, upload_body
from edge.answers import SIGNED_IN, may_fail, operation_id
from edge.engines import opened
from edge.fields import Download, IdParameter
from edge.hangups import while_connected
from edge.ranges import content_disposition
from errors import (
    DocumentFileMissingError,
    DocumentNotFoundError,
    DocumentNotReadyError,
    ExtractionLimitError,
    TableNotFoundError,
)
from extraction.tables.tabular import FileFormat, Look
from extraction.tasks import TableQuery
from extraction.values import TableKind
from pdf import PdfEngine

MAX_INDEX = 2**31 - 1
MEDIA_TYPES: dict[FileFormat, str] = {
    "json": "application/json",
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
CSV: dict[str, Any] = {"schema": {"type": "string"}, "example": "item,price\r\npaper,12.50\r\n"}
XLSX: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
FROM_LIBRARY = (
    *SIGNED_IN,
    DocumentNotFoundError,
    DocumentNotReadyError,
    DocumentFileMissingError,
    ExtractionLimitError,
)

router = APIRouter(tags=["documents"], generate_unique_id_function=operation_id)

Docs = Annotated[Library, opened(Library)]
Pdf = Annotated[PdfEngine, opened(PdfEngine)]
Merge = Annotated[bool, Query(description="join a table that continues over pages, without its repeated header")]
Bom = Annotated[bool, Query(description="begin the CSV with a byte order mark: Excel takes it for UTF-8 then")]
Trim = Annotated[bool, Query(description="leave out empty rows and columns; not of JSON")]
PageNumber = Annotated[
    int | None,
    Query(ge=1, le=MAX_INDEX, description="of this page only; with `merge`, also tables that continue on it"),
]
TableIndex = Annotated[int, Path(ge=0, le=MAX_INDEX, description="from 0, over the whole document")]


class DocumentTable(BaseModel):
    """One table, row by row."""

    page: int = Field(examples=[57])
    table_index: int = Field(description="from 0, over the whole document", examples=[0])
    data: list[list[str | None]] = Field(
        description="null if a row has no cell in that column", examples=[[["item", "price"], ["paper", "12.50"]]]
    )
    bbox: list[float] = Field(
        description="x0, top, x1, bottom in points from the page's top left", examples=[[72.0, 72.0, 540.0, 144.0]]
    )
    fragment: bool = Field(description="one row or one column: perhaps a frame, not a table", examples=[False])
    kind: TableKind = Field(description="drawn by rules, or parted by white alone", examples=["unruled"])
    header_rows: int = Field(description="rows of the head", examples=[1])
    spans: list[tuple[int, int, int, int]] = Field(
        description="cells over several rows or columns: row, column, last row, last column", examples=[[(0, 0, 0, 1)]]
    )
    title: str = Field(description='its caption, or the line above it; else ""', examples=["Table 3. Prices"])
    pages: list[int] | None = Field(None, description="with `merge`: the pages it is on", examples=[[57, 58]])


class DocumentTables(BaseModel):
    """The tables of a document, in the order of its pages."""

    tables: list[DocumentTable]


@router.get(
    "/documents/{document_id}/tables",
    summary="The tables of a document",
    response_model=DocumentTables,
    responses=may_fail(*FROM_LIBRARY),
)
async def list_tables(
    request: Request,
    database: Db,
    library: Docs,
    pdf: Pdf,
    user: CurrentUser,
    document_id: IdParameter,
    page: PageNumber = None,
    merge: Merge = False,
    kind: Kind = None,
) -> Response:
    """In page order: tables that rules draw, those that white parts, and the grids that are neither charts nor frames.

    With `merge`, a table that continues over pages is one: the last of a page and the first of the next, if their
    columns and edges agree. It has the page, index and bbox of its first part.
    """
    row = await library.get_ready_document(document_id, user_id=user.id)
    if merge or kind:
        query = TableQuery("json", merge, page_number=page)
        return _file(await _write(request, database, library, pdf, user, row, query, kind), query)
    tables = await page_queries.get_tables_json(database, document_id=row.id, page_number=page)
    return Response(f'{{"tables": {tables}}}', media_type="application/json")


@router.get(
    "/documents/{document_id}/tables.csv",
    summary="All tables as CSV",
    response_class=Response,
    responses={200: {"content": {"text/csv": CSV}}, **may_fail(*FROM_LIBRARY)},
)
async def read_tables_csv(
    request: Request,
    database: Db,
    library: Docs,
    pdf: Pdf,
    user: CurrentUser,
    document_id: IdParameter,
    page: PageNumber = None,
    merge: Merge = False,
    kind: Kind = None,
    bom: Bom = False,
    trim: Trim = False,
    download: Download = False,
) -> Response:
    """The CSV of each table, with an empty line between two; empty if there are no tables."""
    row = await library.get_ready_document(document_id, user_id=user.id)
    query = TableQuery("csv", merge, Look(bom, trim), page_number=page)
    return _file(
        await _write(request, database, library, pdf, user, row, query, kind),
        query,
        _stem(row.filename),
        download=download,
    )


@router.get(
    "/documents/{document_id}/tables.xlsx",
    summary="All tables as a workbook",
    response_class=Response,
    responses={200: {"content": {MEDIA_TYPES["xlsx"]: XLSX}}, **may_fail(*FROM_LIBRARY)},
)
async def read_tables_xlsx(
    request: Request,
    database: Db,
    library: Docs,
    pdf: Pdf,
    user: CurrentUser,
    document_id: IdParameter,
    page: PageNumber = None,
    merge: Merge = False,
    kind: Kind = None,
    trim: Trim = False,
    download: Download = False,
) -> Response:
    """A sheet for each table, named "p57 t3" after its page and index; its head stays in view, cells that span others
    are merged. Numbers, percentages and ISO dates are typed where their column leaves no doubt; everything else is
    text, and nothing is a formula.

    Excel's limits: a cell is cut to 32,767 characters; a table of more than 1,048,576 rows or 16,384 columns is
    refused. Tables after the 1,000th share a last sheet; if there are no tables, the only sheet says so.
    """
    row = await library.get_ready_document(document_id, user_id=user.id)
    query = TableQuery("xlsx", merge, Look(trim=trim), page_number=page)
    return _file(
        await _write(request, database, library, pdf, user, row, query, kind),
        query,
        _stem(row.filename),
        download=download,
    )


@router.get(
    "/documents/{document_id}/tables/{table_index}.csv",
    summary="One table as CSV",
    response_class=Response,
    responses={200: {"content": {"text/csv": CSV}}, **may_fail(*FROM_LIBRARY, TableNotFoundError)},
)
async def read_table_csv(
    request: Request,
    database: Db,
    library: Docs,
    pdf: Pdf,
    user: CurrentUser,
    document_id: IdParameter,
    table_index: TableIndex,
    merge: Merge = False,
    kind: Kind = None,
    bom: Bom = False,
    trim: Trim = False,
    download: Download = False,
) -> Response:
    """UTF-8, RFC 4180. A cell that a spreadsheet would take for a formula is prefixed with an apostrophe. With `merge`,
    the whole of the table that this index is part of.
    """
    row = await library.get_ready_document(document_id, user_id=user.id)
    query = TableQuery("csv", merge, Look(bom, trim), table_index=table_index)
    name = f"{_stem(row.filename)}-{table_index}"
    if merge or kind:
        return _file(
            await _write(request, database, library, pdf, user, row, query, kind), query, name, download=download
        )
    cells = await page_queries.find_table(database, document_id=row.id, table_index=table_index)
    if cells is None:
        raise TableNotFoundError
    return _file(await asyncio.to_thread(query.look.encode_csv, [cells]), query, name, download=download)


@router.post(
    "/extract/tables",
    summary="The tables of a PDF",
    response_model=DocumentTables,
    openapi_extra=upload_body(),
    responses={200: {"content": {"text/csv": CSV, MEDIA_TYPES["xlsx"]: XLSX}}, **may_fail(*WITH_PDF)},
)
async def extract_tables(
    request: Request,
    pdf: Pdf,
    user: AskingUser,
    file_format: Annotated[FileFormat, Query(alias="format")] = "json",
    merge: Merge = False,
    kind: Kind = None,
    bom: Bom = False,
    trim: Trim = False,
) -> Response:
    """The tables of an uploaded PDF, in the formats above. Nothing is stored."""
    query = TableQuery(file_format, merge, Look(bom, trim))
    async with received_pdf(request, user_id=user.id) as upload, while_connected(request):
        body = await pdf.extract_tables(upload.file_for(user.id), query, wanted=kind or "all")
        return _file(body, query, _stem(upload.filename))


async def _write(
    request: Request,
    database: Database,
    library: Library,
    pdf: PdfEngine,
    user: CurrentUser,
    row: DocumentRow,
    query: TableQuery,
    kind: Kind,
) -> bytes | None:
    """Stored tables, formatted in a worker: they may be large. pdfplumber's are not stored, but found again."""
    async with while_connected(request):
        if kind:
            return await pdf.extract_tables(await library.get_file(row, user_id=user.id), query, wanted=kind)
        load = partial(page_queries.get_placed_tables_json, database, document_id=row.id)
        return await pdf.write_tables(load, query, user_id=user.id)


def _file(body: bytes | None, query: TableQuery, name: str = "", *, download: bool = False) -> Response:
    """*name* has no extension; only spreadsheets have it."""
    if body is None:
        raise TableNotFoundError
    file_format = query.file_format
    named = {"Content-Disposition": content_disposition(f"{name}.{file_format}", download=download)}
    return Response(body, headers=None if file_format == "json" else named, media_type=MEDIA_TYPES[file_format])


def _stem(filename: str) -> str:
    """*filename* without ".pdf", unless that is all of it."""
    return re.sub(r"(?<=.)\.pdf$", "", filename, flags=re.IGNORECASE)
