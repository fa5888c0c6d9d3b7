"""Reads one PDF, with PDFium, or with pdfplumber where PDFium cannot.

Both are imported where they are used: the web process imports the tasks, and must never load PDFium.
"""

import contextlib
import time
from collections.abc import Iterator
from itertools import islice
from types import TracebackType
from typing import Protocol, Self

from errors import BadPdfError, ExtractionLimitError, PagewireError
from extraction import budget
from extraction.notices import (
    ATTACHMENTS,
    FONTS_MISSING,
    NO_TEXT,
    PAGE_UNREADABLE,
    TABLES_TRUNCATED,
    TEXT_INCOMPLETE,
    TEXT_UNREADABLE,
    Finding,
)
from extraction.page.chunks import Token
from extraction.page.geometry import Edges
from extraction.page.text import clean_text, is_gibberish
from extraction.values import (
    MAXIMUM_TABLE_CELLS,
    NO_PAGES,
    RESCUE_SECONDS,
    TOO_MANY_CELLS,
    Box,
    CellWord,
    Note,
    PageText,
    Point,
    Source,
    Table,
    TableSet,
    count_bytes,
    most_text_chars,
    too_much_text,
)

# Of what a file says about itself, and its readers about it: a few kB of PDF may hold megabytes of each.
MAX_METADATA = 32
MAX_KEY_CHARACTERS = 100
MAX_VALUE_CHARACTERS = 1000
MAX_NOTES = 1000
MAX_NOTE_CHARACTERS = 10_000
RESERVE_SECONDS = 4.0  # of a task's processor time, below which no page is read a second time


class Page(Protocol):
    width: float
    height: float
    corner: Point  # of the displayed page, in the coordinates of edges and the words of cells

    @property
    def has_lost_text(self) -> bool: ...
    @property
    def lacks_glyphs(self) -> bool: ...  # its picture shows nothing where it has letters
    @property
    def is_unmapped(self) -> bool: ...
    @property
    def is_picture(self) -> bool: ...
    @property
    def notes(self) -> list[Note]: ...
    @property
    def has_files(self) -> bool: ...  # attached to it
    @property
    def has_turned_words(self) -> bool: ...  # besides those of the direction that most have
    def close(self) -> None: ...
    def read_text(self) -> str: ...
    def read_words(self) -> list[tuple[str, Box]]: ...  # boxes from the corner
    def read_edges(self) -> Edges: ...
    def read_cell_words(self) -> list[CellWord]: ...
    def read_tokens(self) -> tuple[int, list[Token]]: ...  # their quarter turns, clockwise; in the coordinates of edges


class Document(Protocol):
    page_count: int
    encrypted: bool

    @property
    def findings(self) -> list[str]: ...  # codes of warnings about the whole file
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
    def metadata(self) -> dict[str, str]: ...
    def read_labels(self) -> dict[int, str]: ...  # what it calls its pages, by page number
    def open_page(self, index: int) -> Page | None: ...


@contextlib.contextmanager
def open_pdf(source: Source, max_pages: int, *, rescue_seconds: float = RESCUE_SECONDS) -> Iterator["Reader"]:
    with contextlib.ExitStack() as resources:
        yield Reader(source, max_pages, resources, rescue_seconds)


