"""Uploads, and what they leave in the library."""

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg2
from psycopg2.extensions import cursor

from support.databases import TestDatabase
from support.servers import Person, wait_until

MEGABYTE = 1024 * 1024
PDF_ROUTES = ["/upload-pdf", "/pdf-info", "/search-pdf?search_term=x", "/extract", "/extract/tables?format=xlsx"]


def post(person: Person, path: str, data: bytes, filename: str = "book.pdf", **fields: str) -> httpx.Response:
    return person.client.post(path, files={"file": (filename, data, "application/pdf")}, data=fields)


def uploaded(person: Person, data: bytes, filename: str = "book.pdf", **fields: str) -> dict[str, Any]:
    answer = person.upload(data, filename, **fields)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def upload(person: Person, data: bytes, filename: str = "book.pdf") -> int:
    document_id: int = uploaded(person, data, filename)["document_id"]
    return document_id


def documents_of(person: Person, **query: str | int) -> list[int]:
    return [document["id"] for document in person.client.get("/documents", params=query).json()["documents"]]


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """The status and code of an error, whose shape is checked too."""
    body = answer.json()
    assert body["request_id"] == answer.headers["x-request-id"]
    assert (body.get("error") == "Resource not found") == (answer.status_code == 404)
    return answer.status_code, body["code"]


@contextlib.contextmanager
def holding(database: TestDatabase, statement: str, *params: object) -> Iterator[cursor]:
    """Meanwhile a transaction that has executed *statement* is open."""
    with contextlib.closing(psycopg2.connect(database.url)) as connection, connection.cursor() as made:
        made.execute(statement, params)
        yield made
        connection.rollback()


def wait_until_blocked(database: TestDatabase) -> None:
    """Wait until somebody waits for a lock."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    wait_until(lambda: database.query(waiting))


@contextlib.contextmanager
def locked(database: TestDatabase, table: str) -> Iterator[None]:
    """Meanwhile *table* can be read but not written to: without its `pages`, a document stays `processing`."""
    with contextlib.closing(psycopg2.connect(database.url)) as connection:
        connection.cursor().execute(f"LOCK TABLE {table} IN SHARE MODE")
        yield
        connection.rollback()


def version_of(person: Person, document_id: int) -> str:
    """The `v=` of its pictures."""
    return str(person.client.get(f"/documents/{document_id}").json()["sha256"])[:8]
