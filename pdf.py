"""Read PDFs: a path in, values out; the reading happens in worker processes that may die without harm.

PDFium aborts when memory runs out and a hostile file can keep it busy for ever, so this process never loads it. Each
task runs in a forked, niced worker with limits on its memory, its CPU time and the wall clock.
"""

import contextlib
import io
import json
import logging
import re
import signal
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self, TypeVar

from errors import BadPdfError, ExtractionLimitError, PagewireError
from workers import WorkerDiedError, Workers

logger = logging.getLogger(__name__)

MAXIMUM_TEXT_CHARS = 20_000_000
MAXIMUM_TABLE_CELLS = 2_000_000
RESCUE_SECONDS = 10.0  # of processor time, for single pages that PDFium cannot read
EXCERPT_CHARS = 60  # shown on each side of a match
MAXIMUM_EXCERPTS = 100  # a page; the counts have no limit

DAMAGED = "Error processing PDF: the file is damaged."
OUT_OF_MEMORY = "The PDF needs more memory than this server allows."

Value = TypeVar("Value")
ImageFormat = Literal["png", "webp", "jpeg"]
Box = tuple[float, float, float, float]  # x0, top, x1, bottom
Char = tuple[str, float, float, float, float, bool]  # text, x0, top, x1, bottom, upright


class PageText(NamedTuple):
    page_number: int
    text: str
    width: float  # points, as displayed
    height: float


class Table(NamedTuple):
    page_number: int
    table_index: int  # from 0, over the whole document
    data: list[list[str | None]]  # None where a row has no cell in that column
    bbox: Box  # in points from the page's top left


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


class Excerpt(NamedTuple):
    position: int  # of the match in the page's text
    before: str
    match: str
    after: str


class PageMatches(NamedTuple):
    page_number: int
    matches: int
    excerpts: list[Excerpt]  # of the first 100 matches
    boxes: list[list[Box]]  # of each excerpt's match, one a line; empty if not asked for or not known


class Matches(NamedTuple):
    total: int
    excerpts: list[Excerpt]  # of the first 100 matches


# Text


# C0 but \n and \t, DEL, and the non-character PDFium uses for what it cannot map
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f\uffff]")
_HYPHEN_MARK = re.compile("[\ufffe\x02]\n?")  # PDFium's for a hyphen at the end of a line
_SURROGATE = re.compile("[\ud800-\udfff]")


