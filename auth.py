"""Accounts, tokens, and the answer to "who is asking?"."""

import asyncio
import ipaddress
import itertools
import os
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import bcrypt
import email_validator
import jwt
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import OAuth2PasswordBearer
from pydantic import AfterValidator, AliasChoices, BaseModel, EmailStr, Field, ValidationError, validate_email
from starlette.requests import HTTPConnection

import db
from answers import SIGNED_IN, WITH_BODY, may_fail, operation_id
from db import UserRow
from deps import AllEngines, Db, get_engines
from errors import (
    AdminRequiredError,
    DatabaseUnavailableError,
    EmailTakenError,
    InvalidCredentialsError,
    InvalidTokenError,
    NotAuthenticatedError,
    RateLimitedError,
    RegistrationClosedError,
    StartupError,
    TokenExpiredError,
    UserNotFoundError,
)
from fields import CONTROLS, MAX_ID, Id, Storable
from forms import read_form
from pool import Database
from settings import MINIMUM_SECRET_KEY_BYTES, Settings

ALGORITHM = "HS256"
CLAIMS = ["exp", "iat", "sub", "user_id", "email", "jti"]
MAX_PASSWORD_BYTES = 72  # bcrypt reads no more
MIN_PASSWORD_CHARACTERS = 8
MAX_QUEUED_HASHES = 64
MAX_VERIFIED_TOKENS = 10_000
NAME_PATTERN = rf"^[^{CONTROLS}]*[^\s{CONTROLS}][^{CONTROLS}]*$"  # one line, and not blank
T = TypeVar("T")

email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()  # inside a company's network .local or .test may well have mail

router = APIRouter(generate_unique_id_function=operation_id)


# The wire


def _fits_bcrypt(password: str) -> str:
    if len(password.encode()) > MAX_PASSWORD_BYTES:
        raise ValueError(f"must be at most {MAX_PASSWORD_BYTES} bytes long")
    return password


def _as_registered(email: str) -> str:
    """The spelling that registration stores; what is no address stays as it is, and nobody's."""
    with suppress(ValueError):
        return validate_email(email)[1]
    return email.strip()


Password = Annotated[
    Storable, Field(min_length=MIN_PASSWORD_CHARACTERS, max_length=MAX_PASSWORD_BYTES), AfterValidator(_fits_bcrypt)
]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=NAME_PATTERN), AfterValidator(str.strip)]


class Registration(BaseModel):
    """A new account."""

    model_config = {
        "json_schema_extra": {
            "examples": [{"email": "alice@example.com", "password": "correct horse battery", "name": "Alice"}]
        }
    }

    email: EmailStr
    password: Password
    name: Name


class Credentials(BaseModel):
    """An address (as `email` or `username`) and its password."""

    model_config = {
        "json_schema_extra": {"examples": [{"email": "alice@example.com", "password": "correct horse battery"}]}
    }

    email: Annotated[
        Storable,
        Field(max_length=320, validation_alias=AliasChoices("email", "username")),
        AfterValidator(_as_registered),
    ]
    password: Annotated[Storable, Field(max_length=MAX_PASSWORD_BYTES), AfterValidator(_fits_bcrypt)]


class User(BaseModel):
    """Somebody with an account."""

    id: int = Field(examples=[2])
    email: str = Field(examples=["bob@example.com"])
    name: str = Field(examples=["Bob"])
    created_at: datetime = Field(examples=["2026-11-23T09:30:00.123456Z"])

    @classmethod
    def from_row(cls, row: UserRow) -> "User":
        return cls(id=row.id, email=row.email, name=row.name, created_at=row.created_at)


class Me(User):
    """The one who is asking."""

    is_admin: bool = Field(examples=[False])

    @classmethod
    def from_row(cls, row: UserRow) -> "Me":
        return cls(id=row.id, email=row.email, name=row.name, created_at=row.created_at, is_admin=row.is_admin)


class AccessToken(BaseModel):
    """A Bearer token and whose it is."""

    access_token: str = Field(examples=["eyJhbGciOiJIUzI1NiIs…"])
    token_type: Literal["bearer"] = "bearer"  # noqa: S105
    expires_in: int = Field(description="seconds", examples=[1800])
    user: Me


class Greeting(BaseModel):
    """A line of text."""

    message: str = Field(examples=["Hello user 2"])


# Passwords


