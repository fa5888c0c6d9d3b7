"""Messages that point at a document: the quote, who may show it to whom, and how it looks in every channel."""

import json
from typing import Any

import pytest

from messages.attachments import find_quote
from support.databases import TestDatabase
from support.documents import holding, refusal, upload, version_of, wait_until_blocked
from support.pdfs import make_pdf
from support.servers import Person, receive
from support.sharing import can_read, cards, share, show, talk, unshare
from support.tabs import Tab

BOOK = make_pdf("Nothing here", "The total due is 1,250.00 euros, payable by the end of the month", "The end")
QUOTE = [
    {"text": "The ", "hit": False},
    {"text": "total due", "hit": True},
    {"text": " is 1,250.00 euros, payable by the end of the month", "hit": False},
]


@pytest.fixture
def book(alice: Person) -> int:
    return upload(alice, BOOK, "book.pdf")


def attachment(person: Person, other: Person) -> dict[str, Any]:
    return cards(person, other)[-1]


# The quote


def test_a_message_shows_the_page_with_its_words_marked(alice: Person, bob: Person, book: int) -> None:
    answer = show(alice, bob, book, content="Look at page 2", page=2, match="total due")

    assert answer.status_code == 200
    (message,) = talk(bob, alice)
    assert message["content"] == "Look at page 2"
    assert message["attachment"] == {
        "document_id": book,
        "filename": "book.pdf",
        "page_count": 3,
        "page": 2,
        "match": "total due",
        "snippet": QUOTE,
        "thumbnail": f"/documents/{book}/pages/2/image?width=240&v={version_of(alice, book)}&q=total%20due",
        "status": "ready",
        "available": True,
    }
    assert bob.client.get(message["attachment"]["thumbnail"]).is_success


def test_the_owners_message_shares_its_document(alice: Person, bob: Person, book: int) -> None:
    show(alice, bob, book)

    assert can_read(bob, book)
    assert len(talk(bob, alice)) == 1


def test_a_term_that_is_not_on_the_page_is_not_quoted(alice: Person, bob: Person, book: int) -> None:
    show(alice, bob, book, page=1, match="total due")

    assert attachment(bob, alice)["snippet"] == []


def test_a_quote_has_whole_words_around_the_hit() -> None:
    text = "alpha " * 30 + "needle" + " omega" * 30

    before, hit, after = find_quote(text, "NEEDLE")

    assert hit == {"text": "needle", "hit": True}
    assert set(str(before["text"]).split()) == {"alpha"}
    assert set(str(after["text"]).split()) == {"omega"}


def test_a_quote_stays_as_it_was_sent(alice: Person, bob: Person, book: int) -> None:
    show(alice, bob, book, page=2, match="total due")
    alice.client.patch(f"/documents/{book}", json={"filename": "renamed.pdf"})

    assert (attachment(bob, alice)["snippet"], attachment(bob, alice)["filename"]) == (QUOTE, "renamed.pdf")


# The fields


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"page": 0}, "page"),
        ({"page": 2**31}, "page"),
        ({"page": "2"}, "page"),
        ({"page": True}, "page"),
        ({"match": ""}, "match"),
        ({"match": " "}, "match"),
        ({"match": "x" * 1001}, "match"),
        ({"match": "a\0"}, "match"),
        ({"document_id": "7"}, "document_id"),
        ({"document_id": 0}, "document_id"),
        ({"document_id": 2**63}, "document_id"),
        ({"document_id": None, "page": 1, "content": "hi"}, "page"),
        ({"document_id": None, "match": "x", "content": "hi"}, "match"),
        ({"document_id": None}, "content"),
        ({"share": "no"}, "share"),
        ({"content": "a\0"}, "content"),
    ],
)
def test_a_wrong_field_is_a_422(alice: Person, bob: Person, book: int, fields: dict[str, Any], where: str) -> None:
    answer = alice.client.post("/messages", json={"recipient_id": bob.id, "document_id": book, **fields})

    assert refusal(answer) == (422, "validation_error")
    assert answer.json()["detail"][0]["loc"] == ["body", where]
    assert not can_read(bob, book)


