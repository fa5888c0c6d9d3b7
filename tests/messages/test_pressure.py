"""Slow readers, back-pressure and shutdown over real sockets."""

import contextlib
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from support.databases import TestDatabase
from support.servers import WAIT_SECONDS, Person, Server, register, wait_until
from support.tabs import SECRET_KEY, Tab, connect_to, contents, send, seqs, slow_tab


@pytest.fixture(scope="module")
def server(here: Server) -> Server:
    return here


# Slow readers


def test_a_slow_reader_is_closed_and_misses_nothing_by_resuming(alice: Person, bob: Person) -> None:
    slow = slow_tab(bob)
    received = [slow.expect("ready")]
    with Tab(bob) as quick:
        quick.everything()
        for _ in range(500):
            send(alice, bob, "x" * 30_000)
        at_once = [quick.expect("message") for _ in range(500)]

    frames, code, _ = slow.closing()
    received += frames
    assert (code, seqs(at_once)) == (4429, list(range(1, 501)))

    last_seq = max([0, *seqs(received)])
    with Tab(bob) as tab:
        received += tab.resume(last_seq)

    assert seqs(received) == list(range(1, 501))


# Back-pressure


def test_while_the_database_is_stuck_every_message_is_answered(
    make_server: Callable[..., Server], make_database: Any
) -> None:
    database = make_database()
    server = make_server("server", database).start()
    alice, bob = register(server, "alice"), register(server, "bob")
    send(alice, bob)
    blocker = connect_to(database)
    with contextlib.closing(blocker), Tab(alice) as tab:
        blocker.cursor().execute("LOCK TABLE messages")
        for number in range(20):
            tab.send(recipient_id=bob.id, content=str(number), ref=number)
        answers = [tab.expect("ack", "error") for _ in range(20)]
        blocker.rollback()

    codes = {answer.get("code") for answer in answers}
    assert codes == {"database_error"}
    assert {answer["ref"] for answer in answers} == set(range(20))
    assert all(answer["retry_after"] for answer in answers)


# Shutdown


def test_a_stopping_server_says_when_to_come_back(make_server: Callable[..., Server], shared: TestDatabase) -> None:
    server = make_server("server", shared, SECRET_KEY=SECRET_KEY).start()
    alice = register(server, "alice")
    with Tab(alice) as tab:
        tab.expect("ready")
        server.stop()

        frames, code, reason = tab.closing()

    assert (frames[-1]["code"], code) == ("going_away", 1001)
    assert reason == f"retry_after={frames[-1]['retry_after']}"
    assert 1 <= frames[-1]["retry_after"] <= 5


def test_a_stopping_server_acknowledges_what_it_took(
    make_server: Callable[..., Server], shared: TestDatabase, there: Server
) -> None:
    server = make_server("server", shared, SECRET_KEY=SECRET_KEY).start()
    alice, bob = register(server, "alice"), register(server, "bob")
    with Tab(alice) as tab:
        tab.expect("ready")
        sent = 0
        with contextlib.suppress(ConnectionClosed):
            while True:
                tab.send(recipient_id=bob.id, content=str(sent), client_id=f"c{sent}")
                sent += 1
                if sent == 300:
                    assert server.process is not None
                    server.process.send_signal(signal.SIGTERM)
        frames, code, _ = tab.closing()
    assert server.process is not None
    assert server.process.wait(WAIT_SECONDS) in (0, -signal.SIGTERM)

    acknowledged = [frame["id"] for frame in frames if frame["type"] == "ack"]
    with Tab(bob, there) as elsewhere:
        replayed = elsewhere.resume(0)[:-1]
    assert code == 1001
    assert acknowledged == [frame["id"] for frame in replayed][: len(acknowledged)]
    assert len(acknowledged) == len(replayed)
    assert contents(replayed) == [str(number) for number in range(len(replayed))]


def test_a_long_poll_ends_when_the_server_stops(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    alice = register(server, "alice")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(alice.client.get, "/events?after=0&wait=60")
        wait_until(lambda: alice.client.get("/healthz").status_code == 200)
        server.stop()

        assert waiting.result().status_code in (200, 503)
