"""Two nodes on one database deliver as one, and old events are forgotten."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.sync.client import connect

from db import Database
from delivery import queries as delivery
from support.databases import TestDatabase
from support.servers import WAIT_SECONDS, Person, Server, register, wait_until
from support.tabs import (
    Tab,
    contents,
    fill_mailbox,
    listeners,
    send,
    seqs,
)


@pytest.fixture(scope="module")
def server(here: Server) -> Server:
    return here


# Two processes


def test_a_message_crosses_to_the_other_process(alice: Person, bob: Person, there: Server) -> None:
    with Tab(alice) as near, Tab(bob, there) as far:
        far.everything()
        near.ask(recipient_id=bob.id, content="there")
        assert far.expect("message")["content"] == "there"

        far.ask(recipient_id=alice.id, content="and back")

        assert contents([near.expect("message"), near.expect("message")]) == ["there", "and back"]


def test_an_edit_and_a_delete_cross(alice: Person, bob: Person, there: Server) -> None:
    message_id = send(alice, bob)
    with Tab(alice) as near, Tab(bob, there) as far:
        far.everything()
        near.ask(type="edit", id=message_id, content="changed")
        near.ask(type="delete", id=message_id)

        assert seqs([far.expect("edited"), far.expect("deleted")]) == [2, 3]


def test_a_classic_socket_hears_the_other_process(alice: Person, bob: Person, there: Server) -> None:
    url = there.url.replace("http", "ws") + f"/ws/{bob.id}"
    with connect(url, additional_headers=bob.headers) as classic:
        send(alice, bob, "hello")

        assert json.loads(classic.recv(timeout=WAIT_SECONDS))["content"] == "hello"


def test_messages_that_cross_both_ways_are_numbered_without_a_gap(alice: Person, bob: Person, there: Server) -> None:
    def talk(sender: Person, recipient: Person, server: Server) -> None:
        with Tab(sender, server) as tab:
            for number in range(150):
                tab.send(recipient_id=recipient.id, content=str(number))
            for _ in range(150):
                assert tab.expect("ack", "error")["type"] == "ack"

    with Tab(alice) as near, Tab(bob, there) as far, ThreadPoolExecutor(4) as pool:
        near.everything()
        far.everything()
        talks = [(alice, bob), (bob, alice)]
        for future in [pool.submit(talk, *people, server) for people in talks for server in (alice.server, there)]:
            future.result()
        heard = [[tab.expect("message")["seq"] for _ in range(600)] for tab in (near, far)]

    assert heard == [list(range(1, 601))] * 2


def test_a_lost_line_between_processes_is_repaired(
    alice: Person, bob: Person, there: Server, shared: TestDatabase
) -> None:
    with Tab(bob, there) as far:
        far.everything()
        for pid in listeners(shared):
            shared.query("SELECT pg_terminate_backend(%s)", pid)
        for number in range(10):
            send(alice, bob, str(number))

        assert contents([far.expect("message") for _ in range(10)]) == [str(number) for number in range(10)]


def test_presence_outlives_a_lost_line(alice: Person, bob: Person, there: Server, shared: TestDatabase) -> None:
    send(alice, bob)
    with Tab(bob, there) as far:
        far.everything()
        before = set(listeners(shared))
        for pid in before:
            shared.query("SELECT pg_terminate_backend(%s)", pid)
        wait_until(lambda: len(set(listeners(shared)) - before) == len(before))
        wait_until(
            lambda: (
                shared.query(
                    """SELECT count(*) FROM presence JOIN pg_locks ON objid = node_id
                    AND classid = (SELECT node_lock FROM installation)
                    WHERE user_id = %s AND granted""",
                    bob.id,
                )
                == [(1,)]
            )
        )


def test_a_commit_whose_answer_was_lost_is_told_all_the_same(
    make_server: Callable[..., Server], make_database: Callable[[], TestDatabase]
) -> None:
    database = make_database()
    server = make_server("server", database).start()
    alice, bob = register(server, "alice"), register(server, "bob")
    (node_id,) = database.query(
        """SELECT objid::bigint FROM pg_locks JOIN pg_database d ON d.oid = database
            WHERE locktype = 'advisory' AND datname = current_database()
              AND classid = (SELECT node_lock FROM installation)"""
    )[0]
    with Tab(bob) as tab:
        tab.everything()
        fill_mailbox(database, alice, bob, 1, "stored, and nobody knows")
        database.send_note(f"e{node_id} {bob.id}:1")

        assert tab.expect("message")["content"] == "stored, and nobody knows"


def test_presence_crosses_to_more_people_than_fit_into_a_note(
    alice: Person, bob: Person, there: Server, shared: TestDatabase
) -> None:
    send(alice, bob)
    shared.query(
        """
        WITH crowd AS (
            INSERT INTO users (id, email, password_hash, name)
            SELECT 100000000000000000 + %s::bigint * 1000 + n, 'far.' || %s || '.' || n || '@example.com', '', 'Far'
              FROM generate_series(1, 480) AS n
            RETURNING id
        )
        INSERT INTO conversations (user_id, other_id) SELECT %s, id FROM crowd
        """,
        alice.id,
        alice.id,
        alice.id,
    )
    with Tab(bob, there) as far:
        far.everything()
        with Tab(alice):
            assert far.expect("presence")["user_id"] == alice.id


def test_an_announcement_to_hundreds_crosses(admin: Person, bob: Person, there: Server, shared: TestDatabase) -> None:
    shared.query(
        """INSERT INTO users (email, password_hash, name)
           SELECT 'many.' || %s || '.' || n || '@example.com', '', 'Many' FROM generate_series(1, 500) AS n""",
        admin.id,
    )
    with Tab(bob, there) as far:
        far.everything()
        admin.client.post("/admin/broadcast", json={"content": "to all"})

        assert far.expect("announcement")["content"] == "to all"


# Retention


def test_old_events_are_forgotten_and_newer_ones_kept(alice: Person, bob: Person, shared: TestDatabase) -> None:
    for _ in range(4):
        send(alice, bob)
    shared.query("UPDATE events SET created_at = now() - interval '31 days' WHERE user_id = %s AND seq <= 2", bob.id)

    async def forget_them() -> None:
        database = Database(shared.keywords, size=2)
        while await delivery.forget_events(database, days=30):
            pass
        await database.close()

    asyncio.run(forget_them())

    with Tab(bob) as tab:
        assert [frame["type"] for frame in tab.resume(1)] == ["resync"]
        assert seqs(tab.resume(2)) == [3, 4]
