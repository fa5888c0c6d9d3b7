"""Hostile HTTP: whatever is sent, the answer is a clear refusal; never a crash, a leak, or a forged line in the log."""

import asyncio
import contextlib
import http.client
import json
import os
import random
import re
import select
import socket
import sys
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import httpx
import pytest

from main import create_app
from settings import Settings
from support.databases import TestDatabase
from support.pdfs import make_pdf
from support.servers import HOUSE, PASSWORD, WAIT_SECONDS, Person, Server, register

MEGABYTE = 1024 * 1024
PDF_PATHS = ("/upload-pdf", "/pdf-info", "/search-pdf", "/extract", "/extract/tables")
ORIGIN = "http://localhost:3000"
JSON_ROUTES = [
    ("POST", "/register"),
    ("POST", "/login"),
    ("POST", "/token"),
    ("POST", "/messages"),
    ("POST", "/send-notification"),
    ("PATCH", "/documents/1"),
]
_numbers = count(1)


@contextlib.contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), WAIT_SECONDS) as connection:
        yield connection


def read_answer(connection: socket.socket, method: str = "GET") -> tuple[int, http.client.HTTPMessage, bytes]:
    """Status, headers and body of the next answer."""
    answer = http.client.HTTPResponse(connection, method=method)
    answer.begin()
    return answer.status, answer.headers, answer.read()


def exchange(server: Server, data: bytes) -> tuple[int, http.client.HTTPMessage, bytes]:
    with connected(server) as connection:
        connection.sendall(data)
        return read_answer(connection)


def head(method: str, path: str, person: Person | None = None, /, **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x"]
    if person is not None:
        lines.append(f"Authorization: Bearer {person.token}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def assert_error(answer: httpx.Response, *statuses: int) -> None:
    """An error in the one shape, and nothing of the inside."""
    assert answer.status_code in statuses, answer.text
    body = answer.json()
    assert set(body) - {"error"} == {"detail", "code", "request_id"}
    assert body["request_id"] == answer.headers["x-request-id"]
    assert re.fullmatch("[a-z_]+", body["code"])
    assert not re.search(r"Traceback|File \"|psycopg|starlette|/work|/site-packages", answer.text)


@pytest.fixture(scope="module")
def alice_of_all(server: Server) -> Person:
    """One alice for the tests that change nothing."""
    return register(server, "alice")


# Bodies

BODIES: dict[str, bytes] = {
    "NaN": b'{"email": NaN, "password": NaN, "recipient_id": NaN, "content": NaN, "message": NaN, "filename": NaN}',
    "Infinity": b'{"recipient_id": Infinity, "content": -Infinity, "email": Infinity, "filename": Infinity}',
    "1e400": b'{"recipient_id": 1e400, "content": "x", "email": 1e400, "password": -1e400, "filename": 1e400}',
    "10**400": b'{"recipient_id": 1' + b"0" * 400 + b', "content": "x", "filename": 1' + b"0" * 400 + b"}",
    "a number of 5,000 digits": b'{"recipient_id": ' + b"9" * 5000 + b', "content": "x"}',
    "2**63": b'{"recipient_id": 9223372036854775808, "content": 9223372036854775808}',
    "lists 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "objects 50,000 deep": b'{"content":' * 50_000 + b"1" + b"}" * 50_000,
    "a field 100,000 deep": b'{"content": ' + b"[" * 100_000 + b"]" * 100_000 + b', "recipient_id": 1}',
    "a key twice": b'{"email": "alice@example.com", "email": 7, "password": "x", "password": null, "filename": 7}',
    "100,000 keys": b"{" + b",".join(b'"k%d": %d' % (i, i) for i in range(50_000)) + b"}",
    "not UTF-8": b'{"email": "\xff\xfe", "password": "\xc0\x80", "content": "\xed\xa0\x80", "filename": "\xff"}',
    "UTF-16": '{"email": "alice@example.com", "content": 7, "filename": 7}'.encode("utf-16"),
    "UTF-32 without its mark": '{"content": 7}'.encode("utf-32-be"),
    "a byte order mark": b'\xef\xbb\xbf{"content": 7}',
    "NUL bytes": b"\x00" * 1000,
    "NUL escapes": b'{"email": "a\\u0000@example.com", "password": "12345678\\u0000",'
    b' "name": "\\u0000", "recipient_id": 1, "content": "\\u0000", "message": "\\u0000", "filename": "\\u0000"}',
    "half surrogate pairs": b'{"email": "\\ud800@example.com", "password": "\\udfff 12345678", "name": "\\ud83d",'
    b' "recipient_id": 1, "content": "\\ud800", "message": "\\udc00", "filename": "\\ud800", "client_id": "\\ud800"}',
    "prototypes": b'{"__proto__": {"is_admin": true}, "constructor": {"prototype": {}}, "__class__": "x"}',
    "a lone quote": b'"',
    "HTML": b"<html>",
    "XML that expands": b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>',
}


@pytest.mark.parametrize("kind", ["application/json", "application/merge-patch+json", ""])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(("method", "path"), JSON_ROUTES)
def test_a_hostile_body_is_refused(
    server: Server, alice_of_all: Person, method: str, path: str, body: str, kind: str
) -> None:
    answer = alice_of_all.client.request(method, path, content=BODIES[body], headers={"Content-Type": kind})

    assert_error(answer, 400, 404, 422)


@pytest.mark.parametrize(
    "body", ["a=1" + "&a=1" * 100, "=" * 500, "%", "%zz=%ff%00", "email=%ff&password=%00", ";" * 99]
)
@pytest.mark.parametrize("path", ["/login", "/token", "/send-notification"])
def test_a_hostile_form_is_refused(alice_of_all: Person, path: str, body: str) -> None:
    answer = alice_of_all.client.post(
        path, content=body, headers={"Content-Type": "application/x-www-form-urlencoded; charset=undefined"}
    )

    assert_error(answer, 400, 422)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "x" * 3000, "a/b;c", "=", "application/json;charset=x"]
)
@pytest.mark.parametrize(("method", "path"), JSON_ROUTES)
def test_a_body_of_a_strange_kind_is_refused(alice_of_all: Person, method: str, path: str, kind: str) -> None:
    answer = alice_of_all.client.request(method, path, content=b'{"content": 7}', headers={"Content-Type": kind})

    assert_error(answer, 404, 422)


