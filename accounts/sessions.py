"""Sessions over HTTP: refresh and end them, see where one is signed in, and the browser's door."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, StrictBool

from accounts import queries
from accounts.audit_queries import Actor
from accounts.audit_trail import actor_of
from accounts.queries import SessionInfoRow
from accounts.routes import AccessToken, Auditing, Credentials, Me, Signing, access_token, check_credentials
from auth import FOR_USERS, CurrentPerson, Db, Gate, Limits, authenticate_browser, check_person, find_caller
from edge.answers import MAY_WRITE, SIGNED_IN, WITH_BODY, may_fail, operation_id
from edge.browsers import SessionCookie, refuse_other_sites
from edge.engines import opened
from edge.fields import MAX_ID, ClientId, IdParameter, Storable
from edge.forms import described_json, read_body, read_json, validate
from edge.limits import client_network
from errors import (
    CrossSiteError,
    DatabaseUnavailableError,
    InvalidCredentialsError,
    InvalidTokenError,
    KeyNotAllowedError,
    RateLimitedError,
    SessionNotFoundError,
    TokenExpiredError,
)

router = APIRouter(tags=["sessions"], generate_unique_id_function=operation_id)
Cookie = Annotated[SessionCookie, opened(SessionCookie)]


# The wire


RefreshToken = Annotated[Storable, Field(min_length=1, max_length=4096, examples=["0u4Vb2Qy3l7c…"])]


class Refresh(BaseModel):
    """A refresh token, and a name of your own for this request."""

    refresh_token: RefreshToken
    client_id: ClientId | None = Field(
        default=None,
        description="random; a repeat with the same one gets the same refresh token, for when the answer was lost",
        examples=["5c1f0f9e"],
    )


class Logout(BaseModel):
    """Which session to end, if not the one that asks."""

    refresh_token: RefreshToken | None = None


class SessionInfo(BaseModel):
    """Where somebody is signed in."""

    id: int = Field(examples=[7])
    kind: Literal["browser", "api"]
    created_at: datetime = Field(examples=["2026-11-23T09:30:00.123456Z"])
    last_used_at: datetime = Field(description="to the minute", examples=["2026-11-23T09:45:00.123456Z"])
    expires_at: datetime | None = Field(examples=["2026-12-23T09:30:00.123456Z"])
    user_agent: str = Field(examples=["Mozilla/5.0 (X11; Linux x86_64)"])
    ip: str = Field(description="of the last use", examples=["192.0.2.7"])
    current: bool = Field(description="this one asks")

    @classmethod
    def from_row(cls, row: SessionInfoRow, *, current_id: int) -> "SessionInfo":
        return cls(**row._asdict(), current=row.id == current_id)


class SessionPage(BaseModel):
    """Sessions, newest first."""

    sessions: list[SessionInfo]
    next_cursor: str | None = Field(examples=[None])


class BrowserCredentials(Credentials):
    """An address and its password, from a page of this server."""

    keep: StrictBool = Field(default=False, description="stay signed in after the browser was closed")


class BrowserSignedIn(BaseModel):
    """The account of this browser's session, and until when it lasts."""

    user: Me
    expires_at: datetime = Field(examples=["2026-12-23T09:30:00.123456Z"])


# Programs


@router.post(
    "/refresh",
    summary="New tokens for a refresh token",
    responses=may_fail(InvalidTokenError, TokenExpiredError, DatabaseUnavailableError, *WITH_BODY),
)
async def refresh(request: Request, response: Response, body: Refresh, gate: Gate, sign_ins: Signing) -> AccessToken:
    """A refresh token works once; the answer has the next one. Used twice, it ends its session, tokens and sockets too.

    Where answers get lost, send a random `client_id`: a repeat of the request with the same one gets the same refresh
    token again, until that one is used.
    """
    tokens = await sign_ins.refresh(request, body.refresh_token, client_id=body.client_id)
    return access_token(tokens, gate, response)


