"""SQL that changes people: names, passwords, links, API keys, and what leaves with an account."""

from datetime import datetime
from typing import NamedTuple

from auth import UserRow
from db import Connection, Executor, fold, fold_address, take_lock

_USER = "id, email, name, created_at, is_admin, verified_at IS NOT NULL, stored_bytes"


class _One(NamedTuple):
    value: int


class _Text(NamedTuple):
    value: str


async def get_password_hash(conn: Executor, *, user_id: int) -> str | None:
    row = await conn.fetch_one(
        _Text, "SELECT password_hash FROM users WHERE id = %(id)s AND deleted_at IS NULL", {"id": user_id}
    )
    return row and row.value


async def hold_password(tx: Connection, *, user_id: int, password_hash: str) -> bool:
    """Whether it is still this one; nobody changes it until the transaction is over."""
    row = await tx.fetch_one(
        _One,
        "SELECT 1 FROM users WHERE id = %(id)s AND password_hash = %(hash)s AND deleted_at IS NULL FOR NO KEY UPDATE",
        {"id": user_id, "hash": password_hash},
    )
    return row is not None


async def set_password(tx: Executor, *, user_id: int, password_hash: str, is_verified: bool = False) -> str | None:
    """Return the address of the account; None if there is none. *is_verified*: who sets it came by a mailed link."""
    row = await tx.fetch_one(
        _Text,
        """
        UPDATE users SET password_hash = %(hash)s,
                         verified_at = CASE WHEN %(is_verified)s THEN coalesce(verified_at, now()) ELSE verified_at END
         WHERE id = %(id)s AND deleted_at IS NULL
        RETURNING email
        """,
        {"id": user_id, "hash": password_hash, "is_verified": is_verified},
    )
    return row and row.value


async def update_user(
    tx: Executor,
    *,
    user_id: int,
    name: str | None = None,
    email: str | None = None,
    is_admin: bool | None = None,
    is_verified: bool = False,
) -> UserRow | None:
    """Change what is not None; None if there is no such account. A new address is *is_verified* or not.

    Raises:
        IntegrityError: if the address is another's.
    """
    return await tx.fetch_one(
        UserRow,
        f"""
        UPDATE users
           SET name = coalesce(%(name)s::text, name), name_key = coalesce(%(name_key)s::text, name_key),
               email = coalesce(%(email)s::text, email), email_key = coalesce(%(email_key)s::text, email_key),
               is_admin = coalesce(%(is_admin)s::boolean, is_admin),
               verified_at = CASE WHEN %(email)s::text IS NULL THEN verified_at
                                  WHEN %(is_verified)s THEN now() ELSE NULL END
         WHERE id = %(id)s AND deleted_at IS NULL
        RETURNING {_USER}
        """,
        {
            "id": user_id,
            "name": name,
            "name_key": None if name is None else fold(name),
            "email": email,
            "email_key": None if email is None else fold_address(email),
            "is_admin": is_admin,
            "is_verified": is_verified,
        },
    )


async def is_last_admin(tx: Connection, *, user_id: int) -> bool:
    """Whether *user_id* is the only admin; nobody else takes one away until the transaction is over."""
    await take_lock(tx, "admins")
    row = await tx.fetch_one(
        _One,
        """
        SELECT 1 FROM users WHERE id = %(id)s AND is_admin AND deleted_at IS NULL
           AND NOT EXISTS (SELECT 1 FROM users WHERE is_admin AND deleted_at IS NULL AND id <> %(id)s)
        """,
        {"id": user_id},
    )
    return row is not None


async def bury_user(tx: Connection, *, user_id: int) -> None:
    """Leave a row that keeps the place of what others wrote; the address is free again."""
    await tx.execute(
        """
        UPDATE users SET email = 'deleted-' || id, email_key = 'deleted-' || id, name = 'Deleted account',
                         name_key = '', password_hash = '', is_admin = false, verified_at = NULL, deleted_at = now()
         WHERE id = %(id)s
        """,
        {"id": user_id},
    )
    for statement in (
        "DELETE FROM links WHERE user_id = %(id)s",
        "DELETE FROM notifications WHERE sender_id = %(id)s",
        "DELETE FROM presence WHERE user_id = %(id)s",
        "DELETE FROM events WHERE user_id = %(id)s",
    ):
        await tx.execute(statement, {"id": user_id})


# Links that work once


