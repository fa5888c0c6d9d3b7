"""What workers do with a file: extract or inspect it, list the words of a page, export tables."""

import contextlib
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from extraction.guard import guarded
from extraction.notices import to_warnings
from extraction.page.text import clean_text
from extraction.reader import open_pdf
from extraction.tables.joining import join_tables
from extraction.tables.tabular import PLAIN, FileFormat, FoundTable, Look, take_tables, to_file
from extraction.tokens import make_message_vector, make_page_vector
from extraction.values import (
    RESCUE_SECONDS,
    Extraction,
    Inspection,
    PageText,
    Part,
    Source,
    Table,
    TableSet,
    Word,
)
from extraction.waiting import waited_seconds


def load_readers() -> None:
    """Import what `Reader` imports on first use, so that no task waits for it."""
    from extraction import plumber  # noqa: F401
    from extraction.page import pdfium  # noqa: F401
    from extraction.tables import finding  # noqa: F401


@guarded
def extract_part(
    source: Source,
    max_pages: int,
    first_page: int,
    count: int | None,
    rescue_seconds: float = RESCUE_SECONDS,
    with_vectors: bool = False,
    wanted: TableSet = "all",
) -> Part:
    """Extract *count* pages from *first_page* on, or all; pages that PDFium cannot read get *rescue_seconds*."""
    began, cpu_began, waited_before = time.monotonic(), time.process_time(), waited_seconds()
    with open_pdf(source, max_pages, rescue_seconds=rescue_seconds) as reader:
        pages: list[PageText] = []
        found: list[Table] = []
        for text, page in reader.read_pages(first_page, count):
            pages.append(text)
            if page is not None:
                found += reader.read_tables(text.page_number, page, wanted)
        vectors = make_page_vectors([page.text for page in pages]) if with_vectors else []
        return Part(
            reader.document.page_count,
            reader.read_metadata(),
            reader.document.encrypted,
            pages,
            found,
            reader.notes,
            reader.findings,
            reader.unreadable_count,
            began,
            time.monotonic() - (waited_seconds() - waited_before),
            time.process_time() - cpu_began,
            rescue_seconds - reader.rescue_seconds,
            vectors,
        )


def make_page_vectors(texts: Sequence[str]) -> list[str]:
    return [make_page_vector(text) for text in texts]


def make_message_vectors(messages: Sequence[tuple[str, int, int]]) -> list[str]:
    """The vectors of messages: each is its content, its sender and its recipient."""
    return [
        make_message_vector(content, sender_id=sender_id, recipient_id=recipient_id)
        for content, sender_id, recipient_id in messages
    ]


@guarded
def extract_json(source: Source, max_pages: int, wanted: TableSet) -> bytes:
    body = Extraction.join([extract_part(source, max_pages, 1, None, wanted=wanted)]).as_json()
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


@guarded
def inspect(source: Source, max_pages: int) -> Inspection:
    with open_pdf(source, max_pages) as reader:
        document = reader.document
        textless: list[int] = []
        has_tables = False
        for text, page in reader.read_pages():
            if not text.text.strip():
                textless.append(text.page_number)
            has_tables = has_tables or (page is not None and bool(reader.read_tables(text.page_number, page)))
        return Inspection(
            document.page_count,
            reader.read_metadata(),
            len(textless) < document.page_count,
            has_tables,
            document.encrypted,
            textless,
            to_warnings(reader.findings, document.page_count),
        )


@guarded
def read_words(source: Source, page_number: int) -> list[Word] | None:
    # a page that was extracted is shown, even if the limit on pages has been lowered since
    with open_pdf(source, sys.maxsize) as reader:
        page = reader.open_page(page_number - 1) if page_number <= reader.document.page_count else None
        if page is None:
            return None
        with contextlib.closing(page):
            cleaned = [Word(clean_text(text), *(round(edge, 2) for edge in box)) for text, box in page.read_words()]
        return [word for word in cleaned if word.text and all(map(math.isfinite, word[1:]))]


@guarded
def read_labels(source: Source) -> dict[int, str]:
    with open_pdf(source, sys.maxsize) as reader:
        labels = reader.document.read_labels()
    return {number: text for number, label in labels.items() if (text := clean_text(label)) and text != str(number)}


# Tables as files


class TableQuery(NamedTuple):
    """Which tables of a document are asked for, and how."""

    file_format: FileFormat
    merge: bool = False  # join those that run over pages
    look: Look = PLAIN
    page_number: int | None = None
    table_index: int | None = None


@guarded
def extract_tables(source: Source, max_pages: int, query: TableQuery, wanted: TableSet) -> bytes | None:
    found = extract_part(source, max_pages, 1, None, wanted=wanted)
    return _write(found.tables, {page.page_number: page.height for page in found.pages}, query)


class _StoredTable(NamedTuple):
    page_number: int
    table_index: int
    data: list[list[str | None]]
    bbox: list[float]
    kind: str
    header_rows: int
    spans: list[list[int]]
    title: str
    page_height: float | None


def write_tables(stored: str, query: TableQuery) -> bytes | None:
    """Not guarded, because no file is to blame: an unexpected error here is a defect."""
    found = [_StoredTable(*table) for table in json.loads(stored)]
    return _write(found, {table.page_number: table.page_height or 0.0 for table in found}, query)


def _write(found: Sequence[FoundTable], heights: Mapping[int, float], query: TableQuery) -> bytes | None:
    """Return the file; None if no table has that index."""
    tables = join_tables(found, heights) if query.merge else take_tables(found)
    if query.page_number is not None:
        tables = [table for table in tables if query.page_number in table.pages]
    if query.table_index is not None:
        tables = [table for table in tables if query.table_index in table.indexes]
        if not tables:
            return None
    return to_file(tables, query.file_format, with_pages=query.merge, look=query.look)