@router.post(
    "/logout",
    status_code=204,
    summary="End this session",
    openapi_extra=described_json(Logout, required=False) | FOR_USERS,
    responses=may_fail(*SIGNED_IN, KeyNotAllowedError, *WITH_BODY),
)
async def logout(request: Request, response: Response, sign_ins: Signing, cookie: Cookie) -> None:
    """End the session that asks, or the one of `refresh_token`: then no access token is needed."""
    body = validate(Logout, await read_body(request, required=False))
    if body.refresh_token is not None:
        found = await sign_ins.find_refreshable(body.refresh_token)
        if found is not None:
            user_id, session_id = found
            await sign_ins.end(user_id, Actor(user_id, client_network(request)), session_id=session_id)
        return
    caller = check_person(await find_caller(request))
    await sign_ins.end(caller.user.id, actor_of(caller), session_id=caller.session.id)
    if caller.session.kind == "browser":
        cookie.remove(request, response)


@router.post(
    "/logout-all", status_code=204, summary="End all my sessions", responses=may_fail(*MAY_WRITE, KeyNotAllowedError)
)
async def logout_all(
    request: Request, response: Response, sign_ins: Signing, cookie: Cookie, caller: CurrentPerson
) -> None:
    """Everywhere, this one too. API keys stay; /api-keys removes them."""
    await sign_ins.end(caller.user.id, actor_of(caller))
    if caller.session.kind == "browser":
        cookie.remove(request, response)


@router.get("/sessions", summary="Where I am signed in", responses=may_fail(*SIGNED_IN, KeyNotAllowedError))
async def list_sessions(
    response: Response,
    database: Db,
    caller: CurrentPerson,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[IdParameter | None, Query()] = None,
) -> SessionPage:
    """Browsers and programs, newest first; API keys have a list of their own."""
    rows = await queries.list_sessions(database, user_id=caller.user.id, before_id=cursor or MAX_ID, limit=limit + 1)
    response.headers["Cache-Control"] = "no-store"
    shown = [SessionInfo.from_row(row, current_id=caller.session.id) for row in rows[:limit]]
    return SessionPage(sessions=shown, next_cursor=str(shown[-1].id) if len(rows) > limit else None)


@router.delete(
    "/sessions/{session_id}",
    status_code=204,
    summary="End one of my sessions",
    responses=may_fail(*MAY_WRITE, KeyNotAllowedError, SessionNotFoundError),
)
async def delete_session(sign_ins: Signing, caller: CurrentPerson, session_id: IdParameter) -> None:
    """Its tokens are refused at once; its sockets close within a second."""
    if not await sign_ins.end(caller.user.id, actor_of(caller), session_id=session_id):
        raise SessionNotFoundError


# The browser's door


@router.post(
    "/session",
    summary="Sign this browser in",
    openapi_extra=described_json(BrowserCredentials),
    responses=may_fail(InvalidCredentialsError, CrossSiteError, RateLimitedError, DatabaseUnavailableError, *WITH_BODY),
)
async def sign_in_browser(
    request: Request,
    response: Response,
    database: Db,
    limits: Limits,
    gate: Gate,
    audit: Auditing,
    sign_ins: Signing,
    cookie: Cookie,
) -> BrowserSignedIn:
    """The session is in a cookie that no script can read. For pages of this server alone, as JSON alone."""
    refuse_other_sites(request)
    credentials = await read_json(request, BrowserCredentials)
    found = await check_credentials(request, database, limits, gate, audit, credentials)
    before = await authenticate_browser(request)
    session = await sign_ins.begin_browser(request, found.user, found.password_hash, keep=credentials.keep)
    if before is not None:
        await sign_ins.end(before.user.id, actor_of(before), session_id=before.session.id)
    cookie.put(request, response, session.secret, max_age=session.max_age)
    response.headers["Cache-Control"] = "no-store"
    return BrowserSignedIn(user=Me.from_row(found.user), expires_at=session.expires_at)


@router.delete(
    "/session",
    status_code=204,
    summary="Sign this browser out",
    responses=may_fail(CrossSiteError, DatabaseUnavailableError),
)
async def sign_out_browser(request: Request, response: Response, sign_ins: Signing, cookie: Cookie) -> None:
    """End the session in the cookie, if there is one, and empty the browser's cache of what it showed."""
    refuse_other_sites(request)
    caller = await authenticate_browser(request)
    if caller is not None:
        await sign_ins.end(caller.user.id, actor_of(caller), session_id=caller.session.id)
    cookie.remove(request, response)
    response.headers["Clear-Site-Data"] = '"cache"'
