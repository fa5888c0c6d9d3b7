"""Nobody finds what they may not read, nor learns that it exists."""

import base64

import pytest

from support.databases import TestDatabase
from support.documents import upload
from support.library import (
    add_document,
    found_messages,
    found_pages,
    say,
    search,
    share,
    unshare,
    wait_for_index,
)
from support.pdfs import make_pdf
from support.servers import Person


@pytest.fixture
def secret(alice: Person, database: TestDatabase) -> tuple[int, str]:
    """A document of alice's, and a word that is in no other."""
    word = f"secret{alice.id}x"
    document_id = add_document(database, alice, f"the {word} plan", "another page")
    wait_for_index(database)
    return document_id, word


def test_an_owner_finds_their_page(alice: Person, secret: tuple[int, str]) -> None:
    document_id, word = secret

    assert found_pages(alice, word) == [(document_id, 1)]


def test_a_stranger_finds_nothing(bob: Person, secret: tuple[int, str]) -> None:
    assert search(bob, secret[1])["results"] == []


def test_a_reader_finds_a_shared_page(bob: Person, database: TestDatabase, secret: tuple[int, str]) -> None:
    document_id, word = secret
    share(database, document_id, bob)

    assert found_pages(bob, word) == [(document_id, 1)]


def test_a_former_reader_finds_nothing_at_once(bob: Person, database: TestDatabase, secret: tuple[int, str]) -> None:
    document_id, word = secret
    share(database, document_id, bob)
    assert found_pages(bob, word)

    unshare(database, document_id, bob)

    assert search(bob, word)["results"] == []


def test_a_card_is_found_by_its_words_and_its_page_until_it_is_taken_back(alice: Person, bob: Person) -> None:
    word = f"sandpiper{alice.id}x"
    document_id = upload(alice, make_pdf("Hello world", f"the {word} is here"))
    card = {"recipient_id": bob.id, "content": f"that {word}!", "document_id": document_id, "page": 2, "match": word}
    message_id = alice.client.post("/messages", json=card).json()["id"]

    message, page = sorted(search(bob, word)["results"], key=lambda hit: hit["type"])
    assert (message["id"], message["attachment"]["page"], message["attachment"]["available"]) == (message_id, 2, True)
    assert (page["document_id"], page["page"]) == (document_id, 2)
    assert alice.client.delete(f"/documents/{document_id}/shares/{bob.id}").status_code == 204

    (message,) = search(bob, word)["results"]
    assert (message["id"], message["attachment"]["available"]) == (message_id, False)
    assert message["attachment"]["snippet"]


def test_naming_a_strangers_document_finds_nothing(bob: Person, secret: tuple[int, str]) -> None:
    document_id, word = secret

    answer = search(bob, word, document_id=document_id)

    assert answer["results"] == []
    assert answer.keys() == search(bob, word, document_id=2**60).keys()


def test_a_deleted_document_is_not_found(alice: Person, database: TestDatabase) -> None:
    document_id = upload(alice, make_pdf("a vanishing page"))
    assert found_pages(alice, "vanishing") == [(document_id, 1)]

    assert alice.client.delete(f"/documents/{document_id}").status_code == 204

    assert search(alice, "vanishing")["results"] == []
    assert database.query("SELECT 1 FROM page_search WHERE document_id = %s", document_id) == []


@pytest.mark.parametrize("indexed", [False, True], ids=["just sent", "indexed"])
def test_a_message_is_found_by_its_two_people_alone(
    alice: Person, bob: Person, carol: Person, database: TestDatabase, indexed: bool
) -> None:
    word = f"whisper{alice.id}x"
    message_id = say(alice, bob, f"a {word} for you")
    if indexed:
        wait_for_index(database)

    assert found_messages(alice, word) == [message_id]
    assert found_messages(bob, word) == [message_id]
    assert search(carol, word)["results"] == []


@pytest.mark.parametrize("words", ["=u{0}", "'=u{0}'", "u{0}", '"=u{0}" or a', "a' | '=u{0}", "=s{0}:*"])
def test_nobody_asks_for_the_key_of_anothers_messages(
    alice: Person, bob: Person, carol: Person, database: TestDatabase, words: str
) -> None:
    say(alice, bob, "between us")
    wait_for_index(database)

    assert search(carol, words.format(alice.id))["results"] == []


def test_a_key_written_into_a_message_opens_it_to_nobody(
    alice: Person, bob: Person, carol: Person, database: TestDatabase
) -> None:
    say(alice, bob, f"forged =u{carol.id} '=u{carol.id}' ='u{carol.id}")
    wait_for_index(database)

    assert search(carol, "forged")["results"] == []


def test_an_account_that_is_deleted_takes_its_words_along(alice: Person, bob: Person, database: TestDatabase) -> None:
    message_id = say(alice, bob, "the last words")
    wait_for_index(database)

    database.query("DELETE FROM users WHERE id = %s", alice.id)

    assert found_messages(bob, "last words") == []
    assert database.query("SELECT 1 FROM message_search WHERE message_id = %s", message_id) == []


def test_a_cursor_names_no_document_that_one_may_not_read(alice: Person, bob: Person, database: TestDatabase) -> None:
    mine = [add_document(database, bob, f"gazelle {number}") for number in range(3)]
    add_document(database, alice, "gazelle 4")
    wait_for_index(database)

    cursor = search(bob, "gazelle", limit=1)["next_cursor"]

    packed = base64.urlsafe_b64decode(cursor + "==").decode()
    highest = max(int(number) for number in packed.replace("[", ",").replace("]", ",").split(",") if number.isdigit())
    assert highest <= mine[-1] + 1


def test_anothers_cursor_opens_nothing(alice: Person, bob: Person, database: TestDatabase) -> None:
    for number in range(3):
        add_document(database, alice, f"antelope {number}")
    wait_for_index(database)
    cursor = search(alice, "antelope", limit=1)["next_cursor"]

    assert search(bob, "antelope", cursor=cursor)["results"] == []


def test_the_search_needs_a_token(alice: Person) -> None:
    answer = alice.client.get("/search", params={"q": "word"}, headers={"Authorization": ""})

    assert answer.status_code == 401
