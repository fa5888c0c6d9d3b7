"""Clients that are slow or stop in the middle of a request."""

import contextlib
import json
import select
import socket
import sys
from collections.abc import Callable, Iterator

import pytest

from support.databases import TestDatabase
from support.documents import upload
from support.pdfs import make_pdf
from support.raw_http import ORIGIN, connected, head, read_answer
from support.servers import HOUSE, Server, register, wait_until


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[], TestDatabase]) -> Iterator[Server]:
    """A server whose deadlines are a fraction of a second."""
    server = Server(tmp_path_factory.mktemp("impatient"), make_database().url, PYTHONPATH=str(HOUSE))
    server.start(
        sys.executable,
        "-c",
        "import main\nfrom edge import envelope, uvicorn\n"
        "uvicorn.HEAD_SECONDS = envelope.BODY_IDLE_SECONDS = uvicorn.READ_IDLE_SECONDS = 0.4\n"
        "uvicorn.READ_BYTES_PER_SECOND = 10**9\n"
        "main.serve()",
    )
    yield server
    server.stop()


def trickle(connection: socket.socket, data: bytes) -> None:
    """Send *data* byte by byte, until it is sent or something comes back."""
    for byte in data:
        with contextlib.suppress(ConnectionError):
            connection.sendall(bytes([byte]))
        if select.select([connection], [], [], 0.05)[0]:
            return


@pytest.mark.parametrize(
    "start",
    [
        head("POST", "/login", Content_Type="application/json", Content_Length="500"),
        head("POST", "/login", Content_Type="application/json", Transfer_Encoding="chunked") + b"1\r\n{\r\n",
        head("POST", "/login", Content_Type="application/x-www-form-urlencoded", Content_Length="500") + b"email=",
    ],
    ids=["announced", "chunked", "form"],
)
@pytest.mark.parametrize("drops", [False, True])
def test_a_body_that_does_not_arrive_is_a_408(impatient: Server, start: bytes, drops: bool) -> None:
    with connected(impatient) as connection:
        connection.sendall(start.replace(b"Host: localhost", f"Host: localhost\r\nOrigin: {ORIGIN}".encode()))
        if drops:
            trickle(connection, b"1\r\n \r\n" * 40 if b"chunked" in start else b" " * 200)
        status, headers, body = read_answer(connection)

    answer = json.loads(body)
    assert (status, answer["code"]) == (408, "request_timeout")
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert headers["Connection"] == "close"


def test_a_message_that_does_not_arrive_is_a_408(impatient: Server) -> None:
    start = head("POST", "/messages", register(impatient, "alice"), Content_Type="application/json", Content_Length="9")
    with connected(impatient) as connection:
        connection.sendall(start + b"{")
        status, _, body = read_answer(connection)

    assert (status, json.loads(body)["code"]) == (408, "request_timeout")


def test_an_upload_that_does_not_arrive_is_a_408_and_leaves_nothing(impatient: Server) -> None:
    alice = register(impatient, "alice")
    start = head("POST", "/upload-pdf", alice, Content_Type="multipart/form-data; boundary=B", Content_Length="90000")
    with connected(impatient) as connection:
        connection.sendall(start + b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n%PDF-')
        status, _, body = read_answer(connection)

    assert (status, json.loads(body)["code"]) == (408, "request_timeout")
    assert impatient.files() == []


@pytest.mark.parametrize(
    "start", [b"", b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Filler: "]
)
@pytest.mark.parametrize("drops", [False, True])
def test_a_head_that_does_not_arrive_ends_the_connection(impatient: Server, start: bytes, drops: bool) -> None:
    with connected(impatient) as connection:
        connection.sendall(start)
        if drops:
            trickle(connection, b"x" * 200)
        try:
            rest = connection.recv(65_536)
        except ConnectionResetError:
            rest = b""

    assert rest == b"" or rest.startswith(b"HTTP/1.1 400 ")


def test_a_connection_stays_open_between_requests_that_arrive_in_time(impatient: Server) -> None:
    with connected(impatient) as connection:
        for _ in range(3):
            connection.sendall(head("GET", "/healthz"))
            status, _, _ = read_answer(connection)
            assert status == 200
            select.select([connection], [], [], 0.2)


def test_who_hardly_reads_an_answer_is_given_up(impatient: Server) -> None:
    """One byte now and then held the connection, and what was read of the file, for as long as it liked."""
    alice = register(impatient, "reader")
    data = make_pdf("a long file") + b"%" * (16 * 1024 * 1024)
    document_id = upload(alice, data)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", int(impatient.url.rpartition(":")[2])))
        connection.sendall(head("GET", f"/documents/{document_id}/file", alice))

        def is_ended() -> bool:
            return connection.recv(1) == b"" or connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0

        wait_until(is_ended)

    assert len(alice.client.get(f"/documents/{document_id}/file").content) == len(data)
