"""Answers that several routes share: the text of a PDF, and the hits of a search in it."""

from itertools import repeat
from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, Field

from extraction.values import Box, PageMatches

MAX_TERM_CHARACTERS = 1000

Kind = Annotated[
    Literal["ruled"] | None,
    Query(description="`ruled`: exactly the tables that pdfplumber finds by rules, numbered on their own"),
]


class SearchContext(BaseModel):
    """One hit; `position` counts characters from the start of the page's text."""

    position: int = Field(examples=[6])
    context: str = Field(examples=["Total due: 1,250.00"])
    before: str = Field(examples=["Total "])
    match: str = Field(examples=["due"])
    after: str = Field(examples=[": 1,250.00"])
    boxes: list[Box] | None = Field(
        default=None,
        description="its place on the page: x0, top, x1, bottom in points from the top left, one box per line; "
        "null for a PDF that is not stored, empty if the page does not yield it",
        examples=[[[72.0, 96.0, 90.0, 108.0]]],
    )


class PageHits(BaseModel):
    """The hits on one page; there may be fewer contexts than matches."""

    page: int = Field(examples=[2])
    matches: int = Field(examples=[1])
    context: list[SearchContext]

    @classmethod
    def from_matches(cls, page: PageMatches, *, with_boxes: bool = False) -> "PageHits":
        return cls(
            page=page.page_number,
            matches=page.matches,
            context=[
                SearchContext(
                    position=hit.position,
                    context=hit.before + hit.match + hit.after,
                    before=hit.before,
                    match=hit.match,
                    after=hit.after,
                    boxes=boxes if with_boxes else None,
                )
                for hit, boxes in zip(page.excerpts, page.boxes or repeat([]), strict=False)
            ],
        )


class SearchAnswer(BaseModel):
    """Every page with a hit, in page order."""

    filename: str = Field(examples=["invoice.pdf"])
    search_term: str = Field(examples=["due"])
    total_matches: int = Field(examples=[1])
    matches_by_page: list[PageHits]


class ReadingWarning(BaseModel):
    """What could not be read as the page shows it, for people in a sentence."""

    code: str = Field(examples=["no_text"])
    pages: list[int] = Field(description="the pages it is about; empty: the whole file", examples=[[2, 3]])
    detail: str = Field(
        examples=["There are pictures but no text on pages 2 to 3: what they show, as in a scan, cannot be found."]
    )


class ReadersNote(BaseModel):
    """A sticky note, or the comment on a passage; its words are not part of the text."""

    page_number: int = Field(examples=[2])
    author: str = Field(examples=["Alice"])
    text: str = Field(examples=["Is this still right?"])


class PageText(BaseModel):
    """The text of one page."""

    page_number: int = Field(examples=[1])
    text: str = Field(examples=["Total due: 1,250.00"])
    char_count: int = Field(examples=[19])


class DocumentText(BaseModel):
    """The text of a document; `text` is its pages joined by form feeds."""

    text: str = Field(examples=["Total due: 1,250.00"])
    pages: list[PageText]
    page_count: int = Field(examples=[1])
