"""All SQL on accounts and sessions, one function per query."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from auth import UserRow
from db import Connection, Executor, Prepared, fold, fold_address, take_lock


class _One(NamedTuple):
    value: int


class Mailbox(NamedTuple):
    email: str
    is_verified: bool


class CredentialsRow(NamedTuple):
    user: UserRow
    password_hash: str


async def insert_user(
    tx: Connection, *, email: str, name: str, password_hash: str, is_admin: bool = False
) -> UserRow | None:
    """Add an account; the first of an installation is its admin in any case. None if the address is taken."""
    await take_lock(tx, "first account")
    return await tx.fetch_one(
        UserRow,
        """
        INSERT INTO users (email, email_key, name, name_key, password_hash, is_admin)
        VALUES (%(email)s, %(email_key)s, %(name)s, %(name_key)s, %(password_hash)s,
                %(is_admin)s OR NOT EXISTS (SELECT 1 FROM users))
        ON CONFLICT (email_key) DO NOTHING
        RETURNING id, email, name, created_at, is_admin, verified_at IS NOT NULL, stored_bytes
        """,
        {
            "email": email,
            "email_key": fold_address(email),
            "name": name,
            "name_key": fold(name),
            "password_hash": password_hash,
            "is_admin": is_admin,
        },
    )


async def find_user(conn: Executor, *, user_id: int) -> UserRow | None:
    return await conn.fetch_one(
        UserRow,
        Prepared("""
        SELECT id, email, name, created_at, is_admin, verified_at IS NOT NULL, stored_bytes
          FROM users WHERE id = %(user_id)s::bigint AND deleted_at IS NULL
        """),
        {"user_id": user_id},
    )


async def find_credentials(conn: Executor, *, email: str) -> CredentialsRow | None:
    return await conn.fetch_one(
        CredentialsRow,
        """
        SELECT id, email, name, created_at, is_admin, verified_at IS NOT NULL, stored_bytes, password_hash
          FROM users WHERE email_key = %(email_key)s AND deleted_at IS NULL
        """,
        {"email_key": fold_address(email)},
    )


async def email_exists(conn: Executor, *, email: str) -> bool:
    row = await conn.fetch_one(
        _One, "SELECT 1 FROM users WHERE email_key = %(email_key)s", {"email_key": fold_address(email)}
    )
    return row is not None


async def find_mailbox(conn: Executor, *, email: str) -> Mailbox | None:
    """Where mail to *email* goes, whatever was typed; None if no account has that address."""
    return await conn.fetch_one(
        Mailbox,
        "SELECT email, verified_at IS NOT NULL FROM users WHERE email_key = %(email_key)s",
        {"email_key": fold_address(email)},
    )


async def list_users(
    conn: Executor, *, except_id: int, words: str | None = None, after_id: int = 0, limit: int | None = None
) -> list[UserRow]:
    """All but *except_id*, by id; *words* must be in the name or the address, in any case; *limit* None is no limit."""
    return await conn.fetch_all(
        UserRow,
        """
        SELECT id, email, name, created_at, is_admin, verified_at IS NOT NULL, stored_bytes
          FROM users
         WHERE id > %(after_id)s AND id <> %(except_id)s AND deleted_at IS NULL
           AND (%(in_name)s IS NULL OR strpos(name_key, %(in_name)s) > 0 OR strpos(email_key, %(in_email)s) > 0)
         ORDER BY id
         LIMIT %(limit)s
        """,
        {
            "after_id": after_id,
            "except_id": except_id,
            "in_name": None if words is None else fold(words),
            "in_email": None if words is None else fold_address(words),
            "limit": limit,
        },
    )


async def account_exists(conn: Executor) -> bool:
    row = await conn.fetch_one(_One, "SELECT 1 FROM users LIMIT 1")
    return row is not None


# Sessions

MAX_USER_AGENT_CHARACTERS = 200
DELETED_AT_ONCE = 1000  # expired sessions


class NewSession(NamedTuple):
    """What a session begins with."""

    user_id: int
    kind: str
    key: str
    seconds: float  # until it expires
    user_agent: str
    ip: str


class SessionCreated(NamedTuple):
    id: int
    expires_at: datetime


class SessionInfoRow(NamedTuple):
    id: int
    kind: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime | None
    user_agent: str
    ip: str


class EndedSession(NamedTuple):
    id: int
    kind: str


class _Id(NamedTuple):
    id: int


async def insert_session(
    conn: Executor, new: NewSession, *, password_hash: str, refresh_hash: str | None = None
) -> SessionCreated | None:
    """None if the account is deleted meanwhile, or its password is another one: this waits for a change under way."""
    return await conn.fetch_one(
        SessionCreated,
        """
        WITH opened AS (
            INSERT INTO sessions (user_id, kind, key, expires_at, user_agent, ip)
            SELECT id, %(kind)s, %(key)s, now() + %(seconds)s * interval '1 second', %(user_agent)s, %(ip)s
              FROM users WHERE id = %(user_id)s AND deleted_at IS NULL AND password_hash = %(password_hash)s FOR SHARE
            RETURNING id, expires_at
        ), refreshable AS (
            INSERT INTO refresh_tokens (hash, session_id)
            SELECT %(refresh_hash)s::text, id FROM opened WHERE %(refresh_hash)s::text IS NOT NULL
        )
        SELECT id, expires_at FROM opened
        """,
        {**new._asdict(), "password_hash": password_hash, "refresh_hash": refresh_hash},
    )


async def list_sessions(conn: Executor, *, user_id: int, before_id: int, limit: int) -> list[SessionInfoRow]:
    """Those that live, but for API keys, newest first."""
    return await conn.fetch_all(
        SessionInfoRow,
        """
        SELECT id, kind, created_at, last_used_at, expires_at, user_agent, ip
          FROM sessions
         WHERE user_id = %(user_id)s AND id < %(before_id)s AND kind <> 'key' AND expires_at > now()
         ORDER BY id DESC
         LIMIT %(limit)s
        """,
        {"user_id": user_id, "before_id": before_id, "limit": limit},
    )


async def delete_sessions(
    tx: Executor,
    *,
    user_id: int,
    kinds: Sequence[str],
    session_id: int | None = None,
    except_id: int | None = None,
) -> list[EndedSession]:
    """End *user_id*'s sessions of these kinds, that one or all but one; return those that were there."""
    return await tx.fetch_all(
        EndedSession,
        """
        DELETE FROM sessions WHERE id IN (
            SELECT id FROM sessions
             WHERE user_id = %(user_id)s AND kind = ANY(%(kinds)s)
               AND (%(session_id)s::bigint IS NULL OR id = %(session_id)s)
               AND (%(except_id)s::bigint IS NULL OR id <> %(except_id)s)
             ORDER BY id FOR UPDATE)
        RETURNING id, kind
        """,
        {"user_id": user_id, "kinds": list(kinds), "session_id": session_id, "except_id": except_id},
    )


