"""Hostile requests: malformed, endless, smuggled, with strange paths, methods and headers."""

import contextlib
import json
import re
from collections.abc import Callable

import httpx
import pytest

from support.raw_http import connected, exchange, head, read_answer
from support.servers import Person, Server, register


def test_the_front_door_welcomes(client: httpx.Client) -> None:
    answer = client.get("/")

    assert (answer.status_code, answer.json()) == (200, {"message": "Welcome to the API"})


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 100,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: example.com\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: example.com\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:80@example.com\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [::1].example.com\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost:80:80\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost/x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: example.com#localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: fe80::1%lo\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /?\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\x1b[31m HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /" + b"x" * 66_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: a\nb: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA\x00: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA: \x00\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1_0\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\nxx",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    ],
    ids=lambda data: repr(data[:60]),
)
def test_a_malformed_request_is_a_400_and_the_end_of_the_connection(server: Server, data: bytes) -> None:
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
        *("/ws/1/2", "/wss", "/uploads/", "*", "/docs/assets/", "/users/1/2"),
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
def test_a_hostile_query_harms_nothing(server: Server, shared_alice: Person, path: str, query: str) -> None:
    status, _, body = exchange(server, head("GET", f"{path}?{query}", shared_alice))

    assert status in (200, 422)
    assert json.loads(body) is not None


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/", "GET, HEAD"),
        ("/me", "DELETE, GET, HEAD, PATCH"),
        ("/login", "POST"),
        ("/conversations", "GET, HEAD"),
        ("/admin/audit", "GET, HEAD"),
        ("/documents", "GET, HEAD"),
        ("/documents/1", "DELETE, GET, HEAD, PATCH"),
        ("/documents/1/file", "GET, HEAD"),
        ("/upload-pdf", "POST"),
        ("/ws/1", "GET, HEAD"),
        ("/docs/assets/swagger-ui.css", "GET, HEAD"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "TRACE", "PROPFIND", "OPTIONS", "PURGE", "QUERY"])
def test_an_unknown_method_is_a_405_that_names_the_allowed_ones(
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

    assert set(statuses) <= {200, 400, 401, *([421] if name == "Host" else [])}


def test_an_endless_head_is_cut_by_its_size(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                connection.sendall(b"X-Filler: " + b"y" * 1000 + b"\r\n")
            assert connection.recv(1) == b""


@pytest.mark.parametrize("trailers", [b"X-Filler: " + b"y" * 1000 + b"\r\n", b"y" * 1000], ids=["many", "one"])
def test_endless_trailers_are_cut_by_their_size(server: Server, trailers: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(head("POST", "/login", Transfer_Encoding="chunked") + b"2\r\n{}\r\n0\r\n")
        with pytest.raises(ConnectionError):
            connection.sendall(trailers * 100_000)


def test_a_trailer_is_no_header(server: Server, shared_alice: Person) -> None:
    with connected(server) as connection:
        connection.sendall(head("POST", "/me/password", Transfer_Encoding="chunked", Content_Type="application/json"))
        connection.sendall(f"2\r\n{{}}\r\n0\r\nAuthorization: Bearer {shared_alice.token}\r\n\r\n".encode())
        status, _, _ = read_answer(connection)

    assert status == 401


def test_http_1_0_needs_no_host(server: Server) -> None:
    status, _, _ = exchange(server, b"GET /healthz HTTP/1.0\r\n\r\n")

    assert status == 200


def test_two_requests_in_one_packet_are_answered_in_turn(server: Server, shared_alice: Person) -> None:
    with connected(server) as connection:
        connection.sendall(head("GET", "/protected", shared_alice) + head("GET", "/unknown", Connection="close"))
        stream = connection.makefile("rb").read()

    assert re.findall(rb"HTTP/1.1 (\d+)", stream) == [b"200", b"404"]


def test_a_smuggled_request_is_not_answered(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(
            b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5c\r\nGET /me HTTP/1.1\r\n\r\n0\r\n\r\n"
        )
        stream = connection.makefile("rb").read()

    assert re.findall(rb"HTTP/1.1 (\d+)", stream) == [b"400"]


def test_expect_100_continue_is_honoured(server: Server) -> None:
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


def test_requests_of_one_user_are_limited_on_all_routes_together(make_server: Callable[..., Server]) -> None:
    server = make_server(REQUEST_RATE_LIMIT="4/minute").start()
    alice, bob = register(server, "alice"), register(server, "bob")
    routes = ["/me", "/documents", "/conversations", "/search?q=word", "/users", "/events?after=0"]

    answers = [alice.client.get(path) for path in routes]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429, 429]
    assert answers[-1].json()["code"] == "rate_limited"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert bob.client.get("/me").status_code == 200
