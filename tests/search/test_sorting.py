"""The newest first, across windows of pages and messages, and how many there are."""

import pytest

from support.databases import TestDatabase
from support.library import add_document, bulk, identify, say, search, share, wait_for_index, walk
from support.servers import Person


def write_messages(database: TestDatabase, sender: Person, recipient: Person, count: int) -> list[int]:
    rows = database.query(
        """
        INSERT INTO messages (sender_id, recipient_id, content)
        SELECT %s, %s, 'a platypus' FROM generate_series(1, %s) RETURNING id
        """,
        sender.id,
        recipient.id,
        count,
    )
    return [int(message_id) for (message_id,) in rows]


def test_the_newest_come_first_whatever_is_in_them(alice: Person, bob: Person, database: TestDatabase) -> None:
    oldest = add_document(database, alice, "cormorant " * 9)
    first = say(bob, alice, "cormorants")
    middle = add_document(database, alice, "the name of the bird is cormorant", "cormorant cormorant")
    last = say(alice, bob, "seen: one cormorant, in the rain, far out")
    wait_for_index(database)

    results = [identify(hit) for hit in search(alice, "cormorant", sort="newest")["results"]]

    assert results == [
        ("message", last),
        ("page", middle, 2),
        ("page", middle, 1),
        ("message", first),
        ("page", oldest, 1),
    ]


@pytest.mark.parametrize("limit", [7, 200])
def test_the_newest_come_first_through_many_windows(
    alice: Person, bob: Person, database: TestDatabase, limit: int
) -> None:
    """Now messages, now pages fill a window before the others reach its end."""
    expected: list[tuple[object, ...]] = []
    for documents, messages in ((5, 310), (310, 5), (4, 4)):
        expected += [("page", document_id, 1) for document_id in bulk(database, alice, documents)]
        bulk(database, bob, 3)
        expected += [("message", message_id) for message_id in write_messages(database, bob, alice, messages)]
    wait_for_index(database)

    assert walk(alice, "platypus", limit=limit, sort="newest")[: len(expected)] == expected[::-1]


def test_a_cursor_is_of_one_order(alice: Person, database: TestDatabase) -> None:
    for _ in range(3):
        add_document(database, alice, "dotterel")
    wait_for_index(database)
    cursor = search(alice, "dotterel", limit=1, sort="newest")["next_cursor"]

    answer = alice.client.get("/search", params={"q": "dotterel", "cursor": cursor})

    assert answer.status_code == 422


def test_all_that_match_are_counted_also_what_the_list_leaves_out(
    alice: Person, bob: Person, database: TestDatabase
) -> None:
    add_document(database, alice, *["the dunlin"] * 8, "of dunlins")
    add_document(database, bob, "dunlin")
    shared = add_document(database, bob, "dunlin")
    share(database, shared, alice)
    say(alice, bob, "dunlin")
    say(bob, alice, "two dunlins")
    say(bob, bob, "dunlin")
    wait_for_index(database)

    assert search(alice, "dunlin", limit=1)["totals"] == {"pages": 10, "messages": 2, "exact": True}
    assert search(alice, "dunlin", sort="newest")["totals"] == {"pages": 10, "messages": 2, "exact": True}
    assert search(alice, "dunlin", type="page")["totals"] == {"pages": 10, "messages": 0, "exact": True}


def test_of_very_many_the_first_are_counted(alice: Person, bob: Person, database: TestDatabase) -> None:
    bulk(database, alice, 400)
    say(bob, alice, "a platypus")
    wait_for_index(database)

    totals = search(alice, "platypus")["totals"]

    assert totals["exact"] is False
    assert 100 <= totals["pages"] <= 400


def test_only_the_first_answer_counts(alice: Person, database: TestDatabase) -> None:
    for _ in range(3):
        add_document(database, alice, "garganey")
    wait_for_index(database)
    cursor = search(alice, "garganey", limit=1)["next_cursor"]

    assert search(alice, "garganey", limit=1, cursor=cursor)["totals"] is None


def test_an_unknown_order_is_refused(alice: Person) -> None:
    assert alice.client.get("/search", params={"q": "x", "sort": "oldest"}).status_code == 422
