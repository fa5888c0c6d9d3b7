"""Sessions: begun by a sign-in, kept by refresh tokens, ended in every process at once."""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from starlette.requests import HTTPConnection

from accounts import queries
from accounts.audit_queries import Action, Actor, insert_audit
from accounts.queries import EndedSession, NewSession, RefreshTokenRow
from auth import Gatekeeper, UserRow, hash_secret, new_secret
from db import Connection, Database
from delivery.feed import Feed
from edge.background import cancel, repeat
from edge.limits import client_address, client_network
from errors import InvalidCredentialsError, InvalidTokenError, PagewireError, TokenExpiredError
from settings import Settings

SIGNED_IN_KINDS = ("browser", "api")  # all but API keys
ALL_KINDS = (*SIGNED_IN_KINDS, "key")
BROWSER_SECONDS = 24 * 3600.0  # of a session that is not kept: browsers that restore their tabs keep its cookie
DAY_SECONDS = 24 * 3600.0
NOTE_USES_EVERY_SECONDS = 2.0
SWEEP_EVERY_SECONDS = 3600.0

logger = logging.getLogger("pagewire.sessions")


class Tokens(NamedTuple):
    """What a program is given to act for somebody."""

    user: UserRow
    access_token: str
    refresh_token: str | None


class BrowserSession(NamedTuple):
    """What a browser is given; *secret* goes into its cookie."""

    secret: str
    key: str
    expires_at: datetime
    max_age: int | None  # seconds; None: until the browser is closed