async def delete_expired_sessions(conn: Executor) -> bool:
    """Delete a batch of them; False if there were none."""
    deleted = await conn.execute(
        """
        DELETE FROM sessions WHERE id IN (
            SELECT id FROM sessions WHERE expires_at < now() LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
        """,
        {"limit": DELETED_AT_ONCE},
    )
    return deleted > 0


async def note_uses(conn: Executor, *, addresses: Mapping[int, str]) -> None:
    """These sessions, by id, are in use from these addresses."""
    await conn.execute(
        """
        UPDATE sessions s SET last_used_at = now(), ip = used.ip
          FROM (SELECT s.id, u.ip
                  FROM unnest(%(ids)s::bigint[], %(ips)s::text[]) AS u (id, ip)
                  JOIN sessions s ON s.id = u.id
                 WHERE s.last_used_at < now() - interval '1 minute'
                   FOR UPDATE OF s SKIP LOCKED) AS used
         WHERE s.id = used.id
        """,
        {"ids": list(addresses), "ips": list(addresses.values())},
    )


# Refresh tokens


class RefreshTokenRow(NamedTuple):
    is_used: bool
    client_hash: str | None  # of the client_id that it was used with
    session_id: int
    session_key: str
    is_expired: bool
    user: UserRow


async def lock_refresh_token(tx: Connection, *, token_hash: str) -> RefreshTokenRow | None:
    """The token, whose session nobody else refreshes or ends until the transaction is over; None if there is none."""
    locked = await tx.fetch_one(
        _Id,
        """
        SELECT id FROM sessions
         WHERE id = (SELECT session_id FROM refresh_tokens WHERE hash = %(hash)s) FOR UPDATE
        """,
        {"hash": token_hash},
    )
    if locked is None:
        return None
    return await tx.fetch_one(  # only now: what it was before the lock may be out of date
        RefreshTokenRow,
        """
        SELECT r.used_at IS NOT NULL, r.client_hash, s.id, s.key, (s.expires_at <= now()) IS TRUE,
               u.id, u.email, u.name, u.created_at, u.is_admin, u.verified_at IS NOT NULL, u.stored_bytes
          FROM refresh_tokens r
          JOIN sessions s ON s.id = r.session_id
          JOIN users u ON u.id = s.user_id
         WHERE r.hash = %(hash)s
        """,
        {"hash": token_hash},
    )


async def rotate_refresh_token(
    tx: Connection,
    *,
    token_hash: str,
    client_hash: str | None,
    next_hash: str,
    session_id: int,
    seconds: float,
    ip: str,
) -> None:
    """The next token takes this one's place, and the session lives for *seconds* from now."""
    await tx.execute(
        """
        WITH used AS (
            UPDATE refresh_tokens SET used_at = now(), client_hash = %(client_hash)s WHERE hash = %(hash)s
        ), prolonged AS (
            UPDATE sessions SET last_used_at = now(), ip = %(ip)s, expires_at = now() + %(seconds)s * interval '1 second'
             WHERE id = %(session_id)s
        )
        INSERT INTO refresh_tokens (hash, session_id) VALUES (%(next_hash)s, %(session_id)s)
        """,
        {
            "hash": token_hash,
            "client_hash": client_hash,
            "next_hash": next_hash,
            "session_id": session_id,
            "seconds": seconds,
            "ip": ip,
        },
    )


async def is_unused(tx: Connection, *, token_hash: str) -> bool:
    row = await tx.fetch_one(
        _One, "SELECT 1 FROM refresh_tokens WHERE hash = %(hash)s AND used_at IS NULL", {"hash": token_hash}
    )
    return row is not None
