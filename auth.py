"""Who is asking? Passwords, tokens, sessions, and the account behind a request."""

import asyncio
import base64
import hashlib
import hmac
import itertools
import math
import os
import re
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

import bcrypt
import jwt
from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer
from starlette.requests import HTTPConnection

from db import Database, Executor, Prepared
from edge.browsers import SAFE_METHODS, SessionCookie
from edge.engines import get_engine, opened
from edge.envelope import KNOWN
from edge.fields import MAX_ID
from edge.limits import RateLimits, client_address, network_of
from errors import (
    AdminRequiredError,
    BusyError,
    InvalidTokenError,
    KeyNotAllowedError,
    NotAuthenticatedError,
    RateLimitedError,
    ReadOnlyKeyError,
    StartupError,
    TokenExpiredError,
)
from extraction.workers.turns import Turns
from settings import MINIMUM_SECRET_KEY_BYTES, Settings

ALGORITHM = "HS256"
API_KEY_PREFIX = "pw_"
CLAIMS = ["exp", "iat", "iss", "sub", "user_id", "email", "jti", "sid"]
SESSION_KEY = re.compile(r"[0-9a-f]{32,64}")
MAX_PASSWORD_BYTES = 72  # bcrypt ignores the rest
MAX_QUEUED_HASHES = 64
MAX_QUEUED_EACH = 32  # of one network, or account: a class that registers at once fits in
MAX_VERIFIED_TOKENS = 10_000
CLOCK_SKEW_SECONDS = 30  # how far ahead another machine's clock may be

T = TypeVar("T")


# Who is asking?


class UserRow(NamedTuple):
    id: int
    email: str
    name: str
    created_at: datetime
    is_admin: bool
    is_verified: bool  # the address is known to be this person's
    stored_bytes: int  # of their documents: files, texts and tables


class SessionRow(NamedTuple):
    """A session that lives, and whose it is."""

    key: str
    id: int
    kind: str  # browser, api, key
    expires_at: float | None  # seconds since 1970
    is_used_lately: bool  # its last use is noted already
    is_read_only: bool
    user: UserRow


class Claims(NamedTuple):
    user_id: int
    session_key: str
    expires_at: float  # seconds since 1970


class Caller(NamedTuple):
    """Who is asking, by which session, and until when the answer holds."""

    user: UserRow
    session: SessionRow
    expires_at: float  # seconds since 1970; infinite for what does not expire
    address: str

    @property
    def network(self) -> str:
        return network_of(self.address)


async def authenticate(connection: HTTPConnection, token: str) -> Caller:
    """The caller that *token* was issued to.

    Raises:
        InvalidTokenError: also when its session has ended or its account is deleted; TokenExpiredError.
    """
    if token.startswith(API_KEY_PREFIX):
        session = await _find_session(connection, hash_secret(token))
        if session is None or session.kind != "key":
            raise InvalidTokenError
        return Caller(session.user, session, _end_of(session), client_address(connection))
    claims = get_engine(connection, Gatekeeper).tokens.verify(token)
    session = await _find_session(connection, claims.session_key)
    if session is None or session.user.id != claims.user_id or session.kind == "key":
        raise InvalidTokenError
    return Caller(session.user, session, claims.expires_at, client_address(connection))


async def authenticate_browser(connection: HTTPConnection) -> Caller | None:
    """The caller that the session cookie names; None without one, where it does not count, or if its session has ended."""
    secret = get_engine(connection, SessionCookie).find(connection)
    session = None if secret is None else await _find_session(connection, hash_secret(secret))
    if session is None or session.kind != "browser":
        return None
    return Caller(session.user, session, _end_of(session), client_address(connection))


def _end_of(session: SessionRow) -> float:
    return math.inf if session.expires_at is None else session.expires_at


async def _find_session(connection: HTTPConnection, key: str) -> SessionRow | None:
    gatekeeper = get_engine(connection, Gatekeeper)
    session = await gatekeeper.sessions.find(get_engine(connection, Database), key)
    if session is not None and not session.is_used_lately:
        gatekeeper.sessions.used[session.id] = client_address(connection)
    return session


