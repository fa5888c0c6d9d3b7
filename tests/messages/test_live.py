"""The v2 protocol over real sockets, with two server processes on one database."""

import asyncio
import contextlib
import json
import signal
import socket as sockets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from db import Database
from delivery import queries as delivery
from support.databases import TestDatabase
from support.servers import WAIT_SECONDS, Person, Server, register, wait_until

SECRET_KEY = "two processes of one installation share this one"
Frame = dict[str, Any]


class Tab:
    """One open v2 socket, as a browser opens it: signed in by its subprotocols."""

    def __init__(self, person: Person, server: Server | None = None, *, token: str | None = None) -> None:
        url = (server or person.server).url.replace("http", "ws") + "/ws"
        self.person = person
        self.socket: ClientConnection = connect(
            url,
            subprotocols=["pagewire.v2", f"bearer.{token or person.token}"],  # type: ignore[list-item]
            open_timeout=WAIT_SECONDS,
            max_size=None,
            max_queue=None,
        )
        self.unread: list[Frame] = []

    def __enter__(self) -> "Tab":
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def send(self, **frame: object) -> None:
        self.socket.send(json.dumps(frame))

    def receive(self) -> Frame:
        frame: Frame = json.loads(self.socket.recv(timeout=WAIT_SECONDS))
        return frame

    def expect(self, *kinds: str) -> Frame:
        """The next frame of one of *kinds*; what comes before it is kept for later calls."""
        for index, frame in enumerate(self.unread):
            if frame["type"] in kinds:
                return self.unread.pop(index)
        while (frame := self.receive())["type"] not in kinds:
            self.unread.append(frame)
        return frame

    def ask(self, **frame: object) -> Frame:
        """Send a frame; its ack, error or pong."""
        ref = f"ref {time.monotonic_ns()}"
        self.send(**frame, ref=ref)
        while (answer := self.expect("ack", "error", "pong"))["ref"] != ref:
            pass
        return answer

    def everything(self) -> list[Frame]:
        """What was sent to this tab until now."""
        self.send(type="ping", ref="everything")
        while (frame := self.receive()) != {"type": "pong", "ref": "everything"}:
            self.unread.append(frame)
        found, self.unread = self.unread, []
        return found

    def resume(self, last_seq: int) -> list[Frame]:
        """The durable frames of the replay, to the `ready` or `resync` that ends it, that one included."""
        self.send(type="resume", last_seq=last_seq)
        frames: list[Frame] = []
        while True:
            frame = self.receive()
            if frame.get("resumed") or frame["type"] == "resync":
                return [*frames, frame]
            if "prev" in frame:
                frames.append(frame)

    def closing(self) -> tuple[list[Frame], int, str]:
        """The frames to the end, and how it ends."""
        frames: list[Frame] = []
        with pytest.raises(ConnectionClosed) as closed:
            frames.extend(iter(self.receive, None))
        assert closed.value.rcvd is not None
        return frames, closed.value.rcvd.code, closed.value.rcvd.reason


def seqs(frames: list[Frame]) -> list[int]:
    return [frame["seq"] for frame in frames if "prev" in frame]


def contents(frames: list[Frame]) -> list[str]:
    return [frame["content"] for frame in frames if frame["type"] == "message"]


def send(sender: Person, recipient: Person, content: str = "hello", **extra: object) -> int:
    answer = sender.client.post("/messages", json={"recipient_id": recipient.id, "content": content, **extra})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["id"])


@pytest.fixture(scope="module")
def shared(make_database: Callable[[], TestDatabase]) -> TestDatabase:
    return make_database()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, shared: TestDatabase) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("here"), shared.url, SECRET_KEY=SECRET_KEY).start()
    register(server, "admin")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory, shared: TestDatabase, here: Server) -> Iterator[Server]:
    """A second process on the same database."""
    server = Server(tmp_path_factory.mktemp("there"), shared.url, SECRET_KEY=SECRET_KEY).start()
    yield server
    server.stop()


@pytest.fixture
def alice(here: Server) -> Person:
    return register(here, "alice")


@pytest.fixture
def bob(here: Server) -> Person:
    return register(here, "bob")


@pytest.fixture
def carol(here: Server) -> Person:
    return register(here, "carol")


# The handshake


def test_the_server_answers_with_the_subprotocol_it_speaks(alice: Person) -> None:
    with Tab(alice) as tab:
        assert tab.socket.subprotocol == "pagewire.v2"


