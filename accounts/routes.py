"""Accounts over HTTP: register, sign in, and find each other."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AfterValidator, AliasChoices, BaseModel, Field, StrictBool
from pydantic_core import PydanticCustomError

from accounts import queries
from accounts.addresses import Email, as_registered
from accounts.audit_queries import Actor, insert_audit
from accounts.audit_trail import AuditTrail, stranger
from accounts.installation import Installation
from accounts.queries import CredentialsRow
from accounts.sign_ins import SignIns, Tokens
from auth import FOR_USERS, MAX_PASSWORD_BYTES, CurrentUser, Db, Gate, Gatekeeper, Limits, UserRow, current_user
from db import Database, fold_address
from edge.answers import SIGNED_IN, WITH_BODY, may_fail, operation_id
from edge.browsers import SessionCookie, refuse_other_sites
from edge.engines import get_engine, opened
from edge.fields import (
    UNPRINTABLE,
    IdParameter,
    check_one_line,
    check_storable,
    is_visible,
    pattern_without,
    refusal,
)
from edge.forms import json_or_form, read_body, validate
from edge.health import Greeting
from edge.limits import RateLimits, client_network
from errors import (
    CrossSiteError,
    DatabaseUnavailableError,
    EmailTakenError,
    FirstAccountError,
    InvalidCredentialsError,
    RateLimitedError,
    RegistrationClosedError,
    UserNotFoundError,
)
from settings import Settings

MIN_PASSWORD_CHARACTERS = 8
NAME_PATTERN = pattern_without(UNPRINTABLE, not_only=r"\s")  # one line, and not blank

router = APIRouter(generate_unique_id_function=operation_id)

Signing = Annotated[SignIns, opened(SignIns)]
Auditing = Annotated[AuditTrail, opened(AuditTrail)]


# The wire


def _fits_bcrypt(password: str) -> str:
    if len(check_storable(password).encode()) > MAX_PASSWORD_BYTES:
        raise PydanticCustomError(
            "string_too_long",
            "Should have at most {max_bytes} bytes; a letter with an accent has two, an emoji four",
            {"max_bytes": MAX_PASSWORD_BYTES},
        )
    return password


def _name(text: str) -> str:
    if not is_visible(check_one_line(text)):
        raise refusal("Should have at least one visible character")
    return text.strip()


Password = Annotated[
    str, Field(min_length=MIN_PASSWORD_CHARACTERS, max_length=MAX_PASSWORD_BYTES), AfterValidator(_fits_bcrypt)
]
Name = Annotated[
    str, Field(min_length=1, max_length=200, json_schema_extra={"pattern": NAME_PATTERN}), AfterValidator(_name)
]
SearchWords = Annotated[str, Field(max_length=200), AfterValidator(check_storable)]


class Registration(BaseModel):
    """A new account."""

    model_config = {
        "json_schema_extra": {
            "examples": [{"email": "alice@example.com", "password": "correct horse battery", "name": "Alice"}]
        }
    }

    email: Email
    password: Password
    name: Name
    session: StrictBool = Field(default=False, description="sign this browser in, with a cookie")
    setup_code: str | None = Field(
        default=None,
        max_length=64,
        description="from the server's log; for the first account, if it is not made on the server's own machine",
    )


class Credentials(BaseModel):
    """An address (as `email` or `username`) and its password."""

    model_config = {
        "json_schema_extra": {"examples": [{"email": "alice@example.com", "password": "correct horse battery"}]}
    }

    email: Annotated[
        str,
        Field(max_length=320, validation_alias=AliasChoices("email", "username")),
        AfterValidator(check_storable),
        AfterValidator(as_registered),
    ]
    password: Annotated[str, Field(max_length=MAX_PASSWORD_BYTES), AfterValidator(_fits_bcrypt)]


class User(BaseModel):
    """An account, as every user may see it."""

    id: int = Field(examples=[2])
    email: str = Field(examples=["bob@example.com"])
    name: str = Field(examples=["Bob"])
    created_at: datetime = Field(examples=["2026-11-23T09:30:00.123456Z"])

    @classmethod
    def from_row(cls, row: UserRow) -> "User":
        return cls(id=row.id, email=row.email, name=row.name, created_at=row.created_at)


class Person(User):
    """An account; admins also see whether it is an admin's."""

    is_admin: bool = Field(default=False, description="only in answers to admins", examples=[False])

    @classmethod
    def describe(cls, row: UserRow, *, to: UserRow) -> "Person":
        """Where the caller is no admin, `is_admin` is left unset."""
        for_admins = {"is_admin": row.is_admin} if to.is_admin else {}
        return cls(id=row.id, email=row.email, name=row.name, created_at=row.created_at, **for_admins)


