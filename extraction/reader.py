"""What is read from a PDF, in a worker process: by PDFium, and by pdfplumber what PDFium cannot.

The readers are imported where they are used: the web process knows the values of this room and never loads PDFium.
"""

import contextlib
import io
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self, TypeVar

from errors import BadPdfError, ExtractionLimitError, PagewireError
from extraction.tabular import FileFormat, join_tables, take_tables, to_file
from extraction.text import MAXIMUM_EXCERPTS, Excerpt, clean_text, find_matches, trace_origins

READER_VERSION = 1  # raised when the same file would be read better: then what was read before is not copied
MAXIMUM_TEXT_CHARS = 20_000_000
MAXIMUM_TABLE_CELLS = 2_000_000
ENOUGH_EXCERPTS = 2000  # in one answer; then pages have one, up to
MOST_EXCERPTS = 3000  # then none: 100,000 would stop the event loop for two seconds
RESCUE_SECONDS = 10.0  # of processor time, for single pages that PDFium cannot read

DAMAGED = "Error processing PDF: the file is damaged."
NO_PAGES = "Error processing PDF: none of its pages can be read."
OUT_OF_MEMORY = "The PDF needs more memory than this server allows."
TOO_MUCH_TEXT = f"The PDF has more than the {MAXIMUM_TEXT_CHARS:,} characters this server allows."
TOO_MANY_CELLS = f"The PDF has more than the {MAXIMUM_TABLE_CELLS:,} table cells this server allows."

Value = TypeVar("Value")
ImageFormat = Literal["png", "webp", "jpeg"]
Box = tuple[float, float, float, float]  # x0, top, x1, bottom
Char = tuple[str, float, float, float, float, bool]  # text, x0, top, x1, bottom, upright


class Source(NamedTuple):
    path: Path
    password: str | None


class PageText(NamedTuple):
    page_number: int
    text: str
    width: float  # points, as displayed
    height: float


class Word(NamedTuple):
    """A word as displayed, and its box in points from the top left of what is displayed."""

    text: str
    x0: float
    top: float
    x1: float
    bottom: float


class Table(NamedTuple):
    page_number: int
    table_index: int  # from 0, over the whole document
    data: list[list[str | None]]  # None where a row has no cell in that column
    bbox: Box  # in points from the top left of what is displayed


class Part(NamedTuple):
    """Some pages of a document, in page order, and what it says of itself as a whole."""

    page_count: int  # of the document
    metadata: dict[str, str]
    encrypted: bool
    pages: list[PageText]
    tables: list[Table]  # their indexes count from 0 in each part as it comes from a worker
    warnings: list[str]  # see Extraction
    unreadable_count: int  # of its pages
    began: float  # by the monotonic clock, which all processes share
    ended: float
    cpu_seconds: float
    rescue_seconds: float  # of those, for pages that PDFium could not read


class Extraction(NamedTuple):
    """All of a document. Warnings are "<kind>: page N".

    `page_unreadable`: the page could not be loaded, its text is "". `text_unreadable`: its fonts do not tell which
    characters they show. `text_incomplete`: a font it needs is missing here. `tables_truncated`: it has more lines than
    are compared, so no tables.
    """

    page_count: int
    pages: list[PageText]
    tables: list[Table]
    metadata: dict[str, str]
    encrypted: bool
    warnings: list[str]


class Inspection(NamedTuple):
    page_count: int
    metadata: dict[str, str]
    has_text: bool
    has_tables: bool
    encrypted: bool


class PageMatches(NamedTuple):
    page_number: int
    matches: int
    excerpts: list[Excerpt]  # of the first 100 matches; of one once the pages before have 2,000, of none after 3,000
    boxes: list[list[Box]]  # of each excerpt's match, one a line; empty if not asked for or not known


def guard(function: Callable[..., Value], *args: object) -> Value:
    """Return the value of *function*; whatever a file makes it raise becomes one of the engine's errors."""
    try:
        return function(*args)
    except PagewireError:
        raise
    except MemoryError:
        raise ExtractionLimitError(OUT_OF_MEMORY) from None
    except FileNotFoundError as error:
        raise BadPdfError("Error processing PDF: the file is gone.") from error
    except Exception as error:  # the readers stumble over damaged files in countless ways
        raise BadPdfError(DAMAGED) from error


class _Page(Protocol):
    width: float
    height: float
    corner: tuple[float, float]  # of what is displayed, in the coordinates of edges and characters

    @property
    def has_lost_text(self) -> bool: ...
    @property
    def is_unmapped(self) -> bool: ...
    def close(self) -> None: ...
    def read_text(self) -> str: ...
    def read_words(self) -> list[tuple[str, float, float, float, float]]: ...
    def read_edges(self) -> tuple[list[Box], list[Box]]: ...  # vertical, horizontal
    def read_chars(self) -> list[Char]: ...


