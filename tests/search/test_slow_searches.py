"""A search that takes too long ends, and takes nothing else with it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg2.extensions
import pytest

from support.databases import TestDatabase
from support.library import add_document, found_pages, say, search, wait_for_index
from support.raw_http import connected, head
from support.servers import Person, Server, wait_until

WAITING = """
    SELECT pid, query_start FROM pg_locks JOIN pg_stat_activity USING (pid)
     WHERE relation = 'page_search'::regclass AND mode = 'AccessShareLock' AND NOT granted
"""


@pytest.fixture
def cormorant(alice: Person, database: TestDatabase) -> int:
    document_id = add_document(database, alice, "a cormorant")
    wait_for_index(database)
    return document_id


@pytest.fixture
def blocked(cormorant: int, database: TestDatabase) -> Iterator[psycopg2.extensions.connection]:
    """No statement gets through to the index before this transaction ends."""
    with database.open() as connection:
        connection.cursor().execute("LOCK TABLE page_search IN ACCESS EXCLUSIVE MODE")
        yield connection
        connection.rollback()


@pytest.mark.usefixtures("blocked")
def test_a_search_ends_when_its_client_hangs_up(alice: Person, server: Server, database: TestDatabase) -> None:
    with connected(server) as connection:
        connection.sendall(head("GET", "/search?q=cormorant", alice))
        wait_until(lambda: database.query(WAITING))

    server.wait_for_line("GET /search 499")
    wait_until(lambda: not database.query(WAITING))


def test_a_search_that_takes_too_long_is_a_503_that_says_what_to_do(
    alice: Person, cormorant: int, blocked: psycopg2.extensions.connection
) -> None:
    answer = alice.client.get("/search", params={"q": "cormorant"})

    assert answer.status_code == 503
    assert answer.json()["code"] == "search_timeout"
    blocked.rollback()
    assert found_pages(alice, "cormorant") == [(cormorant, 1)]


def test_a_search_that_took_too_long_is_tried_again_in_smaller_steps(
    alice: Person, cormorant: int, blocked: psycopg2.extensions.connection, database: TestDatabase
) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(search, alice, "cormorant")
        wait_until(lambda: database.query(WAITING))
        first = database.query(WAITING)
        wait_until(lambda: (waiting := database.query(WAITING)) and waiting != first)
        blocked.rollback()

    assert [hit["document_id"] for hit in answer.result()["results"]] == [cormorant]


def test_messages_are_still_found_while_pages_cannot_be(alice: Person, blocked: psycopg2.extensions.connection) -> None:
    message_id = say(alice, alice, "a cormorant again")

    results = search(alice, "cormorant", type="message")["results"]

    assert [hit["id"] for hit in results] == [message_id]
