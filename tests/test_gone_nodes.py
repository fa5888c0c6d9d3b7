"""A node is taken for gone only where that is known: not by those who have just come back to a restarted PostgreSQL."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from db import SETTLE_SECONDS, Connection, Database, hold_node_lock
from delivery.queries import claim_notification
from documents.queries import claim_document, claim_documents, claim_older_extraction, list_older_extractions
from messages.presence_queries import drop_dead_presence, list_presence
from support.databases import TestDatabase
from support.mail import MailServer, smtp
from support.outages import FragilePostgres, fragile_postgres
from support.servers import Server, register, wait_until

DEAD, ALIVE = 77, 7
Claim = Callable[[Database], Any]


# By the server


@pytest.fixture
def restarted() -> Iterator[FragilePostgres]:
    with fragile_postgres() as made:
        yield made


class SlowMailServer(MailServer):
    """It has accepted a mail some time before it says so."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    async def handle_DATA(self, *asked: Any) -> str:  # noqa: N802
        answer = await super().handle_DATA(*asked)
        await self._loop.run_in_executor(None, self.go_on.wait)
        return answer


def test_who_comes_back_first_does_not_send_the_mail_that_another_node_sends(
    tmp_path: Path, restarted: FragilePostgres
) -> None:
    mails = SlowMailServer()
    mails.start()
    one, other = (Server(tmp_path / name, restarted.url, **smtp(mails.port)).start() for name in "ab")
    alice, bob = register(one, "alice"), register(other, "bob")
    alice.client.post("/send-notification", json={"email": bob.email, "message": "under way"})
    wait_until(lambda: mails.received.qsize() == 1)

    one.freeze()
    restarted.restart()
    wait_until(
        lambda: bob.client.post("/send-notification", json={"email": bob.email, "message": "next"}).status_code < 300
    )
    wait_until(lambda: mails.received.qsize() == 2)
    one.thaw()
    mails.go_on.set()
    wait_until(lambda: not restarted.ask("SELECT FROM notifications WHERE status = 'queued'"))

    assert sorted(mails.next_text() for _ in range(mails.received.qsize())) == ["next\n", "under way\n"]
    for server in (one, other):
        server.kill()
    mails.stop()


# By the questions


@pytest.fixture
async def pool(make_database: Callable[[], TestDatabase]) -> AsyncIterator[Database]:
    """A database with something of a node's that is gone in each room."""
    opened = Database(make_database().keywords, size=2)
    await opened.execute("INSERT INTO users (id, email, password_hash, name) VALUES (1, 'a', '', 'a')")
    await opened.execute(
        """
        INSERT INTO documents (id, user_id, filename, file_path, file_size, status, node_id)
        VALUES (1, 1, 'a.pdf', '1', 1, 'processing', %(dead)s);
        INSERT INTO presence (user_id, node_id) VALUES (1, %(dead)s);
        INSERT INTO notifications (email, message, node_id) VALUES ('a', 'hello', %(dead)s)
        """,
        {"dead": DEAD},
    )
    yield opened
    await opened.close()


@pytest.fixture
async def line(pool: Database) -> AsyncIterator[Connection]:
    """The line of a living node, which has just opened it."""
    opened = await pool.open_connection()
    await hold_node_lock(opened, node_id=ALIVE)
    yield opened
    opened.close()


async def claim_older(pool: Database) -> bool:
    await pool.execute("UPDATE documents SET status = 'ready', reader_version = 1")
    listed = await list_older_extractions(pool, node_id=ALIVE, reader_version=2, each=1, limit=9)
    claimed = await claim_older_extraction(pool, document_id=1, node_id=ALIVE, reader_version=2)
    assert listed == [1] * claimed
    return claimed


async def is_offline(pool: Database) -> bool:
    return not (await list_presence(pool, user_ids=[1]))[0].is_online


CLAIMS: dict[str, Claim] = {
    "extractions": lambda pool: claim_documents(pool, node_id=ALIVE, busy_with=[], limit=9),
    "one extraction": lambda pool: claim_document(pool, document_id=1, node_id=ALIVE),
    "an older extraction": claim_older,
    "a mail": lambda pool: claim_notification(pool, node_id=ALIVE),
    "who is online": is_offline,
    "dead presence": drop_dead_presence,
}


@pytest.mark.anyio
@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
async def test_while_all_lines_are_new_nothing_of_another_node_is_taken(
    pool: Database, line: Connection, claim: Claim
) -> None:
    assert not await claim(pool)


@pytest.mark.anyio
async def test_by_a_line_that_has_been_up_for_some_seconds_all_of_it_is_taken(pool: Database, line: Connection) -> None:
    await line.execute("SELECT pg_sleep(%(seconds)s)", {"seconds": SETTLE_SECONDS - 1})
    await line.execute("SELECT pg_sleep(1.1)")

    taken = {name: await CLAIMS[name](pool) for name in CLAIMS}

    assert all(taken.values()), taken
