"""Routes of the pages of a document: their text, their pictures, search."""

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from auth import CurrentUser, Db
from db import Database
from documents import page_queries
from documents.answers import MAX_TERM_CHARACTERS, PageHits, SearchAnswer
from documents.library import Library, check_ready
from documents.queries import DocumentRow
from edge.answers import SIGNED_IN, may_fail, operation_id
from edge.engines import opened
from edge.fields import IdParameter, NotBlank, Storable
from edge.hangups import while_connected
from edge.ranges import knows_etag
from errors import (
    BadPdfError,
    DocumentNotFoundError,
    DocumentNotReadyError,
    ExtractionLimitError,
    PageNotFoundError,
    PagewireError,
    PasswordRequiredError,
)
from extraction.values import ImageFormat, Word
from pdf import PdfEngine, PdfFile

DEFAULT_WIDTH = 850  # pixels: 100 dpi on US Letter
MAX_WIDTH = 4000
MAX_INDEX = 2**31 - 1
IMMUTABLE = "private, max-age=31536000, immutable"
MIN_SHARED_HEIGHT = 0.4  # of the smaller of two words on one line
PICTURE_EDITION = 2  # part of the ETags: raise it when pictures are rendered differently

router = APIRouter(tags=["documents"], generate_unique_id_function=operation_id)

Pdf = Annotated[PdfEngine, opened(PdfEngine)]
Docs = Annotated[Library, opened(Library)]
PageNumber = Annotated[int, Path(ge=1, le=MAX_INDEX, description="from 1")]


class PageWord(BaseModel):
    """One word as displayed; its box is in points from the top left of the displayed page."""

    text: str = Field(examples=["Total"])
    x0: float = Field(examples=[72.0])
    top: float = Field(examples=[96.0])
    x1: float = Field(examples=[98.5])
    bottom: float = Field(examples=[108.0])
    line: int = Field(description="from 0; words of one line have the same number", examples=[0])


class PageSize(BaseModel):
    """How large one page is."""

    page_number: int = Field(examples=[57])
    width: float = Field(description="points, as displayed", examples=[612.0])
    height: float = Field(description="points", examples=[792.0])
    label: str | None = Field(description="what the PDF calls it (i, ii, A-7); null if that is its number")
    char_count: int = Field(examples=[1950])


class PageSizes(BaseModel):
    """The pages of a document; of one that is processing, those that were extracted."""

    pages: list[PageSize]


class Page(BaseModel):
    """One page as it was extracted."""

    page_number: int = Field(examples=[57])
    text: str = Field(examples=["Total due: 1,250.00"])
    char_count: int = Field(examples=[19])
    width: float = Field(description="points, as displayed", examples=[612.0])
    height: float = Field(description="points", examples=[792.0])
    words: list[PageWord] | None = Field(
        default=None,
        description="in the order of the text, at most 20,000, only on request; "
        "a word split over two lines is two, the first with its hyphen",
    )


@router.get(
    "/documents/{document_id}/pages",
    summary="The sizes of all pages",
    response_model=PageSizes,
    responses={304: {"description": "Not changed (If-None-Match)"}, **may_fail(*SIGNED_IN, DocumentNotFoundError)},
)
async def list_page_sizes(
    request: Request, database: Db, library: Docs, pdf: Pdf, user: CurrentUser, document_id: IdParameter
) -> Response:
    """All at once, for a steady scroll."""
    row = await library.get_document(document_id, user_id=user.id)
    sizes = await page_queries.list_page_sizes(database, document_id=row.id)
    labels: dict[int, str] = {}
    if row.status == "ready":
        async with while_connected(request):
            labels = await _read_labels(pdf, await library.file_of(row, user_id=user.id))
    pages = [PageSize(**size._asdict(), label=labels.get(size.page_number)) for size in sizes]
    return _json_with_etag(request, PageSizes(pages=pages))


async def _read_labels(pdf: PdfEngine, file: PdfFile) -> dict[int, str]:
    """By page number; empty if the file is missing or cannot be opened: the numbers do then."""
    try:
        return await pdf.read_labels(file)
    except PagewireError:
        return {}


