"""The classic socket: who may open one, what reaches whom, and what no frame can do to it."""

import contextlib
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.typing import Origin, Subprotocol

from support.servers import WAIT_SECONDS, Person, Server, receive, register
from support.sockets import V2, anonymous, closing, history, reaches, refused, send, sign

# Who may open one


def test_a_token_in_the_header_opens_a_socket(alice: Person, bob: Person) -> None:
    with anonymous(alice, additional_headers=alice.headers) as opened:
        assert reaches(opened, bob)


def test_a_token_in_the_query_opens_a_socket(alice: Person, bob: Person) -> None:
    with anonymous(alice, f"/ws/{alice.id}?token={alice.token}") as opened:
        assert reaches(opened, bob)


def test_a_token_among_the_subprotocols_opens_a_socket_that_speaks_v2(alice: Person) -> None:
    with anonymous(alice, subprotocols=[V2, Subprotocol(f"bearer.{alice.token}")]) as opened:
        assert opened.subprotocol == V2
        assert receive(opened)["type"] == "ready"


def test_a_classic_client_is_answered_without_a_subprotocol(alice: Person) -> None:
    with alice.socket() as opened:
        assert opened.subprotocol is None


def test_the_path_need_not_name_the_user(alice: Person, bob: Person) -> None:
    with anonymous(alice, "/ws", additional_headers=alice.headers) as opened:
        assert reaches(opened, bob)


def test_without_a_token_a_socket_is_told_and_closed(alice: Person) -> None:
    with anonymous(alice) as opened:
        assert refused(opened) == ("not_authenticated", 4401)


@pytest.mark.parametrize("token", ["x", "a.b.c", "%00", "é", "x" * 4000])
def test_with_a_wrong_token_a_socket_is_told_and_closed(alice: Person, token: str) -> None:
    with anonymous(alice, f"/ws/{alice.id}?token={token}") as opened:
        assert refused(opened) == ("invalid_token", 4401)


def test_with_an_expired_token_a_socket_is_told_and_closed(alice: Person) -> None:
    with anonymous(alice, f"/ws?token={sign(alice, exp=int(time.time()) - 1)}") as opened:
        assert refused(opened) == ("token_expired", 4401)


def test_a_token_of_nobody_is_an_invalid_token(alice: Person) -> None:
    with anonymous(alice, f"/ws?token={sign(alice, user_id=2**62, sub=str(2**62))}") as opened:
        assert refused(opened) == ("invalid_token", 4401)


@pytest.mark.parametrize("path", ["/ws/{other}", "/ws/0{own}", "/ws/{own}%20", "/ws/me", "/ws/-1", "/ws/%ff"])
def test_anothers_address_is_refused(alice: Person, bob: Person, path: str) -> None:
    with alice.socket(path.format(own=alice.id, other=bob.id)) as opened:
        assert refused(opened) == ("forbidden", 4403)


@pytest.mark.parametrize("origin", [None, "http://localhost:3000", "http://localhost:5173", "own"])
def test_pages_of_an_allowed_origin_and_of_this_server_open_sockets(
    alice: Person, bob: Person, origin: str | None
) -> None:
    own = alice.server.url if origin == "own" else origin
    with alice.socket(origin=None if own is None else Origin(own)) as opened:
        assert reaches(opened, bob)


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost:3001", "http://[", "http://localhost:3000.evil.example"],
)
def test_pages_of_other_origins_are_refused(alice: Person, origin: str) -> None:
    with alice.socket(origin=Origin(origin)) as opened:
        assert refused(opened) == ("forbidden_origin", 4403)


@pytest.mark.parametrize("scheme", ["https", "ftp", "HTTPS"])
def test_a_page_of_this_host_by_another_scheme_is_refused(alice: Person, scheme: str) -> None:
    with alice.socket(origin=Origin(alice.server.url.replace("http", scheme))) as opened:
        assert refused(opened) == ("forbidden_origin", 4403)


def test_a_socket_ends_when_its_token_does(alice: Person) -> None:
    with anonymous(alice, f"/ws?token={sign(alice, exp=int(time.time()) + 2)}") as opened:
        assert closing(opened) == ([], 4401)


def test_what_is_sent_before_anybody_has_looked_at_the_token_is_delivered(alice: Person, bob: Person) -> None:
    with bob.socket() as inbox:
        for number in range(20):
            with alice.socket() as opened:
                send(opened, bob, str(number))
        received = [receive(inbox)["content"] for _ in range(20)]

    assert sorted(received, key=int) == [str(number) for number in range(20)]


def test_the_21st_socket_of_a_user_is_refused(alice: Person, bob: Person) -> None:
    with contextlib.ExitStack() as stack:
        first = [stack.enter_context(alice.socket()) for _ in range(20)]

        with alice.socket() as one_too_many:
            assert refused(one_too_many) == ("too_many_sockets", 4429)
        first[0].close()
        first[0] = stack.enter_context(alice.socket())
        bob.client.post("/messages", json={"recipient_id": alice.id, "content": "to all"})

        assert [receive(one)["content"] for one in first] == ["to all"] * 20


# What reaches whom


