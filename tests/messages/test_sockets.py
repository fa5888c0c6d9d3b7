"""The classic socket: who may open one, what reaches whom, and what no frame can do to it."""

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from support.servers import HOUSE, WAIT_SECONDS, Person, Server, closing, deaf, receive, register, send

V2 = Subprotocol("pagewire.v2")


@pytest.fixture
def carol(server: Server) -> Person:
    return register(server, "carol")


def address(person: Person, path: str | None = None) -> str:
    return person.server.url.replace("http", "ws") + (path or f"/ws/{person.id}")


def anonymous(person: Person, path: str | None = None, **options: Any) -> ClientConnection:
    """A socket to *person*'s address without their header."""
    opened: ClientConnection = connect(address(person, path), open_timeout=WAIT_SECONDS, **options)
    return opened


def refused(connection: ClientConnection) -> tuple[str, int]:
    """The code of the one error frame, and the code the server closes with."""
    (frame,), code = closing(connection)
    assert frame["type"] == "error"
    return frame["code"], code


def history(reader: Person, other: Person) -> list[str]:
    return [message["content"] for message in reader.client.get(f"/messages/{other.id}").json()]


def sign(person: Person, **claims: object) -> str:
    """A token of *person*'s as the server would sign it, but for *claims*."""
    key = (person.server.folder / "data" / "secret_key").read_text().strip()
    now = int(time.time())
    own = {"sub": str(person.id), "user_id": person.id, "email": person.email, "iat": now, "exp": now + 60, "jti": "x"}
    return jwt.encode({**own, **claims}, key, algorithm="HS256")


def reaches(sender: ClientConnection, recipient: Person) -> bool:
    """Whether a message that goes in by *sender* comes out at *recipient*."""
    with recipient.socket() as inbox:
        send(sender, recipient, "still here")
        return bool(receive(inbox)["content"] == "still here")


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


def test_a_star_allows_every_origin(make_server: Callable[..., Server]) -> None:
    alice = register(make_server(CORS_ORIGINS="*").start(), "alice")

    with alice.socket(origin=Origin("https://anywhere.example")) as opened:
        assert reaches(opened, alice)


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


def too_big_for(opened: ClientConnection, data: Any) -> int:
    with contextlib.suppress(ConnectionClosed):
        opened.send(data)
    return closing(opened)[1]


@pytest.mark.parametrize(
    "data",
    ["x" * 65_537, b"x" * 65_537, "文" * 21_846, ["x" * 40_000, "x" * 40_000]],
    ids=["text", "bytes", "文", "parts"],
)
def test_a_frame_of_more_than_64_kib_closes_the_socket(alice: Person, data: Any) -> None:
    with alice.socket() as opened:
        assert too_big_for(opened, data) == 1009


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[], Any]) -> Iterator[Server]:
    """`uvicorn main:app`, whose own limits are wide, and that soon gives up peers that answer no ping."""
    made = Server(tmp_path_factory.mktemp("plain"), make_database().url)
    command = ["-m", "uvicorn", "main:app", "--app-dir", str(HOUSE), "--port", "0"]
    yield made.start(sys.executable, *command, "--ws-ping-interval", "0.5", "--ws-ping-timeout", "0.5")
    made.kill()


@pytest.mark.parametrize("size", [65_537, 1024 * 1024])
def test_under_plain_uvicorn_a_large_frame_closes_the_socket_too(plain: Server, size: int) -> None:
    with register(plain, "alice").socket(compression=None) as opened:
        assert too_big_for(opened, "x" * size) == 1009


def test_under_plain_uvicorn_a_huge_frame_is_not_even_read(plain: Server) -> None:
    with register(plain, "alice").socket(compression=None) as opened:
        assert too_big_for(opened, "x" * 17 * 1024 * 1024) in (1006, 1009)  # cut off while it was being sent


def test_a_frame_that_was_compressed_is_measured_whole(plain: Server) -> None:
    with register(plain, "alice").socket(compression="deflate") as opened:
        assert too_big_for(opened, "x" * 1024 * 1024) == 1009


# Pressure


def test_who_sends_too_much_is_told_when_to_go_on(make_server: Callable[..., Server]) -> None:
    server = make_server(MESSAGE_RATE_LIMIT="3/minute").start()
    alice, bob = register(server, "alice"), register(server, "bob")
    with bob.socket() as inbox, alice.socket() as opened, alice.socket() as other:
        for number in range(3):
            send(opened, bob, str(number))
        send(opened, bob, "one too many", client_id="a1")
        error = receive(opened)
        answer = alice.client.post("/messages", json={"recipient_id": bob.id, "content": "by REST"})
        send(other, bob, "by another socket")

        assert (error["code"], error["client_id"]) == ("rate_limited", "a1")
        assert 1 <= error["retry_after"] <= 60
        assert answer.status_code == 429
        assert [receive(inbox)["content"] for _ in range(3)] == ["0", "1", "2"]


def send_in_tens(opened: ClientConnection, recipient: Person, quick: ClientConnection, texts: list[str]) -> list[str]:
    """What *quick* receives, which keeps up."""
    received = []
    for start in range(0, len(texts), 10):
        for text in texts[start : start + 10]:
            send(opened, recipient, text)
        received += [receive(quick)["content"] for _ in texts[start : start + 10]]
    return received