class Passwords:
    """bcrypt on threads of its own, at low priority, so that a storm of logins holds up nobody else.

    At most `MAX_QUEUED_HASHES` wait; one more is refused with RateLimitedError.
    """

    def __init__(self, *, rounds: int) -> None:
        self._rounds = rounds
        self._threads = ThreadPoolExecutor(
            max(1, (os.cpu_count() or 2) - 1), thread_name_prefix="bcrypt", initializer=_yield_to_others
        )
        self._queued = 0
        self._nobodys_hash = bcrypt.gensalt(rounds) + b"." * 31  # matches nothing, takes as long as any

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    async def hash(self, password: str) -> str:
        return await self._in_thread(
            lambda: bcrypt.hashpw(password.encode(), bcrypt.gensalt(self._rounds)).decode("ascii")
        )

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """Compare; with no hash to compare with, take the same time and say no."""
        expected = self._nobodys_hash if password_hash is None else password_hash.encode()
        return await self._in_thread(lambda: _check(password.encode(), expected))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._queued >= MAX_QUEUED_HASHES:
            raise RateLimitedError("Too many people are signing in; try again in a moment.", retry_after=5)
        self._queued += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._queued -= 1


def _check(password: bytes, password_hash: bytes) -> bool:
    try:
        return bcrypt.checkpw(password, password_hash)
    except ValueError:  # what is stored is not a bcrypt hash
        return False


def _yield_to_others() -> None:
    if sys.platform == "linux":  # elsewhere a thread has no priority of its own
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


# Tokens


class Claims(NamedTuple):
    user_id: int
    expires_at: float  # seconds since 1970


class Tokens:
    """Sign and verify access tokens (RFC 7519), HS256."""

    def __init__(self, secret_key: str, *, life_seconds: int) -> None:
        self._secret_key = secret_key
        self.life_seconds = life_seconds
        self._verified: dict[str, Claims] = {}  # tokens are asked about again and again; a signature takes 60 µs

    def issue(self, user: UserRow) -> str:
        now = int(time.time())
        claims = {
            "sub": str(user.id),
            "user_id": user.id,
            "email": user.email,
            "iat": now,
            "exp": now + self.life_seconds,
            "jti": secrets.token_hex(16),
        }
        return jwt.encode(claims, self._secret_key, algorithm=ALGORITHM)

    def verify(self, token: str) -> Claims:
        """Whose token it is.

        Raises:
            TokenExpiredError, InvalidTokenError
        """
        known = self._verified.get(token)
        if known is not None and known.expires_at > time.time():
            return known
        claims = self._decode(token)
        if len(self._verified) >= MAX_VERIFIED_TOKENS:
            self._verified.clear()
        self._verified[token] = claims
        return claims

    def _decode(self, token: str) -> Claims:
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self._secret_key, algorithms=[ALGORITHM], options={"require": CLAIMS}
            )
            expires_at = float(claims["exp"])
        except jwt.ExpiredSignatureError as error:
            raise TokenExpiredError from error
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise InvalidTokenError from error
        user_id = claims["user_id"]
        if type(claims["exp"]) not in (int, float) or type(claims["iat"]) not in (int, float):  # PyJWT takes "1" for 1
            raise InvalidTokenError
        if type(user_id) is not int or not 1 <= user_id <= MAX_ID or claims["sub"] != str(user_id):
            raise InvalidTokenError
        return Claims(user_id, expires_at)


def load_secret_key(settings: Settings) -> str:
    """SECRET_KEY, or the key that was made for this data folder at its first start (mode 0600).

    Raises:
        StartupError: if the key can be neither read nor kept.
    """
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    path = settings.data_dir / "secret_key"
    try:
        if not path.exists():
            settings.data_dir.mkdir(parents=True, exist_ok=True)
            _publish_once(path, secrets.token_hex(32))
        key = path.read_bytes().strip()
    except OSError as error:
        raise StartupError(f"SECRET_KEY: cannot keep one in {path}: {error.strerror}") from error
    if len(key) < MINIMUM_SECRET_KEY_BYTES or not key.isascii():
        raise StartupError(f"SECRET_KEY: {path} is damaged; delete it and a new one is made")
    return key.decode()