def test_a_message_has_the_classic_keys(alice: Person, bob: Person) -> None:
    with bob.socket() as inbox, alice.socket() as opened:
        send(opened, bob, "The invoice is in.")
        frame = receive(inbox)

    (stored,) = bob.client.get(f"/messages/{alice.id}").json()
    assert (frame["sender_id"], frame["content"], frame["timestamp"]) == (
        alice.id,
        "The invoice is in.",
        stored["created_at"],
    )
    assert "type" not in frame


def test_a_message_by_rest_reaches_the_sockets_of_both(alice: Person, bob: Person) -> None:
    with bob.socket() as bobs, alice.socket() as alices:
        sent = alice.client.post("/messages", json={"recipient_id": bob.id, "content": "by REST"}).json()

        assert [(frame["id"], frame["content"]) for frame in (receive(bobs), receive(alices))] == [
            (sent["id"], "by REST")
        ] * 2


def test_a_message_by_socket_reaches_all_sockets_but_the_one_it_came_by(alice: Person, bob: Person) -> None:
    with bob.socket() as first, bob.socket() as second, alice.socket() as other, alice.socket() as origin:
        send(origin, bob, "one")
        received = [receive(one)["content"] for one in (first, second, other)]
        bob.client.post("/messages", json={"recipient_id": alice.id, "content": "two"})

        assert received == ["one"] * 3
        assert receive(origin)["content"] == "two"


def test_a_message_to_oneself_comes_back_once(alice: Person) -> None:
    with alice.socket() as origin, alice.socket() as other:
        send(origin, alice, "note")
        send(origin, alice, "second note")

        assert [receive(one)["content"] for one in (origin, other) for _ in range(2)] == ["note", "second note"] * 2


def test_nobody_else_gets_a_message(alice: Person, bob: Person, carol: Person) -> None:
    with carol.socket() as carols, alice.socket() as opened:
        send(opened, bob, "for bob")
        send(opened, carol, "for carol")

        assert receive(carols)["content"] == "for carol"


def test_messages_keep_the_order_of_their_sender(alice: Person, bob: Person) -> None:
    numbers = [str(number) for number in range(500)]
    with bob.socket() as inbox, alice.socket() as opened:
        for number in numbers:
            send(opened, bob, number)
        received = [receive(inbox)["content"] for _ in numbers]

    assert received == numbers
    assert history(bob, alice) == numbers


def test_order_holds_for_each_of_many_senders(server: Server, bob: Person) -> None:
    senders = [register(server, "alice") for _ in range(5)]
    received: dict[int, list[str]] = {sender.id: [] for sender in senders}

    def send_hundred(sender: Person) -> None:
        with sender.socket() as opened:
            for number in range(100):
                send(opened, bob, str(number))
            send(opened, sender, "done")
            receive(opened)

    with bob.socket() as inbox, ThreadPoolExecutor(5) as threads:
        list(threads.map(send_hundred, senders))
        for _ in range(500):
            frame = receive(inbox)
            received[frame["sender_id"]].append(frame["content"])

    assert list(received.values()) == [[str(number) for number in range(100)]] * 5


def test_a_repeat_with_the_same_client_id_is_delivered_once(alice: Person, bob: Person) -> None:
    with bob.socket() as inbox, alice.socket() as opened:
        for _ in range(3):
            send(opened, bob, "once", client_id="a1")
        alice.client.post("/messages", json={"recipient_id": bob.id, "content": "once", "client_id": "a1"})
        send(opened, bob, "twice", client_id="a2")

        assert [receive(inbox)["content"] for _ in range(2)] == ["once", "twice"]
    assert history(bob, alice) == ["once", "twice"]


def test_repeats_by_every_way_at_the_same_moment_are_one_message(alice: Person, bob: Person) -> None:
    def by_rest(_: int) -> None:
        alice.client.post("/messages", json={"recipient_id": bob.id, "content": "once", "client_id": "a1"})

    def by_socket(_: int) -> None:
        with alice.socket() as opened:
            for _ in range(5):
                send(opened, bob, "once", client_id="a1")
            send(opened, alice, "done")
            receive(opened)

    with bob.socket() as inbox, ThreadPoolExecutor(8) as threads:
        for asked in [
            *(threads.submit(by_rest, n) for n in range(20)),
            *(threads.submit(by_socket, n) for n in range(8)),
        ]:
            asked.result()
        alice.client.post("/messages", json={"recipient_id": bob.id, "content": "last"})

        assert [receive(inbox)["content"] for _ in range(2)] == ["once", "last"]
    assert history(bob, alice) == ["once", "last"]


def test_a_client_id_with_other_words_is_answered_by_an_error(alice: Person, bob: Person) -> None:
    with alice.socket() as opened:
        send(opened, bob, "one thing", client_id="a1")
        send(opened, bob, "another", client_id="a1")
        frame = receive(opened)

    assert (frame["type"], frame["code"], frame["client_id"]) == ("error", "client_id_reused", "a1")


