"""Classic sockets under pressure: floods, slow readers, broken frames and handshakes that are none."""

import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection

from support.servers import HOUSE, WAIT_SECONDS, Person, Server, receive, register
from support.sockets import anonymous, closing, deaf, reaches, send

ABSURD = 2 * 1024 * 1024 + 1  # bytes


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[], Any]) -> Iterator[Server]:
    """`uvicorn main:app`, whose own limits are wide, and that soon gives up peers that answer no ping."""
    made = Server(tmp_path_factory.mktemp("plain"), make_database().url)
    command = ["-m", "uvicorn", "main:app", "--app-dir", str(HOUSE), "--port", "0"]
    yield made.start(sys.executable, *command, "--ws-ping-interval", "0.5", "--ws-ping-timeout", "0.5")
    made.kill()


def too_big_for(opened: ClientConnection, data: Any) -> int:
    with contextlib.suppress(ConnectionClosed):
        opened.send(data)
    return closing(opened)[1]


@pytest.mark.parametrize(
    "data",
    ["x" * ABSURD, b"x" * ABSURD, "文" * (ABSURD // 3 + 1), ["x" * (ABSURD // 2), "x" * (ABSURD // 2 + 1)]],
    ids=["text", "bytes", "文", "parts"],
)
def test_an_absurd_frame_closes_the_socket(alice: Person, data: Any) -> None:
    with alice.socket() as opened:
        assert too_big_for(opened, data) == 1009


@pytest.mark.parametrize("size", [ABSURD, 4 * 1024 * 1024])
def test_under_plain_uvicorn_an_absurd_frame_closes_the_socket_too(plain: Server, size: int) -> None:
    with register(plain, "alice").socket(compression=None) as opened:
        assert too_big_for(opened, "x" * size) == 1009


def test_under_plain_uvicorn_a_huge_frame_is_not_even_read(plain: Server) -> None:
    with register(plain, "alice").socket(compression=None) as opened:
        assert too_big_for(opened, "x" * 17 * 1024 * 1024) in (1006, 1009)  # cut off while it was being sent


def test_a_frame_that_was_compressed_is_measured_whole(plain: Server) -> None:
    with register(plain, "alice").socket(compression="deflate") as opened:
        assert too_big_for(opened, "x" * 4 * 1024 * 1024) == 1009


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


def close_code(received: bytes) -> int:
    """The code in the close frame that *received* ends with."""
    _, _, rest = received.rpartition(b"\x88")
    assert rest[0] == len(rest) - 1
    return int.from_bytes(rest[1:3])


def test_a_frame_of_endless_empty_fragments_is_cut_off(alice: Person) -> None:
    with raw_socket(alice) as endless:
        assert endless.recv(12) == b"HTTP/1.1 101"
        endless.sendall(b"\x01\x80\x00\x00\x00\x00" + b"\x00\x80\x00\x00\x00\x00" * 2000)

        assert close_code(until_closed(endless)) == 1009


def test_who_is_still_sending_is_told_why_the_socket_ends(alice: Person) -> None:
    size = 6 * ABSURD
    with raw_socket(alice) as opened:
        assert opened.recv(12) == b"HTTP/1.1 101"
        opened.sendall(b"\x82\xff" + size.to_bytes(8) + bytes(4) + bytes(size))

        assert close_code(until_closed(opened)) == 1009


def test_who_sends_without_end_after_that_is_cut_off(alice: Person) -> None:
    with raw_socket(alice) as opened:
        assert opened.recv(12) == b"HTTP/1.1 101"
        opened.sendall(b"\x82\xff" + (2**40).to_bytes(8) + bytes(4))

        assert is_cut_off(opened, bytes(ABSURD))


def test_a_frame_that_is_no_utf_8_closes_the_socket_and_is_no_error_of_ours(alice: Person) -> None:
    with raw_socket(alice) as opened:
        assert opened.recv(12) == b"HTTP/1.1 101"
        opened.sendall(b"\x81\x82" + bytes(4) + b"\xc3\x28")

        assert close_code(until_closed(opened)) == 1007
    assert not any("Traceback" in line for line in alice.server.lines)


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