def _publish_once(path: Path, text: str) -> None:
    """Write *path* whole or not at all; the first of several processes wins."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()


Waiting = dict[int, list["asyncio.Future[UserRow | None]"]]  # by the account that they ask for


class UserLookup:
    """Find accounts: one question to the database for all that were asked for while the last one was answered.

    Nothing is remembered; each question is put after it was asked here. (GET /me: 410 → 289 µs at 16 connections.)
    """

    def __init__(self) -> None:
        self._waiting: Waiting = {}
        self._is_asking = False
        self._many_ask = False  # as far as the last question tells
        self._task: asyncio.Task[None] | None = None

    async def find(self, database: Database, user_id: int) -> UserRow | None:
        """The account, or None.

        Raises:
            DatabaseUnavailableError, BusyError
        """
        future: asyncio.Future[UserRow | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(user_id, []).append(future)
        if not self._is_asking:
            self._is_asking = True  # this request asks itself: a task would take two more turns of the event loop
            try:
                await self._ask(database)
            finally:
                future.cancel()  # no answer came of it: this request is gone
        return await future

    async def _ask(self, database: Database) -> None:
        asked: Waiting = {}
        try:
            if self._many_ask:
                await asyncio.sleep(0)  # for the others who come in this turn of the event loop
            asked, self._waiting = self._waiting, {}
            self._many_ask = sum(map(len, asked.values())) > 1
            found = {row.id: row for row in await db.find_users(database, user_ids=list(asked))}
            for user_id, futures in asked.items():
                for future in futures:
                    if not future.done():  # its request is gone
                        future.set_result(found.get(user_id))
        except Exception as error:  # whoever came meanwhile is told as well: waiting again would take too long
            waiting, self._waiting = self._waiting, {}
            for future in itertools.chain(*asked.values(), *waiting.values()):
                if not future.done():
                    future.set_exception(error)
        except asyncio.CancelledError:  # this request is gone, the others are not
            for user_id, futures in asked.items():
                self._waiting.setdefault(user_id, []).extend(futures)
            raise
        finally:
            self._is_asking = bool(self._waiting)
            if self._waiting:
                self._task = asyncio.create_task(self._ask(database))


class Gatekeeper:
    """What this room needs while the server runs: the key, the hashing threads, and who is who."""

    def __init__(self, settings: Settings) -> None:
        self.tokens = Tokens(load_secret_key(settings), life_seconds=settings.access_token_expire_minutes * 60)
        self.passwords = Passwords(rounds=settings.bcrypt_rounds)
        self.users = UserLookup()

    def close(self) -> None:
        self.passwords.close()


async def _get_gatekeeper(connection: HTTPConnection) -> Gatekeeper:
    gatekeeper: Gatekeeper = connection.app.state.gatekeeper
    return gatekeeper


Gate = Annotated[Gatekeeper, Depends(_get_gatekeeper)]


# Who is asking?

bearer = OAuth2PasswordBearer(tokenUrl="token", auto_error=False, description="An access token from /login.")


async def get_current_user(connection: Request, token: Annotated[str | None, Depends(bearer)]) -> UserRow:
    if not token:
        raise NotAuthenticatedError
    return (await authenticate(connection, token))[0]


async def authenticate(connection: HTTPConnection, token: str) -> tuple[UserRow, Claims]:
    """The account that *token* belongs to.

    Raises:
        InvalidTokenError: also when the account is gone; TokenExpiredError.
    """
    gatekeeper = await _get_gatekeeper(connection)
    claims = gatekeeper.tokens.verify(token)
    user = await gatekeeper.users.find((await get_engines(connection)).database, claims.user_id)
    if user is None:
        raise InvalidTokenError
    return user, claims


CurrentUser = Annotated[UserRow, Depends(get_current_user)]


async def get_current_admin(user: CurrentUser) -> UserRow:
    if not user.is_admin:
        raise AdminRequiredError
    return user


CurrentAdmin = Annotated[UserRow, Depends(get_current_admin)]


def client_network(connection: HTTPConnection) -> str:
    """The client's address as a key for limits; IPv6 by its /64, which one household has whole."""
    host = connection.client.host if connection.client else ""
    with suppress(ValueError):
        if isinstance(address := ipaddress.ip_address(host), ipaddress.IPv6Address):
            return str(ipaddress.ip_network((address, 64), strict=False))
    return host


# Routes


@router.post(
    "/register",
    tags=["accounts"],
    summary="Make an account",
    responses=may_fail(
        EmailTakenError, RegistrationClosedError, RateLimitedError, DatabaseUnavailableError, *WITH_BODY
    ),
)
async def register(
    request: Request, response: Response, body: Registration, engines: AllEngines, gate: Gate
) -> AccessToken:
    """Make an account and sign it in. The first account of an installation is its admin."""
    if engines.settings.registration == "closed":
        raise RegistrationClosedError
    await engines.limiter.hit(engines.rates.register, client_network(request))
    if await db.email_exists(engines.database, email=body.email):
        raise EmailTakenError
    password_hash = await gate.passwords.hash(body.password)
    async with engines.database.transaction() as tx:
        user = await db.insert_user(tx, email=body.email, name=body.name, password_hash=password_hash)
    if user is None:
        raise EmailTakenError
    return _signed_in(user, gate, response)