class SignIns:
    """Begins, refreshes and ends sessions."""

    def __init__(self, settings: Settings, gatekeeper: Gatekeeper, database: Database, feed: Feed) -> None:
        self._gatekeeper = gatekeeper
        self._database = database
        self._feed = feed
        self._kept_seconds = settings.session_days * DAY_SECONDS
        # An access token lives as long as it says, even where that is longer.
        self._api_seconds = max(self._kept_seconds, gatekeeper.tokens.life_seconds)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(repeat(work, every_seconds=seconds, logger=logger, name=name))
            for work, seconds, name in (
                (self._note_uses, NOTE_USES_EVERY_SECONDS, "noting the use of sessions"),
                (self._sweep, SWEEP_EVERY_SECONDS, "deleting expired sessions"),
            )
        ]

    async def close(self) -> None:
        await cancel(*self._tasks)

    # Beginning

    async def begin(self, connection: HTTPConnection, user: UserRow, password_hash: str) -> Tokens:
        """A session of a program.

        Raises:
            InvalidCredentialsError: if the password was changed since *password_hash* was looked at.
        """
        key, refresh_token = secrets.token_hex(16), new_secret()
        new = _describe(connection, user, "api", key, self._api_seconds)
        created = await queries.insert_session(
            self._database, new, password_hash=password_hash, refresh_hash=hash_secret(refresh_token)
        )
        if created is None:
            raise InvalidCredentialsError
        return Tokens(user, self._gatekeeper.tokens.issue(user, session_key=key), refresh_token)

    async def begin_browser(
        self, connection: HTTPConnection, user: UserRow, password_hash: str, *, keep: bool
    ) -> BrowserSession:
        """A session of a browser: a new one at each sign-in, whatever the browser sent.

        Raises:
            InvalidCredentialsError: as `begin`.
        """
        secret = new_secret()
        seconds = self._kept_seconds if keep else min(BROWSER_SECONDS, self._kept_seconds)
        new = _describe(connection, user, "browser", hash_secret(secret), seconds)
        created = await queries.insert_session(self._database, new, password_hash=password_hash)
        if created is None:
            raise InvalidCredentialsError
        return BrowserSession(secret, new.key, created.expires_at, round(seconds) if keep else None)

    # Refreshing

    async def refresh(self, connection: HTTPConnection, refresh_token: str, *, client_id: str | None) -> Tokens:
        """Exchange *refresh_token* for new tokens; it works once.

        Who lost the answer repeats the request with its *client_id*, and gets the same refresh token, until that one
        is used. Any other second use means that two have the token: the session ends.

        Raises:
            InvalidTokenError, TokenExpiredError
        """
        token_hash = hash_secret(refresh_token)
        client_hash = None if client_id is None else hash_secret(client_id)
        next_token = self._gatekeeper.tokens.derive_secret(refresh_token, client_id or new_secret())
        next_hash = hash_secret(next_token)
        error: PagewireError | None = None
        async with self._database.transaction() as tx:
            found = await queries.lock_refresh_token(tx, token_hash=token_hash)
            if found is None:
                raise InvalidTokenError
            if found.is_expired:
                raise TokenExpiredError
            if not found.is_used:
                await queries.rotate_refresh_token(
                    tx,
                    token_hash=token_hash,
                    client_hash=client_hash,
                    next_hash=next_hash,
                    session_id=found.session_id,
                    seconds=self._api_seconds,
                    ip=client_address(connection),
                )
            else:
                is_repeat = client_hash is not None and client_hash == found.client_hash
                if not (is_repeat and await queries.is_unused(tx, token_hash=next_hash)):
                    error = InvalidTokenError()
                    await self._end_reused(tx, Actor(None, client_network(connection)), found)
        if error is not None:
            self._feed.drop_sessions(found.user.id, [found.session_id])
            logger.warning("a refresh token of user %d was used twice; ended its session", found.user.id)
            raise error
        return Tokens(found.user, self._gatekeeper.tokens.issue(found.user, session_key=found.session_key), next_token)

    async def _end_reused(self, tx: Connection, actor: Actor, token: RefreshTokenRow) -> None:
        user_id, session_id = token.user.id, token.session_id
        await insert_audit(tx, "refresh_token_reused", actor, user_id=user_id, session_id=session_id)
        await self.end_within(tx, user_id, actor, kinds=SIGNED_IN_KINDS, session_id=session_id)

    async def find_refreshable(self, refresh_token: str) -> tuple[int, int] | None:
        """The ids of the user and the session that *refresh_token*, used or not, belongs to."""
        async with self._database.transaction() as tx:
            found = await queries.lock_refresh_token(tx, token_hash=hash_secret(refresh_token))
        return None if found is None else (found.user.id, found.session_id)

    # Ending

    async def end(
        self,
        user_id: int,
        actor: Actor,
        *,
        kinds: Sequence[str] = SIGNED_IN_KINDS,
        session_id: int | None = None,
        except_id: int | None = None,
    ) -> int:
        """End *user_id*'s sessions of these kinds: that one, or all but one; return how many there were.

        Their tokens are refused at once; their sockets and long polls end within a second, on every node.
        """
        async with self._database.transaction() as tx:
            ended = await self.end_within(tx, user_id, actor, kinds=kinds, session_id=session_id, except_id=except_id)
        self._feed.drop_sessions(user_id, ended)
        return len(ended)

    async def end_within(
        self,
        tx: Connection,
        user_id: int,
        actor: Actor,
        *,
        kinds: Sequence[str],
        session_id: int | None = None,
        except_id: int | None = None,
    ) -> list[int]:
        """As `end`, in a transaction of the caller's, who drops the sessions after the commit."""
        ended = await queries.delete_sessions(
            tx, user_id=user_id, kinds=kinds, session_id=session_id, except_id=except_id
        )
        ids = [session.id for session in ended]
        await self._feed.announce_ended(tx, user_id, ids)
        await _record_end(tx, actor, user_id, ended)
        return ids

    # In the background

    async def _note_uses(self) -> None:
        lookup = self._gatekeeper.sessions
        if lookup.used:
            used, lookup.used = lookup.used, {}
            await queries.note_uses(self._database, addresses=used)

    async def _sweep(self) -> None:
        while await queries.delete_expired_sessions(self._database):
            pass


async def _record_end(tx: Connection, actor: Actor, user_id: int, ended: Sequence[EndedSession]) -> None:
    keys = [session.id for session in ended if session.kind == "key"]
    others = [session.id for session in ended if session.kind != "key"]
    actions: tuple[tuple[Action, list[int]], ...] = (("session_ended", others), ("key_deleted", keys))
    for action, ids in actions:
        if ids:
            only_one = ids[0] if len(ids) == 1 else None
            await insert_audit(tx, action, actor, user_id=user_id, session_id=only_one, times=len(ids))


def _describe(connection: HTTPConnection, user: UserRow, kind: str, key: str, seconds: float) -> NewSession:
    agent = connection.headers.get("user-agent", "")
    shown = "".join(char if char.isprintable() else " " for char in agent[: queries.MAX_USER_AGENT_CHARACTERS])
    return NewSession(user.id, kind, key, seconds, shown, client_address(connection))
