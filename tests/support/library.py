"""Documents and shares put straight into the database, as an older installation has them: for the search."""

from collections.abc import Sequence
from typing import Any

from support.databases import TestDatabase
from support.servers import Person, wait_until


def add_document(
    database: TestDatabase, owner: Person, *pages: str, filename: str = "book.pdf", title: str = ""
) -> int:
    """A ready document that is not indexed yet; the background does that."""
    ((document_id,),) = database.query(
        """
        WITH added AS (
            INSERT INTO documents (user_id, filename, file_path, file_size, page_count, metadata)
            VALUES (%s, %s, md5(random()::text), 1, %s, jsonb_strip_nulls(jsonb_build_object('Title', nullif(%s, ''))))
            RETURNING id
        ), paged AS (
            INSERT INTO pages SELECT id, n, t, 595, 842 FROM added, unnest(%s::text[]) WITH ORDINALITY AS p (t, n)
        )
        SELECT id FROM added
        """,
        owner.id,
        filename,
        len(pages),
        title,
        list(pages),
    )
    return int(document_id)


def wait_for_index(database: TestDatabase) -> None:
    """Until all documents and messages are indexed."""
    wait_until(
        lambda: (
            database.query(
                """
            SELECT (SELECT count(*) FROM documents WHERE tokens_version = 0 AND status = 'ready') = 0
               AND (SELECT messages_up_to FROM search_progress) >= coalesce((SELECT max(id) FROM messages), 0)
            """
            )
            == [(True,)]
        )
    )


def share(database: TestDatabase, document_id: int, reader: Person) -> None:
    database.query("INSERT INTO document_shares (document_id, user_id) VALUES (%s, %s)", document_id, reader.id)


def unshare(database: TestDatabase, document_id: int, reader: Person) -> None:
    database.query("DELETE FROM document_shares WHERE document_id = %s AND user_id = %s", document_id, reader.id)


def search(person: Person, words: str, **query: str | int) -> dict[str, Any]:
    answer = person.client.get("/search", params={"q": words, **query})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def found_pages(person: Person, words: str, **query: str | int) -> list[tuple[int, int]]:
    """Document and page of each hit, in order."""
    results = search(person, words, **query)["results"]
    return [(hit["document_id"], hit["page"]) for hit in results if hit["type"] == "page"]


def found_messages(person: Person, words: str, **query: str | int) -> list[int]:
    return [hit["id"] for hit in search(person, words, **query)["results"] if hit["type"] == "message"]


def say(sender: Person, recipient: Person, content: str) -> int:
    answer = sender.client.post("/messages", json={"recipient_id": recipient.id, "content": content})
    assert answer.status_code == 200, answer.text
    message_id: int = answer.json()["id"]
    return message_id


def marked(hit: dict[str, Any]) -> Sequence[str]:
    """The stretches of a snippet that are hits."""
    return [piece["text"] for piece in hit["snippet"] if piece["hit"]]


def identify(hit: dict[str, object]) -> tuple[object, ...]:
    return ("page", hit["document_id"], hit["page"]) if hit["type"] == "page" else ("message", hit["id"])


def walk(person: Person, words: str, *, limit: int, **query: str | int) -> list[tuple[object, ...]]:
    """All hits, page by page."""
    found: list[tuple[object, ...]] = []
    cursor: dict[str, str] = {}
    for _ in range(200):
        answer = search(person, words, limit=limit, **query, **cursor)
        found += [identify(hit) for hit in answer["results"]]
        if answer["next_cursor"] is None:
            return found
        cursor = {"cursor": answer["next_cursor"]}
    raise AssertionError("the list does not end")


def bulk(database: TestDatabase, owner: Person, count: int) -> list[int]:
    """Documents of one page with the word platypus, indexed as one of them would be."""
    rows = database.query(
        """
        WITH added AS (
            INSERT INTO documents (user_id, filename, file_path, file_size, page_count, tokens_version)
            SELECT %s, 'book.pdf', md5(random()::text), 1, 1, 1 FROM generate_series(1, %s) RETURNING id
        ), paged AS (
            INSERT INTO pages SELECT id, 1, 'platypus', 595, 842 FROM added
        ), indexed AS (
            INSERT INTO page_search SELECT id, 1, ARRAY[id, -(id / 32) - 1], 'book:1A platypus:101' FROM added
        )
        SELECT id FROM added
        """,
        owner.id,
        count,
    )
    return [int(document_id) for (document_id,) in rows]
