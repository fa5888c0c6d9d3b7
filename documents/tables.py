"""Routes that export tables as JSON, CSV or a workbook, of a document or of an uploaded PDF."""

import asyncio
import re
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from auth import CurrentUser, Db
from db import Database
from documents import queries
from documents.library import Library
from documents.uploads import WITH_PDF, received_pdf, upload_body
from edge.answers import SIGNED_IN, may_fail, operation_id
from edge.engines import opened
from edge.fields import Id
from edge.ranges import content_disposition
from errors import (
    DocumentNotFoundError,
    DocumentNotReadyError,
    ExtractionLimitError,
    TableNotFoundError,
)
from extraction.tabular import FileFormat, to_csv
from pdf import PdfEngine

MAX_INDEX = 2**31 - 1
MEDIA_TYPES: dict[FileFormat, str] = {
    "json": "application/json",
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
CSV: dict[str, Any] = {"schema": {"type": "string"}, "example": "item,price\r\npaper,12.50\r\n"}
XLSX: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
FROM_LIBRARY = (*SIGNED_IN, DocumentNotFoundError, DocumentNotReadyError, ExtractionLimitError)

router = APIRouter(tags=["documents"], generate_unique_id_function=operation_id)

Docs = Annotated[Library, opened(Library)]
Pdf = Annotated[PdfEngine, opened(PdfEngine)]
Merge = Annotated[bool, Query(description="join a table that continues over pages, without its repeated header")]
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
    database: Db,
    library: Docs,
    pdf: Pdf,
    user: CurrentUser,
    document_id: Id,
    page: PageNumber = None,
    merge: Merge = False,
) -> Response:
    """In page order. With `merge`, a table that continues over pages is one: the last of a page and the first of the
    next, if their columns and edges agree. It has the page, index and bbox of its first part.
    """
    row = await library.get_ready_document(document_id, user_id=user.id)
    if merge:
        return await _write(database, pdf, user, document_id, "json", merge=True, page=page)
    tables = await queries.get_tables_json(database, document_id=row.id, page_number=page)
    return Response(f'{{"tables": {tables}}}', media_type="application/json")


@router.get(
    "/documents/{document_id}/tables.csv",
    summary="All tables as CSV",
    response_class=Response,
    responses={200: {"content": {"text/csv": CSV}}, **may_fail(*FROM_LIBRARY)},
)
async def read_tables_csv(
    database: Db,
    library: Docs,
    pdf: Pdf,
    user: CurrentUser,
    document_id: Id,
    page: PageNumber = None,
    merge: Merge = False,
) -> Response:
    """The CSV of each table, with an empty line between two; empty if there are no tables."""
    row = await library.get_ready_document(document_id, user_id=user.id)
    return await _write(database, pdf, user, document_id, "csv", merge=merge, page=page, name=_stem(row.filename))


@router.get(
    "/documents/{document_id}/tables.xlsx",
    summary="All tables as a workbook",
    response_class=Response,
    responses={200: {"content": {MEDIA_TYPES["xlsx"]: XLSX}}, **may_fail(*FROM_LIBRARY)},
)
async def read_tables_xlsx(
    database: Db,
    library: Docs,
    pdf: Pdf,
    user: CurrentUser,
    document_id: Id,
    page: PageNumber = None,
    merge: Merge = False,
) -> Response:
    """A sheet for each table, named "p57 t3" after its page and index. Numbers, percentages and ISO dates are typed
    where their column leaves no doubt; everything else is text, and nothing is a formula.

    Excel's limits: a cell is cut to 32,767 characters; a table of more than 1,048,576 rows or 16,384 columns is
    refused. Tables after the 1,000th share a last sheet; if there are no tables, the only sheet says so.
    """
    row = await library.get_ready_document(document_id, user_id=user.id)
    return await _write(database, pdf, user, document_id, "xlsx", merge=merge, page=page, name=_stem(row.filename))


@router.get(
    "/documents/{document_id}/tables/{table_index}.csv",
    summary="One table as CSV",
    response_class=Response,
    responses={200: {"content": {"text/csv": CSV}}, **may_fail(*FROM_LIBRARY, TableNotFoundError)},
)
async def read_table_csv(
    database: Db,
    library: Docs,
    pdf: Pdf,
    user: CurrentUser,
    document_id: Id,
    table_index: TableIndex,
    merge: Merge = False,
) -> Response:
    """UTF-8, RFC 4180. A cell that a spreadsheet would take for a formula is prefixed with an apostrophe. With `merge`,
    the whole of the table that this index is part of.
    """
    row = await library.get_ready_document(document_id, user_id=user.id)
    name = f"{_stem(row.filename)}-{table_index}"
    if merge:
        return await _write(database, pdf, user, document_id, "csv", merge=True, table_index=table_index, name=name)
    cells = await queries.find_table(database, document_id=row.id, table_index=table_index)
    if cells is None:
        raise TableNotFoundError
    return _file((await asyncio.to_thread(to_csv, cells)).encode(), "csv", name)


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
    user: CurrentUser,
    file_format: Annotated[FileFormat, Query(alias="format")] = "json",
    merge: Merge = False,
) -> Response:
    """The tables of an uploaded PDF, in the formats above. Nothing is stored."""
    async with received_pdf(request) as upload:
        body = await pdf.extract_tables(upload.file_for(user.id), file_format=file_format, merge=merge)
        return _file(body, file_format, _stem(upload.filename))


async def _write(
    database: Database,
    pdf: PdfEngine,
    user: CurrentUser,
    document_id: int,
    file_format: FileFormat,
    *,
    merge: bool,
    page: int | None = None,
    table_index: int | None = None,
    name: str = "",
) -> Response:
    """Stored tables, formatted in a worker: they may be large."""
    load = partial(queries.get_placed_tables_json, database, document_id=document_id)
    body = await pdf.write_tables(
        load, user_id=user.id, file_format=file_format, merge=merge, page_number=page, table_index=table_index
    )
    if body is None:
        raise TableNotFoundError
    return _file(body, file_format, name)


def _file(body: bytes, file_format: FileFormat, name: str) -> Response:
    """*name* has no extension; only spreadsheets are downloaded under it."""
    named = {"Content-Disposition": content_disposition(f"{name}.{file_format}")}
    return Response(body, headers=None if file_format == "json" else named, media_type=MEDIA_TYPES[file_format])


def _stem(filename: str) -> str:
    """*filename* without ".pdf", unless that is all of it."""
    return re.sub(r"(?<=.)\.pdf$", "", filename, flags=re.IGNORECASE)
