"""The schema, and the SQL statements about accounts and notifications, one function a question."""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from errors import StartupError
from pool import Connection, Database, Executor, IntegrityError, Prepared

SCHEMA_FILE = Path(__file__).with_name("schema.sql")
SCHEMA_LOCK = 7_267_001  # any number, the same in every process: who applies the schema
FIRST_ACCOUNT_LOCK = 7_267_002  # who is the first account, and so the admin
WORKER_LOCK = 7_267_003  # first key of the lock that a living process holds; the second is its worker id

# The schema


class _SchemaVersion(NamedTuple):
    version: int
    content_hash: str


async def apply_schema(database: Database) -> None:
    """Bring the database to schema.sql; any number of processes may do this at once.

    Raises:
        StartupError: if the database was made by a newer Pagewire.
    """
    text = SCHEMA_FILE.read_text(encoding="utf-8")
    found = re.search(r"^-- schema version: (\d+)$", text, re.MULTILINE)
    assert found is not None
    version, content_hash = int(found[1]), hashlib.sha256(text.encode()).hexdigest()
    async with database.transaction(seconds=600) as tx:
        await tx.execute("SELECT pg_advisory_xact_lock(%(key)s)", {"key": SCHEMA_LOCK})
        await tx.execute(
            """
            CREATE TABLE IF NOT EXISTS schema_version (
                version integer NOT NULL, content_hash text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())
            """
        )
        current = await tx.fetch_one(
            _SchemaVersion,
            "SELECT version, content_hash FROM schema_version ORDER BY version DESC, applied_at DESC LIMIT 1",
        )
        if current is not None and current.version > version:
            raise StartupError(
                f"the database has schema version {current.version}, this program knows {version}: start a newer Pagewire"
            )
        if current is not None and current.content_hash == content_hash:
            return
        try:
            await tx.execute(text)
        except IntegrityError as error:  # addresses that differ in case alone, say
            raise StartupError(f"the database cannot move in: {' '.join(str(error).split())}") from error
        await tx.execute(
            "INSERT INTO schema_version (version, content_hash) VALUES (%(version)s, %(content_hash)s)",
            {"version": version, "content_hash": content_hash},
        )


class _Mark(NamedTuple):
    mark: str


async def get_installation_mark(conn: Executor) -> str:
    """The twelve hex digits that are in the name of each file stored by this installation."""
    row = await conn.fetch_one(_Mark, "SELECT mark FROM installation")
    assert row is not None
    return row.mark


class _One(NamedTuple):
    value: int


async def ping(conn: Executor) -> None:
    await conn.fetch_one(_One, "SELECT 1")


async def hold_worker_lock(connection: Connection, *, worker_id: int) -> None:
    """Say "this process lives" for as long as *connection* does; the server notices its end at once.

    Shared: a process that lost its connection gets it again even while the server has not noticed the loss.
    """
    await connection.execute(
        "SELECT pg_advisory_lock_shared(%(key)s, %(worker_id)s)", {"key": WORKER_LOCK, "worker_id": worker_id}
    )


# A row's worker is gone: nobody, or a process whose lock the server has dropped.
WORKER_IS_GONE = """
    (worker_id IS NULL OR NOT EXISTS (
        SELECT 1 FROM pg_locks
         WHERE locktype = 'advisory' AND classid = %(worker_lock)s AND objid = worker_id AND objsubid = 2 AND granted
           AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())))
"""


# Accounts


class UserRow(NamedTuple):
    id: int
    email: str
    name: str
    created_at: datetime
    is_admin: bool


class CredentialsRow(NamedTuple):
    id: int
    email: str
    name: str
    created_at: datetime
    is_admin: bool
    password_hash: str


async def insert_user(tx: Connection, *, email: str, name: str, password_hash: str) -> UserRow | None:
    """Add an account; the first of an installation is its admin. None if the address is taken."""
    await tx.execute("SELECT pg_advisory_xact_lock(%(key)s)", {"key": FIRST_ACCOUNT_LOCK})
    return await tx.fetch_one(
        UserRow,
        """
        INSERT INTO users (email, name, password_hash, is_admin)
        VALUES (%(email)s, %(name)s, %(password_hash)s, NOT EXISTS (SELECT 1 FROM users))
        ON CONFLICT (lower(email)) DO NOTHING
        RETURNING id, email, name, created_at, is_admin
        """,
        {"email": email, "name": name, "password_hash": password_hash},
    )


async def find_user(conn: Executor, *, user_id: int) -> UserRow | None:
    return await conn.fetch_one(
        UserRow,
        Prepared("SELECT id, email, name, created_at, is_admin FROM users WHERE id = %(user_id)s::bigint"),
        {"user_id": user_id},
    )