async def check_still_signed_in(connection: HTTPConnection, caller: Caller) -> None:
    """Raise InvalidTokenError if the session has ended meanwhile: for those who listen from now on for its end."""
    if await _find_session(connection, caller.session.key) is None:
        raise InvalidTokenError


async def find_caller(connection: HTTPConnection) -> Caller:
    """The caller that the Authorization header names, else the session cookie; this is one more request of theirs.

    Raises:
        NotAuthenticatedError, InvalidTokenError, TokenExpiredError; RateLimitedError: after too many requests.
    """
    caller = await _find_caller(connection)
    limits = get_engine(connection, RateLimits)
    await limits.hit(limits.request, str(caller.user.id))
    connection.scope[KNOWN] = True
    return caller


async def _find_caller(connection: HTTPConnection) -> Caller:
    header = connection.headers.get("authorization")
    if header is None:
        caller = await authenticate_browser(connection)
        if caller is None:
            raise NotAuthenticatedError
        return caller
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticatedError
    return await authenticate(connection, token.strip())


bearer = OAuth2PasswordBearer(tokenUrl="token", auto_error=False, description="An access token from /login.")


async def get_current_caller(request: Request, _described: Annotated[str | None, Depends(bearer)]) -> Caller:
    return check_may_write(request, await find_caller(request))


async def get_asking_user(request: Request, _described: Annotated[str | None, Depends(bearer)]) -> UserRow:
    return (await find_caller(request)).user


# Of a POST that stores nothing: an API key that may only read may ask it, too.
AskingUser = Annotated[UserRow, Depends(get_asking_user)]


CurrentCaller = Annotated[Caller, Depends(get_current_caller)]


def check_may_write(request: Request, caller: Caller) -> Caller:
    """Raise ReadOnlyKeyError for an API key that may only read, unless the request only reads."""
    if caller.session.is_read_only and request.method not in SAFE_METHODS:
        raise ReadOnlyKeyError
    return caller


def check_person(caller: Caller) -> Caller:
    """Raise KeyNotAllowedError for an API key, which may not do everything that its owner may."""
    if caller.session.kind == "key":
        raise KeyNotAllowedError
    return caller


async def get_current_person(caller: CurrentCaller) -> Caller:
    return check_person(caller)


CurrentPerson = Annotated[Caller, Depends(get_current_person)]


async def get_current_user(caller: CurrentCaller) -> UserRow:
    return caller.user


CurrentUser = Annotated[UserRow, Depends(get_current_user)]


async def get_current_admin(user: CurrentUser) -> UserRow:
    if not user.is_admin:
        raise AdminRequiredError
    return user


CurrentAdmin = Annotated[UserRow, Depends(get_current_admin)]


async def current_user(request: Request) -> UserRow:
    """CurrentUser without FastAPI's dependencies, which take 90 µs to resolve: hot routes call this themselves."""
    return check_may_write(request, await find_caller(request)).user


# FastAPI describes the security of dependencies only: such a route adds it by `openapi_extra=`.
FOR_USERS: dict[str, Any] = {"security": [{"OAuth2PasswordBearer": []}]}


class Gatekeeper:
    """The engine of this module: access tokens, password hashing, and the lookup of sessions."""

    def __init__(self, settings: Settings, *, mark: str) -> None:
        """*mark* is the installation's: its tokens are no good at another one with the same key."""
        life_seconds = settings.access_token_expire_minutes * 60
        self.tokens = Tokens(load_secret_key(settings), issuer=mark, life_seconds=life_seconds)
        self.passwords = Passwords(rounds=settings.bcrypt_rounds)
        self.sessions = SessionLookup()

    def close(self) -> None:
        self.passwords.close()


Gate = Annotated[Gatekeeper, opened(Gatekeeper)]
Db = Annotated[Database, opened(Database)]
Limits = Annotated[RateLimits, opened(RateLimits)]


# Sessions