class _Document(Protocol):
    page_count: int
    encrypted: bool

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
    def metadata(self) -> dict[str, str]: ...
    def open_page(self, index: int) -> _Page | None: ...


class _Reader:
    """One file being read: by PDFium, and by pdfplumber what PDFium cannot."""

    def __init__(
        self,
        source: Source,
        max_pages: int,
        resources: contextlib.ExitStack,
        *,
        rescue_seconds: float = RESCUE_SECONDS,
    ) -> None:
        self._source = source
        self._resources = resources
        self._rescuer: _Document | None = None
        self.rescue_seconds = rescue_seconds  # left
        self.unreadable_count = 0
        self._char_count = 0
        self._cell_count = 0
        self._table_count = 0
        self.warnings: list[str] = []
        self.document = self._open()
        if self.document.page_count == 0:
            self.document = self._rescue()
        if self.document.page_count == 0:
            raise BadPdfError("Error processing PDF: the file has no pages.")
        if self.document.page_count > max_pages:
            raise ExtractionLimitError(
                f"The PDF has {self.document.page_count} pages, more than the {max_pages} this server allows."
            )

    def _open(self) -> _Document:
        from extraction import pdfium

        try:
            return self._resources.enter_context(pdfium.Document(*self._source))
        except pdfium.UnreadableError:
            return self._rescue()

    def _rescue(self) -> _Document:
        from extraction import plumber

        if self._rescuer is None:
            self._rescuer = self._resources.enter_context(plumber.Document(*self._source))
        return self._rescuer

    def read_metadata(self) -> dict[str, str]:
        cleaned = {clean_text(key): clean_text(value) for key, value in self.document.metadata().items()}
        return {key: value for key, value in cleaned.items() if key and value}

    def read_pages(self, first_page: int = 1, count: int | None = None) -> Iterator[tuple[PageText, _Page | None]]:
        """Yield each page's text, and the page itself for more questions, None if it cannot be read.

        Raises:
            BadPdfError: if no page of the document can be read.
        """
        page_count = self.document.page_count
        last_page = page_count if count is None else min(first_page + count - 1, page_count)
        for page_number in range(first_page, last_page + 1):
            page = self.open_page(page_number - 1)
            if page is None:
                self.unreadable_count += 1
                if self.unreadable_count == page_count:
                    raise BadPdfError(NO_PAGES)
                self.warnings.append(f"page_unreadable: page {page_number}")
                yield PageText(page_number, "", 0.0, 0.0), None
                continue
            with contextlib.closing(page):
                text = clean_text(page.read_text())
                self._char_count += len(text)
                if self._char_count > MAXIMUM_TEXT_CHARS:
                    raise ExtractionLimitError(TOO_MUCH_TEXT)
                if page.is_unmapped:
                    self.warnings.append(f"text_unreadable: page {page_number}")
                yield PageText(page_number, text, page.width, page.height), page

    def open_page(self, index: int) -> _Page | None:
        """Return the page, to be closed, by the reader that reads more of it; None if neither can."""
        page = self.document.open_page(index)
        if page is None:
            return self._open_rescue_page(index)
        if not page.has_lost_text:
            return page
        other = self._open_rescue_page(index)
        if other is None:
            self.warnings.append(f"text_incomplete: page {index + 1}")
            return page
        worse, better = sorted((page, other), key=lambda candidate: len(candidate.read_text()))
        worse.close()
        return better

    def _open_rescue_page(self, index: int) -> _Page | None:
        """Return the page as pdfplumber reads it, as long as the time for that lasts."""
        if self.rescue_seconds <= 0 or self.document is self._rescuer:
            return None
        start = time.process_time()
        try:
            page = self._rescue().open_page(index)
        except PagewireError:
            self.rescue_seconds = 0.0
            return None
        self.rescue_seconds -= time.process_time() - start
        return page

    def read_tables(self, page_number: int, page: _Page) -> list[Table]:
        from extraction import edges, ruled

        try:
            grids = ruled.find_grids(*page.read_edges())
        except (edges.TooManyPathsError, ruled.TooManyLinesError):
            self.warnings.append(f"tables_truncated: page {page_number}")
            return []
        if not grids:
            return []
        self._cell_count += sum(len(grid.rows) * len(grid.rows[0]) for grid in grids)
        if self._cell_count > MAXIMUM_TABLE_CELLS:
            raise ExtractionLimitError(TOO_MANY_CELLS)
        cells = ruled.CellReader(page.read_chars())
        left, top = page.corner
        found: list[Table] = []
        for grid in grids:
            data = [[cell and clean_text(cell) for cell in row] for row in cells.read_cells(grid)]
            x0, y0, x1, y1 = grid.bbox
            found.append(Table(page_number, self._table_count, data, (x0 - left, y0 - top, x1 - left, y1 - top)))
            self._table_count += 1
        return found


