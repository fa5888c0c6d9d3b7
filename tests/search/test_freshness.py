"""What was just stored is found at once, and what is gone is not."""

from collections.abc import Iterator

import pytest

from support.databases import TestDatabase
from support.documents import upload
from support.library import found_messages, found_pages, say, search, wait_for_index
from support.pdfs import make_pdf
from support.servers import Person, wait_until


def test_an_uploaded_page_is_found_when_the_upload_is_answered(alice: Person) -> None:
    document_id = upload(alice, make_pdf("Hello world", "the second page has a kingfisher"))

    (hit,) = search(alice, "kingfisher")["results"]

    assert (hit["document_id"], hit["page"], hit["filename"], hit["matches"]) == (document_id, 2, "book.pdf", 1)
    assert hit["snippet"] == [{"text": "the second page has a ", "hit": False}, {"text": "kingfisher", "hit": True}]


@pytest.fixture
def gate(database: TestDatabase) -> Iterator[None]:
    """Meanwhile a page that says "behind the gate" cannot be stored."""
    database.query(
        """
        CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_advisory_xact_lock_shared(57); RETURN NEW; END $$;
        CREATE TRIGGER gate BEFORE INSERT ON pages FOR EACH ROW
            WHEN (NEW.text LIKE '%%behind the gate%%') EXECUTE FUNCTION wait_at_gate()
        """
    )
    with database.open() as connection:
        connection.cursor().execute("SELECT pg_advisory_lock(57)")
        yield
    database.query("DROP FUNCTION wait_at_gate CASCADE")


def test_first_pages_are_found_while_the_rest_is_still_extracted(alice: Person, gate: None) -> None:
    pages = ["first bittern"] + ["filler"] * 30 + ["behind the gate"]

    answer = alice.client.post(
        "/upload-pdf",
        files={"file": ("book.pdf", make_pdf(*pages), "application/pdf")},
        headers={"Prefer": "respond-async"},
    )
    document_id = answer.json()["document_id"]
    wait_until(lambda: found_pages(alice, "bittern"))

    assert found_pages(alice, "bittern") == [(document_id, 1)]
    assert alice.client.get(f"/documents/{document_id}").json()["status"] == "processing"


def test_the_same_bytes_are_found_under_both_names(alice: Person, bob: Person) -> None:
    data = make_pdf("a common merganser")
    mine = upload(alice, data, "ducks.pdf")
    theirs = upload(bob, data, "geese.pdf")

    assert found_pages(alice, "merganser") == found_pages(alice, "ducks") == [(mine, 1)]
    assert found_pages(bob, "merganser") == found_pages(bob, "geese") == [(theirs, 1)]
    assert found_pages(bob, "ducks") == []


def test_a_renamed_document_is_found_by_its_new_name(alice: Person) -> None:
    document_id = upload(alice, make_pdf("some text"), "osprey.pdf")

    alice.client.patch(f"/documents/{document_id}", json={"filename": "falcon.pdf"})

    assert found_pages(alice, "falcon text") == [(document_id, 1)]
    assert found_pages(alice, "osprey") == []


def test_a_renamed_book_is_found_by_its_new_name_soon(alice: Person, database: TestDatabase) -> None:
    document_id = upload(alice, make_pdf(*["some text"] * 70), "avocet.pdf")

    alice.client.patch(f"/documents/{document_id}", json={"filename": "curlew.pdf"})
    wait_for_index(database)

    assert found_pages(alice, "curlew text")[0] == (document_id, 1)
    assert found_pages(alice, "avocet") == []


def test_a_message_is_found_at_once(alice: Person, bob: Person) -> None:
    message_id = say(alice, bob, "the plover has landed")

    (hit,) = search(bob, "plover")["results"]

    assert (hit["type"], hit["id"], hit["user"]["id"]) == ("message", message_id, alice.id)
    assert hit["snippet"] == [
        {"text": "the ", "hit": False},
        {"text": "plover", "hit": True},
        {"text": " has landed", "hit": False},
    ]


def test_an_edit_replaces_what_is_found(alice: Person, bob: Person, database: TestDatabase) -> None:
    early, late = say(alice, bob, "a whimbrel"), say(alice, bob, "a godwit")
    alice.client.patch(f"/message/{early}", json={"content": "a turnstone"})
    wait_for_index(database)
    alice.client.patch(f"/message/{late}", json={"content": "a sanderling"})

    assert found_messages(bob, "turnstone") == [early]
    assert found_messages(bob, "sanderling") == [late]
    assert search(bob, "whimbrel or godwit")["results"] == []


def test_a_message_that_was_taken_back_is_not_found(alice: Person, bob: Person, database: TestDatabase) -> None:
    early, late = say(alice, bob, "a dunlin"), say(alice, bob, "a dunlin")
    alice.client.delete(f"/message/{early}")
    wait_for_index(database)
    alice.client.delete(f"/message/{late}")

    assert search(bob, "dunlin")["results"] == search(alice, "dunlin")["results"] == []
    rows = database.query("SELECT vec::text FROM message_search WHERE message_id IN (%s, %s)", early, late)
    assert rows == [("",), ("",)]


def test_a_message_is_found_among_thousands_that_are_not_indexed_yet(alice: Person, database: TestDatabase) -> None:
    with database.open() as writing:
        cursor = writing.cursor()
        cursor.execute("INSERT INTO messages (sender_id, recipient_id, content) VALUES (0, 0, 'unfinished')")
        first = say(alice, alice, "a wheatear")
        database.query(
            "INSERT INTO messages (sender_id, recipient_id, content) SELECT %s, %s, 'a finch ' || n "
            "FROM generate_series(1, 2500) AS n",
            alice.id,
            alice.id,
        )

        assert found_messages(alice, "wheatear") == [first]
        assert len(found_messages(alice, "finch 1234")) == 1
        assert database.query("SELECT 1 FROM message_search WHERE message_id >= %s", first) == []
        writing.rollback()
    wait_for_index(database)
    assert found_messages(alice, "wheatear") == [first]