# Planned once for all: of "= ANY($1)" PostgreSQL would plan the join anew each time, for as many keys as there are, and
# that took 55 µs instead of 19. (SELECT $1) hides how many; OFFSET 0 keeps it from reading all users to join them.
_FIND_SESSIONS = Prepared("""
    SELECT s.key, s.id, s.kind, extract(epoch FROM s.expires_at)::float8,
           s.last_used_at > now() - interval '1 minute', s.is_read_only,
           u.id, u.email, u.name, u.created_at, u.is_admin AND (s.kind <> 'key' OR s.may_admin),
           u.verified_at IS NOT NULL, u.stored_bytes
      FROM sessions s
     CROSS JOIN LATERAL (
           SELECT id, email, name, created_at, is_admin, verified_at, stored_bytes FROM users WHERE id = s.user_id OFFSET 0) AS u
     WHERE s.key = ANY((SELECT %(keys)s::text[])::text[]) AND (s.expires_at > now()) IS NOT FALSE
""")


async def find_sessions(conn: Executor, *, keys: Sequence[str]) -> list[SessionRow]:
    """Those of *keys* that name a session that lives, in any order."""
    return await conn.fetch_all(SessionRow, _FIND_SESSIONS, {"keys": list(keys)})


class _SessionId(NamedTuple):
    id: int