class Me(User):
    """The caller's own account."""

    is_admin: bool = Field(examples=[False])
    verified: bool = Field(description="a link that was sent to the address came back", examples=[False])
    stored_bytes: int = Field(description="of my documents: files, texts and tables", examples=[96_446])

    @classmethod
    def from_row(cls, row: UserRow) -> "Me":
        return cls(
            id=row.id,
            email=row.email,
            name=row.name,
            created_at=row.created_at,
            is_admin=row.is_admin,
            verified=row.is_verified,
            stored_bytes=row.stored_bytes,
        )


class MyAccount(Me):
    """The caller's own account, and how much may be stored."""

    quota_bytes: int | None = Field(
        description="how far `stored_bytes` may grow; null: no limit", examples=[10_485_760_000]
    )

    @classmethod
    def describe(cls, row: UserRow, settings: Settings) -> "MyAccount":
        return cls(**Me.from_row(row).__dict__, quota_bytes=settings.user_quota_bytes)


class AccessToken(BaseModel):
    """A Bearer token and the account that it is for."""

    access_token: str = Field(examples=["eyJhbGciOiJIUzI1NiIs…"])
    token_type: Literal["bearer"] = "bearer"  # noqa: S105
    expires_in: int = Field(description="seconds", examples=[1800])
    refresh_token: str | None = Field(
        description="for /refresh, once; null for a browser, whose cookie takes its place",
        examples=["0u4Vb2Qy3l7c…"],
    )
    user: Me


# Routes


@router.post(
    "/register",
    tags=["accounts"],
    summary="Create an account",
    responses=may_fail(
        EmailTakenError,
        RegistrationClosedError,
        FirstAccountError,
        CrossSiteError,
        RateLimitedError,
        DatabaseUnavailableError,
        *WITH_BODY,
    ),
)
async def register(
    request: Request,
    response: Response,
    body: Registration,
    settings: Annotated[Settings, opened(Settings)],
    database: Db,
    limits: Limits,
    gate: Gate,
    sign_ins: Signing,
    installation: Annotated[Installation, opened(Installation)],
    cookie: Annotated[SessionCookie, opened(SessionCookie)],
) -> AccessToken:
    """Create an account and sign in. The first account of an installation is its admin."""
    if body.session:
        refuse_other_sites(request)
    if settings.registration == "closed":
        raise RegistrationClosedError
    if not await queries.account_exists(database) and not installation.may_set_up(request, body.setup_code):
        raise FirstAccountError
    network = client_network(request)
    await limits.hit(limits.register, network)
    if await queries.email_exists(database, email=body.email):
        raise EmailTakenError
    password_hash = await gate.passwords.hash(body.password, by=network)
    async with database.transaction() as tx:
        user = await queries.insert_user(tx, email=body.email, name=body.name, password_hash=password_hash)
        if user is None:
            raise EmailTakenError
        await insert_audit(tx, "account_created", Actor(user.id, client_network(request)), user_id=user.id)
    if not body.session:
        return access_token(await sign_ins.begin(request, user, password_hash), gate, response)
    session = await sign_ins.begin_browser(request, user, password_hash, keep=False)
    cookie.put(request, response, session.secret, max_age=session.max_age)
    return access_token(Tokens(user, gate.tokens.issue(user, session_key=session.key), None), gate, response)


async def read_credentials(request: Request) -> Credentials:
    """The body of a login, JSON or a form; never the query string."""
    return validate(Credentials, await read_body(request))


LOGIN_BODY = json_or_form(Credentials)
LOGIN_ERRORS = may_fail(InvalidCredentialsError, RateLimitedError, DatabaseUnavailableError, *WITH_BODY)