_FIND_USERS = Prepared("SELECT id, email, name, created_at, is_admin FROM users WHERE id = ANY(%(user_ids)s::bigint[])")


async def find_users(conn: Executor, *, user_ids: Sequence[int]) -> list[UserRow]:
    """Those of *user_ids* that exist, in any order."""
    return await conn.fetch_all(UserRow, _FIND_USERS, {"user_ids": list(user_ids)})


async def find_credentials(conn: Executor, *, email: str) -> CredentialsRow | None:
    return await conn.fetch_one(
        CredentialsRow,
        """
        SELECT id, email, name, created_at, is_admin, password_hash
          FROM users WHERE lower(email) = lower(%(email)s)
        """,
        {"email": email},
    )


async def email_exists(conn: Executor, *, email: str) -> bool:
    row = await conn.fetch_one(_One, "SELECT 1 FROM users WHERE lower(email) = lower(%(email)s)", {"email": email})
    return row is not None


async def list_users(
    conn: Executor, *, except_id: int, words: str | None = None, after_id: int = 0, limit: int | None = None
) -> list[UserRow]:
    """Everyone but *except_id*, by id; *words* must be in the name or the address; *limit* None is no limit."""
    return await conn.fetch_all(
        UserRow,
        """
        SELECT id, email, name, created_at, is_admin
          FROM users
         WHERE id > %(after_id)s AND id <> %(except_id)s
           AND (%(words)s IS NULL OR strpos(lower(name), lower(%(words)s)) > 0 OR strpos(lower(email), lower(%(words)s)) > 0)
         ORDER BY id
         LIMIT %(limit)s
        """,
        {"after_id": after_id, "except_id": except_id, "words": words, "limit": limit},
    )


# Notifications


class NotificationRow(NamedTuple):
    id: int
    email: str
    message: str
    attempts: int
    sender_name: str | None


class _NotificationId(NamedTuple):
    id: int


async def insert_notification(conn: Executor, *, sender_id: int, email: str, message: str) -> int:
    row = await conn.fetch_one(
        _NotificationId,
        """
        INSERT INTO notifications (sender_id, email, message)
        VALUES (%(sender_id)s, %(email)s, %(message)s)
        RETURNING id
        """,
        {"sender_id": sender_id, "email": email, "message": message},
    )
    assert row is not None
    return row.id


async def claim_notification(conn: Executor, *, worker_id: int) -> NotificationRow | None:
    """Take the next notification that is due and in nobody else's hands; its attempts count this one."""
    return await conn.fetch_one(
        NotificationRow,
        f"""
        UPDATE notifications AS n SET worker_id = %(worker_id)s, attempts = attempts + 1
         WHERE id = (SELECT id FROM notifications
                      WHERE status = 'queued' AND next_attempt_at <= now()
                        AND (worker_id = %(worker_id)s OR {WORKER_IS_GONE})
                      ORDER BY next_attempt_at
                        FOR UPDATE SKIP LOCKED LIMIT 1)
        RETURNING n.id, n.email, n.message, n.attempts, (SELECT name FROM users WHERE id = n.sender_id)
        """,
        {"worker_id": worker_id, "worker_lock": WORKER_LOCK},
    )


async def finish_notification(
    conn: Executor, *, notification_id: int, status: str, last_error: str | None = None
) -> None:
    """*status* is sent, not_sent or failed."""
    await conn.execute(
        """
        UPDATE notifications
           SET status = %(status)s, last_error = %(last_error)s, worker_id = NULL, finished_at = now()
         WHERE id = %(notification_id)s
        """,
        {"notification_id": notification_id, "status": status, "last_error": last_error},
    )


async def postpone_notification(conn: Executor, *, notification_id: int, seconds: float, last_error: str) -> None:
    await conn.execute(
        """
        UPDATE notifications
           SET next_attempt_at = now() + %(seconds)s * interval '1 second', last_error = %(last_error)s, worker_id = NULL
         WHERE id = %(notification_id)s
        """,
        {"notification_id": notification_id, "seconds": seconds, "last_error": last_error},
    )


class _Seconds(NamedTuple):
    value: float | None


async def seconds_to_next_notification(conn: Executor, *, worker_id: int) -> float | None:
    """How long until a queued notification is due (negative when overdue); None if none is queued."""
    row = await conn.fetch_one(
        _Seconds,
        """
        SELECT extract(epoch FROM min(next_attempt_at) - now())::float8
          FROM notifications WHERE status = 'queued' AND (worker_id IS NULL OR worker_id = %(worker_id)s)
        """,
        {"worker_id": worker_id},
    )
    return None if row is None else row.value
