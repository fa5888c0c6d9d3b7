"""Request ids and the log: one line a request, without secrets, that no request can forge."""

import json
import os
import re
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from support.databases import TestDatabase
from support.servers import PASSWORD, WAIT_SECONDS, Person, Server, receive

_numbers = count(1)


@pytest.fixture(scope="module")
def json_server(
    tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[], TestDatabase]
) -> Iterator[Server]:
    """A server whose log is JSON."""
    server = Server(tmp_path_factory.mktemp("json"), make_database().url, LOG_FORMAT="json").start()
    yield server
    server.stop()


@pytest.mark.parametrize("request_id", ["abc-123", "A.b_c-9", "x" * 64])
def test_a_request_id_comes_back(client: httpx.Client, request_id: str) -> None:
    answer = client.get("/unknown", headers={"X-Request-ID": request_id})

    assert answer.headers["x-request-id"] == answer.json()["request_id"] == request_id


@pytest.mark.parametrize("request_id", ["", "x" * 65, "a b", "<script>", "a\tb", "é", "%0a", '"', "a,b", "{}", "\xff"])
def test_a_strange_request_id_is_replaced(client: httpx.Client, request_id: str) -> None:
    answer = client.get("/unknown", headers=[(b"X-Request-ID", request_id.encode("latin-1"))])

    assert re.fullmatch("[0-9a-f]{17,}", answer.headers["x-request-id"])
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def lines_so_far(server: Server, client: httpx.Client) -> int:
    """The number of lines, once those of earlier requests have arrived."""
    request_id = f"mark-{os.getpid()}-{next(_numbers)}"
    client.get("/healthz", headers={"X-Request-ID": request_id})
    server.wait_for_line(request_id)
    return len(server.lines)


def log_of(server: Server, client: httpx.Client, method: str, path: str, **options: Any) -> list[str]:
    """The lines that the server logged for this request."""
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
def test_no_request_can_forge_a_line_of_the_log(server: Server, json_server: Server, path: str, made_of: str) -> None:
    logging = server if made_of == "text" else json_server
    with logging.client() as client:
        lines = log_of(logging, client, "GET", path)

    assert len(lines) == 1
    assert lines[0].isprintable()
    assert not lines[0].startswith("FAKE")
    assert made_of == "text" or json.loads(lines[0])["status"] in (401, 404)


@pytest.mark.parametrize("made_of", ["text", "json"])
@pytest.mark.parametrize("path", ["/" + "a" * 30_000, "/" + "%9b" * 10_000, "/ws/" + "a" * 30_000])
def test_no_request_makes_a_line_of_more_than_1_kb(
    server: Server, json_server: Server, path: str, made_of: str
) -> None:
    logging = server if made_of == "text" else json_server
    with logging.client() as client:
        (line,) = log_of(logging, client, "GET", path)

    assert len(line.encode()) <= 1024


@pytest.mark.parametrize("made_of", ["text", "json"])
@pytest.mark.parametrize("path", ["/ws/1?x=" + "a" * 8000, "/ws/" + "a" * 8000])
def test_no_socket_makes_a_line_of_more_than_1_kb(
    server: Server, json_server: Server, alice: Person, path: str, made_of: str
) -> None:
    logging = server if made_of == "text" else json_server
    with logging.client() as client:
        said = lines_so_far(logging, client)
    with connect(logging.url.replace("http", "ws") + path, open_timeout=WAIT_SECONDS) as socket:
        receive(socket)
    logging.wait_for_line("WS /ws/")

    assert max(len(line.encode()) for line in logging.lines[said:]) <= 1024


@pytest.mark.parametrize(
    "address", ["\x9b31m", "203.0.113.7\x9b", "junk", "fe80::1%\x9b31m", "fe80::1%junk", "a" * 3000, "1.2.3", "unknown"]
)
@pytest.mark.parametrize("made_of", ["text", "json"])
def test_a_client_that_a_proxy_names_is_an_ip_address_or_unknown(
    server: Server, json_server: Server, address: str, made_of: str
) -> None:
    logging = server if made_of == "text" else json_server
    with logging.client() as client:
        (line,) = log_of(logging, client, "GET", "/me", headers={"X-Forwarded-For": address.encode("latin-1")})

    assert line.isprintable()
    assert " ms - " in line if made_of == "text" else json.loads(line)["client"] == "-"


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


def test_a_line_of_the_json_log_has_the_request_in_fields(json_server: Server) -> None:
    with json_server.client() as client:
        (line,) = log_of(json_server, client, "GET", "/users/7")

    told = json.loads(line)
    assert (told["method"], told["path"], told["status"], told["client"]) == ("GET", "/users/7", 401, "127.0.0.1")
    assert told["milliseconds"] >= 0