@router.post("/login", tags=["accounts"], summary="Sign in", openapi_extra=LOGIN_BODY, responses=LOGIN_ERRORS)
async def login(
    request: Request,
    response: Response,
    database: Db,
    limits: Limits,
    gate: Gate,
    audit: Auditing,
    sign_ins: Signing,
    credentials: Annotated[Credentials, Depends(read_credentials)],
) -> AccessToken:
    """Exchange an address and a password for a Bearer token. The answer does not tell which of the two is wrong."""
    found = await check_credentials(request, database, limits, gate, audit, credentials)
    return access_token(await sign_ins.begin(request, found.user, found.password_hash), gate, response)


async def check_credentials(
    request: Request,
    database: Database,
    limits: RateLimits,
    gate: Gatekeeper,
    audit: AuditTrail,
    credentials: Credentials,
) -> CredentialsRow:
    """The account that *credentials* belong to, and the hash of its password.

    Raises:
        InvalidCredentialsError, RateLimitedError
    """
    network = client_network(request)
    await limits.hit(limits.login_ip, network)
    await limits.hit(limits.login, fold_address(credentials.email))
    found = await queries.find_credentials(database, email=credentials.email)
    known = found.password_hash if found else None
    if not await gate.passwords.matches(credentials.password, known, by=network) or found is None:
        audit.note_failed_login(stranger(request), user_id=None if found is None else found.user.id)
        raise InvalidCredentialsError
    return found


router.add_api_route(
    "/token",
    login,
    methods=["POST"],
    name="token",
    tags=["accounts"],
    summary="Sign in (OAuth2 password form)",
    openapi_extra=LOGIN_BODY,
    responses=LOGIN_ERRORS,
)


def access_token(tokens: Tokens, gate: Gatekeeper, response: Response) -> AccessToken:
    response.headers["Cache-Control"] = "no-store"
    return AccessToken(
        access_token=tokens.access_token,
        expires_in=gate.tokens.life_seconds,
        refresh_token=tokens.refresh_token,
        user=Me.from_row(tokens.user),
    )


@router.get(
    "/me",
    tags=["accounts"],
    summary="Who am I?",
    response_model=MyAccount,
    openapi_extra=FOR_USERS,
    responses=may_fail(*SIGNED_IN),
)
async def read_me(request: Request) -> Response:
    user = MyAccount.describe(await current_user(request), get_engine(request, Settings))
    return Response(user.model_dump_json(), headers={"Cache-Control": "no-store"}, media_type="application/json")


@router.get("/protected", tags=["app"], summary="A greeting for signed-in users", responses=may_fail(*SIGNED_IN))
async def read_protected(user: CurrentUser) -> Greeting:
    return Greeting(message=f"Hello user {user.id}")


@router.get(
    "/users",
    tags=["accounts"],
    summary="All other users",
    response_model_exclude_unset=True,
    responses=may_fail(*SIGNED_IN),
)
async def list_users(
    response: Response,
    database: Db,
    user: CurrentUser,
    q: Annotated[SearchWords | None, Query()] = None,
    limit: Annotated[int | None, Query(ge=1, le=200)] = None,
    cursor: Annotated[IdParameter | None, Query()] = None,
) -> list[Person]:
    """Ordered by id; with *q*, those whose name or address contains it. With *limit*, `X-Next-Cursor` continues."""
    rows = await queries.list_users(
        database, except_id=user.id, words=q or None, after_id=cursor or 0, limit=limit and limit + 1
    )
    if limit is not None and len(rows) > limit:
        rows = rows[:limit]
        response.headers["X-Next-Cursor"] = str(rows[-1].id)
    return [Person.describe(row, to=user) for row in rows]


@router.get(
    "/users/{user_id}",
    tags=["accounts"],
    summary="One user",
    response_model_exclude_unset=True,
    responses=may_fail(*SIGNED_IN, UserNotFoundError),
)
async def read_user(database: Db, user: CurrentUser, user_id: IdParameter) -> Person:
    row = await queries.find_user(database, user_id=user_id)
    if row is None:
        raise UserNotFoundError
    return Person.describe(row, to=user)
