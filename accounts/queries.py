"""All SQL on accounts, one function per query."""

from datetime import datetime
from typing import NamedTuple

from auth import UserRow
from db import Connection, Executor, Prepared, fold, fold_address

FIRST_ACCOUNT_LOCK = 7_267_002  # decides which account is the first, and so the admin


class _One(NamedTuple):
    value: int


class _Email(NamedTuple):
    email: str


class CredentialsRow(NamedTuple):
    id: int
    email: str
    name: str
    created_at: datetime
    is_admin: bool
    password_hash: str

    @property
    def user(self) -> UserRow:
        return UserRow(self.id, self.email, self.name, self.created_at, self.is_admin)


async def insert_user(tx: Connection, *, email: str, name: str, password_hash: str) -> UserRow | None:
    """Add an account; the first of an installation is its admin. None if the address is taken."""
    await tx.execute("SELECT pg_advisory_xact_lock(%(key)s)", {"key": FIRST_ACCOUNT_LOCK})
    return await tx.fetch_one(
        UserRow,
        """
        INSERT INTO users (email, email_key, name, name_key, password_hash, is_admin)
        VALUES (%(email)s, %(email_key)s, %(name)s, %(name_key)s, %(password_hash)s, NOT EXISTS (SELECT 1 FROM users))
        ON CONFLICT (email_key) DO NOTHING
        RETURNING id, email, name, created_at, is_admin
        """,
        {
            "email": email,
            "email_key": fold_address(email),
            "name": name,
            "name_key": fold(name),
            "password_hash": password_hash,
        },
    )


async def find_user(conn: Executor, *, user_id: int) -> UserRow | None:
    return await conn.fetch_one(
        UserRow,
        Prepared("SELECT id, email, name, created_at, is_admin FROM users WHERE id = %(user_id)s::bigint"),
        {"user_id": user_id},
    )


async def find_credentials(conn: Executor, *, email: str) -> CredentialsRow | None:
    return await conn.fetch_one(
        CredentialsRow,
        """
        SELECT id, email, name, created_at, is_admin, password_hash
          FROM users WHERE email_key = %(email_key)s
        """,
        {"email_key": fold_address(email)},
    )


async def email_exists(conn: Executor, *, email: str) -> bool:
    row = await conn.fetch_one(
        _One, "SELECT 1 FROM users WHERE email_key = %(email_key)s", {"email_key": fold_address(email)}
    )
    return row is not None


async def find_stored_email(conn: Executor, *, email: str) -> str | None:
    """The spelling under which *email* is registered: where mail goes, whatever was typed."""
    row = await conn.fetch_one(
        _Email, "SELECT email FROM users WHERE email_key = %(email_key)s", {"email_key": fold_address(email)}
    )
    return row and row.email


async def list_users(
    conn: Executor, *, except_id: int, words: str | None = None, after_id: int = 0, limit: int | None = None
) -> list[UserRow]:
    """All but *except_id*, by id; *words* must be in the name or the address, in any case; *limit* None is no limit."""
    return await conn.fetch_all(
        UserRow,
        """
        SELECT id, email, name, created_at, is_admin
          FROM users
         WHERE id > %(after_id)s AND id <> %(except_id)s
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
