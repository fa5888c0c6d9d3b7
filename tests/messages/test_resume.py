"""What a socket missed, it gets: every durable event once and in order, or an explicit resync."""

import contextlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.databases import TestDatabase
from support.servers import Person, Server, register
from support.tabs import Tab, connect_to, contents, fill_mailbox, forget, send, seqs, slow_tab


@pytest.fixture(scope="module")
def server(here: Server) -> Server:
    return here


# Resume


@pytest.mark.parametrize("last_seq", [0, 3, 9, 10])
def test_resume_brings_what_came_after(alice: Person, bob: Person, last_seq: int) -> None:
    for number in range(1, 11):
        send(alice, bob, str(number))

    with Tab(bob) as tab:
        *frames, ready = tab.resume(last_seq)

    assert seqs(frames) == list(range(last_seq + 1, 11))
    assert contents(frames) == [str(number) for number in range(last_seq + 1, 11)]
    assert (ready["type"], ready["resumed"], ready["seq"]) == ("ready", True, 10)


def test_resume_brings_thousands(alice: Person, bob: Person, shared: TestDatabase) -> None:
    fill_mailbox(shared, alice, bob, 3000)

    with Tab(bob) as tab:
        *frames, _ = tab.resume(0)

    assert seqs(frames) == list(range(1, 3001))


def test_whispers_do_not_close_a_socket_that_is_catching_up(alice: Person, bob: Person, shared: TestDatabase) -> None:
    fill_mailbox(shared, alice, bob, 2000, "x" * 8000)
    theirs = slow_tab(bob)
    with theirs, Tab(alice) as mine:
        theirs.send(type="resume", last_seq=0)
        for _ in range(100):
            mine.send(type="typing", recipient_id=bob.id)
        mine.ask(type="ping")

        frames = []
        while not (frame := theirs.receive()).get("resumed"):
            frames.append(frame)

    assert seqs(frames) == list(range(1, 2001))


def test_resume_from_the_future_is_a_resync(alice: Person, bob: Person) -> None:
    send(alice, bob)

    with Tab(bob) as tab:
        epoch = tab.expect("ready")["epoch"]

        assert tab.resume(5) == [{"type": "resync", "reason": "unknown", "seq": 1, "epoch": epoch}]


def test_an_epoch_that_cannot_be_stored_is_a_bad_frame_and_the_socket_stays(alice: Person) -> None:
    with Tab(alice) as tab:
        answer = tab.ask(type="resume", last_seq=0, epoch="\x00")

        assert (answer["code"], tab.ask(type="ping")["type"]) == ("bad_frame", "pong")


def test_resume_from_before_the_retention_is_a_resync(alice: Person, bob: Person, shared: TestDatabase) -> None:
    for _ in range(5):
        send(alice, bob)
    forget(shared, bob, 3)

    with Tab(bob) as tab:
        (frame,) = tab.resume(2)

        assert (frame["type"], frame["reason"], frame["seq"]) == ("resync", "too_old", 5)
        assert seqs(tab.resume(3)) == [4, 5]


def test_events_that_are_forgotten_during_a_resume_make_it_a_resync(
    alice: Person, bob: Person, shared: TestDatabase
) -> None:
    for _ in range(5):
        send(alice, bob)
    shared.query("DELETE FROM events WHERE user_id = %s AND seq = 3", bob.id)

    with Tab(bob) as tab:
        frames = tab.resume(0)

    assert (frames[-1]["type"], frames[-1]["reason"], frames[-1]["seq"]) == ("resync", "too_old", 5)


def test_after_a_resync_the_next_event_follows_its_number(alice: Person, bob: Person) -> None:
    send(alice, bob)
    with Tab(bob) as tab:
        (resync,) = tab.resume(99)

        send(alice, bob, "next")

        assert tab.expect("message")["prev"] == resync["seq"]


def test_a_resume_amid_traffic_has_no_gap_and_no_repeat(alice: Person, bob: Person, there: Server) -> None:
    done = threading.Event()

    def chatter() -> None:
        with Tab(alice) as near, Tab(alice, there) as far:
            while not done.is_set():
                near.send(recipient_id=bob.id, content="near")
                far.ask(recipient_id=bob.id, content="far")

    with ThreadPoolExecutor(1) as pool:
        talking = pool.submit(chatter)
        try:
            received: list[int] = []
            for round_number in range(40):
                with Tab(bob, there if round_number % 2 else None) as tab:
                    tab.send(type="resume", last_seq=len(received))
                    before = len(received)
                    while len(received) < before + 10:
                        frame = tab.receive()
                        if "prev" in frame:
                            assert frame["prev"] == len(received)
                            received.append(frame["seq"])
        finally:
            done.set()
        talking.result()

    assert received == list(range(1, len(received) + 1))


def test_a_replay_shows_an_edited_message_as_it_is_now(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob, "befroe")
    alice.client.patch(f"/message/{message_id}", json={"content": "before"})

    with Tab(bob) as tab:
        message, edited, _ = tab.resume(0)

    assert (message["type"], message["content"]) == ("message", "before")
    assert (edited["type"], edited["content"], edited["id"]) == ("edited", "before", message_id)
    assert message["edited_at"] == edited["edited_at"] is not None


def test_a_replay_tells_nothing_of_what_was_deleted(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob, "secret")
    alice.client.patch(f"/message/{message_id}", json={"content": "still secret"})
    alice.client.delete(f"/message/{message_id}")

    with Tab(bob) as tab:
        frames = tab.resume(0)[:-1]

    assert [frame["type"] for frame in frames] == ["message", "edited", "deleted"]
    assert "secret" not in json.dumps(frames)
    assert [frame.get("deleted") for frame in frames[:2]] == [True, True]


def test_what_a_deleted_account_said_is_taken_back(alice: Person, bob: Person, shared: TestDatabase) -> None:
    message_id = send(alice, bob, "hello")
    shared.query("DELETE FROM users WHERE id = %s", alice.id)

    assert shared.query("SELECT * FROM conversations WHERE %s IN (user_id, other_id)", alice.id) == []
    with Tab(bob) as tab:
        frame, _ = tab.resume(0)

    assert (frame["type"], frame["id"], frame["sender_id"]) == ("deleted", message_id, None)


def test_a_resume_that_the_database_does_not_answer_closes_the_socket(
    make_server: Callable[..., Server], make_database: Callable[[], TestDatabase]
) -> None:
    database = make_database()
    server = make_server("server", database).start()
    alice = register(server, "alice")
    blocker = connect_to(database)
    with contextlib.closing(blocker), Tab(alice) as tab:
        tab.everything()
        blocker.cursor().execute("LOCK TABLE mailboxes")
        tab.send(type="resume", last_seq=0, ref="r1")

        frames, code, _ = tab.closing()
        blocker.rollback()

    assert (frames[-1]["code"], frames[-1]["ref"], code) == ("database_error", "r1", 1013)