def read_part(
    source: Source, max_pages: int, first_page: int, count: int | None, rescue_seconds: float = RESCUE_SECONDS
) -> Part:
    """Read *count* pages from *first_page* on, or all; for pages beyond PDFium there are *rescue_seconds*."""
    began, cpu_began = time.monotonic(), time.process_time()
    with contextlib.ExitStack() as resources:
        reader = _Reader(source, max_pages, resources, rescue_seconds=rescue_seconds)
        pages: list[PageText] = []
        found: list[Table] = []
        for text, page in reader.read_pages(first_page, count):
            pages.append(text)
            if page is not None:
                found += reader.read_tables(text.page_number, page)
        return Part(
            reader.document.page_count,
            reader.read_metadata(),
            reader.document.encrypted,
            pages,
            found,
            reader.warnings,
            reader.unreadable_count,
            began,
            time.monotonic(),
            time.process_time() - cpu_began,
            rescue_seconds - reader.rescue_seconds,
        )


def join_parts(parts: Sequence[Part]) -> Extraction:
    return Extraction(
        page_count=parts[0].page_count,
        pages=[page for part in parts for page in part.pages],
        tables=[table for part in parts for table in part.tables],
        metadata=parts[0].metadata,
        encrypted=parts[0].encrypted,
        warnings=[warning for part in parts for warning in part.warnings],
    )


def as_json(found: Extraction) -> dict[str, Any]:
    """As `POST /extract` answers it."""
    return {
        "text": "\f".join(page.text for page in found.pages),
        "pages": [
            {"page_number": page.page_number, "text": page.text, "char_count": len(page.text)} for page in found.pages
        ],
        "page_count": found.page_count,
        "tables": [
            {"page": table.page_number, "table_index": table.table_index, "data": table.data} for table in found.tables
        ],
        "metadata": found.metadata,
    }


def extract_json(source: Source, max_pages: int) -> bytes:
    body = as_json(join_parts([read_part(source, max_pages, 1, None)]))
    return _dump(body)


def extract_tables(source: Source, max_pages: int, file_format: FileFormat, merge: bool) -> bytes:
    found = read_part(source, max_pages, 1, None)
    heights = {page.page_number: page.height for page in found.pages}
    tables = join_tables(found.tables, heights) if merge else take_tables(found.tables)
    return to_file(tables, file_format, with_pages=merge)


class _StoredTable(NamedTuple):
    page_number: int
    table_index: int
    data: list[list[str | None]]
    bbox: list[float]
    page_height: float | None


def write_tables(
    stored: str, file_format: FileFormat, merge: bool, page_number: int | None, table_index: int | None
) -> bytes | None:
    try:
        found = [_StoredTable(*table) for table in json.loads(stored)]
        heights = {table.page_number: table.page_height or 0.0 for table in found}
        tables = join_tables(found, heights) if merge else take_tables(found)
        if page_number is not None:
            tables = [table for table in tables if page_number in table.pages]
        if table_index is not None:
            tables = [table for table in tables if table_index in table.indexes]
            if not tables:
                return None
        return to_file(tables, file_format, with_pages=merge)
    except MemoryError:
        raise ExtractionLimitError(OUT_OF_MEMORY) from None


def inspect(source: Source, max_pages: int) -> Inspection:
    with contextlib.ExitStack() as resources:
        reader = _Reader(source, max_pages, resources)
        document = reader.document
        has_text = has_tables = False
        for text, page in reader.read_pages():
            has_text = has_text or bool(text.text.strip())
            has_tables = has_tables or (page is not None and bool(reader.read_tables(text.page_number, page)))
            if has_text and has_tables:
                break
        return Inspection(document.page_count, reader.read_metadata(), has_text, has_tables, document.encrypted)


def search(source: Source, max_pages: int, term: str) -> tuple[bytes, bytes]:
    """Return what `search_text` does, and the text that it wants."""
    with contextlib.ExitStack() as resources:
        text = "\f".join(page.text for page, _ in _Reader(source, max_pages, resources).read_pages()).encode()
    return search_text(text, term), text


def search_text(text: bytes, term: str) -> bytes:
    """Return the fields `total_matches` and `matches_by_page` of the answer of `POST /search-pdf`, as JSON."""
    found = _Found(enumerate(text.decode().split("\f"), start=1), term)
    pages = [
        {
            "page": page.page_number,
            "matches": page.matches,
            "context": [
                {"position": hit.position, "context": hit.before + hit.match + hit.after, **hit._asdict()}
                for hit in page.excerpts
            ],
        }
        for page in found.pages
    ]
    return _dump({"total_matches": found.total, "matches_by_page": pages})


