"""Another role of the database server, which may connect as any role may: it hears, forges and holds up nothing."""

import contextlib
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection

from db import Database
from postgres.migration import apply_schema
from support.accounts import sign_up
from support.databases import TestDatabase
from support.engines import Run
from support.servers import Person, Server
from support.tabs import Tab

OLD_CHANNEL = "pagewire"
OLD_LOCKS = range(7_267_001, 7_267_006)
_numbers = count(1)


@pytest.fixture
def eve(server: Server, database: TestDatabase) -> Iterator[connection]:
    """Her connection to the database of the shared server."""
    name = f"eve_{database.keywords['dbname']}_{next(_numbers)}"
    database.administer(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    keywords: dict[str, Any] = {**database.keywords, "user": name, "password": "secret", "passfile": ""}
    with contextlib.closing(psycopg2.connect(**keywords)) as opened:
        opened.autocommit = True
        yield opened
    database.administer(f"DROP ROLE {name}")


def test_it_cannot_read_what_signs_the_notes(eve: connection) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        eve.cursor().execute("SELECT * FROM installation")


def test_it_hears_no_messages(eve: connection, alice: Person, bob: Person, database: TestDatabase) -> None:
    eve.cursor().execute(f"LISTEN {OLD_CHANNEL}")

    alice.client.post("/messages", json={"recipient_id": bob.id, "content": "between us"}).raise_for_status()
    database.query(f"NOTIFY {OLD_CHANNEL}, 'the end'")
    eve.cursor().execute("SELECT 1")

    assert [note.payload for note in eve.notifies] == ["the end"]


def test_it_forges_no_message_even_where_it_knows_the_channel(
    eve: connection, alice: Person, bob: Person, database: TestDatabase
) -> None:
    ((channel,),) = database.query("SELECT channel FROM installation")
    forged = f'm1 [[1, {alice.id}, {bob.id}, "forged", "2026-01-01T00:00:00+00:00", "Alice", null, 1, 1]]'
    with Tab(bob) as tab:
        tab.everything()
        for name in (OLD_CHANNEL, channel):
            eve.cursor().execute("SELECT pg_notify(%s, %s)", (name, forged))
        alice.client.post("/messages", json={"recipient_id": bob.id, "content": "true"}).raise_for_status()

        assert tab.expect("message")["content"] == "true"


def test_it_holds_up_no_registration_and_no_start(
    eve: connection, server: Server, database: TestDatabase, run: Run
) -> None:
    eve.cursor().execute("SELECT pg_advisory_lock(key) FROM unnest(%s) AS key", (list(OLD_LOCKS),))

    async def start() -> None:
        opened = Database(database.keywords, size=1, answer_seconds=10)
        try:
            await apply_schema(opened)
        finally:
            await opened.close()

    run(start())
    with server.client() as client:
        assert sign_up(client, f"late.{next(_numbers)}.{eve.info.user}@example.com").status_code == 200


def test_a_start_warns_while_every_role_may_connect(
    make_server: Callable[..., Server], make_database: Callable[[], TestDatabase]
) -> None:
    warning = "every role of the database server may connect"
    database = make_database()
    server = make_server(database=database).start()
    assert any(warning in line for line in server.lines)
    server.stop()
    database.query(f"REVOKE CONNECT ON DATABASE {database.keywords['dbname']} FROM PUBLIC")
    server.lines.clear()

    server.start()

    assert not any(warning in line for line in server.lines)