def test_the_first_frame_is_ready(alice: Person, bob: Person) -> None:
    send(bob, alice)

    with Tab(alice) as tab:
        assert tab.receive() == {
            "type": "ready",
            "user_id": alice.id,
            "seq": 1,
            "resumed": False,
            "heartbeat": 20,
            "limits": {"frame_bytes": 65536, "message_characters": 32000, "messages": "off", "sockets": 20},
        }


def test_a_header_signs_in_as_well(alice: Person) -> None:
    with alice.socket("/ws", subprotocols=["pagewire.v2"]) as socket:
        assert json.loads(socket.recv(timeout=WAIT_SECONDS))["user_id"] == alice.id


def test_without_the_subprotocol_a_socket_is_classic(alice: Person, bob: Person) -> None:
    with bob.socket() as classic:
        send(alice, bob, "hello")

        frame = json.loads(classic.recv(timeout=WAIT_SECONDS))

    assert (frame["sender_id"], frame["content"], "seq" in frame) == (alice.id, "hello", False)


def test_a_wrong_token_is_told_and_closed_with_4401(alice: Person) -> None:
    frames, code, _ = Tab(alice, token="wrong").closing()

    assert ([frame["code"] for frame in frames], code) == (["invalid_token"], 4401)


def test_somebody_elses_path_is_closed_with_4403(alice: Person, bob: Person) -> None:
    with alice.socket(f"/ws/{bob.id}", subprotocols=["pagewire.v2"]) as socket:
        assert json.loads(socket.recv(timeout=WAIT_SECONDS))["code"] == "forbidden"
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=WAIT_SECONDS)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4403


def test_the_21st_socket_is_refused_with_4429(alice: Person) -> None:
    with contextlib.ExitStack() as stack:
        tabs = [stack.enter_context(Tab(alice)) for _ in range(20)]
        for tab in tabs:
            tab.expect("ready")

        frames, code, _ = Tab(alice).closing()

        assert ([frame["code"] for frame in frames], code) == (["too_many_sockets"], 4429)
        assert tabs[0].ask(type="ping")["type"] == "pong"


# Sending


def test_a_message_reaches_every_socket_of_both_people(alice: Person, bob: Person) -> None:
    with Tab(alice) as first, Tab(alice) as second, Tab(bob) as third, Tab(bob) as fourth:
        for tab in (second, third, fourth):
            tab.expect("ready")
            tab.everything()
        ack = first.ask(recipient_id=bob.id, content="hi")

        frames = [tab.expect("message") for tab in (first, second, third, fourth)]

    assert {(frame["id"], frame["content"], frame["sender_id"]) for frame in frames} == {(ack["id"], "hi", alice.id)}


def test_a_message_frame_says_everything_about_it(alice: Person, bob: Person) -> None:
    with Tab(bob) as tab:
        tab.everything()
        message_id = send(alice, bob, "hi", client_id="a1")

        frame = tab.expect("message")

    (stored,) = bob.client.get(f"/messages/{alice.id}").json()
    assert frame == {
        "type": "message",
        "seq": 1,
        "prev": 0,
        "id": message_id,
        "sender_id": alice.id,
        "recipient_id": bob.id,
        "content": "hi",
        "timestamp": stored["created_at"],
        "sender_name": "Alice",
        "client_id": None,
        "attachment": None,
        "edited_at": None,
        "deleted": False,
    }


def test_only_the_sender_sees_the_client_id(alice: Person, bob: Person) -> None:
    with Tab(alice) as mine, Tab(bob) as theirs:
        theirs.everything()
        mine.ask(recipient_id=bob.id, content="hi", client_id="a1")

        assert (mine.expect("message")["client_id"], theirs.expect("message")["client_id"]) == ("a1", None)


def test_an_ack_names_the_stored_message(alice: Person, bob: Person) -> None:
    with Tab(alice) as tab:
        tab.send(type="message", recipient_id=bob.id, content="hi", client_id="a1", ref=7)
        ack, event = tab.expect("ack"), tab.expect("message")

    (stored,) = alice.client.get(f"/messages/{bob.id}").json()
    assert ack == {
        "type": "ack",
        "ref": 7,
        "client_id": "a1",
        "id": stored["id"],
        "created_at": stored["created_at"],
        "duplicate": False,
        "seq": event["seq"],
    }


