"""Best first, three pages a document, and a cursor that neither repeats nor misses."""

import pytest

from support.databases import TestDatabase
from support.library import (
    add_document,
    bulk,
    found_messages,
    found_pages,
    identify,
    say,
    search,
    share,
    wait_for_index,
    walk,
)
from support.servers import Person

FILLER = "lorem ipsum dolor sit amet consetetur sadipscing elitr sed diam nonumy eirmod tempor " * 5


def test_side_by_side_is_better_than_near_is_better_than_apart(alice: Person, database: TestDatabase) -> None:
    together = add_document(database, alice, FILLER + "the solar panel " + FILLER)
    near = add_document(database, alice, FILLER + "the panel of a solar roof " + FILLER)
    apart = add_document(database, alice, "solar " + FILLER + FILLER + " panel")
    wait_for_index(database)

    assert [document_id for document_id, _ in found_pages(alice, "solar panel")] == [together, near, apart]


def test_among_equals_the_newer_comes_first(alice: Person, database: TestDatabase) -> None:
    added = [add_document(database, alice, "a single walrus") for _ in range(4)]
    sent = [say(alice, alice, "a single walrus") for _ in range(2)]
    wait_for_index(database)

    assert [document_id for document_id, _ in found_pages(alice, "walrus")] == added[::-1]
    assert found_messages(alice, "walrus") == sent[::-1]


def test_pages_and_messages_are_in_one_list(alice: Person, bob: Person, database: TestDatabase) -> None:
    document_id = add_document(database, alice, FILLER + "badger " + FILLER)
    message_id = say(bob, alice, "badger, badger!")
    wait_for_index(database)

    results = search(alice, "badger")["results"]

    assert [identify(hit) for hit in results] == [("message", message_id), ("page", document_id, 1)]
    message, page = results
    assert message["user"] == {"id": bob.id, "name": "Bob"}
    assert message["sender_id"] == bob.id
    assert message["created_at"] == alice.client.get(f"/messages/{bob.id}").json()[0]["created_at"]
    assert alice.client.get(message["url"]).json()[-1]["id"] == message_id
    assert page["filename"] == "book.pdf"
    assert page["url"] == f"/documents/{document_id}/pages/1"
    assert alice.client.get(page["url"]).status_code == 200


def test_exact_words_come_before_longer_ones(alice: Person, database: TestDatabase) -> None:
    longer = add_document(database, alice, "invoices invoices invoices")
    exact = add_document(database, alice, FILLER + " an invoice " + FILLER)
    newer = add_document(database, alice, "two invoices")
    wait_for_index(database)

    assert found_pages(alice, "invoice")[0] == (exact, 1)
    assert {document_id for document_id, _ in found_pages(alice, "invoice")[1:]} == {longer, newer}


def test_a_book_has_three_pages_in_the_list_and_counts_the_rest(alice: Person, database: TestDatabase) -> None:
    book = add_document(database, alice, *[f"page {number} of the yak" for number in range(50)])
    leaflet = add_document(database, alice, FILLER + "yak")
    wait_for_index(database)

    results = search(alice, "yak", type="page")["results"]

    assert [hit["document_id"] for hit in results].count(book) == 3
    assert [hit["more_on_document"] for hit in results if hit["document_id"] == book] == [47, 47, 47]
    assert [hit["more_on_document"] for hit in results if hit["document_id"] == leaflet] == [0]


def test_a_book_has_three_pages_with_longer_words_too(alice: Person, database: TestDatabase) -> None:
    book = add_document(database, alice, "ocelot", "ocelot", *["ocelots"] * 10)
    wait_for_index(database)

    assert [page for _, page in walk_pages(alice, "ocelot")][:2] == [1, 2]
    assert len(walk_pages(alice, "ocelot")) == 3
    assert book in {document_id for document_id, _ in walk_pages(alice, "ocelot")}


def walk_pages(person: Person, words: str) -> list[tuple[int, int]]:
    return [(hit[1], hit[2]) for hit in walk(person, words, limit=2) if hit[0] == "page"]  # type: ignore[misc]