def test_a_page_that_the_document_does_not_have_is_a_404(alice: Person, bob: Person, book: int) -> None:
    assert refusal(show(alice, bob, book, page=4)) == (404, "page_not_found")
    assert not can_read(bob, book)


# Who may show what to whom


def test_a_document_that_one_may_not_read_is_not_shown(alice: Person, bob: Person, carol: Person, book: int) -> None:
    for recipient in (bob, carol, alice):
        assert refusal(show(bob, recipient, book, page=2, match="total due")) == (404, "document_not_found")
    assert talk(bob, alice) == talk(bob, carol) == []


def test_a_reader_cannot_hand_a_document_on(alice: Person, bob: Person, carol: Person, book: int) -> None:
    share(alice, book, bob)

    assert refusal(show(bob, carol, book, page=2, match="total due")) == (404, "document_not_found")
    assert talk(bob, carol) == []
    assert not can_read(carol, book)


def test_readers_talk_about_a_document_with_each_other(alice: Person, bob: Person, carol: Person, book: int) -> None:
    share(alice, book, bob)
    share(alice, book, carol)

    for recipient in (alice, carol, bob):
        assert show(bob, recipient, book, page=2).status_code == 200
    unshare(alice, book, carol)
    assert refusal(show(bob, carol, book)) == (404, "document_not_found")


def test_an_answer_about_a_document_shares_nothing_again(alice: Person, bob: Person, book: int) -> None:
    share(alice, book, bob)
    assert show(alice, bob, book, page=2, content="as I said", share=False).status_code == 200
    unshare(alice, book, bob)

    answer = show(alice, bob, book, page=2, content="once more", share=False)

    assert refusal(answer) == (404, "document_not_found")
    assert talk(bob, alice)[-1]["content"] == "as I said"
    assert not can_read(bob, book)


def test_a_document_is_not_shown_to_nobody(alice: Person, book: int) -> None:
    answer = alice.client.post("/messages", json={"recipient_id": 2**62, "document_id": book})

    assert refusal(answer) == (404, "user_not_found")


def test_a_note_to_oneself_may_point_at_a_document(alice: Person, book: int) -> None:
    assert show(alice, alice, book, page=2).status_code == 200

    assert attachment(alice, alice)["page"] == 2
    assert alice.client.get(f"/documents/{book}/shares").json()["shares"] == []


# Repeats, edits, deletions


def test_a_repeat_is_a_duplicate_and_shares_nothing_again(alice: Person, bob: Person, book: int) -> None:
    first = show(alice, bob, book, page=2, client_id="once").json()
    unshare(alice, book, bob)

    second = show(alice, bob, book, page=2, client_id="once").json()

    assert (second["id"], second["duplicate"]) == (first["id"], True)
    assert not can_read(bob, book)


def test_a_repeat_is_a_duplicate_after_the_document_is_gone(alice: Person, bob: Person, book: int) -> None:
    first = show(alice, bob, book, client_id="once").json()
    alice.client.delete(f"/documents/{book}")

    second = show(alice, bob, book, client_id="once").json()

    assert (second["id"], second["duplicate"]) == (first["id"], True)


@pytest.mark.parametrize("other", [{"page": 3}, {"match": "x"}, {"document_id": None, "content": "hi", "page": None}])
def test_the_same_client_id_with_another_page_is_a_409(
    alice: Person, bob: Person, book: int, other: dict[str, Any]
) -> None:
    show(alice, bob, book, page=2, client_id="once")
    body = {"recipient_id": bob.id, "document_id": book, "page": 2, "client_id": "once", **other}

    assert refusal(alice.client.post("/messages", json=body)) == (409, "client_id_reused")


def test_a_message_that_is_edited_keeps_its_document(alice: Person, bob: Person, book: int) -> None:
    message_id = show(alice, bob, book, page=2).json()["id"]

    answer = alice.client.patch(f"/message/{message_id}", json={"content": "never mind"})

    assert answer.json()["attachment"]["page"] == 2
    assert attachment(bob, alice)["page"] == 2