def test_a_message_is_stored_though_its_socket_is_gone(alice: Person, bob: Person) -> None:
    with bob.socket() as inbox, alice.socket() as opened:
        send(opened, bob, "last words")
        opened.socket.shutdown(socket.SHUT_RDWR)

        assert receive(inbox)["content"] == "last words"


# Bad frames

BAD_FRAMES: dict[str, str | bytes] = {
    "binary": b'{"recipient_id": 1, "content": "hi"}',
    "empty": "",
    "white space": "  \n",
    "broken": '{"recipient_id": 1, "content"',
    "two values": "{} {}",
    "a list": "[]",
    "null": "null",
    "a number": "1",
    "a text": '"hello"',
    "NaN": '{"recipient_id": NaN, "content": "hi"}',
    "NaN as content": '{"recipient_id": 1, "content": NaN}',
    "infinity": '{"recipient_id": -Infinity, "content": "hi"}',
    "10^400": '{"recipient_id": 1e400, "content": "hi"}',
    "10^400 in digits": '{"recipient_id": 1' + "0" * 400 + ', "content": "hi"}',
    "10^5000 in digits": '{"recipient_id": 1' + "0" * 5000 + ', "content": "hi"}',
    "a fraction": '{"recipient_id": 1.5, "content": "hi"}',
    "minus one": '{"recipient_id": -1, "content": "hi"}',
    "zero": '{"recipient_id": 0, "content": "hi"}',
    "2^63": '{"recipient_id": 9223372036854775808, "content": "hi"}',
    "nobody": '{"recipient_id": 4611686018427387904, "content": "hi"}',
    "deep lists": "[" * 30_000,
    "deep objects": '{"a":' * 10_000,
    "deep content": '{"recipient_id": 1, "content": ' + "[" * 10_000 + "]" * 10_000 + "}",
    "deep extra": '{"recipient_id": 1, "content": "hi", "x": ' + "[" * 10_000 + "]" * 10_000 + "}",
    "half a pair": '{"recipient_id": 1, "content": "\\ud83d"}',
    "the other half": '{"recipient_id": 1, "content": "\\udc00 tail"}',
    "half a pair in the client_id": '{"recipient_id": 1, "content": "hi", "client_id": "\\ud83d"}',
    "NUL": '{"recipient_id": 1, "content": "a\\u0000b"}',
    "NUL in the client_id": '{"recipient_id": 1, "content": "hi", "client_id": "\\u0000"}',
    "a raw control character": '{"recipient_id": 1, "content": "a\x01b"}',
    "no recipient": '{"content": "hi"}',
    "no content": '{"recipient_id": 1}',
    "empty content": '{"recipient_id": 1, "content": ""}',
    "blank content": '{"recipient_id": 1, "content": " \\n\\u2003"}',
    "a number as content": '{"recipient_id": 1, "content": 5}',
    "a list as content": '{"recipient_id": 1, "content": ["hi"]}',
    "null as content": '{"recipient_id": 1, "content": null}',
    "a name as recipient": '{"recipient_id": "bob", "content": "hi"}',
    "a list as recipient": '{"recipient_id": [1], "content": "hi"}',
    "an object as recipient": '{"recipient_id": {}, "content": "hi"}',
    "null as recipient": '{"recipient_id": null, "content": "hi"}',
    "an empty client_id": '{"recipient_id": 1, "content": "hi", "client_id": ""}',
    "a long client_id": '{"recipient_id": 1, "content": "hi", "client_id": "' + "x" * 65 + '"}',
    "a number as client_id": '{"recipient_id": 1, "content": "hi", "client_id": 5}',
    "32,001 characters": '{"recipient_id": 1, "content": "' + "x" * 32_001 + '"}',
    "64 KiB of nothing": " " * 65_536,
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_bad_frame_is_answered_and_the_socket_lives(alice: Person, name: str) -> None:
    with alice.socket() as opened:
        opened.send(BAD_FRAMES[name])
        send(opened, alice, "still here")
        error, message = sorted([receive(opened), receive(opened)], key=lambda frame: frame.get("type") != "error")

    assert (error["type"], bool(error["detail"])) == ("error", True)
    assert message["content"] == "still here"


def test_an_error_names_the_client_id_of_its_frame(alice: Person, bob: Person) -> None:
    with alice.socket() as opened:
        send(opened, bob, "x" * 32_001, client_id="a1")
        frame = receive(opened)

    assert (frame["code"], frame["client_id"]) == ("payload_too_large", "a1")


def test_an_error_repeats_nothing_that_was_sent(alice: Person) -> None:
    with alice.socket() as opened:
        opened.send('{"recipient_id": "hunter2", "content": "hunter2"}')
        frame = receive(opened)

    assert "hunter2" not in json.dumps(frame)


def test_fragments_are_one_frame(alice: Person, bob: Person) -> None:
    with bob.socket() as inbox, alice.socket() as opened:
        opened.send(['{"recipient_id": ', str(bob.id), "", ', "content": ', '"in pieces"}', ""])

        assert receive(inbox)["content"] == "in pieces"


def test_a_pong_comes_for_a_ping(alice: Person) -> None:
    with alice.socket() as opened:
        assert opened.ping().wait(WAIT_SECONDS)
