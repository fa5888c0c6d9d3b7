"""What a web client asks first: who am I, what is this installation, what have I missed?"""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from accounts.installation import Installation
from accounts.queries import account_exists
from accounts.routes import MyAccount
from auth import Caller, Db, find_caller
from edge.answers import may_fail, operation_id
from edge.engines import opened
from errors import (
    BusyError,
    DatabaseUnavailableError,
    InvalidTokenError,
    NotAuthenticatedError,
    RateLimitedError,
    TokenExpiredError,
)
from messages import queries
from settings import Settings

router = APIRouter(tags=["sessions"], generate_unique_id_function=operation_id)


class AboutInstallation(BaseModel):
    """What a client needs to know of this server."""

    name: str = Field(examples=["Pagewire"])
    version: str | None = Field(description="for users alone", examples=["0.1.0"])
    first_run: bool = Field(description="there is no account yet, and the first may be made from here")
    registration: Literal["open", "closed"]
    mail: bool = Field(description="whether e-mail is sent")
    max_upload_mb: int = Field(examples=[50])
    max_pages: int = Field(examples=[10_000])


class UnreadTotals(BaseModel):
    """What waits to be read."""

    conversations: int = Field(examples=[1])
    messages: int = Field(description="up to 1,000", examples=[3])


class Boot(BaseModel):
    """Who asks, and where to begin."""

    user: MyAccount | None = Field(description="null: nobody is signed in")
    installation: AboutInstallation
    unread: UnreadTotals
    seq: int = Field(description="the number of my last event; those that follow come by the socket", examples=[1041])


async def find_caller_or_none(request: Request) -> Caller | None:
    try:
        return await find_caller(request)
    except (NotAuthenticatedError, InvalidTokenError, TokenExpiredError):
        return None


@router.get(
    "/session",
    summary="Who am I, and where am I?",
    responses=may_fail(RateLimitedError, DatabaseUnavailableError, BusyError),
)
async def read_session(
    request: Request,
    response: Response,
    database: Db,
    settings: Annotated[Settings, opened(Settings)],
    installation: Annotated[Installation, opened(Installation)],
    setup_code: Annotated[str | None, Query(max_length=64)] = None,
) -> Boot:
    """All that a page needs to begin, in one request. It is never a 401."""
    caller = await find_caller_or_none(request)
    response.headers["Cache-Control"] = "no-store"
    totals = queries.Totals(0, 0, 0)
    is_first_run = False
    if caller is not None:
        totals = await queries.get_totals(database, user_id=caller.user.id)
    elif settings.registration == "open" and installation.may_set_up(request, setup_code):
        is_first_run = not await account_exists(database)
    return Boot(
        user=caller and MyAccount.describe(caller.user, settings),
        installation=AboutInstallation(
            name=installation.name,
            version=installation.version if caller else None,
            first_run=is_first_run,
            registration=settings.registration,
            mail=settings.smtp_host is not None,
            max_upload_mb=settings.max_upload_mb,
            max_pages=settings.pdf_max_pages,
        ),
        unread=UnreadTotals(conversations=totals.conversations, messages=totals.messages),
        seq=totals.seq,
    )