async def read_credentials(request: Request) -> Credentials:
    """The body of a login, JSON or a form; never the query string."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    values: Any
    if content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        values = dict(await read_form(request))
    else:
        try:
            values = await request.json()
        except (ValueError, RecursionError) as error:
            raise RequestValidationError(
                [{"type": "json_invalid", "loc": ("body",), "msg": "JSON decode error"}]
            ) from error
    try:
        return Credentials.model_validate(values)
    except ValidationError as error:
        raise RequestValidationError([{**e, "loc": ("body", *e["loc"])} for e in error.errors()]) from error


LOGIN_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": Credentials.model_json_schema()},
            "application/x-www-form-urlencoded": {"schema": Credentials.model_json_schema()},
        },
    }
}
LOGIN_ERRORS = may_fail(InvalidCredentialsError, RateLimitedError, DatabaseUnavailableError, *WITH_BODY)


@router.post("/login", tags=["accounts"], summary="Sign in", openapi_extra=LOGIN_BODY, responses=LOGIN_ERRORS)
async def login(
    request: Request,
    response: Response,
    engines: AllEngines,
    gate: Gate,
    credentials: Annotated[Credentials, Depends(read_credentials)],
) -> AccessToken:
    """Trade an address and a password for a Bearer token. An unknown address and a wrong password look alike."""
    await engines.limiter.hit(engines.rates.login_ip, client_network(request))
    await engines.limiter.hit(engines.rates.login, credentials.email.lower())
    found = await db.find_credentials(engines.database, email=credentials.email)
    if not await gate.passwords.matches(credentials.password, found.password_hash if found else None) or found is None:
        raise InvalidCredentialsError
    return _signed_in(UserRow(*found[:5]), gate, response)


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


def _signed_in(user: UserRow, gate: Gatekeeper, response: Response) -> AccessToken:
    response.headers["Cache-Control"] = "no-store"
    return AccessToken(
        access_token=gate.tokens.issue(user), expires_in=gate.tokens.life_seconds, user=Me.from_row(user)
    )


async def current_user(request: Request) -> UserRow:
    """What CurrentUser is, for the routes asked so often that resolving dependencies (90 µs) counts."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return await get_current_user(request, token if scheme.lower() == "bearer" else None)


FOR_USERS: dict[str, Any] = {"security": [{"OAuth2PasswordBearer": []}]}  # what OpenAPI says of such a route


@router.get(
    "/me",
    tags=["accounts"],
    summary="Who am I?",
    response_model=Me,
    openapi_extra=FOR_USERS,
    responses=may_fail(*SIGNED_IN),
)
async def read_me(request: Request) -> Response:
    user = Me.from_row(await current_user(request))
    return Response(user.model_dump_json(), headers={"Cache-Control": "no-store"}, media_type="application/json")


@router.get("/protected", tags=["app"], summary="A greeting for signed-in users", responses=may_fail(*SIGNED_IN))
async def read_protected(user: CurrentUser) -> Greeting:
    return Greeting(message=f"Hello user {user.id}")


@router.get("/users", tags=["accounts"], summary="Everybody else", responses=may_fail(*SIGNED_IN))
async def list_users(
    response: Response,
    database: Db,
    user: CurrentUser,
    q: Annotated[Storable | None, Query(max_length=200)] = None,
    limit: Annotated[int | None, Query(ge=1, le=200)] = None,
    cursor: Annotated[Id | None, Query()] = None,
) -> list[User]:
    """Everybody but me, by id; *q* must be in the name or the address. With *limit*, `X-Next-Cursor` leads on."""
    rows = await db.list_users(
        database, except_id=user.id, words=q or None, after_id=cursor or 0, limit=limit and limit + 1
    )
    if limit is not None and len(rows) > limit:
        rows = rows[:limit]
        response.headers["X-Next-Cursor"] = str(rows[-1].id)
    return [User.from_row(row) for row in rows]


@router.get(
    "/users/{user_id}", tags=["accounts"], summary="One user", responses=may_fail(*SIGNED_IN, UserNotFoundError)
)
async def read_user(database: Db, user: CurrentUser, user_id: Id) -> User:
    row = await db.find_user(database, user_id=user_id)
    if row is None:
        raise UserNotFoundError
    return User.from_row(row)
