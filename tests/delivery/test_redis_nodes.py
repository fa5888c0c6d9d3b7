"""Two nodes over Redis: what one commits reaches the other, whatever happens to Redis."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest
from websockets.sync.client import ClientConnection

from support.databases import TestDatabase
from support.redis import RedisServer, find_prefix
from support.servers import PASSWORD, Person, Server, receive, register, wait_until
from support.sockets import V2, closing
from support.tabs import SECRET_KEY

LIMITS = {"LOGIN_RATE_LIMIT": "3/hour", "MESSAGE_RATE_LIMIT": "200/hour"}


@pytest.fixture(scope="module")
def nodes(
    tmp_path_factory: pytest.TempPathFactory, own_database: TestDatabase, own_redis: RedisServer
) -> Iterator[tuple[Server, Server]]:
    settings = {"REDIS_URL": own_redis.url, "SECRET_KEY": SECRET_KEY, **LIMITS}
    here = Server(tmp_path_factory.mktemp("here"), own_database.url, **settings).start()
    register(here, "admin")
    there = Server(tmp_path_factory.mktemp("there"), own_database.url, **settings).start()
    yield here, there
    here.stop()
    there.stop()


@pytest.fixture
def alice(nodes: tuple[Server, Server]) -> Person:
    return register(nodes[0], "alice")


@pytest.fixture
def bob(nodes: tuple[Server, Server]) -> Person:
    return register(nodes[1], "bob")


@pytest.fixture
def mended(own_redis: RedisServer, nodes: tuple[Server, Server], own_database: TestDatabase) -> Iterator[None]:
    """After the test Redis is back, and both nodes use it."""
    yield
    own_redis.start()
    wait_until(lambda: count_listeners(own_redis, own_database) == 2)
    wait_until(lambda: all(knows_redis(node) for node in nodes))


def count_listeners(redis: RedisServer, database: TestDatabase) -> int:
    return int(redis.ask("PUBSUB", "NUMSUB", f"{find_prefix(database)}:all")[1])


def knows_redis(node: Server) -> bool:
    """Whether a node that found Redis away has found it again."""
    return count_lines(node, "Redis is away") == count_lines(node, "Redis is back")


def count_lines(node: Server, part: str) -> int:
    return sum(part in line for line in list(node.lines))


def write(sender: Person, recipient: Person, content: str) -> Any:
    return sender.client.post("/messages", json={"recipient_id": recipient.id, "content": content})


@contextmanager
def live(person: Person) -> Iterator[ClientConnection]:
    """A v2 socket that has caught up."""
    with person.socket(subprotocols=[V2]) as socket:
        while receive(socket)["type"] != "ready":
            pass
        yield socket


def next_message(socket: ClientConnection) -> str:
    while (frame := receive(socket))["type"] != "message":
        pass
    return str(frame["content"])


def test_what_one_node_commits_reaches_the_other_without_the_database(
    alice: Person, bob: Person, own_database: TestDatabase
) -> None:
    with bob.socket() as socket, own_database.open() as listening:
        listening.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_AUTOCOMMIT)
        listening.cursor().execute(f"LISTEN {find_prefix(own_database)}")
        for number in range(5):
            write(alice, bob, f"number {number}")

        assert [receive(socket)["content"] for _ in range(5)] == [f"number {number}" for number in range(5)]
        listening.poll()
        assert [note.payload for note in listening.notifies if note.payload[0] in "em"] == []


def test_typing_reaches_the_other_node(alice: Person, bob: Person) -> None:
    write(alice, bob, "hello")
    with live(bob) as theirs, live(alice) as ours:
        ours.send(json.dumps({"type": "typing", "recipient_id": bob.id, "active": True}))

        while (frame := receive(theirs))["type"] != "typing":
            pass
        assert frame["user_id"] == alice.id


def test_a_node_hears_nothing_of_users_it_does_not_have(
    nodes: tuple[Server, Server], alice: Person, bob: Person, own_redis: RedisServer, own_database: TestDatabase
) -> None:
    neighbour = register(nodes[0], "neighbour")
    with neighbour.socket() as near, bob.socket() as far, own_redis.listening(own_database) as notes:
        write(alice, neighbour, "between us")
        assert receive(near)["content"] == "between us"
        write(alice, bob, "for bob")
        assert receive(far)["content"] == "for bob"

        heard = b""
        while b"for bob" not in heard:
            heard += notes.get_message(timeout=30)["data"]
        assert b"between us" not in heard


def test_an_event_whose_note_was_lost_is_found(alice: Person, bob: Person, own_database: TestDatabase) -> None:
    """As when a node is killed between its commit and Redis."""
    with live(bob) as socket:
        own_database.query(
            "WITH said AS (INSERT INTO messages (sender_id, recipient_id, content) VALUES (%s, %s, 'lost')"
            " RETURNING id),"
            " box AS (INSERT INTO mailboxes (user_id, seq) VALUES (%s, 1) ON CONFLICT (user_id)"
            " DO UPDATE SET seq = mailboxes.seq + 1 RETURNING user_id, seq)"
            " INSERT INTO events (user_id, seq, kind, ref_id) SELECT user_id, seq, 'message', said.id FROM box, said",
            *(alice.id, bob.id, bob.id),
        )

        assert next_message(socket) == "lost"


@pytest.mark.usefixtures("mended")
@pytest.mark.parametrize("state", ["dead", "frozen"])
def test_without_redis_everything_goes_on(
    nodes: tuple[Server, Server], alice: Person, bob: Person, own_redis: RedisServer, state: str
) -> None:
    def go_on() -> None:
        with bob.socket() as later:
            for number in range(3):
                assert write(alice, bob, f"without {number}").status_code == 200
                assert receive(socket)["content"] == receive(later)["content"] == f"without {number}"
        assert alice.client.get("/readyz").status_code == 200
        assert register(nodes[0], "newcomer").client.get("/me").status_code == 200

    with bob.socket() as socket:
        if state == "dead":
            own_redis.kill()
            go_on()
        else:
            with own_redis.frozen():
                go_on()


@pytest.mark.usefixtures("mended")
def test_redis_is_used_again_when_it_is_back(
    alice: Person, bob: Person, own_redis: RedisServer, own_database: TestDatabase
) -> None:
    with bob.socket() as socket:
        own_redis.kill()
        write(alice, bob, "without")
        assert receive(socket)["content"] == "without"
        own_redis.start()
        wait_until(lambda: count_listeners(own_redis, own_database) == 2)

        with own_redis.listening(own_database) as notes:
            write(alice, bob, "with it")
            assert receive(socket)["content"] == "with it"
            heard = b""
            while b"with it" not in heard:
                heard += notes.get_message(timeout=30)["data"]


@pytest.mark.usefixtures("mended")
def test_a_session_that_ends_closes_its_sockets_on_the_other_node_without_redis(
    nodes: tuple[Server, Server], alice: Person, own_redis: RedisServer
) -> None:
    elsewhere = Person("alice", alice.email, nodes[1], alice.id, alice.token)
    with elsewhere.socket() as socket:
        own_redis.kill()
        alice.client.post("/logout-all")

        assert closing(socket)[1] == 4401


def log_in(server: Server, person: Person) -> int:
    with server.client() as client:
        return client.post("/login", json={"email": person.email, "password": "wrong " + PASSWORD}).status_code


def test_logins_are_counted_by_both_nodes_together(nodes: tuple[Server, Server], alice: Person) -> None:
    here, there = nodes

    assert [log_in(server, alice) for server in (here, there, here, there)] == [401, 401, 401, 429]


def test_messages_are_counted_by_both_nodes_together(nodes: tuple[Server, Server], bob: Person) -> None:
    alices = register(nodes[0], "alice")
    elsewhere = Person("alice", alices.email, nodes[1], alices.id, alices.token)
    elsewhere.client = nodes[1].client()
    elsewhere.client.headers.update(elsewhere.headers)
    statuses = [write(who, bob, "again").status_code for _ in range(100) for who in (alices, elsewhere)]

    assert set(statuses) == {200}
    assert write(alices, bob, "one more").status_code == write(elsewhere, bob, "one more").status_code == 429


@pytest.mark.usefixtures("mended")
def test_without_redis_each_node_counts_its_own(
    nodes: tuple[Server, Server], alice: Person, own_redis: RedisServer
) -> None:
    here, there = nodes
    own_redis.kill()

    assert [log_in(server, alice) for server in (here, here, here, here, there)] == [401, 401, 401, 429, 401]
