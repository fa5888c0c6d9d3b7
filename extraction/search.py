"""The search for a term, in workers: matching pages with excerpts, and the boxes of the matches."""

import contextlib
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from errors import PagewireError
from extraction.guard import guarded
from extraction.matching import MAXIMUM_EXCERPTS, find_matches
from extraction.page.text import trace_text
from extraction.reader import open_pdf
from extraction.values import Box, PageMatches, Source

if TYPE_CHECKING:
    from extraction.page import pdfium

ENOUGH_EXCERPTS = 2000  # in one answer; after that a page has one, up to
MOST_EXCERPTS = 3000  # and then none: 100,000 would stop the event loop for two seconds


@guarded
def search(source: Source, max_pages: int, term: str) -> tuple[bytes, bytes]:
    """Return what `search_text` returns, and the text for the next call of it."""
    with open_pdf(source, max_pages) as reader:
        text = "\f".join(page.text for page, _ in reader.read_pages()).encode()
    return search_text(text, term), text


@guarded
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
    body = {"total_matches": found.total, "matches_by_page": pages}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


@guarded
def search_pages(
    pages: Sequence[tuple[int, str]], source: Source, term: str, first_page: int, limit: int
) -> tuple[int, list[PageMatches]]:
    """Return the number of matches in *pages* (number and text), and the matching pages from *first_page* on, at most
    *limit*, with boxes from the file.
    """
    from extraction.page import pdfium

    found = _Found(pages, term, first_page=first_page, limit=limit)
    with contextlib.suppress(pdfium.UnreadableError, PagewireError, OSError), pdfium.Document(*source) as document:
        for index, page in enumerate(found.pages):
            boxes = find_hits(document, page.page_number, term) if page.excerpts else []
            if len(boxes) == min(page.matches, MAXIMUM_EXCERPTS):  # else the text came from pdfplumber
                found.pages[index] = page._replace(boxes=boxes[: len(page.excerpts)])
    return found.total, found.pages


class _Found:
    """The matches in *pages* (number and text): all are counted, pages kept from *first_page* on, at most *limit*."""

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


def find_hits(document: "pdfium.Document", page_number: int, term: str) -> list[list[Box]]:
    """Return the boxes of the first 100 matches of *term* on a page that PDFium can read."""
    page = document.open_page(page_number - 1)
    if page is None:
        return []
    with contextlib.closing(page):
        text, origins = trace_text(page.read_text())
        boxes: list[list[Box]] = []
        for excerpt in find_matches(text, term).excerpts:
            start, last = origins[excerpt.position], origins[excerpt.position + len(excerpt.match) - 1]
            boxes.append(page.find_boxes(start, last + 1 - start))
        return boxes
