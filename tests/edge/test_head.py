"""HEAD is answered wherever GET is: by the same headers and no body."""

from typing import Any

import httpx
import pytest
from starlette.routing import Route

from main import create_app
from settings import Settings
from support.databases import TestDatabase
from support.pdfs import make_table_pdf
from support.raw_http import connected, exchange, head, read_answer
from support.servers import Person, Server, register

PATHS = sorted(
    {
        route.path
        for route in create_app(Settings(secret_key=None)).routes
        if isinstance(route, Route) and "GET" in (route.methods or ())
    }
)
DIFFERENT = ("date", "x-request-id")  # from answer to answer
COUNTING = "/metrics"  # counts the question, too


@pytest.fixture(scope="module")
def reader(server: Server, database: TestDatabase) -> Person:
    """Alice, an admin whose one document has a table."""
    alice = register(server, "alice")
    database.query("UPDATE users SET is_admin = true WHERE id = %s", alice.id)
    return alice


@pytest.fixture(scope="module")
def numbers(server: Server, reader: Person) -> dict[str, int]:
    """The values of the parameters in paths: a document that is shared, and whom it is shared with."""
    bob = register(server, "bob")
    uploaded = reader.upload(make_table_pdf([["item", "price"], ["paper", "12.50"]]))
    document_id = uploaded.json()["document_id"]
    assert reader.client.put(f"/documents/{document_id}/shares/{bob.id}").status_code == 200
    return {"document_id": document_id, "page_number": 1, "table_index": 0, "user_id": bob.id}


def answer_to(
    server: Server, method: str, path: str, person: Person | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers, and everything that came after them until the end of the connection."""
    with connected(server) as connection:
        connection.sendall(head(method, path, person, Connection="close"))
        stream = connection.makefile("rb").read()
    start, _, rest = stream.partition(b"\r\n\r\n")
    status, *lines = start.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(status.split()[1]), {name: headers[name] for name in headers if name.lower() not in DIFFERENT}, rest


@pytest.mark.parametrize("path", PATHS)
def test_head_has_the_headers_of_get_and_no_body(
    server: Server, reader: Person, numbers: dict[str, int], path: str
) -> None:
    address = path.format(**numbers) + "?q=item&after=1"

    status, headers, body = answer_to(server, "HEAD", address, reader)

    expected_status, expected_headers, expected_body = answer_to(server, "GET", address, reader)
    assert int(expected_headers["content-length"]) == len(expected_body)
    if path == COUNTING:
        assert int(headers.pop("content-length")) > 0
        del expected_headers["content-length"]
    assert (status, headers) == (expected_status, expected_headers)
    assert body == b""
    assert status == (426 if path.startswith("/ws") else 307 if path == "/app" else 200)


@pytest.mark.parametrize(
    "path", [*(path for path in PATHS if path != COUNTING), "/docs/assets/swagger-ui.css", "/unknown"]
)
def test_an_error_has_no_body_either(server: Server, path: str) -> None:
    address = path.replace("{", "").replace("}", "")

    status, headers, body = answer_to(server, "HEAD", address)

    expected_status, expected_headers, expected_body = answer_to(server, "GET", address)
    assert (status, headers) == (expected_status, expected_headers)
    assert int(headers["content-length"]) == len(expected_body)
    assert body == b""


def test_the_next_request_of_the_connection_is_answered_too(server: Server, reader: Person) -> None:
    with connected(server) as connection:
        answers = []
        for method, path in (("HEAD", "/me"), ("HEAD", "/unknown"), ("GET", "/protected")):
            connection.sendall(head(method, path, reader))
            answers.append(read_answer(connection, method))

    assert [(status, bool(body)) for status, _, body in answers] == [(200, False), (404, False), (200, True)]


def test_head_of_a_file_ignores_a_range(reader: Person, numbers: dict[str, int]) -> None:
    answer = reader.client.head(f"/documents/{numbers['document_id']}/file", headers={"Range": "bytes=0-3"})

    assert answer.status_code == 200
    assert (
        answer.headers["content-length"]
        == reader.client.head(f"/documents/{numbers['document_id']}/file").headers["content-length"]
    )


def test_the_description_does_not_list_head(client: httpx.Client) -> None:
    description: Any = client.get("/openapi.json").json()

    assert not [path for path, methods in description["paths"].items() if "head" in methods]


# Addresses of sockets


@pytest.mark.parametrize("path", ["/ws", "/ws/1", "/ws/alice"])
@pytest.mark.parametrize(
    "headers",
    [{}, {"Upgrade": "h2c", "Connection": "Upgrade"}, {"Upgrade": "websocket"}, {"Connection": "Upgrade"}],
    ids=str,
)
def test_a_socket_without_its_upgrade_is_a_426_that_says_so(server: Server, path: str, headers: dict[str, str]) -> None:
    status, found, body = exchange(server, head("GET", path, None, **headers))

    assert status == 426
    assert (found["Upgrade"], found["Connection"]) == ("websocket", "Upgrade")
    assert b'"code": "upgrade_required"' in body
    assert b"WebSocket" in body
