"""Answers of many megabytes: they come bit by bit, and hold all that smaller ones would."""

from typing import Any

import httpx
import pytest

from edge.portions import PORTION_BYTES, first_portion, portions
from support.databases import TestDatabase
from support.documents import uploaded
from support.pdfs import make_pdf
from support.servers import Person

LARGE = "é" * 32_000
COUNT = 60


@pytest.fixture(scope="module")
def talk(module_people: tuple[Person, Person], database: TestDatabase) -> tuple[Person, Person, list[int]]:
    """Two people, and the ids of the messages between them: 3.8 MB."""
    alice, bob = module_people
    first = alice.client.post("/messages", json={"recipient_id": bob.id, "content": "the first"}).json()["id"]
    rows = database.query(
        "INSERT INTO messages (sender_id, recipient_id, content)"
        " SELECT %s, %s, n || %s FROM generate_series(1, %s) AS n RETURNING id",
        bob.id,
        alice.id,
        LARGE,
        COUNT,
    )
    return alice, bob, [first, *(row[0] for row in rows)]


def is_in_portions(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and "content-length" not in answer.headers


@pytest.mark.parametrize("query", ["", "?limit=200"])
def test_a_conversation_comes_bit_by_bit(talk: tuple[Person, Person, list[int]], query: str) -> None:
    alice, bob, ids = talk

    answer = alice.client.get(f"/messages/{bob.id}{query}")

    assert is_in_portions(answer)
    assert [message["id"] for message in answer.json()] == ids
    assert answer.json()[-1]["content"] == f"{COUNT}{LARGE}"


def test_both_sides_of_a_message_come_bit_by_bit(talk: tuple[Person, Person, list[int]]) -> None:
    alice, bob, ids = talk

    answer = alice.client.get(f"/messages/{bob.id}?around={ids[30]}&limit=60")

    assert is_in_portions(answer)
    assert [message["id"] for message in answer.json()] == ids[:60]


def test_all_my_messages_come_bit_by_bit(talk: tuple[Person, Person, list[int]]) -> None:
    alice, _, ids = talk

    answer = alice.client.get("/messages?limit=55")

    assert is_in_portions(answer)
    found: dict[str, Any] = answer.json()
    assert [message["id"] for message in found.pop("messages")] == ids[:-56:-1]
    assert found == {"page": 1, "limit": 55, "has_more": True}


def test_a_small_conversation_is_as_it_was(alice: Person, bob: Person) -> None:
    alice.client.post("/messages", json={"recipient_id": bob.id, "content": "hi"})

    answer = alice.client.get(f"/messages/{bob.id}")

    assert "content-length" in answer.headers
    assert [message["content"] for message in answer.json()] == ["hi"]


def test_conversations_with_large_messages_come_on_more_pages(alice: Person, database: TestDatabase) -> None:
    database.query(
        """
        WITH crowd AS (
            INSERT INTO users (email, password_hash, name)
            SELECT 'large.' || %s || '.' || n || '@example.com', '', 'Crowd' FROM generate_series(1, 40) AS n
            RETURNING id
        ), said AS (
            INSERT INTO messages (sender_id, recipient_id, content) SELECT id, %s, %s FROM crowd
        )
        INSERT INTO conversations (user_id, other_id) SELECT %s, id FROM crowd
        """,
        alice.id,
        alice.id,
        LARGE,
        alice.id,
    )
    seen: list[int] = []
    cursor: str | None = ""
    pages = 0
    while cursor is not None:
        page = alice.client.get("/conversations", params={"cursor": cursor} if cursor else {}).json()
        seen += [conversation["user"]["id"] for conversation in page["conversations"]]
        cursor, pages = page["next_cursor"], pages + 1

    assert len(seen) == len(set(seen)) == 40
    assert pages == 3


@pytest.mark.parametrize("accept", ["text/plain", "application/json"])
def test_the_text_of_a_large_document_comes_bit_by_bit(alice: Person, database: TestDatabase, accept: str) -> None:
    file = make_pdf("to be made large", accept)  # no other test's: what is read of a file is kept for the next one
    document_id = uploaded(alice, file)["document_id"]
    page = 'says "é\\"\n' * 80_000
    database.query("UPDATE pages SET text = %s WHERE document_id = %s", page, document_id)

    answer = alice.client.get(f"/documents/{document_id}/text", headers={"Accept": accept})

    assert is_in_portions(answer)
    if accept == "text/plain":
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.text == f"{page}\f{page}"
    else:
        described = [{"page_number": number, "text": page, "char_count": len(page)} for number in (1, 2)]
        assert answer.json() == {"text": f"{page}\f{page}", "pages": described, "page_count": 2}


def test_a_portion_holds_a_megabyte_or_one_item() -> None:
    half = PORTION_BYTES // 2

    assert list(portions([half, half, 1, 3 * half, 1], int)) == [[half, half], [1], [3 * half], [1]]
    assert first_portion([half, half, 1], int) == [half, half]
    assert first_portion([], int) == []