def _dump(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


class _Found:
    """What was found of a term in *pages* (number and text), *pages* of it those from *first_page* on, to *limit*."""

    def __init__(
        self, pages: Iterable[tuple[int, str]], term: str, *, first_page: int = 1, limit: int | None = None
    ) -> None:
        self.total = 0
        self.pages: list[PageMatches] = []
        excerpt_count = 0
        for page_number, text in pages:
            matches = find_matches(text, term)
            self.total += matches.total
            if matches.total and page_number >= first_page and (limit is None or len(self.pages) < limit):
                wanted = None if excerpt_count < ENOUGH_EXCERPTS else int(excerpt_count < MOST_EXCERPTS)
                excerpts = matches.excerpts[:wanted]
                excerpt_count += len(excerpts)
                self.pages.append(PageMatches(page_number, matches.total, excerpts, []))


# Fast ones. 20 real pages, 850 pixels wide, mean of processor time and size: PNG 15 ms, 124 KB (as Pillow would: 23 ms,
# 139 KB); WebP 19 ms, 70 KB (45 ms, 58 KB); JPEG 2 ms, 118 KB
ENCODING: dict[str, dict[str, Any]] = {
    "png": {"compress_level": 3},
    "webp": {"quality": 80, "method": 1},
    "jpeg": {"quality": 85},
}
MARKER = (255, 225, 60)  # a yellow that black text shows through


def render_page(
    source: Source, page_number: int, width: int, image_format: ImageFormat, term: str | None
) -> bytes | None:
    from PIL import Image, ImageChops

    from extraction import pdfium

    try:
        with pdfium.Document(*source) as document:
            picture = document.render_page(page_number - 1, width)
            hits = _find_hits(document, page_number, term) if term and picture is not None else []
    except pdfium.UnreadableError:
        return None
    if picture is None:
        return None
    size = (picture.width, picture.height)
    image = Image.frombuffer("RGB", size, picture.pixels, "raw", "BGRX", picture.stride, 1)
    for x0, top, x1, bottom in (picture.place(box) for boxes in hits for box in boxes):
        spot = (max(0, x0 - 1), max(0, top - 1), min(size[0], x1 + 1), min(size[1], bottom + 1))
        if spot[0] < spot[2] and spot[1] < spot[3]:
            part = image.crop(spot)
            image.paste(ImageChops.multiply(part, Image.new("RGB", part.size, MARKER)), spot)
    target = io.BytesIO()
    image.save(target, image_format.upper(), **ENCODING[image_format])
    return target.getvalue()


def read_words(source: Source, page_number: int) -> list[Word] | None:
    with contextlib.ExitStack() as resources:
        # a page that was read is shown, whatever the limit on pages has become
        reader = _Reader(source, sys.maxsize, resources)
        page = reader.open_page(page_number - 1) if page_number <= reader.document.page_count else None
        if page is None:
            return None
        with contextlib.closing(page):
            cleaned = [Word(clean_text(text), *(round(edge, 2) for edge in box)) for text, *box in page.read_words()]
        return [word for word in cleaned if word.text and all(map(math.isfinite, word[1:]))]


def _find_hits(document: Any, page_number: int, term: str) -> list[list[Box]]:
    """Return the boxes of the first 100 matches of *term* on a page that PDFium can read."""
    page = document.open_page(page_number - 1)
    if page is None:
        return []
    with contextlib.closing(page):
        raw = page.read_text()
        text = clean_text(raw)
        origins = trace_origins(raw, text)
        boxes: list[list[Box]] = []
        for excerpt in find_matches(text, term).excerpts:
            start, last = origins[excerpt.position], origins[excerpt.position + len(excerpt.match) - 1]
            boxes.append(page.find_boxes(start, last + 1 - start))
        return boxes


def search_pages(
    pages: Sequence[tuple[int, str]], source: Source, term: str, first_page: int, limit: int
) -> tuple[int, list[PageMatches]]:
    from extraction import pdfium

    found = _Found(pages, term, first_page=first_page, limit=limit)
    with contextlib.suppress(pdfium.UnreadableError, PagewireError, OSError), pdfium.Document(*source) as document:
        for index, page in enumerate(found.pages):
            boxes = _find_hits(document, page.page_number, term) if page.excerpts else []
            if len(boxes) == min(page.matches, MAXIMUM_EXCERPTS):  # else the text was read by the other reader
                found.pages[index] = page._replace(boxes=boxes[: len(page.excerpts)])
    return found.total, found.pages
