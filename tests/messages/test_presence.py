"""Who is online, on any node."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.databases import TestDatabase
from support.servers import Person, Server, wait_until
from support.tabs import SECRET_KEY, Frame, Tab, send


@pytest.fixture(scope="module")
def server(here: Server) -> Server:
    return here


# Presence


def expect_offline(tab: Tab) -> Frame:
    """Of new partners who is online may be told twice: as they come, and as partners."""
    while (frame := tab.expect("presence"))["status"] == "online":
        pass
    return frame


def test_a_partner_who_comes_and_goes_is_shown(alice: Person, bob: Person, there: Server) -> None:
    send(alice, bob)
    with Tab(alice) as tab:
        tab.everything()
        with Tab(bob, there):
            online = tab.expect("presence")
        offline = expect_offline(tab)

    assert online == {"type": "presence", "user_id": bob.id, "status": "online", "last_seen_at": None}
    assert (offline["status"], offline["last_seen_at"] is not None) == ("offline", True)


def test_who_is_online_is_told_at_the_start(alice: Person, bob: Person, there: Server) -> None:
    send(alice, bob)
    with Tab(bob, there) as far:
        far.everything()
        with Tab(alice) as tab:
            assert tab.expect("presence")["user_id"] == bob.id


def test_the_list_of_conversations_tells_who_is_online_and_the_event_that_it_goes_up_to(
    alice: Person, bob: Person, carol: Person, there: Server
) -> None:
    send(alice, carol)
    send(alice, bob)
    with Tab(bob, there) as tab:
        tab.everything()
        here = alice.client.get("/conversations").json()
    with Tab(alice) as tab:
        ready = tab.expect("ready")

    users = {entry["user"]["id"]: entry["user"] for entry in here["conversations"]}
    assert (users[bob.id]["online"], users[bob.id]["last_seen_at"]) == (True, None)
    assert (users[carol.id]["online"], users[carol.id]["last_seen_at"]) == (False, None)
    assert here["seq"] == ready["seq"] == 2


def test_the_list_of_conversations_tells_when_somebody_was_last_here(alice: Person, bob: Person, there: Server) -> None:
    send(alice, bob)
    with Tab(alice) as tab:
        tab.everything()
        with Tab(bob, there):
            tab.expect("presence")
        left = expect_offline(tab)

    (entry,) = alice.client.get("/conversations").json()["conversations"]

    assert (entry["user"]["online"], entry["user"]["last_seen_at"]) == (False, left["last_seen_at"])


def test_one_of_two_tabs_may_close(alice: Person, bob: Person, there: Server) -> None:
    send(alice, bob)
    with Tab(alice) as tab, Tab(bob) as first:
        first.everything()
        with Tab(bob, there) as second:
            second.everything()
        # a third tab comes and goes, so that the second one's end has surely been told
        with Tab(bob, there) as third:
            third.everything()

        assert tab.ask(type="ping")["type"] == "pong"
        statuses = {frame["status"] for frame in tab.everything() if frame["type"] == "presence"}

    assert statuses == {"online"}


def test_more_partners_than_an_outbox_has_room_for_may_be_online(
    alice: Person, here: Server, shared: TestDatabase
) -> None:
    shared.query(
        """
        WITH crowd AS (
            INSERT INTO users (email, password_hash, name)
            SELECT 'crowd.' || %s || '.' || n || '@example.com', '', 'Crowd' FROM generate_series(1, 400) AS n
            RETURNING id
        ), talk AS (
            INSERT INTO conversations (user_id, other_id) SELECT %s, id FROM crowd
        )
        INSERT INTO presence (user_id, node_id)
        SELECT crowd.id, worker.objid::bigint FROM crowd,
               (SELECT objid FROM pg_locks JOIN pg_database d ON d.oid = database
                 WHERE locktype = 'advisory' AND datname = current_database()
                   AND classid = (SELECT node_lock FROM installation) LIMIT 1) AS worker
        """,
        alice.id,
        alice.id,
    )

    with Tab(alice) as tab:
        frames = tab.everything()

    assert sum(frame["type"] == "presence" for frame in frames) == 400


def test_sockets_that_come_and_go_at_once_leave_the_right_presence(
    alice: Person, bob: Person, shared: TestDatabase
) -> None:
    def flicker() -> None:
        for _ in range(20):
            Tab(bob).socket.close()

    with Tab(bob) as staying:
        staying.everything()
        with ThreadPoolExecutor(4) as pool:
            for future in [pool.submit(flicker) for _ in range(4)]:
                future.result()
        assert shared.query("SELECT count(*) FROM presence WHERE user_id = %s", bob.id) == [(1,)]

    wait_until(lambda: shared.query("SELECT count(*) FROM presence WHERE user_id = %s", bob.id) == [(0,)])


def test_a_killed_process_leaves_nobody_online(
    alice: Person, bob: Person, make_server: Callable[..., Server], shared: TestDatabase
) -> None:
    send(alice, bob)
    doomed = make_server("doomed", shared, SECRET_KEY=SECRET_KEY).start()
    with Tab(alice) as tab:
        far = Tab(bob, doomed)
        assert tab.expect("presence")["status"] == "online"

        doomed.kill()

        offline = expect_offline(tab)
        far.socket.close()
    assert (offline["status"], offline["last_seen_at"] is not None) == ("offline", True)


def test_after_a_first_message_both_learn_that_the_other_is_there(alice: Person, bob: Person, there: Server) -> None:
    with Tab(alice) as mine, Tab(bob, there) as theirs:
        mine.everything()
        theirs.everything()
        send(alice, bob)

        seen = [tab.expect("presence") for tab in (mine, theirs)]

    assert [(frame["user_id"], frame["status"]) for frame in seen] == [(bob.id, "online"), (alice.id, "online")]


def test_after_a_second_message_presence_is_not_repeated(alice: Person, bob: Person, carol: Person) -> None:
    with Tab(alice) as mine, Tab(bob) as first, Tab(carol) as second:
        first.everything()
        second.everything()
        send(alice, bob)
        assert mine.expect("presence")["user_id"] == bob.id

        send(bob, alice)
        send(carol, alice)  # carol's presence comes after what would come about bob

        assert mine.expect("presence")["user_id"] == carol.id
        assert [frame["type"] for frame in mine.everything() if frame["type"] == "presence"] == []


# Typing


def test_typing_ends_with_the_message(alice: Person, bob: Person) -> None:
    send(bob, alice)
    with Tab(alice) as mine, Tab(bob) as theirs:
        theirs.everything()
        mine.ask(type="ping")
        mine.send(type="typing", recipient_id=bob.id)
        assert theirs.expect("typing")["active"]
        mine.ask(recipient_id=bob.id, content="done")

        assert theirs.expect("typing") == {"type": "typing", "user_id": alice.id, "active": False}


def test_typing_of_a_stranger_is_not_shown(alice: Person, bob: Person) -> None:
    with Tab(alice) as mine, Tab(bob) as theirs:
        theirs.everything()
        mine.send(type="typing", recipient_id=bob.id)
        mine.ask(type="ping")

        assert [frame["type"] for frame in theirs.everything() if frame["type"] == "typing"] == []