def test_a_slow_reader_is_closed_and_nobody_else_is_hurt(alice: Person, bob: Person) -> None:
    texts = [f"{number} " + "x" * 30_000 for number in range(500)]
    with deaf(alice) as slow, alice.socket() as quick, bob.socket() as opened:
        received = send_in_tens(opened, alice, quick, texts)
        frames, code = closing(slow)

    assert received == texts
    assert code == 4429
    assert [frame["content"] for frame in frames] == texts[: len(frames)]
    assert len(frames) < len(texts)


def test_few_but_large_frames_are_too_much_for_a_slow_reader_too(alice: Person, bob: Person) -> None:
    texts = ["\x01" * 10_000] * 200  # 60 kB of JSON each
    with deaf(alice) as slow, alice.socket() as quick, bob.socket() as opened:
        assert send_in_tens(opened, alice, quick, texts) == texts

        assert closing(slow)[1] == 4429


def resident_bytes(server: Server) -> int:
    assert server.process is not None
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def raw_socket(person: Person, path: str | None = None, *headers: str) -> socket.socket:
    """The bytes of a handshake, and whatever the test does then."""
    host, _, port = person.server.url.removeprefix("http://").partition(":")
    opened = socket.create_connection((host, int(port)), timeout=WAIT_SECONDS)
    lines = [
        f"GET {path or f'/ws/{person.id}'} HTTP/1.1",
        f"Host: {host}:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        f"Authorization: Bearer {person.token}",
        *headers,
    ]
    opened.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    return opened


def until_closed(opened: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := opened.recv(65_536):
            received += chunk
    return received


def is_cut_off(flood: socket.socket, data: bytes) -> bool:
    try:
        for _ in range(500):
            flood.sendall(data)
        until_closed(flood)
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def test_a_flood_of_pings_that_nobody_reads_the_answers_of_is_cut_off(alice: Person) -> None:
    ping = b"\x89\xfd\x00\x00\x00\x00" + b"x" * 125
    before = resident_bytes(alice.server)
    with raw_socket(alice) as flood:
        assert flood.recv(12) == b"HTTP/1.1 101"

        assert is_cut_off(flood, ping * 1000)

    assert resident_bytes(alice.server) - before < 32 * 1024 * 1024


def test_a_frame_of_endless_empty_fragments_is_cut_off(alice: Person) -> None:
    with raw_socket(alice) as endless:
        assert endless.recv(12) == b"HTTP/1.1 101"
        endless.sendall(b"\x01\x80\x00\x00\x00\x00")

        assert is_cut_off(endless, b"\x00\x80\x00\x00\x00\x00" * 1000)


def test_peers_that_vanished_without_a_word_are_forgotten(plain: Server) -> None:
    alice, bob = register(plain, "alice"), register(plain, "bob")
    silent = [raw_socket(alice) for _ in range(20)]

    for one in silent:
        assert until_closed(one).startswith(b"HTTP/1.1 101")

    with alice.socket() as opened:
        assert reaches(opened, bob)


# Handshakes that are none


@pytest.mark.parametrize(
    ("path", "header"),
    [
        ("/ws?x=" + "x" * 7000, "X: x"),
        ("/ws?x=" + "x" * 20_000, "X: x"),
        ("/ws?x=" + "x" * 200_000, "X: x"),
        ("/ws", "X: " + "x" * 7000),
        ("/ws", "X: " + "x" * 20_000),
        ("/ws", "X: " + "x" * 200_000),
        ("/ws", "\r\n".join(f"X-{n}: x" for n in range(500))),
        ("/ws?x=\xe9", "X: x"),
        ("/ws", "X: \xe9"),
        ("/ws", "Sec-WebSocket-Version: 12"),
        ("/ws", "Sec-WebSocket-Protocol: \xe9, ,"),
        ("/ws", "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99"),
    ],
    ids=lambda text: text[:30],
)
def test_an_odd_handshake_is_answered_or_cut_off_and_the_server_lives(
    alice: Person, bob: Person, path: str, header: str
) -> None:
    answer = b""
    with contextlib.suppress(ConnectionError), raw_socket(alice, path, header) as odd:
        answer = odd.recv(12)

    assert answer[-3:] in (b"101", b"400", b"414", b"431", b"")
    with alice.socket() as opened:
        assert reaches(opened, bob)


def test_a_socket_where_there_is_none_is_refused(alice: Person) -> None:
    with pytest.raises(InvalidHandshake):
        anonymous(alice, "/nowhere")


def test_peers_that_leave_at_every_moment_leave_no_trace_in_the_log(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    alice, bob = register(server, "alice"), register(server, "bob")
    frame = b"\x81\x80\x00\x00\x00\x00"

    for number in range(60):
        opened = raw_socket(alice)
        if number % 3:
            opened.sendall(frame * (number % 5))
        if number % 4 == 0:
            opened.recv(1)
        if number % 2:  # reset rather than end
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        opened.close()
    with alice.socket() as last:
        assert reaches(last, bob)
    assert server.stop() in (0, -15)

    assert [line for line in server.lines if "Traceback" in line or "ERROR" in line or "Error" in line] == []