def test_a_note_to_oneself_is_one_event(alice: Person) -> None:
    with Tab(alice) as tab:
        tab.ask(recipient_id=alice.id, content="buy milk")

        assert seqs(tab.everything()) == [1]


def test_numbers_have_no_gap_and_each_names_the_one_before(alice: Person, bob: Person) -> None:
    with Tab(bob) as tab:
        for number in range(10):
            send(alice, bob, str(number))

        frames = [tab.expect("message") for _ in range(10)]

    assert [(frame["seq"], frame["prev"]) for frame in frames] == [(n, n - 1) for n in range(1, 11)]


def test_a_senders_messages_keep_their_order(alice: Person, bob: Person) -> None:
    with Tab(alice) as mine, Tab(bob) as theirs:
        theirs.everything()
        for number in range(200):
            mine.send(recipient_id=bob.id, content=str(number))

        received = [theirs.expect("message") for _ in range(200)]

    assert contents(received) == [str(number) for number in range(200)]
    assert sorted(frame["id"] for frame in received) == [frame["id"] for frame in received]


def test_a_repeat_with_its_client_id_is_answered_by_the_first(alice: Person, bob: Person) -> None:
    with Tab(alice) as tab:
        first = tab.ask(recipient_id=bob.id, content="hi", client_id="a1")
        second = tab.ask(recipient_id=bob.id, content="hi", client_id="a1")

    assert (first["id"], first["duplicate"]) == (second["id"], False)
    assert second["duplicate"] is True


def test_a_client_id_with_other_words_is_an_error(alice: Person, bob: Person) -> None:
    with Tab(alice) as tab:
        tab.ask(recipient_id=bob.id, content="hi", client_id="a1")

        error = tab.ask(recipient_id=bob.id, content="something else", client_id="a1")

    assert (error["type"], error["code"], error["client_id"]) == ("error", "client_id_reused", "a1")


def test_one_client_id_by_socket_and_rest_at_once_is_one_message(alice: Person, bob: Person, there: Server) -> None:
    message = {"recipient_id": bob.id, "content": "hi"}
    with Tab(alice) as tab, Tab(alice, there) as far, ThreadPoolExecutor(4) as pool:
        for number in range(25):
            client_id = f"c{number}"
            asked = [pool.submit(tab.ask, **message, client_id=client_id)]
            asked += [pool.submit(far.ask, **message, client_id=client_id)]
            posted = pool.submit(alice.client.post, "/messages", json={**message, "client_id": client_id})
            answers = [answer.result() for answer in asked] + [posted.result().json()]

            assert len({answer["id"] for answer in answers}) == 1
            assert sorted(answer["duplicate"] for answer in answers) == [False, True, True]


def test_a_bad_message_among_good_ones_fails_alone(alice: Person, bob: Person) -> None:
    with Tab(alice) as tab:
        for number in range(20):
            tab.send(recipient_id=2**40 if number == 10 else bob.id, content=str(number), ref=number)
        answers: dict[int, str] = {}
        while len(answers) < 20:
            answer = tab.expect("ack", "error")
            answers[answer["ref"]] = answer["type"]

    assert [ref for ref, kind in answers.items() if kind == "error"] == [10]


def test_a_message_to_a_user_who_comes_later_begins_their_conversation(
    alice: Person, here: Server, shared: TestDatabase
) -> None:
    ((future_id,),) = shared.query("SELECT nextval(pg_get_serial_sequence('users', 'id'))")
    with Tab(alice) as tab:
        assert tab.ask(recipient_id=future_id, content="too early")["code"] == "user_not_found"
        shared.query(
            "INSERT INTO users (id, email, password_hash, name) VALUES (%s, %s, '', 'Late')",
            future_id,
            f"late.{future_id}@example.com",
        )

        tab.ask(recipient_id=future_id, content="in time")

    conversations = alice.client.get("/conversations").json()["conversations"]
    assert [conversation["user"]["id"] for conversation in conversations] == [future_id]


def test_a_reused_client_id_does_not_hide_the_conversation_it_was_meant_for(
    alice: Person, bob: Person, carol: Person
) -> None:
    send(alice, carol, "hi", client_id="a1")
    alice.client.post("/messages", json={"recipient_id": bob.id, "content": "hi", "client_id": "a1"})

    send(alice, bob, "hi")

    conversations = alice.client.get("/conversations").json()["conversations"]
    assert {conversation["user"]["id"] for conversation in conversations} == {bob.id, carol.id}