def clean_text(text: str) -> str:
    """Return *text* as it is stored: LF line ends, hyphenated words joined, nothing that PostgreSQL or JSON refuses."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if _SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    return _UNWANTED.sub("", _HYPHEN_MARK.sub("", text))


_CHANGED = re.compile("\r\n?|[\ufffe\x02](?:\r\n|\r|\n)?|[\x00-\x08\x0b-\x1f\x7f\uffff]")


def trace_origins(raw: str) -> list[int]:
    """Return where each character of `clean_text(raw)` stands in *raw*, which has no surrogates."""
    origins: list[int] = []
    last = 0
    for change in _CHANGED.finditer(raw):
        origins.extend(range(last, change.start()))
        if change[0][0] == "\r":
            origins.append(change.start())
        last = change.end()
    origins.extend(range(last, len(raw)))
    return origins


def find_matches(text: str, term: str) -> Matches:
    """Find *term* in *text*: no matter the case, and white space in it matches any run of white space.

    Matches do not overlap. Takes time in proportion to both lengths, whatever they hold.
    """
    needle = " ".join(term.split()).casefold()
    if not needle:
        return Matches(0, [])
    folded = _FoldedText(text, fold_spaces=" " in needle)
    excerpts: list[Excerpt] = []
    position = folded.text.find(needle)
    while position >= 0 and len(excerpts) < MAXIMUM_EXCERPTS:
        start, end = folded.original_span(position, position + len(needle))
        excerpts.append(
            Excerpt(
                start, text[max(0, start - EXCERPT_CHARS) : start], text[start:end], text[end : end + EXCERPT_CHARS]
            )
        )
        position = folded.text.find(needle, position + len(needle))
    return Matches(folded.text.count(needle), excerpts)


class _FoldedText:
    """A text without case and with single spaces, that knows where each of its characters came from."""

    def __init__(self, text: str, *, fold_spaces: bool) -> None:
        spaced = re.sub(r"\s", " ", text) if fold_spaces else text
        pieces = re.compile(f"[{_expanding_chars()}]" + ("|  +" if fold_spaces else ""))
        self._starts = array("q")  # of each piece that changes its length: in the folded text,
        self._origins = array("q")  # in the original,
        self._lengths = array("q")  # its length folded,
        self._original_lengths = array("q")  # and in the original
        shift = 0
        for piece in pieces.finditer(spaced):
            length = 1 if piece[0].isspace() else len(piece[0].casefold())
            original_length = piece.end() - piece.start()
            self._starts.append(piece.start() + shift)
            self._origins.append(piece.start())
            self._lengths.append(length)
            self._original_lengths.append(original_length)
            shift += length - original_length
        self.text = (re.sub("  +", " ", spaced) if fold_spaces else spaced).casefold()

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        return self._locate(start)[0], self._locate(end - 1)[1]

    def _locate(self, position: int) -> tuple[int, int]:
        """Return the start and the end, in the original, of what stands at *position*."""
        piece = bisect_right(self._starts, position) - 1
        if piece < 0:
            return position, position + 1
        beyond = position - self._starts[piece] - self._lengths[piece]
        after = self._origins[piece] + self._original_lengths[piece]
        return (self._origins[piece], after) if beyond < 0 else (after + beyond, after + beyond + 1)


@cache
def _expanding_chars() -> str:
    """Return the characters that become several when case is folded, such as ß and the ligature ﬁ."""
    return "".join(char for char in map(chr, range(0x80, 0x10000)) if len(char.casefold()) > 1)


# The engine, in the web process


class _Source(NamedTuple):
    path: Path
    password: str | None


class PdfEngine:
    """Reads PDFs in worker processes; used from one event loop.

    At most *workers* files are read at once and 64 tasks wait. A caller that is cancelled stops its task.

    Every method raises, whatever the file holds:
        BadPdfError: it is empty, damaged, or has no pages. PasswordRequiredError: it does not open with
            this *password* (its user's or its owner's), or without one.
        ExtractionLimitError: it needs more time, memory, pages or text than allowed; the detail says which.
        BusyError: too many tasks wait, or the engine is closed.
    """

    def __init__(self, *, workers: int, deadline_seconds: float, memory_bytes: int, max_pages: int) -> None:
        self._deadline_seconds = deadline_seconds
        self._max_pages = max_pages
        self._workers = Workers(
            workers,
            deadline_seconds=deadline_seconds,
            memory_bytes=memory_bytes,
            shared_modules=["pypdfium2.raw", "pdfplumber"],
            modules=["reading", "rescue"],
        )

    def start(self) -> None:
        """Start the workers in the background; a task that comes before they are ready waits for them."""
        self._workers.start()

    def close(self) -> None:
        """Stop the workers; tasks under way end with BusyError. Blocks for a moment."""
        self._workers.close()

    async def extract(self, path: Path, password: str | None = None) -> Extraction:
        """Return the text and the tables of every page."""
        return await self._run(_extract, _Source(path, password))

    async def inspect(self, path: Path, password: str | None = None) -> Inspection:
        """Return what can be said of the file; no more pages are read than it takes."""
        return await self._run(_inspect, _Source(path, password))

    async def search(self, path: Path, term: str, password: str | None = None) -> list[PageMatches]:
        """Return the pages on which *term* is found, in page order; see `find_matches`."""
        return await self._run(_search, _Source(path, password), term)

    async def search_pages(
        self,
        path: Path,
        pages: Sequence[tuple[int, str]],
        term: str,
        *,
        first_page: int,
        limit: int,
        password: str | None = None,
    ) -> tuple[int, list[PageMatches]]:
        """Return how often *term* is in the texts of *pages* (number and text, as extracted from the file at *path*),
        and those from *first_page* on where it is, at most *limit*, with boxes.
        """
        return await self._run(_search_pages, _Source(path, password), pages, term, first_page, limit)

    async def extract_json(self, path: Path, password: str | None = None) -> bytes:
        """Return the extraction as the JSON body of `POST /extract`, made in the worker.

        {"text", "pages": [{"page_number", "text", "char_count"}], "page_count", "tables": [{"page", "table_index",
        "data"}], "metadata"}; "text" is the pages joined by form feeds.
        """
        return await self._run(_extract_json, _Source(path, password))

    async def render_page(
        self,
        path: Path,
        page_number: int,
        *,
        width: int,
        image_format: ImageFormat,
        term: str | None = None,
        password: str | None = None,
    ) -> bytes | None:
        """Return the page as a picture *width* pixels wide, of at most four million pixels, with *term* painted over.

        None if there is no such page, or nothing that can be shown of it.
        """
        return await self._run(_render_page, _Source(path, password), page_number, width, image_format, term)

    async def _run(self, function: Callable[..., Value], source: _Source, *args: object) -> Value:
        try:
            return await self._workers.run(_guard, function, source, self._max_pages, *args)
        except BadPdfError as error:
            logger.debug("%s: %s", source.path.name, error.detail, exc_info=error.__cause__)
            raise
        except TimeoutError:
            seconds = f"{self._deadline_seconds:g}"
            raise ExtractionLimitError(f"The PDF needs more than the {seconds} seconds this server allows.") from None
        except WorkerDiedError as error:
            if error.exit_code == -signal.SIGSEGV:
                raise BadPdfError(DAMAGED) from error
            if error.exit_code == -signal.SIGXCPU:
                raise ExtractionLimitError("The PDF needs more processor time than this server allows.") from error
            raise ExtractionLimitError(OUT_OF_MEMORY) from error  # PDFium aborts then


# In a worker from here on


def _guard(function: Callable[..., Value], *args: object) -> Value:
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

    @property
    def has_lost_text(self) -> bool: ...
    @property
    def is_unmapped(self) -> bool: ...
    def close(self) -> None: ...
    def read_text(self) -> str: ...
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

    def __init__(self, source: _Source, max_pages: int, resources: contextlib.ExitStack) -> None:
        self._source = source
        self._resources = resources
        self._rescuer: _Document | None = None
        self._rescue_seconds = RESCUE_SECONDS
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
        import reading

        try:
            return self._resources.enter_context(reading.Document(*self._source))
        except reading.UnreadableError:
            return self._rescue()

    def _rescue(self) -> _Document:
        import rescue

        if self._rescuer is None:
            self._rescuer = self._resources.enter_context(rescue.Document(*self._source))
        return self._rescuer

    def read_metadata(self) -> dict[str, str]:
        cleaned = {clean_text(key): clean_text(value) for key, value in self.document.metadata().items()}
        return {key: value for key, value in cleaned.items() if key and value}

    def read_pages(self) -> Iterator[tuple[PageText, _Page | None]]:
        """Yield each page's text, and the page itself for more questions, None if it cannot be read.

        Raises:
            BadPdfError: if no page can be read.
        """
        readable = False
        for index in range(self.document.page_count):
            page = self._open_page(index)
            if page is None:
                self.warnings.append(f"page_unreadable: page {index + 1}")
                yield PageText(index + 1, "", 0.0, 0.0), None
                continue
            readable = True
            with contextlib.closing(page):
                text = clean_text(page.read_text())
                self._char_count += len(text)
                if self._char_count > MAXIMUM_TEXT_CHARS:
                    raise ExtractionLimitError(
                        f"The PDF has more than the {MAXIMUM_TEXT_CHARS:,} characters this server allows."
                    )
                if page.is_unmapped:
                    self.warnings.append(f"text_unreadable: page {index + 1}")
                yield PageText(index + 1, text, page.width, page.height), page
        if not readable:
            raise BadPdfError("Error processing PDF: none of its pages can be read.")

    def _open_page(self, index: int) -> _Page | None:
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
        if self._rescue_seconds <= 0 or self.document is self._rescuer:
            return None
        start = time.process_time()
        try:
            page = self._rescue().open_page(index)
        except PagewireError:
            self._rescue_seconds = 0.0
            return None
        self._rescue_seconds -= time.process_time() - start
        return page

    def read_tables(self, page_number: int, page: _Page) -> list[Table]:
        import reading
        import tables

        try:
            grids = tables.find_grids(*page.read_edges())
        except (reading.TooManyPathsError, tables.TooManyLinesError):
            self.warnings.append(f"tables_truncated: page {page_number}")
            return []
        if not grids:
            return []
        self._cell_count += sum(len(grid.rows) * len(grid.rows[0]) for grid in grids)
        if self._cell_count > MAXIMUM_TABLE_CELLS:
            raise ExtractionLimitError(
                f"The PDF has more than the {MAXIMUM_TABLE_CELLS:,} table cells this server allows."
            )
        cells = tables.CellReader(page.read_chars())
        found: list[Table] = []
        for grid in grids:
            data = [[cell and clean_text(cell) for cell in row] for row in cells.read_cells(grid)]
            found.append(Table(page_number, self._table_count, data, grid.bbox))
            self._table_count += 1
        return found


def _extract(source: _Source, max_pages: int) -> Extraction:
    with contextlib.ExitStack() as resources:
        reader = _Reader(source, max_pages, resources)
        pages: list[PageText] = []
        found: list[Table] = []
        for text, page in reader.read_pages():
            pages.append(text)
            if page is not None:
                found += reader.read_tables(text.page_number, page)
        document = reader.document
        return Extraction(len(pages), pages, found, reader.read_metadata(), document.encrypted, reader.warnings)


def _extract_json(source: _Source, max_pages: int) -> bytes:
    extraction = _extract(source, max_pages)
    body = {
        "text": "\f".join(page.text for page in extraction.pages),
        "pages": [
            {"page_number": page.page_number, "text": page.text, "char_count": len(page.text)}
            for page in extraction.pages
        ],
        "page_count": extraction.page_count,
        "tables": [
            {"page": table.page_number, "table_index": table.table_index, "data": table.data}
            for table in extraction.tables
        ],
        "metadata": extraction.metadata,
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _inspect(source: _Source, max_pages: int) -> Inspection:
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


def _search(source: _Source, max_pages: int, term: str) -> list[PageMatches]:
    with contextlib.ExitStack() as resources:
        found: list[PageMatches] = []
        for page, _ in _Reader(source, max_pages, resources).read_pages():
            matches = find_matches(page.text, term)
            if matches.total:
                found.append(PageMatches(page.page_number, matches.total, matches.excerpts, []))
        return found


# Fast ones. 20 real pages, 850 pixels wide, mean of processor time and size: PNG 15 ms, 124 KB (as Pillow would: 23 ms,
# 139 KB); WebP 19 ms, 70 KB (45 ms, 58 KB); JPEG 2 ms, 118 KB
ENCODING: dict[str, dict[str, Any]] = {
    "png": {"compress_level": 3},
    "webp": {"quality": 80, "method": 1},
    "jpeg": {"quality": 85},
}
MARKER = (255, 225, 60)  # a yellow that black text shows through


def _render_page(
    source: _Source, _max_pages: int, page_number: int, width: int, image_format: ImageFormat, term: str | None
) -> bytes | None:
    from PIL import Image, ImageChops

    import reading

    try:
        with reading.Document(*source) as document:
            picture = document.render_page(page_number - 1, width)
            hits = _find_hits(document, page_number, term) if term and picture is not None else []
    except reading.UnreadableError:
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


def _find_hits(document: Any, page_number: int, term: str) -> list[list[Box]]:
    """Return the boxes of the first 100 matches of *term* on a page that PDFium can read."""
    page = document.open_page(page_number - 1)
    if page is None:
        return []
    with contextlib.closing(page):
        raw = page.read_text()
        origins = trace_origins(raw)
        boxes: list[list[Box]] = []
        for excerpt in find_matches(clean_text(raw), term).excerpts:
            start, last = origins[excerpt.position], origins[excerpt.position + len(excerpt.match) - 1]
            boxes.append(page.find_boxes(start, last + 1 - start))
        return boxes


def _search_pages(
    source: _Source, _max_pages: int, pages: Sequence[tuple[int, str]], term: str, first_page: int, limit: int
) -> tuple[int, list[PageMatches]]:
    import reading

    total = 0
    shown: list[PageMatches] = []
    for page_number, text in pages:
        matches = find_matches(text, term)
        total += matches.total
        if matches.total and page_number >= first_page and len(shown) < limit:
            shown.append(PageMatches(page_number, matches.total, matches.excerpts, []))
    with contextlib.suppress(reading.UnreadableError, PagewireError, OSError), reading.Document(*source) as document:
        for index, found in enumerate(shown):
            boxes = _find_hits(document, found.page_number, term)
            if len(boxes) == len(found.excerpts):  # else the text was read by the other reader
                shown[index] = found._replace(boxes=boxes)
    return total, shown