def test_a_message_that_is_taken_back_shows_no_document(alice: Person, bob: Person, book: int) -> None:
    message_id = show(alice, bob, book, page=2, match="total due").json()["id"]
    alice.client.delete(f"/message/{message_id}")

    with Tab(bob) as his:
        (frame,) = [frame for frame in his.resume(0) if frame["type"] == "message"]

    assert cards(bob, alice) == []
    assert frame["attachment"] is None
    assert bob.client.get(f"/documents/{book}/messages").json()["messages"] == []


# Sockets


def test_a_frame_shows_a_document(alice: Person, bob: Person, book: int) -> None:
    with Tab(alice) as hers, Tab(bob) as his:
        hers.everything(), his.everything()
        ack = hers.ask(recipient_id=bob.id, document_id=book, page=2, match="total due", client_id="a1")
        frame = his.expect("message")

    assert (ack["type"], ack["id"]) == ("ack", frame["id"])
    assert (frame["content"], frame["attachment"]["snippet"]) == ("", QUOTE)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"page": 4}, "page_not_found"),
        ({"document_id": 2**62}, "document_not_found"),
        ({"page": 0}, "bad_frame"),
        ({"page": "2"}, "bad_frame"),
        ({"page": [2]}, "bad_frame"),
        ({"match": 7}, "bad_frame"),
        ({"match": ["total due"]}, "bad_frame"),
        ({"match": "x" * 1001}, "bad_frame"),
        ({"match": "a\0"}, "bad_frame"),
        ({"document_id": True}, "bad_frame"),
        ({"document_id": {}}, "bad_frame"),
        ({"document_id": None}, "bad_frame"),
    ],
)
def test_a_wrong_frame_is_an_error_frame(
    alice: Person, bob: Person, book: int, fields: dict[str, Any], code: str
) -> None:
    with Tab(alice) as hers:
        answer = hers.ask(**{"recipient_id": bob.id, "document_id": book, **fields})
        after = hers.ask(recipient_id=bob.id, content="still here")

    assert (answer["type"], answer["code"]) == ("error", code)
    assert after["type"] == "ack"


def test_messages_keep_their_order_around_a_document(alice: Person, bob: Person, book: int) -> None:
    with Tab(alice) as hers:
        for number in range(30):
            pointer = {"document_id": book} if number % 3 == 1 else {}
            hers.send(recipient_id=bob.id, content=str(number), ref=number, **pointer)
        for _ in range(30):
            hers.expect("ack")

    assert [message["content"] for message in talk(bob, alice)] == [str(number) for number in range(30)]


def test_a_message_that_waits_for_its_document_holds_up_nobody_else(
    alice: Person, bob: Person, carol: Person, book: int, database: TestDatabase
) -> None:
    with Tab(alice) as hers, Tab(carol) as others:
        with holding(database, "SELECT FROM documents WHERE id = %s FOR UPDATE", book):
            hers.send(recipient_id=bob.id, content="1", document_id=book, ref="waits")
            hers.send(recipient_id=bob.id, content="2", ref="behind it")
            wait_until_blocked(database)
            assert others.ask(recipient_id=bob.id, content="at once")["type"] == "ack"
        assert [hers.expect("ack")["ref"] for _ in range(2)] == ["waits", "behind it"]

    assert [message["content"] for message in talk(bob, alice)] == ["1", "2"]


def test_a_classic_socket_is_shown_the_words_or_the_name(alice: Person, bob: Person, book: int) -> None:
    with alice.socket() as hers, bob.socket() as his:
        hers.send(json.dumps({"recipient_id": bob.id, "content": "", "document_id": book, "page": 2}))
        first = receive(his)
        show(alice, bob, book, content="and this")
        second = receive(his)

    assert (first["content"], second["content"]) == ("book.pdf, page 2", "and this")
