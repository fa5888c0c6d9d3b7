"""Which e-mail is next, and how long they are kept."""

from db import Database
from delivery import queries
from support.databases import TestDatabase
from support.engines import Run


def test_a_link_does_not_wait_for_a_crowd_of_users_mails(tables: TestDatabase, run: Run) -> None:
    tables.query("INSERT INTO users (id, email, password_hash, name) VALUES (1, 'a@example.com', '', 'Alice')")
    tables.query(
        "INSERT INTO notifications (sender_id, email, message, next_attempt_at)"
        " SELECT 1, 'b@example.com', 'buy', now() - interval '1 hour' FROM generate_series(1, 20)"
    )

    async def claim() -> str:
        database = Database(tables.keywords, size=1)
        await queries.insert_notification(database, sender_id=None, email="c@example.com", message="your link")
        claimed = await queries.claim_notification(database, node_id=7)
        await database.close()
        assert claimed is not None
        return claimed.message

    assert run(claim()) == "your link"


def test_a_mail_that_is_done_with_is_kept_for_30_days(tables: TestDatabase, run: Run) -> None:
    tables.query(
        "INSERT INTO notifications (email, message, status, finished_at) VALUES"
        " ('old@example.com', '', 'sent', now() - interval '31 days'),"
        " ('new@example.com', '', 'failed', now() - interval '29 days'),"
        " ('queued@example.com', '', 'queued', NULL)"
    )

    async def forget() -> None:
        database = Database(tables.keywords, size=1)
        await queries.forget_notifications(database, days=30)
        await database.close()

    run(forget())

    left = {email for (email,) in tables.query("SELECT email FROM notifications")}
    assert {"new@example.com", "queued@example.com"} <= left
    assert "old@example.com" not in left