@pytest.mark.parametrize(("method", "path"), JSON_ROUTES)
@pytest.mark.parametrize("announced", [True, False])
def test_a_body_of_more_than_a_megabyte_is_a_413_that_a_browser_may_read(
    alice_of_all: Person, method: str, path: str, announced: bool
) -> None:
    body = b'{"content": "' + b"x" * MEGABYTE + b'"}'
    chunks = (body[i : i + 65_536] for i in range(0, len(body), 65_536))

    answer = alice_of_all.client.request(
        method,
        path,
        content=body if announced else chunks,
        headers={"Content-Type": "application/json", "Origin": ORIGIN},
    )

    assert_error(answer, 413)
    assert answer.json()["code"] == "payload_too_large"
    assert answer.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize("length", ["2000000", "99999999999", str(2**63 - 1)])
def test_a_large_body_is_refused_before_it_is_sent(server: Server, length: str) -> None:
    status, _, body = exchange(server, head("POST", "/login", Content_Type="application/json", Content_Length=length))

    assert (status, json.loads(body)["code"]) == (413, "payload_too_large")


# Requests


def test_the_front_door_welcomes(client: httpx.Client) -> None:
    answer = client.get("/")

    assert (answer.status_code, answer.json()) == (200, {"message": "Welcome to the API"})


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 100,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /?\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\x1b[31m HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"x" * 66_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\nb: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA\x00: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 1_0\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nxx",
        b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    ],
    ids=lambda data: repr(data[:60]),
)
def test_what_is_no_request_is_a_400_and_the_end_of_the_connection(server: Server, data: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(data)
        status, headers, body = read_answer(connection)
        rest = connection.recv(1)

    answer = json.loads(body)
    assert (status, headers["Connection"], rest) == (400, "close", b"")
    assert (answer["code"], answer["request_id"]) == ("bad_request", headers["X-Request-ID"])
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/%ff",
            "/%00",
            "/..%2f..%2fetc/passwd",
            "/../../etc/passwd",
            "//example.com",
            "/docs/assets/../main.py",
        ),
        *("/" + "x" * 30_000, "/" + "a/" * 5000, "/ME", "/me;x", "/.env", "/docs/assets/..%2f..%2fmain.py"),
        *("/ws/1", "/ws", "/uploads/", "*", "/docs/assets/", "/users/1/2"),
    ],
    ids=lambda path: path[:40],
)
def test_an_unknown_path_is_not_found(server: Server, path: str) -> None:
    status, headers, body = exchange(server, head("GET", path))

    assert status == 404
    answer = json.loads(body)
    assert (answer["error"], answer["detail"]) == ("Resource not found", "Not Found")
    assert answer["request_id"] == headers["X-Request-ID"]


