"""Many frames of one user: they cost others nothing, whatever the number of sockets."""

import contextlib
import socket
import sys
from collections.abc import Callable

import psycopg2

from support.databases import TestDatabase
from support.servers import HOUSE, WAIT_SECONDS, Person, Server, register
from support.tabs import Tab


def test_all_sockets_of_a_user_share_one_limit_of_frames(alice: Person) -> None:
    with Tab(alice) as one, Tab(alice) as other:
        for _ in range(301):
            one.send(type="ping")
        assert one.closing()[1] == 4429

        other.send(type="ping")

        assert other.closing()[1] == 4429


def test_silent_peers_do_not_use_up_the_descriptors(
    make_server: Callable[..., Server], make_database: Callable[[], TestDatabase]
) -> None:
    server = make_server(database=make_database())
    server.start("prlimit", "--nofile=256:4096", sys.executable, str(HOUSE / "main.py"))
    host, port = server.url.removeprefix("http://").split(":")

    with contextlib.ExitStack() as stack, server.client() as client:
        for _ in range(300):
            stack.enter_context(socket.create_connection((host, int(port)), WAIT_SECONDS))

        assert client.get("/readyz").status_code == 200


def test_typing_is_shown_at_most_once_a_second(alice: Person, bob: Person) -> None:
    bob.client.post("/messages", json={"recipient_id": alice.id, "content": "hi"})
    with Tab(bob) as theirs, Tab(alice) as mine:
        theirs.everything()
        for _ in range(50):
            mine.send(type="typing", recipient_id=bob.id, active=True)
            mine.send(type="typing", recipient_id=bob.id, active=False)
        mine.send(type="ping")
        mine.expect("pong")

        shown = [frame["active"] for frame in theirs.everything() if frame["type"] == "typing"]

    assert shown[:2] == [True, False]
    assert len(shown) <= 4  # should the machine take more than a second


def test_typing_commits_nothing_where_there_is_no_other_process(
    make_server: Callable[..., Server], make_database: Callable[[], TestDatabase]
) -> None:
    database = make_database()
    server = make_server(database=database).start()
    people = [register(server, name) for name in ("alice", "bob", "carol")]
    for other in people[1:]:
        people[0].client.post("/messages", json={"recipient_id": other.id, "content": "hi"})
    ((channel,),) = database.query("SELECT channel FROM installation")
    with contextlib.closing(psycopg2.connect(database.url)) as listener, Tab(people[0]) as mine:
        listener.autocommit = True
        mine.everything()
        listener.cursor().execute(f"LISTEN {channel}")
        for other in people[1:]:
            mine.send(type="typing", recipient_id=other.id, active=True)
        mine.send(type="ping")
        mine.expect("pong")
        listener.cursor().execute("SELECT 1")

        assert [note.payload for note in listener.notifies if note.payload.startswith("w")] == []
