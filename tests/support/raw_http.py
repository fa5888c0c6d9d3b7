"""HTTP byte by byte, and the one shape of every error."""

import contextlib
import http.client
import re
import socket
from collections.abc import Iterator

import httpx

from support.servers import WAIT_SECONDS, Person, Server

ORIGIN = "http://localhost:3000"
MEGABYTE = 1024 * 1024


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
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    if person is not None:
        lines.append(f"Authorization: Bearer {person.token}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def assert_error(answer: httpx.Response, *statuses: int) -> None:
    """An error in the one shape, which reveals no internals."""
    assert answer.status_code in statuses, answer.text
    body = answer.json()
    assert set(body) - {"error"} == {"detail", "code", "request_id"}
    assert body["request_id"] == answer.headers["x-request-id"]
    assert re.fullmatch("[a-z_]+", body["code"])
    assert not re.search(r"Traceback|File \"|psycopg|starlette|/work|/site-packages", answer.text)