@pytest.mark.parametrize(
    "query", ["%ff", "%00", "=", "&&&&", "limit", "limit=1&limit=x", "q=%ed%a0%80", "q=" + "%41" * 2000, "q[]=1", "%zz"]
)
@pytest.mark.parametrize("path", ["/users", "/documents", "/messages", "/me", "/"])
def test_a_hostile_query_harms_nothing(server: Server, alice_of_all: Person, path: str, query: str) -> None:
    status, _, body = exchange(server, head("GET", f"{path}?{query}", alice_of_all))

    assert status in (200, 422)
    assert json.loads(body) is not None


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/", "GET"),
        ("/me", "GET"),
        ("/login", "POST"),
        ("/users/1", "GET"),
        ("/documents", "GET"),
        ("/documents/1", "DELETE, GET, PATCH"),
        ("/documents/1/file", "GET, HEAD"),
        ("/upload-pdf", "POST"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "TRACE", "PROPFIND", "OPTIONS", "PURGE", "QUERY"])
def test_an_unknown_method_is_a_405_that_names_the_known_ones(
    server: Server, path: str, methods: str, method: str
) -> None:
    status, headers, body = exchange(server, head(method, path))

    assert (status, headers["Allow"]) == (405, methods)
    assert json.loads(body)["code"] == "method_not_allowed"


@pytest.mark.parametrize("headers", [40, 1000], ids=str)
def test_many_headers_are_no_trouble(server: Server, headers: int) -> None:
    status, _, _ = exchange(server, head("GET", "/", None, **{f"X_{number}": "y" * 40 for number in range(headers)}))

    assert status == 200


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "Cookie",
        "Accept",
        "Origin",
        "Range",
        "If-None-Match",
        "X-Request-ID",
        "X-Forwarded-For",
        "Host",
    ],
)
@pytest.mark.parametrize(
    "value", ["", "\xff\xfe", "," * 5000, '"' * 999, "=;=;=", "%00", "0" * 20_000, "bytes=0-,,,-1"]
)
def test_a_hostile_header_harms_nothing(server: Server, name: str, value: str) -> None:
    statuses = [exchange(server, head("GET", path, **{name: value}))[0] for path in ("/", "/me", "/documents/1/file")]

    assert set(statuses) <= {200, 400, 401}


