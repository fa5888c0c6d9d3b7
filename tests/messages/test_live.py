"""Chat as it happens: the handshake, sending, what is refused, and signing in again."""

import contextlib
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from support.databases import TestDatabase
from support.servers import WAIT_SECONDS, Person, Server, register
from support.tabs import Frame, Tab, contents, send, seqs, token_for


@pytest.fixture(scope="module")
def server(here: Server) -> Server:
    return here


# The handshake


def test_the_server_answers_with_the_subprotocol_it_speaks(alice: Person) -> None:
    with Tab(alice) as tab:
        assert tab.socket.subprotocol == "pagewire.v2"


def test_the_first_frame_is_ready(alice: Person, bob: Person) -> None:
    send(bob, alice)

    with Tab(alice) as tab:
        frame = tab.receive()

    assert re.fullmatch("[0-9a-f]{16}", frame.pop("epoch"))
    assert frame == {
        "type": "ready",
        "user_id": alice.id,
        "seq": 1,
        "resumed": False,
        "heartbeat": 20,
        "limits": {"frame_bytes": 409_600, "message_characters": 32000, "messages": "off", "sockets": 20},
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


@pytest.mark.parametrize("character", ["x", "文", "é", "\U0001f600", '"'])
@pytest.mark.parametrize("is_escaped", [False, True], ids=["as it is", "escaped"])
def test_a_message_of_the_most_characters_fits_in_a_frame_in_any_script(
    alice: Person, bob: Person, character: str, is_escaped: bool
) -> None:
    frame = {"ref": 1, "recipient_id": bob.id, "content": character * 32_000}
    with Tab(alice) as tab:
        tab.socket.send(json.dumps(frame, ensure_ascii=is_escaped))

        assert tab.expect("ack", "error")["type"] == "ack"

    assert bob.client.get(f"/messages/{alice.id}").json()[0]["content"] == character * 32_000


@pytest.mark.parametrize("character", ["x", "文"])
def test_a_message_that_is_too_long_is_an_error_frame_and_the_socket_stays(alice: Person, character: str) -> None:
    with Tab(alice) as tab:
        answer = tab.ask(recipient_id=alice.id, content=character * 32_001, client_id="a1")

        assert (answer["code"], answer["client_id"]) == ("payload_too_large", "a1")
        assert tab.ask(type="ping")["type"] == "pong"


def test_a_frame_that_is_too_large_is_an_error_frame_and_the_socket_stays(alice: Person) -> None:
    with Tab(alice) as tab:
        answer = tab.ask(recipient_id=alice.id, content="文" * 200_000, client_id="a1")

        assert (answer["code"], answer["client_id"], answer["retry_after"]) == ("payload_too_large", "a1", None)
        assert tab.ask(type="ping")["type"] == "pong"


def test_an_absurd_frame_closes_with_1009(alice: Person) -> None:
    with Tab(alice) as tab, contextlib.suppress(ConnectionClosed):
        tab.socket.send("x" * (2 * 1024 * 1024 + 1))

        assert tab.closing()[1] == 1009


def test_a_byte_order_mark_before_a_frame_does_not_count(alice: Person) -> None:
    with Tab(alice) as tab:
        tab.socket.send('\ufeff{"type": "ping", "ref": 7}')

        assert tab.expect("pong", "error") == {"type": "pong", "ref": 7}


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
    send(bob, alice)
    with Tab(alice) as mine, Tab(bob) as near, Tab(bob, there) as far:
        near.everything()
        far.everything()
        mine.send(type="typing", recipient_id=bob.id, active=True)

        expected = {"type": "typing", "user_id": alice.id, "active": True}
        assert near.expect("typing") == expected
        assert far.expect("typing") == expected


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
