"""What people must be told of a document: which pages could not be read as they look, in a sentence each."""

from collections.abc import Iterable
from typing import NamedTuple

PAGE_UNREADABLE = "page_unreadable"
NO_TEXT = "no_text"
TEXT_UNREADABLE = "text_unreadable"
TEXT_INCOMPLETE = "text_incomplete"
FONTS_MISSING = "fonts_missing"
TABLES_TRUNCATED = "tables_truncated"
ATTACHMENTS = "attachments"
XFA_FORM = "xfa_form"
REPAIRED = "repaired"

# with {pages}, "page 2" or "pages 2 to 4"; a warning about the whole file has none
_SENTENCES = {
    PAGE_UNREADABLE: "The file is damaged there: nothing of {pages} could be read.",
    NO_TEXT: "There are pictures but no text on {pages}: what they show, as in a scan, cannot be found.",
    TEXT_UNREADABLE: "The fonts do not say which characters they show: the text of {pages} is not what it looks like.",
    TEXT_INCOMPLETE: "Text is missing on {pages}, which need fonts that are neither in the file nor on this server.",
    FONTS_MISSING: "Pictures of {pages} lack characters, because fonts are neither in the file nor on this server.",
    TABLES_TRUNCATED: "There are more lines on {pages} than are searched for tables: no tables are listed.",
    ATTACHMENTS: "Files are attached to the document, as in a portfolio: they were not read, only its own pages were.",
    XFA_FORM: "The file is an XFA form, which only Adobe's programs show: its fields were not read.",
    REPAIRED: "The file is damaged. It was repaired, and what could be rebuilt was read.",
}
_SCANNED = "This is a scanned document: its pages are pictures without text, so nothing in it can be found."
MOST_RANGES = 10  # of pages, that a sentence names


class Finding(NamedTuple):
    code: str
    page_number: int | None = None  # None: the whole file


class Notice(NamedTuple):
    code: str
    pages: list[int]  # empty: the whole file
    detail: str  # a sentence


def to_warnings(findings: Iterable[Finding], page_count: int) -> list[Notice]:
    """Return one warning a kind, in the order in which they were found first."""
    pages: dict[str, set[int]] = {}
    for code, page_number in findings:
        pages.setdefault(code, set()).update(() if page_number is None else (page_number,))
    return [Notice(code, sorted(found), _describe(code, sorted(found), page_count)) for code, found in pages.items()]


def _describe(code: str, pages: list[int], page_count: int) -> str:
    if code == NO_TEXT and len(pages) == page_count:
        return _SCANNED
    return _SENTENCES[code].format(pages=_name(pages))


def _name(pages: list[int]) -> str:
    """Return "page 2", or "pages 2, 4 to 6 and 9"."""
    ranges: list[tuple[int, int]] = []
    for page in pages:
        if ranges and page == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], page)
        else:
            ranges.append((page, page))
    names = [f"{first}" if first == last else f"{first} to {last}" for first, last in ranges]
    if len(names) > MOST_RANGES:
        names = [*names[:MOST_RANGES], f"{len(pages) - _count(ranges[:MOST_RANGES])} more"]
    listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""
    return f"page {listed}" if len(pages) == 1 else f"pages {listed}"


def _count(ranges: list[tuple[int, int]]) -> int:
    return sum(last + 1 - first for first, last in ranges)