class LinkRow(NamedTuple):
    user_id: int
    purpose: str
    email: str | None
    is_mailed: bool


async def insert_link(
    tx: Executor,
    *,
    token_hash: str,
    user_id: int,
    purpose: str,
    seconds: float,
    is_mailed: bool,
    email: str | None = None,
) -> None:
    """It takes the place of an earlier one for the same purpose."""
    await tx.execute(
        """
        WITH earlier AS (DELETE FROM links WHERE (user_id = %(user_id)s AND purpose = %(purpose)s) OR expires_at < now())
        INSERT INTO links (hash, user_id, purpose, email, is_mailed, expires_at)
        VALUES (%(hash)s, %(user_id)s, %(purpose)s, %(email)s, %(is_mailed)s, now() + %(seconds)s * interval '1 second')
        """,
        {
            "hash": token_hash,
            "user_id": user_id,
            "purpose": purpose,
            "email": email,
            "is_mailed": is_mailed,
            "seconds": seconds,
        },
    )


async def find_link(conn: Executor, *, token_hash: str, purpose: str) -> LinkRow | None:
    return await conn.fetch_one(
        LinkRow,
        """
        SELECT user_id, purpose, email, is_mailed FROM links
         WHERE hash = %(hash)s AND purpose = %(purpose)s AND expires_at > now()
        """,
        {"hash": token_hash, "purpose": purpose},
    )


async def take_link(tx: Connection, *, token_hash: str, purpose: str) -> LinkRow | None:
    """The link, which works no more; None if it did not."""
    return await tx.fetch_one(
        LinkRow,
        """
        DELETE FROM links WHERE hash = %(hash)s AND purpose = %(purpose)s AND expires_at > now()
        RETURNING user_id, purpose, email, is_mailed
        """,
        {"hash": token_hash, "purpose": purpose},
    )


async def delete_links(tx: Executor, *, user_id: int) -> None:
    await tx.execute("DELETE FROM links WHERE user_id = %(user_id)s", {"user_id": user_id})


# API keys


class KeyRow(NamedTuple):
    id: int
    name: str
    prefix: str
    read_only: bool
    admin: bool
    created_at: datetime
    last_used_at: datetime | None
    ip: str | None
    expires_at: datetime | None


_KEY = """
    id, name, prefix, is_read_only, may_admin, created_at,
    CASE WHEN last_used_at > created_at THEN last_used_at END, NULLIF(ip, ''), expires_at
"""


async def insert_key(
    tx: Connection,
    *,
    user_id: int,
    session_id: int,
    name: str,
    key: str,
    prefix: str,
    read_only: bool,
    admin: bool,
    expires_at: datetime | None,
    limit: int,
) -> KeyRow | None:
    """None if the user has *limit* keys already, or the session that makes it has ended."""
    await tx.execute(
        "SELECT 1 FROM users WHERE id = %(id)s FOR UPDATE", {"id": user_id}
    )  # before looking at the session
    return await tx.fetch_one(
        KeyRow,
        f"""
        INSERT INTO sessions (user_id, kind, key, name, prefix, is_read_only, may_admin, expires_at, last_used_at)
        SELECT id, 'key', %(key)s, %(name)s, %(prefix)s, %(read_only)s, %(admin)s, %(expires_at)s, 'epoch'
          FROM users WHERE id = %(user_id)s AND deleted_at IS NULL
           AND (SELECT count(*) FROM sessions WHERE user_id = %(user_id)s AND kind = 'key') < %(limit)s
           AND EXISTS (SELECT 1 FROM sessions WHERE id = %(session_id)s)
        RETURNING {_KEY}
        """,
        {
            "user_id": user_id,
            "session_id": session_id,
            "key": key,
            "name": name,
            "prefix": prefix,
            "read_only": read_only,
            "admin": admin,
            "expires_at": expires_at,
            "limit": limit,
        },
    )


async def list_keys(conn: Executor, *, user_id: int, before_id: int, limit: int) -> list[KeyRow]:
    """Newest first."""
    return await conn.fetch_all(
        KeyRow,
        f"""
        SELECT {_KEY} FROM sessions
         WHERE user_id = %(user_id)s AND kind = 'key' AND id < %(before_id)s
         ORDER BY id DESC LIMIT %(limit)s
        """,
        {"user_id": user_id, "before_id": before_id, "limit": limit},
    )