def test_a_head_that_never_ends_is_cut_by_its_size(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                connection.sendall(b"X-Filler: " + b"y" * 1000 + b"\r\n")
            assert connection.recv(1) == b""


def test_two_requests_in_one_packet_are_answered_in_turn(server: Server, alice_of_all: Person) -> None:
    with connected(server) as connection:
        connection.sendall(head("GET", "/protected", alice_of_all) + head("GET", "/unknown", Connection="close"))
        stream = connection.makefile("rb").read()

    assert re.findall(rb"HTTP/1.1 (\d+)", stream) == [b"200", b"404"]


def test_a_smuggled_request_is_not_looked_at(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(
            b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5c\r\nGET /me HTTP/1.1\r\n\r\n0\r\n\r\n"
        )
        stream = connection.makefile("rb").read()

    assert re.findall(rb"HTTP/1.1 (\d+)", stream) == [b"400"]


def test_who_asks_to_be_told_to_go_on_is_told(server: Server) -> None:
    body = b'{"email": "nobody@example.com", "password": "wrong horse"}'
    with connected(server) as connection:
        connection.sendall(
            head(
                "POST", "/login", Expect="100-continue", Content_Type="application/json", Content_Length=str(len(body))
            )
        )
        go_on = connection.recv(65_536)
        connection.sendall(body)
        status, _, _ = read_answer(connection)

    assert go_on == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert status == 401


# Patience


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[], TestDatabase]) -> Iterator[Server]:
    """A server whose deadlines are a fraction of a second; its log is JSON."""
    server = Server(tmp_path_factory.mktemp("impatient"), make_database().url, LOG_FORMAT="json", PYTHONPATH=str(HOUSE))
    server.start(
        sys.executable,
        "-c",
        "import main\nfrom edge import envelope, uvicorn\n"
        "uvicorn.HEAD_SECONDS = 0.4\nenvelope.BODY_IDLE_SECONDS = 0.4\nmain.serve()",
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
def test_a_body_that_does_not_come_is_a_408(impatient: Server, start: bytes, drops: bool) -> None:
    with connected(impatient) as connection:
        connection.sendall(start.replace(b"Host: x", f"Host: x\r\nOrigin: {ORIGIN}".encode()))
        if drops:
            trickle(connection, b"1\r\n \r\n" * 40 if b"chunked" in start else b" " * 200)
        status, headers, body = read_answer(connection)

    answer = json.loads(body)
    assert (status, answer["code"]) == (408, "request_timeout")
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert headers["Connection"] == "close"


def test_a_message_that_does_not_come_is_a_408(impatient: Server) -> None:
    start = head("POST", "/messages", register(impatient, "alice"), Content_Type="application/json", Content_Length="9")
    with connected(impatient) as connection:
        connection.sendall(start + b"{")
        status, _, body = read_answer(connection)

    assert (status, json.loads(body)["code"]) == (408, "request_timeout")


def test_an_upload_that_does_not_come_is_a_408_and_leaves_nothing(impatient: Server) -> None:
    alice = register(impatient, "alice")
    start = head("POST", "/upload-pdf", alice, Content_Type="multipart/form-data; boundary=B", Content_Length="90000")
    with connected(impatient) as connection:
        connection.sendall(start + b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n%PDF-')
        status, _, body = read_answer(connection)

    assert (status, json.loads(body)["code"]) == (408, "request_timeout")
    assert impatient.files() == []


@pytest.mark.parametrize("start", [b"", b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX-Filler: "])
@pytest.mark.parametrize("drops", [False, True])
def test_a_head_that_does_not_come_is_cut(impatient: Server, start: bytes, drops: bool) -> None:
    with connected(impatient) as connection:
        connection.sendall(start)
        if drops:
            trickle(connection, b"x" * 200)
        try:
            rest = connection.recv(65_536)
        except ConnectionResetError:
            rest = b""

    assert rest == b"" or rest.startswith(b"HTTP/1.1 400 ")


def test_a_connection_is_not_cut_between_requests_that_come_in_time(impatient: Server) -> None:
    with connected(impatient) as connection:
        for _ in range(3):
            connection.sendall(head("GET", "/healthz"))
            status, _, _ = read_answer(connection)
            assert status == 200
            select.select([connection], [], [], 0.2)


# Browsers


def test_a_preflight_is_answered(client: httpx.Client) -> None:
    answer = client.options(
        "/documents/1",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert "authorization" in answer.headers["access-control-allow-headers"].lower()
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000.evil.example", "\xff", "*"])
def test_a_preflight_from_elsewhere_is_refused(client: httpx.Client, origin: str) -> None:
    answer = client.options(
        "/me",
        headers=[(b"Origin", origin.encode("latin-1")), (b"Access-Control-Request-Method", b"GET")],
    )

    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers


def test_elsewhere_may_not_read_an_answer(alice_of_all: Person) -> None:
    answer = alice_of_all.client.get("/me", headers={"Origin": "https://evil.example"})

    assert "access-control-allow-origin" not in answer.headers


ERRORS: dict[int, Callable[[Person], httpx.Response]] = {
    400: lambda alice: alice.client.post("/upload-pdf", files={"file": ("a.txt", b"x")}, headers={"Origin": ORIGIN}),
    401: lambda alice: httpx.get(f"{alice.server.url}/me", headers={"Origin": ORIGIN}),
    404: lambda alice: alice.client.get("/documents/1", headers={"Origin": ORIGIN}),
    405: lambda alice: alice.client.put("/me", headers={"Origin": ORIGIN}),
    413: lambda alice: alice.client.post("/messages", content=b"x" * 2 * MEGABYTE, headers={"Origin": ORIGIN}),
    422: lambda alice: alice.client.post("/messages", json={}, headers={"Origin": ORIGIN}),
}


@pytest.mark.parametrize("status", ERRORS)
def test_a_browser_may_read_an_error(alice_of_all: Person, status: int) -> None:
    answer = ERRORS[status](alice_of_all)

    assert_error(answer, status)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "X-Request-ID" in answer.headers["access-control-expose-headers"]


def test_a_crash_is_a_500_that_a_browser_may_read_and_that_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(Settings(secret_key=None))

    @app.get("/crash/{what}")
    async def crash(what: str) -> None:
        raise RuntimeError("the secret of the house")

    transport = httpx.ASGITransport(app)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/crash/%0aFAKE%20LINE", headers={"Origin": ORIGIN})

    answer = asyncio.run(ask())

    assert_error(answer, 500)
    assert answer.json()["detail"] == "Internal Server Error"
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "the secret of the house" not in answer.text
    assert not any(record.getMessage().count("\n") for record in caplog.records)


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/readyz", "/docs", "/openapi.json", "/docs/assets/swagger-ui.css", "/me", "/x", "/ws/1"]
)
def test_nothing_may_be_sniffed(client: httpx.Client, path: str) -> None:
    assert client.get(path).headers["x-content-type-options"] == "nosniff"


def test_the_documentation_loads_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/docs").text

    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert loaded
    assert all(client.get(path).status_code == 200 for path in loaded)


# Request ids and the log


@pytest.mark.parametrize("request_id", ["abc-123", "A.b_c-9", "x" * 64])
def test_a_request_id_goes_round(client: httpx.Client, request_id: str) -> None:
    answer = client.get("/unknown", headers={"X-Request-ID": request_id})

    assert answer.headers["x-request-id"] == answer.json()["request_id"] == request_id


@pytest.mark.parametrize("request_id", ["", "x" * 65, "a b", "<script>", "a\tb", "é", "%0a", '"', "a,b", "{}", "\xff"])
def test_a_strange_request_id_is_replaced(client: httpx.Client, request_id: str) -> None:
    answer = client.get("/unknown", headers=[(b"X-Request-ID", request_id.encode("latin-1"))])

    assert re.fullmatch("[0-9a-f]{17,}", answer.headers["x-request-id"])
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def lines_so_far(server: Server, client: httpx.Client) -> int:
    """How many lines there are, when those of earlier requests have come."""
    request_id = f"mark-{os.getpid()}-{next(_numbers)}"
    client.get("/healthz", headers={"X-Request-ID": request_id})
    server.wait_for_line(request_id)
    return len(server.lines)


def log_of(server: Server, client: httpx.Client, method: str, path: str, **options: Any) -> list[str]:
    """What the server said of this request."""
    request_id = f"log-{os.getpid()}-{next(_numbers)}"
    said = lines_so_far(server, client)
    client.request(method, path, headers={**options.pop("headers", {}), "X-Request-ID": request_id}, **options)
    server.wait_for_line(request_id)
    return server.lines[said:]


@pytest.mark.parametrize(
    "path",
    [
        "/a%0aFAKE", "/a%0d%0aFAKE", "/a%00FAKE", "/a%1b[31mFAKE", "/a%e2%80%a8FAKE", "/users/%0aFAKE", "/a?q=%0aFAKE",
        "/documents/%0a%0aFAKE/file", "/a%85FAKE", "/a%0bFAKE",
    ],
)  # fmt: skip
@pytest.mark.parametrize("made_of", ["text", "json"])
def test_nobody_writes_a_line_of_the_log(server: Server, impatient: Server, path: str, made_of: str) -> None:
    logging = server if made_of == "text" else impatient
    with logging.client() as client:
        lines = log_of(logging, client, "GET", path)

    assert len(lines) == 1
    assert lines[0].isprintable()
    assert not lines[0].startswith("FAKE")
    assert made_of == "text" or json.loads(lines[0])["status"] in (401, 404)


def test_the_log_holds_no_password_and_no_token(server: Server, alice: Person) -> None:
    secrets = {"token": alice.token, "access_token": alice.token, "password": PASSWORD, "key": "hush-7"}
    lines = [
        *log_of(server, alice.client, "GET", "/me", params=secrets),
        *log_of(server, alice.client, "POST", "/login", params=secrets, json={"email": alice.email, **secrets}),
        *log_of(server, alice.client, "POST", "/token", data={"username": alice.email, "password": PASSWORD}),
        *log_of(server, alice.client, "POST", "/register", json={"email": "x", "password": PASSWORD, "name": "hush-7"}),
        *log_of(server, alice.client, "GET", "/ws/1", params=secrets),
        *log_of(server, alice.client, "GET", "/unknown", params=secrets, headers={"Cookie": "hush-7"}),
        *log_of(server, alice.client, "POST", "/upload-pdf", params=secrets, files={"file": ("hush-7", b"hush-7")}),
    ]

    signature = alice.token.rpartition(".")[2]
    for line in lines + server.lines:
        assert signature not in line
        assert PASSWORD not in line
        assert "hush-7" not in line


@pytest.mark.parametrize(
    "query", ["?token=", "?%74oken=", "?x=1;token=", "?TOKEN=", "?a&%74%6f%6b%65%6e=", "?x=?token="]
)
def test_the_log_holds_no_token_of_a_socket(server: Server, alice: Person, query: str) -> None:
    said = lines_so_far(server, alice.client)

    with alice.socket(f"/ws/{alice.id}{query}{alice.token}", additional_headers={}):
        pass

    server.wait_for_line(f"WS /ws/{alice.id} ")
    assert len(server.lines) > said
    assert not any(alice.token[-20:] in line for line in server.lines[said:])


def test_a_line_of_the_log_tells_what_happened(impatient: Server) -> None:
    with impatient.client() as client:
        (line,) = log_of(impatient, client, "GET", "/users/7")

    told = json.loads(line)
    assert (told["method"], told["path"], told["status"], told["client"]) == ("GET", "/users/7", 401, "127.0.0.1")
    assert told["milliseconds"] >= 0


# Chance


RIGHT = {
    "email": "alice@example.com",
    "username": "alice@example.com",
    "password": PASSWORD,
    "name": "Alice",
    "recipient_id": 1,
    "content": "hello",
    "client_id": "once",
    "filename": "book.pdf",
    "message": "hello",
    "search_term": "x",
    "width": 100,
    "format": "webp",
    "q": "a",
    "limit": 2,
    "cursor": 9,
    "page": 1,
    "merge": 1,
    "status": "ready",
    "order": "asc",
    "before": 9,
    "after": 1,
}
ROUTES: list[tuple[str, str, str]] = [  # method, path, and what may be asked for there
    ("POST", "/register", "email password name"),
    ("POST", "/login", "email username password"),
    ("POST", "/token", "username password"),
    ("GET", "/me", ""),
    ("GET", "/protected", ""),
    ("GET", "/users", "q limit cursor"),
    ("GET", "/users/{}", ""),
    ("GET", "/documents", "limit cursor status"),
    ("GET", "/documents/{}", ""),
    ("PATCH", "/documents/{}", "filename"),
    ("DELETE", "/documents/{}", ""),
    ("GET", "/documents/{}/file", ""),
    ("HEAD", "/documents/{}/file", ""),
    ("GET", "/documents/{}/text", ""),
    ("GET", "/documents/{}/pages/{}", ""),
    ("GET", "/documents/{}/pages/{}/image", "width format q"),
    ("GET", "/documents/{}/tables", "page merge"),
    ("GET", "/documents/{}/search", "q limit cursor"),
    ("GET", "/documents/{}/tables/{}.csv", "merge"),
    ("GET", "/documents/{}/tables.csv", "page merge"),
    ("GET", "/documents/{}/tables.xlsx", "page merge"),
    ("POST", "/upload-pdf", "client_id password"),
    ("POST", "/pdf-info", "password"),
    ("POST", "/search-pdf", "search_term"),
    ("POST", "/extract", ""),
    ("POST", "/extract/tables", "merge"),
    ("POST", "/messages", "recipient_id content client_id"),
    ("GET", "/messages", "page limit order"),
    ("GET", "/messages/{}", "limit before after"),
    ("POST", "/send-notification", "email message"),
]
WRONG: list[Any] = [
    *(
        "",
        "1",
        "0",
        "-1",
        "9" * 30,
        "x",
        "\x00",
        "\ud7ff",
        "é" * 50,
        "x" * 5000,
        "../..",
        "%",
        "%s",
        "'",
        "\\",
        "\u202e",
    ),
    *(None, True, 7, -7, 2**63, 10**40, 1.5, float("nan"), float("inf"), [], {}, [[]], {"a": {}}, ["x"] * 50),
]
IDS = ["1", "1", "1", "0", "-1", "x", "9" * 20, "9" * 400, "%00", "%ff", "1.0", "é"]
HEADERS: list[dict[str, str]] = [
    {},
    {"Range": "bytes=0-1,5-"},
    {"Range": "bytes=-0"},
    {"If-None-Match": '*, "x'},
    {"Accept": "application/json"},
    {"Authorization": "Bearer x"},
    {"Expect": "100-continue"},
]
KINDS = ["application/json", "multipart/form-data; boundary=B", "application/x-www-form-urlencoded", "x"]


def shuffled_request(chance: random.Random) -> tuple[str, str, dict[str, Any]]:
    """A request that is almost right, or not at all."""
    method, path, asked = chance.choice(ROUTES)
    some = {
        name: RIGHT[name] if chance.random() < 0.7 else chance.choice(WRONG)
        for name in (asked.split() if chance.random() < 0.9 else chance.sample(list(RIGHT), 5))
        if chance.random() < 0.9
    }
    texts = {name: str(value) for name, value in some.items()}
    headers = dict(chance.choice(HEADERS))
    options: dict[str, Any] = {"headers": headers}
    match chance.randrange(4) if method in ("POST", "PATCH") else 4:
        case 0 | 1 if path not in PDF_PATHS:
            options["content"] = json.dumps(some)
            headers["Content-Type"] = "application/json"
        case 2:
            options["data"] = texts
        case 3:
            options["content"] = chance.randbytes(chance.randint(0, 500))
            headers["Content-Type"] = chance.choice(KINDS)
        case 4:
            options["params"] = texts
        case _:
            file = chance.choice([make_pdf("x"), make_pdf("x")[:-99], b"%PDF-1.7", b"", chance.randbytes(200)])
            options["files"] = {chance.choice(["file"] * 9 + ["f"]): (chance.choice([*texts, "a.pdf"]), file)}
            options["data"] = texts
    return method, path.format(*chance.choices(IDS, k=path.count("{}"))), options


@pytest.mark.parametrize("seed", range(8))
def test_no_request_at_random_is_a_crash(server: Server, alice: Person, seed: int) -> None:
    chance = random.Random(seed)
    requests = [shuffled_request(chance) for _ in range(60)]

    answers = [(request, alice.client.request(request[0], request[1], **request[2])) for request in requests]

    assert [(request, answer.text) for request, answer in answers if answer.status_code >= 500] == []
    for (method, _, _), answer in answers:
        if answer.status_code >= 400 and method != "HEAD":
            assert_error(answer, answer.status_code)