class Reader:
    """One open file; it counts what it has read against the limits, and collects notes and what to warn of."""

    def __init__(self, source: Source, max_pages: int, resources: contextlib.ExitStack, rescue_seconds: float) -> None:
        self._source = source
        self._resources = resources
        self._rescuer: Document | None = None
        self.rescue_seconds = rescue_seconds  # left
        self.unreadable_count = 0
        self._char_count = 0
        self._most_chars = most_text_chars(count_bytes(source.file))
        self._cell_count = 0
        self._table_count = 0
        self.findings: list[Finding] = []
        self.notes: list[Note] = []
        self.document = self._open()
        if self.document.page_count == 0:
            self.document = self._rescue()
        self.findings += map(Finding, self.document.findings)
        if self.document.page_count == 0:
            raise BadPdfError("Error processing PDF: the file has no pages.")
        if self.document.page_count > max_pages:
            raise ExtractionLimitError(
                f"The PDF has {self.document.page_count} pages, more than the {max_pages} this server allows."
            )

    def _open(self) -> Document:
        from extraction.page import pdfium

        try:
            return self._resources.enter_context(pdfium.Document(*self._source))
        except pdfium.UnreadableError:
            return self._rescue()

    def _rescue(self) -> Document:
        from extraction import plumber

        if self._rescuer is None:
            self._rescuer = self._resources.enter_context(plumber.Document(*self._source))
        return self._rescuer

    def read_metadata(self) -> dict[str, str]:
        found = islice(self.document.metadata().items(), MAX_METADATA)
        cleaned = {_clean(key, MAX_KEY_CHARACTERS): _clean(value, MAX_VALUE_CHARACTERS) for key, value in found}
        return {key: value for key, value in cleaned.items() if key and value}

    def read_pages(self, first_page: int = 1, count: int | None = None) -> Iterator[tuple[PageText, Page | None]]:
        """Yield each page's text and the page itself, open until the next; None if it cannot be read.

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
                self.findings.append(Finding(PAGE_UNREADABLE, page_number))
                yield PageText(page_number, "", 0.0, 0.0), None
                continue
            with contextlib.closing(page):
                text = clean_text(page.read_text())
                self._char_count += len(text)
                if self._char_count > self._most_chars:
                    raise ExtractionLimitError(too_much_text(self._most_chars))
                self.notes += _clean_notes(page.notes[: MAX_NOTES - len(self.notes)])
                if page.has_files:
                    self.findings.append(Finding(ATTACHMENTS))
                if page.is_unmapped or is_gibberish(text):
                    self.findings.append(Finding(TEXT_UNREADABLE, page_number))
                elif page.is_picture:
                    self.findings.append(Finding(NO_TEXT, page_number))
                yield PageText(page_number, text, page.width, page.height), page

    def open_page(self, index: int) -> Page | None:
        """Return the page, to be closed, from the library that finds more text; None if neither can open it."""
        page = self.document.open_page(index)
        if page is None:
            return self._open_rescue_page(index)
        budget.earn_page()
        if not page.has_lost_text:
            if page.lacks_glyphs:
                self.findings.append(Finding(FONTS_MISSING, index + 1))
            return page
        self.findings.append(Finding(FONTS_MISSING, index + 1))
        other = self._open_rescue_page(index)
        if other is None:
            self.findings.append(Finding(TEXT_INCOMPLETE, index + 1))
            return page
        worse, better = sorted((page, other), key=lambda candidate: len(candidate.read_text()))
        worse.close()
        return better

    def _open_rescue_page(self, index: int) -> Page | None:
        """Return the page as pdfplumber opens it, while there is time left for that."""
        if min(self.rescue_seconds, budget.seconds_left() - RESERVE_SECONDS) <= 0 or self.document is self._rescuer:
            return None
        start = time.process_time()
        try:
            page = self._rescue().open_page(index)
        except PagewireError:
            self.rescue_seconds = 0.0
            return None
        self.rescue_seconds -= time.process_time() - start
        return page

    def read_tables(self, page_number: int, page: Page, wanted: TableSet = "all") -> list[Table]:
        from extraction.page import edges
        from extraction.tables import finding, ruled

        try:
            found = finding.read_tables(page, wanted)
        except (edges.TooManyPathsError, ruled.TooManyLinesError):
            self.findings.append(Finding(TABLES_TRUNCATED, page_number))
            return []
        self._cell_count += sum(len(table.data) * len(table.data[0]) for table in found)
        if self._cell_count > MAXIMUM_TABLE_CELLS:
            raise ExtractionLimitError(TOO_MANY_CELLS)
        first, self._table_count = self._table_count, self._table_count + len(found)
        return [Table(page_number, index, *table) for index, table in enumerate(found, first)]


def _clean_notes(notes: list[Note]) -> list[Note]:
    return [
        Note(note.page_number, _clean(note.author, MAX_KEY_CHARACTERS), _clean(note.text, MAX_NOTE_CHARACTERS))
        for note in notes
    ]


def _clean(text: str, most: int) -> str:
    return clean_text(text[:most])
