"""The route of the search: one list of pages and messages, the best first."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from auth import CurrentUser
from delivery.attachments import describe_attachment
from edge.answers import SIGNED_IN, may_fail, operation_id
from edge.engines import opened
from edge.fields import IdParameter, NotBlank, refusal
from edge.hangups import while_connected
from errors import SearchTimeoutError
from messages.routes import Attachment
from search.cursors import Cursor, Sort
from search.finder import Finder, MessageHit, PageHit
from search.indexer import Indexer
from search.queries import Filters
from search.snippets import Snippet
from search.terms import parse
from search.windows import Search

MAX_QUERY_CHARACTERS = 1000
MAX_CURSOR_CHARACTERS = 2000
SHOWN_AROUND = 50  # messages, at the address of a message

T = TypeVar("T")

router = APIRouter(tags=["search"], generate_unique_id_function=operation_id)


def _to_time(text: str) -> datetime:
    """A day, or a moment; without an offset it is UTC. A number is seconds since 1970."""
    try:
        if text.isascii() and text.isdecimal():
            return datetime.fromtimestamp(int(text), UTC)
        found = datetime.fromisoformat(text.replace(" ", "+"))  # where a plus was not escaped
        moment = found if found.tzinfo else found.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise refusal("Should be a date or a time, like 2026-11-23 or 2026-11-23T09:30:00Z") from error


Moment = Annotated[datetime, BeforeValidator(_to_time)]


# The wire


class SnippetPiece(BaseModel):
    """A stretch of the text; a hit is to be marked."""

    text: str = Field(examples=["total due"])
    hit: bool = Field(examples=[True])


class FoundPage(BaseModel):
    """A page that I may read."""

    type: Literal["page"] = "page"
    document_id: int = Field(examples=[7])
    filename: str = Field(examples=["invoice.pdf"])
    page: int = Field(examples=[57])
    snippet: list[SnippetPiece]
    matches: int = Field(description="on this page; 0 if only the document's name has the words", examples=[2])
    more_on_document: int = Field(description="further pages of the document; document_id= lists them", examples=[4])
    score: float = Field(examples=[1.732])
    url: str = Field(examples=["/documents/7/pages/57"])

    @classmethod
    def from_hit(cls, hit: PageHit) -> "FoundPage":
        page = hit.page
        return cls(
            document_id=page.document_id,
            filename=page.filename,
            page=page.page_number,
            snippet=_pieces(hit.snippet),
            matches=hit.snippet.matches,
            more_on_document=hit.more_on_document,
            score=hit.score,
            url=f"/documents/{page.document_id}/{'text' if page.is_classic else f'pages/{page.page_number}'}",
        )


class Correspondent(BaseModel):
    """The other person of a message."""

    id: int = Field(examples=[2])
    name: str = Field(examples=["Bob"])


class FoundMessage(BaseModel):
    """A message that I sent or received."""

    type: Literal["message"] = "message"
    id: int = Field(examples=[991])
    user: Correspondent
    sender_id: int = Field(examples=[1])
    snippet: list[SnippetPiece]
    score: float = Field(examples=[1.732])
    created_at: datetime = Field(examples=["2026-11-23T09:30:00.123456Z"])
    attachment: Attachment | None = Field(description="a document that it points at")
    url: str = Field(examples=["/messages/2?before=992&limit=50"])

    @classmethod
    def from_hit(cls, hit: MessageHit) -> "FoundMessage":
        message = hit.message
        attachment = describe_attachment(message.attachment)
        return cls(
            id=message.id,
            user=Correspondent(id=message.other_id, name=message.other_name),
            sender_id=message.sender_id,
            snippet=_pieces(hit.snippet),
            score=hit.score,
            created_at=message.created_at,
            attachment=None if attachment is None else Attachment.model_validate(attachment),
            url=f"/messages/{message.other_id}?before={message.id + 1}&limit={SHOWN_AROUND}",
        )


def _pieces(snippet: Snippet) -> list[SnippetPiece]:
    return [SnippetPiece(text=piece.text, hit=piece.hit) for piece in snippet.pieces]


class Totals(BaseModel):
    """How many match; a document's pages are all counted, also those that are not in the list."""

    pages: int = Field(examples=[6])
    messages: int = Field(examples=[3])
    exact: bool = Field(description="false: at least so many. Up to a hundred are counted, unless that takes long")


class SearchPage(BaseModel):
    """Hits, the best or the newest first; `next_cursor` leads to the next ones."""

    results: list[Annotated[FoundPage | FoundMessage, Field(discriminator="type")]]
    next_cursor: str | None = Field(examples=["WyI1ZjBj…"])
    totals: Totals | None = Field(description="in the first answer; null in those to a cursor")
    indexing: bool = Field(description="what was there before an update is still being indexed, and may be missing")


# The route


@router.get("/search", summary="Search my pages and messages", responses=may_fail(*SIGNED_IN, SearchTimeoutError))
async def search(
    request: Request,
    finder: Annotated[Finder, opened(Finder)],
    indexer: Annotated[Indexer, opened(Indexer)],
    user: CurrentUser,
    q: Annotated[
        NotBlank,
        Query(
            max_length=MAX_QUERY_CHARACTERS,
            description='words, "phrases", -not, or; at most 32 words',
            examples=['"total due" -draft'],
        ),
    ],
    kind: Annotated[Literal["page", "message"] | None, Query(alias="type")] = None,
    document_id: Annotated[IdParameter | None, Query(description="all pages of this document")] = None,
    from_id: Annotated[
        IdParameter | None, Query(alias="from", description="sent by this user; documents of this user")
    ] = None,
    before: Annotated[Moment | None, Query(description="added or sent before")] = None,
    after: Annotated[Moment | None, Query(description="added or sent at that time or later")] = None,
    sort: Annotated[
        Sort, Query(description="newest: by the time when the document was added or the message was sent")
    ] = "best",
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    cursor: Annotated[str | None, Query(max_length=MAX_CURSOR_CHARACTERS)] = None,
) -> SearchPage:
    """The pages I may read and the messages I am party to, in one list.

    Side by side as typed counts most, then near each other, then all on the page; words in a document's name count
    more, and so do rare words. A word of three letters or more also finds longer words that begin with it, after those
    that are the same. Of words that are on very many pages, the best of the newest come first. A document has at most
    three pages in the list. Sorted by time, words and longer words are one list.
    """
    filters = Filters(document_id, from_id, before, after)
    wanted = Search(q, _checked("q", parse, q), kind, filters, sort)
    place = None
    if cursor is not None:
        terms = len(wanted.query.wanted)
        place = _checked("cursor", lambda text: Cursor.read(text, wanted.fingerprint, terms=terms), cursor)
    async with while_connected(request):
        found = await finder.find(wanted, user_id=user.id, limit=limit, cursor=place)
    return SearchPage(
        results=[
            FoundPage.from_hit(hit) if isinstance(hit, PageHit) else FoundMessage.from_hit(hit) for hit in found.hits
        ],
        next_cursor=None if found.next_cursor is None else found.next_cursor.write(wanted.fingerprint),
        totals=None if found.totals is None else Totals(**found.totals._asdict()),
        indexing=indexer.is_behind,
    )


def _checked(name: str, read: Callable[[str], T], text: str) -> T:
    """What *read* makes of a parameter; a refusal is a 422 as FastAPI's own are."""
    try:
        return read(text)
    except PydanticCustomError as error:
        problem = {"type": error.type, "loc": ("query", name), "msg": error.message(), "input": text}
        raise RequestValidationError([problem]) from error