async def list_living_sessions(conn: Executor, *, session_ids: Collection[int]) -> set[int]:
    """Those of *session_ids* that have not ended."""
    rows = await conn.fetch_all(
        _SessionId,
        "SELECT id FROM sessions WHERE id = ANY(%(ids)s::bigint[]) AND (expires_at > now()) IS NOT FALSE",
        {"ids": list(session_ids)},
    )
    return {row.id for row in rows}


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """What is stored of a secret with 256 random bits: it takes no salt and no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


Waiting = dict[str, list["asyncio.Future[SessionRow | None]"]]  # by the key of a session


class SessionLookup:
    """Finds sessions and their accounts, with one query for all requests that arrived while the last query ran.

    Nothing is cached: the query always starts after the request arrived. (GET /me: 410 → 289 µs at 16 connections.)
    """

    def __init__(self) -> None:
        self.used: dict[int, str] = {}  # by the id of a session: the address of a use that is not noted yet
        self._waiting: Waiting = {}
        self._is_querying = False
        self._is_busy = False  # the last query was for several requests
        self._task: asyncio.Task[None] | None = None

    async def find(self, database: Database, key: str) -> SessionRow | None:
        """The session, or None if it has ended.

        Raises:
            DatabaseUnavailableError, BusyError
        """
        future: asyncio.Future[SessionRow | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(future)
        if not self._is_querying:
            self._is_querying = True  # this request runs the query: a task would take two more turns of the event loop
            try:
                await self._query(database)
            finally:
                future.cancel()  # without effect if it has its result; else this request was cancelled
        return await future

    async def _query(self, database: Database) -> None:
        batch: Waiting = {}
        try:
            if self._is_busy:
                await asyncio.sleep(0)  # let others join in this turn of the event loop
            batch, self._waiting = self._waiting, {}
            self._is_busy = sum(map(len, batch.values())) > 1
            found = {row.key: row for row in await find_sessions(database, keys=list(batch))}
            for key, futures in batch.items():
                for future in futures:
                    if not future.done():  # its request was cancelled
                        future.set_result(found.get(key))
        except Exception as error:  # fails those who joined meanwhile too: a second wait would take too long
            waiting, self._waiting = self._waiting, {}
            for future in itertools.chain(*batch.values(), *waiting.values()):
                if not future.done():
                    future.set_exception(error)
        except asyncio.CancelledError:  # this request was cancelled, the others were not
            for key, futures in batch.items():
                self._waiting.setdefault(key, []).extend(futures)
            raise
        finally:
            self._is_querying = bool(self._waiting)
            if self._waiting:
                self._task = asyncio.create_task(self._query(database))


# Tokens


class Tokens:
    """Issues and verifies access tokens (JWT, RFC 7519), signed with HS256."""

    def __init__(self, secret_key: str, *, issuer: str, life_seconds: int) -> None:
        self._secret_key = secret_key
        self._issuer = issuer
        self.life_seconds = life_seconds
        self._verified: dict[str, Claims] = {}  # clients repeat their token, and a signature takes 60 µs

    def issue(self, user: UserRow, *, session_key: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "sub": str(user.id),
            "user_id": user.id,
            "email": user.email,
            "iat": now,
            "exp": now + self.life_seconds,
            "jti": secrets.token_hex(16),
            "sid": session_key,
        }
        return jwt.encode(claims, self._secret_key, algorithm=ALGORITHM)

    def verify(self, token: str) -> Claims:
        """Raises TokenExpiredError or InvalidTokenError."""
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
                token,
                self._secret_key,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                options={"require": CLAIMS, "verify_iat": False},  # below: PyJWT's leeway would prolong exp too
            )
            issued_at, expires_at = float(claims["iat"]), float(claims["exp"])
        except jwt.ExpiredSignatureError as error:
            raise TokenExpiredError from error
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise InvalidTokenError from error
        user_id = claims["user_id"]
        if type(claims["exp"]) not in (int, float) or type(claims["iat"]) not in (int, float):  # PyJWT takes "1" for 1
            raise InvalidTokenError
        if not 0 <= issued_at <= time.time() + CLOCK_SKEW_SECONDS:  # also false for NaN
            raise InvalidTokenError
        if type(user_id) is not int or not 1 <= user_id <= MAX_ID or claims["sub"] != str(user_id):
            raise InvalidTokenError
        if type(claims["email"]) is not str or not SESSION_KEY.fullmatch(str(claims["sid"])):
            raise InvalidTokenError
        return Claims(user_id, claims["sid"], expires_at)

    def derive_secret(self, secret: str, text: str) -> str:
        """The secret that follows *secret*, the same each time for the same *text*."""
        message = f"refresh\0{secret}\0{text}".encode("utf-8", "replace")
        digest = hmac.digest(self._secret_key.encode(), message, "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


# Passwords


class Passwords:
    """bcrypt on low-priority threads of its own, so that a burst of logins does not slow down other requests.

    Those whom the hashes are for (*by*: a client's network, or an account) take turns (see Turns): `MAX_QUEUED_HASHES`
    wait, `MAX_QUEUED_EACH` of one; one more is refused with RateLimitedError.
    """

    def __init__(self, *, rounds: int) -> None:
        self._rounds = rounds
        count = max(1, (os.cpu_count() or 2) - 1)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="bcrypt", initializer=_lower_priority)
        self._turns = Turns(count, most=MAX_QUEUED_HASHES, each=MAX_QUEUED_EACH)
        self._nobodys_hash = bcrypt.gensalt(rounds) + b"." * 31  # matches nothing, takes as long as any

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    async def hash(self, password: str, *, by: str) -> str:
        return await self._in_thread(
            lambda: bcrypt.hashpw(password.encode(), bcrypt.gensalt(self._rounds)).decode("ascii"), by
        )

    async def matches(self, password: str, password_hash: str | None, *, by: str) -> bool:
        """Whether *password* is the one that was hashed; without a hash False, after the same time."""
        expected = self._nobodys_hash if password_hash is None else password_hash.encode()
        return await self._in_thread(lambda: _check(password.encode(), expected), by)

    async def _in_thread(self, work: Callable[[], T], by: str) -> T:
        try:
            async with self._turns.take(by):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except BusyError as error:
            detail = "Too many people are signing in; try again in a moment."
            raise RateLimitedError(detail, retry_after=5) from error


def _check(password: bytes, password_hash: bytes) -> bool:
    try:
        return bcrypt.checkpw(password, password_hash)
    except ValueError:  # the stored text is not a bcrypt hash
        return False


def _lower_priority() -> None:
    if sys.platform == "linux":  # elsewhere a thread has no priority of its own
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


# The key


def load_secret_key(settings: Settings) -> str:
    """SECRET_KEY, else the key that the first start generated in the data folder (mode 0600).

    Raises:
        StartupError: if that file can be neither read nor written.
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
        raise StartupError(f"SECRET_KEY: {path} is damaged; delete it to have a new one generated")
    return key.decode()


def _publish_once(path: Path, text: str) -> None:
    """Write *path* whole or not at all; of several processes the first one wins."""
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
