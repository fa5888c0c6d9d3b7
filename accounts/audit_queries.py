"""SQL of the audit: who did what, row by row, and what is forgotten of it."""

from datetime import datetime
from typing import Literal, NamedTuple

from db import Executor

MAX_ROWS_OF_A_NETWORK = 100  # an hour, of one action, by people who are not signed in
MAX_ROWS_OF_A_PERSON = 1000  # the same, by somebody who is
MAX_ROWS_OF_NOBODY = 100_000  # in all, by people who are not signed in
FORGOTTEN_AT_ONCE = 1000


Action = Literal[
    "login_failed",
    "session_ended",
    "refresh_token_reused",
    "account_created",
    "account_deleted",
    "admin_granted",
    "admin_revoked",
    "password_changed",
    "password_reset",
    "password_link_made",
    "password_link_mailed",
    "email_changed",
    "key_created",
    "key_deleted",
    "document_shared",
    "document_unshared",
    "document_deleted",
]


class Actor(NamedTuple):
    """Who does something, and from where: a user who is signed in, else None; the command line has neither."""

    user_id: int | None
    network: str | None


class Person(NamedTuple):
    id: int
    name: str | None  # None: there is no row of theirs any more


class AuditRow(NamedTuple):
    id: int
    action: str
    created_at: datetime
    last_at: datetime
    times: int
    network: str | None
    session_id: int | None
    document_id: int | None
    actor: Person | None
    user: Person | None


async def insert_audit(
    conn: Executor,
    action: Action,
    actor: Actor,
    *,
    user_id: int | None = None,
    session_id: int | None = None,
    document_id: int | None = None,
    times: int = 1,
) -> None:
    """Add a row, or where its actor or network has had its rows of this hour, count it in the last of them.

    It waits for no other transaction: of two that count in one row at once, one may be lost.
    """
    await conn.execute(
        """
        WITH last AS (
            SELECT id, (SELECT created_at FROM audit
                         WHERE coalesce(actor_id::text, network, '') = %(source)s AND action = %(action)s
                         ORDER BY id DESC OFFSET %(most)s - 1 LIMIT 1) > now() - interval '1 hour' AS is_full
              FROM audit
             WHERE coalesce(actor_id::text, network, '') = %(source)s AND action = %(action)s
             ORDER BY id DESC LIMIT 1
        ), counted AS (
            UPDATE audit SET times = times + %(times)s, last_at = now()
             WHERE id = (SELECT audit.id FROM audit, last
                          WHERE audit.id = last.id AND last.is_full FOR UPDATE OF audit SKIP LOCKED)
        )
        INSERT INTO audit (action, actor_id, network, user_id, session_id, document_id, times)
        SELECT %(action)s, %(actor_id)s::bigint, %(network)s::text, %(user_id)s::bigint, %(session_id)s::bigint,
               %(document_id)s::bigint, %(times)s
         WHERE NOT EXISTS (SELECT 1 FROM last WHERE is_full)
        """,
        {
            "action": action,
            "actor_id": actor.user_id,
            "network": actor.network,
            "source": str(actor.user_id) if actor.user_id is not None else actor.network or "",
            "user_id": user_id,
            "session_id": session_id,
            "document_id": document_id,
            "times": times,
            "most": MAX_ROWS_OF_A_NETWORK if actor.user_id is None else MAX_ROWS_OF_A_PERSON,
        },
    )


async def list_audit(conn: Executor, *, action: str | None, before_id: int, limit: int) -> list[AuditRow]:
    """Newest first; of one action, or of all."""
    return await conn.fetch_all(
        AuditRow,
        """
        SELECT a.id, a.action, a.created_at, a.last_at, a.times, a.network, a.session_id, a.document_id,
               a.actor_id, actor.name, a.user_id, person.name
          FROM audit a
          LEFT JOIN users actor ON actor.id = a.actor_id
          LEFT JOIN users person ON person.id = a.user_id
         WHERE a.id < %(before_id)s AND (%(action)s::text IS NULL OR a.action = %(action)s)
         ORDER BY a.id DESC
         LIMIT %(limit)s
        """,
        {"action": action, "before_id": before_id, "limit": limit},
    )


async def forget_old_audit(conn: Executor, *, days: int) -> bool:
    """Delete a batch of the rows that are older than so many days; False if there were none."""
    deleted = await conn.execute(
        """
        DELETE FROM audit WHERE id IN (
            SELECT id FROM (SELECT id, last_at FROM audit ORDER BY id LIMIT %(limit)s) AS oldest
             WHERE last_at < now() - %(days)s * interval '1 day')
        """,
        {"limit": FORGOTTEN_AT_ONCE, "days": days},
    )
    return deleted > 0


async def forget_audit_of_nobody(conn: Executor) -> bool:
    """Delete a batch of what people who are not signed in did, beyond the newest of it; False if there was none."""
    deleted = await conn.execute(
        """
        DELETE FROM audit WHERE id IN (
            SELECT id FROM audit WHERE actor_id IS NULL ORDER BY id DESC OFFSET %(most)s LIMIT %(limit)s)
        """,
        {"most": MAX_ROWS_OF_NOBODY, "limit": FORGOTTEN_AT_ONCE},
    )
    return deleted > 0
