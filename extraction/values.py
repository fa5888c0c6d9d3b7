"""Plain values: what workers are given and what they return, with its limits."""

import os
from collections.abc import Awaitable, Callable, Sequence
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, Self

from extraction.matching import Excerpt
from extraction.notices import Finding, Notice, to_warnings

READER_VERSION = 6  # raise it with better extraction, so that older extractions are not reused
MAXIMUM_TEXT_CHARS = 20_000_000
FREE_TEXT_CHARS = 1_000_000  # of a file of any size
TEXT_CHARS_PER_BYTE = 20  # of the file, besides; the densest real file seen has 2.7
MAXIMUM_TABLE_CELLS = 2_000_000
MAXIMUM_WORDS = 20_000  # of one page
RESCUE_SECONDS = 10.0  # of processor time, for single pages that PDFium cannot read

DAMAGED = "Error processing PDF: the file is damaged."
NO_PAGES = "Error processing PDF: none of its pages can be read."
TOO_MANY_CELLS = f"The PDF has more than the {MAXIMUM_TABLE_CELLS:,} table cells this server allows."


def most_text_chars(file_bytes: int) -> int:
    """How many characters a file of that size may have: some thousand bytes can draw one page a million times."""
    return min(FREE_TEXT_CHARS + TEXT_CHARS_PER_BYTE * file_bytes, MAXIMUM_TEXT_CHARS)


def too_much_text(most: int) -> str:
    return f"The PDF has more than the {most:,} characters that this server allows for a file of its size."


TableKind = Literal["ruled", "unruled"]
TableSet = Literal["all", "ruled"]  # what a reader sees as tables, or exactly the grids that pdfplumber finds
ImageFormat = Literal["png", "webp", "jpeg"]
Point = tuple[float, float]  # x, y
Box = tuple[float, float, float, float]  # x0, top, x1, bottom
Opener = Callable[[], Awaitable[IO[bytes]]]  # opens a file that is stored elsewhere


class CellWord(NamedTuple):
    """A word where it is displayed, for the cells of tables."""

    text: str
    box: Box
    middle: Point  # across the line that of its tallest character, which decides in which row it stands
    turn: int  # quarter turns, clockwise
    first_object: int  # the text objects that drew its first and its last character
    last_object: int
    begins_line: bool


class Source(NamedTuple):
    file: Path | int  # in a worker, which may open none, the descriptor of one that is open
    password: str | None


class StoredSource(NamedTuple):
    """A source for a worker that is opened when its turn comes."""

    open: Opener
    password: str | None


def open_file(file: Path | int) -> BufferedReader:
    """Return the file of a source, at its beginning."""
    opened = os.fdopen(os.dup(file), "rb") if isinstance(file, int) else file.open("rb")
    opened.seek(0)  # copies of a descriptor share their place
    return opened


def count_bytes(file: Path | int) -> int:
    return (os.fstat(file) if isinstance(file, int) else file.stat()).st_size


class PageText(NamedTuple):
    page_number: int
    text: str
    width: float  # points, as displayed
    height: float


class Word(NamedTuple):
    """A word as displayed, and its box in points from the top left of the displayed page."""

    text: str
    x0: float
    top: float
    x1: float
    bottom: float


class Table(NamedTuple):
    page_number: int
    table_index: int  # from 0, over the whole document
    data: list[list[str | None]]  # None where a row has no cell in that column
    bbox: Box  # in points from the top left of the displayed page
    kind: TableKind
    header_rows: int
    spans: list[tuple[int, int, int, int]]  # cells over several rows or columns: row, column, last row, last column
    title: str  # its caption, or the line above it


class Note(NamedTuple):
    """A remark of a reader: a sticky note, or the comment on a passage."""

    page_number: int
    author: str
    text: str


class Part(NamedTuple):
    """Some pages of a document in page order, and the facts about the whole document."""

    page_count: int  # of the document
    metadata: dict[str, str]
    encrypted: bool
    pages: list[PageText]
    tables: list[Table]  # a worker counts their indexes from 0 in each part
    notes: list[Note]
    findings: list[Finding]  # what to warn of
    unreadable_count: int  # of its pages
    began: float  # by the monotonic clock, which all processes share
    ended: float  # less the time that it waited for a processor
    cpu_seconds: float
    rescue_seconds: float  # of those, for pages that PDFium could not read
    vectors: Sequence[str] = ()  # of the pages, for the search, if they were asked for: see extraction.tokens


class Extraction(NamedTuple):
    """A whole document."""

    page_count: int
    pages: list[PageText]
    tables: list[Table]
    metadata: dict[str, str]
    encrypted: bool
    notes: list[Note]
    warnings: list[Notice]

    @classmethod
    def join(cls, parts: Sequence[Part]) -> Self:
        return cls(
            page_count=parts[0].page_count,
            pages=[page for part in parts for page in part.pages],
            tables=[table for part in parts for table in part.tables],
            metadata=parts[0].metadata,
            encrypted=parts[0].encrypted,
            notes=[note for part in parts for note in part.notes],
            warnings=to_warnings((finding for part in parts for finding in part.findings), parts[0].page_count),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the body of `POST /extract`."""
        return {
            "text": "\f".join(page.text for page in self.pages),
            "pages": [
                {"page_number": page.page_number, "text": page.text, "char_count": len(page.text)}
                for page in self.pages
            ],
            "page_count": self.page_count,
            "tables": [
                {
                    "page": table.page_number,
                    "table_index": table.table_index,
                    "data": table.data,
                    "kind": table.kind,
                    "header_rows": table.header_rows,
                    "spans": table.spans,
                    "title": table.title,
                }
                for table in self.tables
            ],
            "metadata": self.metadata,
            "notes": [note._asdict() for note in self.notes],
            "warnings": [warning._asdict() for warning in self.warnings],
        }


class Inspection(NamedTuple):
    page_count: int
    metadata: dict[str, str]
    has_text: bool
    has_tables: bool
    encrypted: bool
    pages_without_text: list[int]
    warnings: list[Notice]


class PageMatches(NamedTuple):
    page_number: int
    matches: int
    excerpts: list[Excerpt]  # of the first 100 matches; of one after 2,000 on earlier pages, of none after 3,000
    boxes: list[list[Box]]  # of each excerpt's match, one a line; empty if not asked for or not known
