"""Events for clients without sockets."""

import socket as sockets
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.databases import TestDatabase
from support.servers import Person, Server, wait_until
from support.tabs import Tab, contents, forget, send, seqs


@pytest.fixture(scope="module")
def server(here: Server) -> Server:
    return here


# Long poll


def test_events_that_are_there_come_at_once(alice: Person, bob: Person) -> None:
    for number in range(3):
        send(alice, bob, str(number))

    answer = bob.client.get("/events", params={"after": 1, "wait": 30})

    body = answer.json()
    assert (seqs(body["events"]), body["seq"]) == ([2, 3], 3)


def test_a_long_poll_gives_the_frames_of_the_socket(alice: Person, bob: Person) -> None:
    with Tab(bob) as tab:
        tab.everything()
        send(alice, bob)

        assert bob.client.get("/events?after=0").json()["events"] == [tab.expect("message")]


def test_a_long_poll_waits_for_the_next_event(alice: Person, bob: Person, there: Server) -> None:
    url = there.url + "/events?after=0&wait=30"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(bob.client.get, url)
        send(alice, bob, "at last")

        assert contents(waiting.result().json()["events"]) == ["at last"]


def test_a_long_poll_without_an_event_ends_empty(bob: Person) -> None:
    answer = bob.client.get("/events?after=0&wait=0.1")

    assert answer.json() == {"events": [], "seq": 0}


@pytest.mark.parametrize("after", [1, 9])
def test_a_long_poll_after_what_is_not_known_is_a_410(
    alice: Person, bob: Person, shared: TestDatabase, after: int
) -> None:
    for _ in range(4):
        send(alice, bob)
    forget(shared, bob, 2)

    answer = bob.client.get(f"/events?after={after}")

    assert (answer.status_code, answer.json()["code"]) == (410, "resync")


def test_a_long_poll_over_a_hole_is_a_410(alice: Person, bob: Person, shared: TestDatabase) -> None:
    for _ in range(4):
        send(alice, bob)
    shared.query("DELETE FROM events WHERE user_id = %s AND seq = 2", bob.id)

    assert bob.client.get("/events?after=1").status_code == 410


def test_polling_on_and_on_misses_nothing(alice: Person, bob: Person, there: Server) -> None:
    def chatter() -> None:
        with Tab(alice) as tab:
            for number in range(100):
                tab.ask(recipient_id=bob.id, content=str(number))

    received: list[str] = []
    with ThreadPoolExecutor(1) as pool, Tab(bob) as open_socket:
        talking = pool.submit(chatter)
        after = 0
        while len(received) < 100:
            body = bob.client.get("/events", params={"after": after, "wait": 20}).json()
            assert body["events"]
            received += contents(body["events"])
            after = body["seq"]
        talking.result()
        open_socket.everything()

    assert received == [str(number) for number in range(100)]


def test_a_poll_whose_client_is_gone_frees_its_place(bob: Person) -> None:
    host, port = bob.server.url.removeprefix("http://").split(":")
    request = f"GET /events?after=0&wait=60 HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {bob.token}\r\n\r\n"
    for _ in range(20):
        with sockets.create_connection((host, int(port))) as connection:
            connection.sendall(request.encode())

    def opens() -> bool:
        with Tab(bob) as tab:
            return bool(tab.receive()["type"] == "ready")

    wait_until(opens)