def test_one_document_shows_all_its_pages(alice: Person, database: TestDatabase) -> None:
    book = add_document(database, alice, *["the tapir"] * 350)
    add_document(database, alice, "the tapir")
    wait_for_index(database)

    found = walk(alice, "tapir", limit=150, document_id=book)

    assert sorted(found) == [("page", book, number) for number in range(1, 351)]


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_the_list_is_the_same_in_pages_of_any_size(
    alice: Person, bob: Person, database: TestDatabase, limit: int
) -> None:
    for number in range(6):
        add_document(database, alice, *[f"lemur {'lemur ' * (page % 3)}" for page in range(number + 1)], "lemurs")
        say(alice, bob, "lemur " * (number + 1))
        say(bob, alice, "lemurs")
    wait_for_index(database)
    whole = walk(alice, "lemur", limit=200)

    assert walk(alice, "lemur", limit=limit) == whole
    assert len(set(whole)) == len(whole) == 6 * 2 + 2 + 5 * 3


def test_pages_of_the_list_are_stable_while_more_arrives(alice: Person, bob: Person, database: TestDatabase) -> None:
    for _ in range(5):
        add_document(database, alice, "quokka")
        say(bob, alice, "quokka")
    wait_for_index(database)
    whole = walk(alice, "quokka", limit=200)
    first = search(alice, "quokka", limit=4)
    add_document(database, alice, "quokka " * 5)
    say(bob, alice, "quokka " * 5)
    wait_for_index(database)

    second = search(alice, "quokka", limit=200, cursor=first["next_cursor"])

    assert [identify(hit) for hit in first["results"] + second["results"]] == whole


def test_more_than_one_window_is_listed_whole(alice: Person, bob: Person, database: TestDatabase) -> None:
    """650 documents of one page, 40 of them somebody else's: bands of documents, and several windows."""
    mine = bulk(database, alice, 580)
    theirs = bulk(database, bob, 40)
    mine += bulk(database, alice, 30)
    for document_id in theirs[:20]:
        share(database, document_id, alice)

    found = walk(alice, "platypus", limit=200)

    assert sorted(found) == sorted(("page", document_id, 1) for document_id in mine + theirs[:20])


def test_a_list_that_ends_has_no_cursor(alice: Person, database: TestDatabase) -> None:
    for _ in range(3):
        add_document(database, alice, "narwhal")
    wait_for_index(database)

    assert search(alice, "narwhal", limit=3)["next_cursor"] is None
    assert search(alice, "narwhal", limit=2)["next_cursor"] is not None


# Filters


def test_the_type_is_chosen(alice: Person, database: TestDatabase) -> None:
    document_id = add_document(database, alice, "puffin")
    message_id = say(alice, alice, "puffin")
    wait_for_index(database)

    assert [identify(hit) for hit in search(alice, "puffin", type="page")["results"]] == [("page", document_id, 1)]
    assert [identify(hit) for hit in search(alice, "puffin", type="message")["results"]] == [("message", message_id)]


def test_one_persons_documents_and_messages_are_chosen(alice: Person, bob: Person, database: TestDatabase) -> None:
    add_document(database, alice, "heron")
    theirs = add_document(database, bob, "heron")
    share(database, theirs, alice)
    say(alice, bob, "heron")
    from_bob = say(bob, alice, "heron")
    wait_for_index(database)

    results = search(alice, "heron", **{"from": bob.id})["results"]

    assert {identify(hit) for hit in results} == {("page", theirs, 1), ("message", from_bob)}


def test_a_time_is_chosen(alice: Person, database: TestDatabase) -> None:
    old = add_document(database, alice, "stork")
    new = add_document(database, alice, "stork")
    database.query("UPDATE documents SET created_at = '2020-02-02T12:00Z' WHERE id = %s", old)
    wait_for_index(database)

    assert found_pages(alice, "stork", before="2020-02-03") == [(old, 1)]
    assert found_pages(alice, "stork", after="2020-02-03") == [(new, 1)]
    assert found_pages(alice, "stork", after="2020-02-02T12:00:00Z", before="2020-02-02T13:00:01+01:00") == [(old, 1)]
