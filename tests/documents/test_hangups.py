"""A client that hangs up ends its work: what is extracted for nobody keeps nobody waiting."""

import httpx
import pytest

from support.databases import TestDatabase
from support.documents import documents_of, locked
from support.pdfs import make_book
from support.raw_http import connected
from support.servers import Person, Server, wait_until

BOOK_PAGES = 600  # takes seconds


@pytest.fixture(scope="module")
def book() -> bytes:
    return make_book(BOOK_PAGES)


def as_bytes(person: Person, path: str, data: bytes) -> bytes:
    """The whole request, as httpx sends it."""
    request = httpx.Request(
        "POST", person.server.url + path, files={"file": ("book.pdf", data)}, headers=person.headers
    )
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    return head.encode() + b"\r\n" + request.read()


@pytest.mark.parametrize("path", ["/extract", "/extract/tables"])
def test_a_question_ends_when_its_client_hangs_up(alice: Person, server: Server, book: bytes, path: str) -> None:
    with connected(server) as connection:
        connection.sendall(as_bytes(alice, path, book))
        wait_until(lambda: any(name.endswith(".part") for name in server.files()))

    server.wait_for_line(f"POST {path} 499")


@pytest.mark.usefixtures("nothing_is_left")
def test_an_upload_whose_client_hangs_up_leaves_nothing(
    alice: Person, server: Server, database: TestDatabase, book: bytes
) -> None:
    with locked(database, "pages"), connected(server) as connection:
        connection.sendall(as_bytes(alice, "/upload-pdf", book))
        wait_until(lambda: documents_of(alice))

    server.wait_for_line("POST /upload-pdf 499")
    wait_until(lambda: not documents_of(alice))