def _json_with_etag(request: Request, answer: BaseModel) -> Response:
    body = answer.model_dump_json().encode()
    headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"', "Cache-Control": "private, no-cache"}
    if knows_etag(", ".join(request.headers.getlist("if-none-match")), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


@router.get(
    "/documents/{document_id}/pages/{page_number}",
    summary="The text of one page",
    response_model=Page,
    responses={
        304: {"description": "Not changed (If-None-Match)"},
        **may_fail(
            *SIGNED_IN,
            DocumentNotFoundError,
            PageNotFoundError,
            DocumentNotReadyError,
            BadPdfError,
            PasswordRequiredError,
            ExtractionLimitError,
        ),
    },
)
async def read_page(
    request: Request,
    database: Db,
    library: Docs,
    pdf: Pdf,
    user: CurrentUser,
    document_id: IdParameter,
    page_number: PageNumber,
    words: Annotated[bool, Query(description="with the boxes of its words")] = False,
) -> Response:
    """Also of a document that is still processing, as soon as this page is extracted."""
    row = await library.get_document(document_id, user_id=user.id)
    page = await page_queries.find_page(database, document_id=row.id, page_number=page_number)
    if page is None:
        check_ready(row)
        raise PageNotFoundError
    found = None
    if words:
        async with while_connected(request):
            found = await _read_words(pdf, await library.get_file(row, user_id=user.id), page_number)
    answer = Page(
        page_number=page.page_number,
        text=page.text,
        char_count=len(page.text),
        width=page.width,
        height=page.height,
        words=found,
    )
    return _json_with_etag(request, answer)


async def _read_words(pdf: PdfEngine, file: PdfFile, page_number: int) -> list[PageWord]:
    words = await pdf.read_words(file, page_number) or []
    lines = number_lines(words)
    return [PageWord.model_construct(**word._asdict(), line=line) for word, line in zip(words, lines, strict=True)]


def number_lines(words: Sequence[Word]) -> list[int]:
    """The line of each word, from 0: the next one begins where a word stands higher or lower than the one before."""
    lines: list[int] = []
    line = 0
    before: Word | None = None
    for word in words:
        if before is not None:
            shared = min(before.bottom, word.bottom) - max(before.top, word.top)
            if shared < MIN_SHARED_HEIGHT * min(before.bottom - before.top, word.bottom - word.top):
                line += 1
        lines.append(line)
        before = word
    return lines


@router.get(
    "/documents/{document_id}/pages/{page_number}/image",
    summary="A picture of one page",
    response_class=Response,
    responses={
        200: {
            "content": {
                f"image/{kind}": {"schema": {"type": "string", "format": "binary"}} for kind in ("png", "webp", "jpeg")
            }
        },
        304: {"description": "Not changed (If-None-Match)"},
        **may_fail(
            *SIGNED_IN,
            DocumentNotFoundError,
            PageNotFoundError,
            BadPdfError,
            PasswordRequiredError,
            ExtractionLimitError,
        ),
    },
)
async def read_page_image(
    request: Request,
    library: Docs,
    pdf: Pdf,
    user: CurrentUser,
    document_id: IdParameter,
    page_number: PageNumber,
    width: Annotated[int, Query(ge=1, le=MAX_WIDTH, description="pixels")] = DEFAULT_WIDTH,
    image_format: Annotated[ImageFormat, Query(alias="format")] = "png",
    q: Annotated[Storable | None, Query(max_length=MAX_TERM_CHARACTERS, description="a term to highlight")] = None,
    v: Annotated[
        Storable | None,
        Query(max_length=64, description="the first 8 characters of the document's sha256: kept for a year"),
    ] = None,
) -> Response:
    """The page as displayed; at most four million pixels, so a tall one may be narrower than requested."""
    row = await library.get_document(document_id, user_id=user.id)
    etag = _picture_etag(row, page_number, width, image_format, q)
    never_changes = row.sha256 is not None and row.status == "ready" and v == row.sha256[:8]
    headers = {"ETag": etag, "Cache-Control": IMMUTABLE if never_changes else "private, no-cache"}
    if row.page_count is not None and page_number > row.page_count:
        raise PageNotFoundError
    if knows_etag(", ".join(request.headers.getlist("if-none-match")), etag):
        return Response(status_code=304, headers=headers)
    file = await library.get_file(row, user_id=user.id)
    async with while_connected(request):
        picture = await pdf.render_page(file, page_number, width=width, image_format=image_format, term=q)
    if picture is None:
        raise PageNotFoundError("This page cannot be shown.")
    return Response(picture, headers=headers, media_type=f"image/{image_format}")


def _picture_etag(row: DocumentRow, page_number: int, width: int, image_format: str, term: str | None) -> str:
    content = row.sha256 or f"{row.id} {row.created_at}"  # an older installation stored no hash
    key = f"{PICTURE_EDITION} {content} {page_number} {width} {image_format} {term or ''}"
    return f'"{hashlib.sha256(key.encode()).hexdigest()[:32]}"'


class DocumentSearchAnswer(SearchAnswer):
    """Pages with a hit, in page order, and the number of hits on all; `next_cursor` leads to more pages."""

    next_cursor: str | None = Field(examples=[None])


@router.get(
    "/documents/{document_id}/search",
    summary="Find a term in a document",
    responses=may_fail(*SIGNED_IN, DocumentNotFoundError, DocumentNotReadyError, BadPdfError, ExtractionLimitError),
)
async def search_document(
    request: Request,
    database: Db,
    library: Docs,
    pdf: Pdf,
    user: CurrentUser,
    document_id: IdParameter,
    q: Annotated[NotBlank, Query(max_length=MAX_TERM_CHARACTERS)],
    limit: Annotated[int, Query(ge=1, le=200, description="pages")] = 50,
    cursor: Annotated[int, Query(ge=1, le=MAX_INDEX)] = 1,
) -> DocumentSearchAnswer:
    """Like /search-pdf, with the boxes of the hits."""
    row = await library.get_ready_document(document_id, user_id=user.id)
    file, load = await library.file_of(row, user_id=user.id), partial(_load_texts, database, row.id)
    async with while_connected(request):
        total, found = await pdf.search_pages(file, load, q, first_page=cursor, limit=limit + 1)
    return DocumentSearchAnswer(
        filename=row.filename,
        search_term=q.strip(),
        total_matches=total,
        matches_by_page=[PageHits.from_matches(page, with_boxes=True) for page in found[:limit]],
        next_cursor=str(found[limit].page_number) if len(found) > limit else None,
    )


async def _load_texts(database: Database, document_id: int) -> list[tuple[int, str]]:
    """The number and the text of each page."""
    pages = await page_queries.list_pages(database, document_id=document_id)
    if pages:
        return [(page.page_number, page.text) for page in pages]
    text = await page_queries.get_document_text(database, document_id=document_id)  # no pages: an older installation's
    return list(enumerate(text.split("\f"), start=1))