# What is refused


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"type": "message", "content": "to whom?"}, "bad_frame"),
        ({"type": "message", "recipient_id": 1, "content": " "}, "bad_frame"),
        ({"type": "message", "recipient_id": 1, "content": "x" * 32_001}, "payload_too_large"),
        ({"type": "message", "recipient_id": 2**50, "content": "hi"}, "user_not_found"),
        ({"type": "nonsense"}, "bad_frame"),
        ({"type": None}, "bad_frame"),
        ({"type": "resume"}, "bad_frame"),
        ({"type": "resume", "last_seq": -1}, "bad_frame"),
        ({"type": "read", "user_id": 2**50, "up_to_id": 1}, "user_not_found"),
        ({"type": "edit", "id": 2**50, "content": "x"}, "message_not_found"),
        ({"type": "delete", "id": 2**50}, "message_not_found"),
        ({"type": "auth", "token": "wrong"}, "invalid_token"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value)[:40],
)
def test_a_wrong_frame_is_answered_by_an_error_with_its_ref(alice: Person, frame: Frame, code: str) -> None:
    with Tab(alice) as tab:
        tab.send(**frame, ref="r1", client_id="c1")

        error = tab.expect("error")

    assert (error["code"], error["ref"]) == (code, "r1")


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", '"hi"', "{" * 5000, '{"recipient_id": 1e999}', "\x00"])
def test_what_is_no_frame_is_answered_and_the_socket_stays(alice: Person, text: str) -> None:
    with Tab(alice) as tab:
        tab.socket.send(text)

        assert tab.expect("error")["code"] == "bad_frame"
        assert tab.ask(type="ping")["type"] == "pong"


def test_bytes_are_no_frame(alice: Person) -> None:
    with Tab(alice) as tab:
        tab.socket.send(b'{"type": "ping"}')

        assert tab.expect("error")["code"] == "bad_frame"


def test_a_frame_of_more_than_64_KiB_closes_with_1009(alice: Person) -> None:  # noqa: N802
    with Tab(alice) as tab:
        tab.socket.send("x" * 65_537)

        assert tab.closing()[1] == 1009


def test_messages_over_the_limit_are_told_to_wait(make_server: Callable[..., Server], tmp_path: Any) -> None:
    server = make_server(MESSAGE_RATE_LIMIT="3/10 second").start()
    alice = register(server, "alice")
    with Tab(alice) as tab:
        answers = [tab.ask(recipient_id=alice.id, content="hi") for _ in range(5)]

    assert [answer["type"] for answer in answers] == ["ack"] * 3 + ["error"] * 2
    assert answers[-1]["code"] == "rate_limited"
    assert answers[-1]["retry_after"] >= 1


def test_a_flood_is_closed_with_4429(alice: Person) -> None:
    with Tab(alice) as tab:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(400):
                tab.send(type="ping")

        frames, code, _ = tab.closing()

    assert (frames[-1]["code"], code) == ("flood", 4429)


def test_a_socket_after_a_flood_starts_with_a_clean_sheet(alice: Person) -> None:
    for _ in range(5):
        with Tab(alice) as tab:
            with contextlib.suppress(ConnectionClosed):
                for _ in range(400):
                    tab.send(type="ping")
            tab.closing()
        with Tab(alice) as tab:
            assert tab.ask(type="ping")["type"] == "pong"


# Ping, typing, auth


def test_a_ping_is_answered_with_its_ref(alice: Person) -> None:
    with Tab(alice) as tab:
        tab.send(type="ping", ref="p1")

        assert tab.expect("pong") == {"type": "pong", "ref": "p1"}


def test_typing_is_shown_to_the_other_person_in_every_process(alice: Person, bob: Person, there: Server) -> None:
    with Tab(alice) as mine, Tab(bob) as near, Tab(bob, there) as far:
        near.everything()
        far.everything()
        mine.send(type="typing", recipient_id=bob.id, active=True)

        expected = {"type": "typing", "user_id": alice.id, "active": True}
        assert near.expect("typing") == expected
        assert far.expect("typing") == expected


def token_for(person: Person, seconds: float) -> str:
    now = int(time.time())
    claims = jwt.decode(person.token, SECRET_KEY, algorithms=["HS256"])
    return jwt.encode({**claims, "exp": now + seconds, "jti": f"short {seconds}"}, SECRET_KEY, algorithm="HS256")


def test_a_socket_ends_with_its_token(alice: Person) -> None:
    with Tab(alice, token=token_for(alice, 2)) as tab:
        assert tab.closing()[1] == 4401


def test_a_newer_token_keeps_the_socket_open(alice: Person) -> None:
    with Tab(alice, token=token_for(alice, 2)) as tab:
        tab.expect("ready")
        tab.send(type="auth", token=token_for(alice, 4))
        assert tab.expect("ready")["user_id"] == alice.id
        with Tab(alice, token=token_for(alice, 2)) as short:
            assert short.closing()[1] == 4401

        assert tab.ask(type="ping")["type"] == "pong"


def test_a_token_of_somebody_else_closes_with_4403(alice: Person, bob: Person) -> None:
    with Tab(alice) as tab:
        tab.send(type="auth", token=bob.token)

        frames, code, _ = tab.closing()

    assert (frames[-1]["code"], code) == ("forbidden", 4403)


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


def fill_mailbox(database: TestDatabase, sender: Person, recipient: Person, amount: int, content: str = "hi") -> None:
    """Messages with their events for *recipient*, as fast as the database takes them."""
    database.query(
        """
        WITH sent AS (
            INSERT INTO messages (sender_id, recipient_id, content) SELECT %s, %s, %s FROM generate_series(1, %s)
            RETURNING id, recipient_id
        ), told AS (
            INSERT INTO events (user_id, seq, kind, ref_id)
            SELECT recipient_id, row_number() OVER (ORDER BY id), 'message', id FROM sent
        )
        UPDATE mailboxes SET seq = %s WHERE user_id = %s
        """,
        sender.id,
        recipient.id,
        content,
        amount,
        amount,
        recipient.id,
    )


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
        assert tab.resume(5) == [{"type": "resync", "reason": "unknown", "seq": 1}]


def forget(database: TestDatabase, person: Person, up_to: int) -> None:
    database.query("DELETE FROM events WHERE user_id = %s AND seq <= %s", person.id, up_to)
    database.query("UPDATE mailboxes SET forgotten_seq = %s WHERE user_id = %s", up_to, person.id)


def test_resume_from_before_the_retention_is_a_resync(alice: Person, bob: Person, shared: TestDatabase) -> None:
    for _ in range(5):
        send(alice, bob)
    forget(shared, bob, 3)

    with Tab(bob) as tab:
        assert tab.resume(2) == [{"type": "resync", "reason": "too_old", "seq": 5}]
        assert seqs(tab.resume(3)) == [4, 5]


def test_events_that_are_forgotten_during_a_resume_make_it_a_resync(
    alice: Person, bob: Person, shared: TestDatabase
) -> None:
    for _ in range(5):
        send(alice, bob)
    shared.query("DELETE FROM events WHERE user_id = %s AND seq = 3", bob.id)

    with Tab(bob) as tab:
        frames = tab.resume(0)

    assert frames[-1] == {"type": "resync", "reason": "too_old", "seq": 5}


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


# Edits and deletes


def test_an_edit_is_shown_to_both_people(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob, "befroe")
    with Tab(alice) as mine, Tab(bob) as theirs:
        theirs.everything()
        ack = mine.ask(type="edit", id=message_id, content="before")

        (my_frame, their_frame) = (mine.expect("edited"), theirs.expect("edited"))

    assert my_frame == {
        "type": "edited",
        "seq": 2,
        "prev": 1,
        "id": message_id,
        "sender_id": alice.id,
        "recipient_id": bob.id,
        "content": "before",
        "edited_at": my_frame["edited_at"],
        "deleted": False,
    }
    assert their_frame == my_frame
    assert (ack["id"], ack["seq"]) == (message_id, 2)


def test_a_delete_is_shown_to_both_people(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob, "oops")
    with Tab(alice) as mine, Tab(bob) as theirs:
        theirs.everything()
        mine.ask(type="delete", id=message_id)

        frame = theirs.expect("deleted")
        assert mine.expect("deleted") == frame

    assert (frame["id"], frame["deleted_at"] is not None, "content" in frame) == (message_id, True, False)


def test_somebody_elses_message_cannot_be_edited(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob)

    with Tab(bob) as tab:
        assert tab.ask(type="edit", id=message_id, content="mine")["code"] == "forbidden"


def test_a_strangers_message_cannot_be_found(alice: Person, bob: Person, carol: Person) -> None:
    message_id = send(alice, bob)

    with Tab(carol) as tab:
        assert tab.ask(type="delete", id=message_id)["code"] == "message_not_found"


def test_patch_answers_the_message_as_it_is_now(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob, "befroe")

    answer = alice.client.patch(f"/message/{message_id}", json={"content": "before"})

    assert answer.status_code == 200
    assert answer.json()["content"] == "before"
    assert bob.client.get(f"/messages/{alice.id}").json()[0]["content"] == "before"


def test_delete_leaves_a_tombstone(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob, "oops")

    assert alice.client.delete(f"/message/{message_id}").status_code == 204

    (message,) = bob.client.get(f"/messages/{alice.id}").json()
    assert (message["content"], message["deleted_at"] is not None) == ("", True)


def test_a_deleted_message_cannot_be_changed_again(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob, "oops")
    alice.client.delete(f"/message/{message_id}")

    answers = [
        alice.client.patch(f"/message/{message_id}", json={"content": "x"}),
        alice.client.delete(f"/message/{message_id}"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_only_its_author_may_change_a_message(alice: Person, bob: Person, carol: Person, method: str) -> None:
    message_id = send(alice, bob)

    answers = [
        person.client.request(method, f"/message/{message_id}", json={"content": "x"} if method == "PATCH" else None)
        for person in (bob, carol)
    ]

    assert [answer.status_code for answer in answers] == [403, 404]


# Announcements


@pytest.fixture
def admin(alice: Person, shared: TestDatabase) -> Person:
    shared.query("UPDATE users SET is_admin = true WHERE id = %s", alice.id)
    return alice


def test_an_announcement_reaches_everybody(admin: Person, bob: Person, carol: Person, there: Server) -> None:
    with Tab(bob) as near, Tab(carol, there) as far:
        near.everything()
        far.everything()
        answer = admin.client.post("/admin/broadcast", json={"content": "We move at six."})

        frame = near.expect("announcement")
        assert far.expect("announcement") == frame

    assert frame == {
        "type": "announcement",
        "seq": 1,
        "prev": 0,
        "id": answer.json()["id"],
        "sender_id": admin.id,
        "content": "We move at six.",
        "timestamp": frame["timestamp"],
        "sender_name": "Alice",
    }


def test_an_announcement_waits_for_those_who_are_away(admin: Person, bob: Person) -> None:
    admin.client.post("/admin/broadcast", json={"content": "We move at six."})

    with Tab(bob) as tab:
        assert [frame["type"] for frame in tab.resume(0)] == ["announcement", "ready"]


def test_only_admins_announce(bob: Person) -> None:
    answer = bob.client.post("/admin/broadcast", json={"content": "hear me"})

    assert (answer.status_code, answer.json()["code"]) == (403, "admin_required")


# Read marks


def test_a_read_mark_is_shown_on_all_tabs_of_both(alice: Person, bob: Person, there: Server) -> None:
    ids = [send(alice, bob, str(number)) for number in range(3)]
    with Tab(alice) as author, Tab(bob) as reader, Tab(bob, there) as other_tab:
        for tab in (author, other_tab):
            tab.everything()
        reader.send(type="read", user_id=alice.id, up_to_id=ids[1])

        frames = [tab.expect("read") for tab in (author, reader, other_tab)]
        counts = [tab.expect("unread") for tab in (reader, other_tab)]

    assert frames == [{"type": "read", "user_id": bob.id, "other_id": alice.id, "up_to_id": ids[1]}] * 3
    assert counts == [{"type": "unread", "user_id": alice.id, "unread_count": 1, "read_up_to_id": ids[1]}] * 2


def test_reading_by_rest_is_shown_on_all_tabs(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob)
    with Tab(alice) as author, Tab(bob) as reader:
        author.everything()
        reader.everything()
        answer = bob.client.post(f"/messages/{alice.id}/read", json={"up_to_id": message_id})

        assert answer.json() == {"read_up_to_id": message_id, "unread_count": 0}
        assert author.expect("read")["up_to_id"] == message_id
        assert reader.expect("unread")["unread_count"] == 0


def test_a_read_mark_never_goes_back(alice: Person, bob: Person) -> None:
    ids = [send(alice, bob, str(number)) for number in range(2)]
    bob.client.post(f"/messages/{alice.id}/read", json={"up_to_id": ids[1]})

    answer = bob.client.post(f"/messages/{alice.id}/read", json={"up_to_id": ids[0]})

    assert answer.json() == {"read_up_to_id": ids[1], "unread_count": 0}


def test_a_read_mark_beyond_the_last_message_stops_there(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob)
    bob.client.post(f"/messages/{alice.id}/read", json={"up_to_id": 2**60})

    send(alice, bob, "later")

    (conversation,) = bob.client.get("/conversations").json()["conversations"]
    assert (conversation["read_up_to_id"], conversation["unread_count"]) == (message_id, 1)


# Conversations


def test_conversations_come_newest_first_with_what_is_unread(alice: Person, bob: Person, carol: Person) -> None:
    send(bob, alice, "1")
    send(bob, alice, "2")
    send(alice, carol, "3")

    found = alice.client.get("/conversations").json()

    assert found["next_cursor"] is None
    assert [
        (talk["user"]["id"], talk["last_message"]["content"], talk["unread_count"]) for talk in found["conversations"]
    ] == [(carol.id, "3", 0), (bob.id, "2", 2)]


def test_conversations_come_in_pages(alice: Person, here: Server) -> None:
    others = [register(here, f"other{number}") for number in range(5)]
    for other in others:
        send(other, alice)

    pages, cursor = [], None
    while True:
        params = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = alice.client.get("/conversations", params=params).json()
        pages.append([talk["user"]["id"] for talk in page["conversations"]])
        if (cursor := page["next_cursor"]) is None:
            break

    ids = [other.id for other in others][::-1]
    assert pages == [ids[:2], ids[2:4], ids[4:]]


def test_deleted_messages_are_not_unread(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob)
    alice.client.delete(f"/message/{message_id}")

    (conversation,) = bob.client.get("/conversations").json()["conversations"]

    assert conversation["unread_count"] == 0


# Presence


def test_a_partner_who_comes_and_goes_is_shown(alice: Person, bob: Person, there: Server) -> None:
    send(alice, bob)
    with Tab(alice) as tab:
        tab.everything()
        with Tab(bob, there):
            online = tab.expect("presence")
        offline = tab.expect("presence")

    assert online == {"type": "presence", "user_id": bob.id, "status": "online", "last_seen_at": None}
    assert (offline["status"], offline["last_seen_at"] is not None) == ("offline", True)


def test_who_is_online_is_told_at_the_start(alice: Person, bob: Person, there: Server) -> None:
    send(alice, bob)
    with Tab(bob, there) as far:
        far.everything()
        with Tab(alice) as tab:
            assert tab.expect("presence")["user_id"] == bob.id


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
                 WHERE locktype = 'advisory' AND classid = 7267003 AND datname = current_database() LIMIT 1) AS worker
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

        offline = tab.expect("presence")
        far.socket.close()
    assert (offline["status"], offline["last_seen_at"] is not None) == ("offline", True)


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


def listeners(database: TestDatabase) -> list[int]:
    sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%%'"
    return [pid for (pid,) in database.query(sql)]


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
                    """SELECT count(*) FROM presence JOIN pg_locks ON objid = node_id AND classid = 7267003
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
            WHERE locktype = 'advisory' AND classid = 7267003 AND datname = current_database()"""
    )[0]
    with Tab(bob) as tab:
        tab.everything()
        fill_mailbox(database, alice, bob, 1, "stored, and nobody knows")
        database.query("SELECT pg_notify('pagewire', %s)", f"e{node_id} {bob.id}:1")

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


# Slow readers


def slow_tab(person: Person) -> Tab:
    """A tab whose machine takes little in and whose program takes nothing."""
    url = person.server.url.removeprefix("http://")
    host, port = url.split(":")
    raw = sockets.socket()
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 65_536)
    raw.connect((host, int(port)))
    tab = Tab.__new__(Tab)
    tab.person, tab.unread = person, []
    tab.socket = connect(
        f"ws://{url}/ws",
        sock=raw,
        subprotocols=["pagewire.v2", f"bearer.{person.token}"],  # type: ignore[list-item]
        max_size=None,
        max_queue=1,
        ping_interval=None,
        close_timeout=0.1,
    )
    return tab


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


def connect_to(database: TestDatabase) -> Any:
    import psycopg2

    return psycopg2.connect(database.url)


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
