"""Sharing: the grant and its card, who is notified of what, and how every door closes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial

import httpx
import pytest

from support.databases import TestDatabase
from support.documents import documents_of, locked, post, refusal, upload, uploaded, version_of
from support.pdfs import make_pdf
from support.servers import PASSWORD, WAIT_SECONDS, Person, Server, register, wait_until
from support.sharing import can_read, cards, share, show, talk, unshare
from support.tabs import Tab

NOBODY = 2**62


@pytest.fixture
def hello_id(alice: Person, hello: bytes) -> int:
    return upload(alice, hello, "hello.pdf")


# The grant and its card


def test_a_shared_document_can_be_read(alice: Person, bob: Person, hello_id: int) -> None:
    answer = share(alice, hello_id, bob)

    assert answer["user"] == {"id": bob.id, "name": "Bob"}
    assert datetime.fromisoformat(answer["created_at"]).tzinfo is not None
    assert bob.client.get(f"/documents/{hello_id}").json()["owner"] == {"id": alice.id, "name": "Alice"}
    assert "Hello world" in bob.client.get(f"/documents/{hello_id}/text").text


def test_sharing_sends_one_card(alice: Person, bob: Person, hello_id: int) -> None:
    share(alice, hello_id, bob)
    share(alice, hello_id, bob)

    (message,) = talk(bob, alice)
    assert (message["content"], message["sender_id"]) == ("", alice.id)
    assert message["attachment"] == {
        "document_id": hello_id,
        "filename": "hello.pdf",
        "page_count": 2,
        "page": None,
        "match": None,
        "snippet": [],
        "thumbnail": f"/documents/{hello_id}/pages/1/image?width=240&v={version_of(alice, hello_id)}",
        "status": "ready",
        "available": True,
    }
    assert bob.client.get(message["attachment"]["thumbnail"]).headers["content-type"] == "image/png"


def test_a_share_comes_to_both_people_live(alice: Person, bob: Person, hello_id: int) -> None:
    with Tab(alice) as hers, Tab(bob) as his:
        hers.everything(), his.everything()
        share(alice, hello_id, bob)
        sent, received, shared = hers.expect("message"), his.expect("message"), his.expect("document.shared")

    assert sent["attachment"] == received["attachment"]
    assert received["attachment"]["document_id"] == hello_id
    assert shared["prev"] == received["seq"]
    assert {name: shared[name] for name in ("document_id", "filename", "page_count", "owner_id", "owner_name")} == {
        "document_id": hello_id,
        "filename": "hello.pdf",
        "page_count": 2,
        "owner_id": alice.id,
        "owner_name": "Alice",
    }


def test_of_eight_shares_at_once_one_sends_a_card(alice: Person, bob: Person, hello_id: int) -> None:
    path = f"/documents/{hello_id}/shares/{bob.id}"
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: alice.client.put(path), range(8)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert len(talk(bob, alice)) == 1


def test_shares_and_returns_at_once_are_all_answered(alice: Person, bob: Person, hello_id: int) -> None:
    path = f"/documents/{hello_id}/shares/{bob.id}"
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: alice.client.request(["PUT", "DELETE"][number % 2], path), range(40)))

    assert {answer.status_code for answer in answers} <= {200, 204, 404}
    returned = [answer.status_code for answer in answers].count(204)
    assert len(talk(bob, alice)) - returned == can_read(bob, hello_id)


def test_the_list_of_shares_is_in_pages(alice: Person, server: Server, hello_id: int) -> None:
    people = [register(server, name) for name in ("bob", "carol", "dave")]
    for person in people:
        share(alice, hello_id, person)

    first = people[0].client.get(f"/documents/{hello_id}/shares?limit=2").json()
    second = alice.client.get(f"/documents/{hello_id}/shares?limit=2&cursor={first['next_cursor']}").json()

    assert [entry["user"]["id"] for entry in first["shares"] + second["shares"]] == [person.id for person in people]
    assert second["next_cursor"] is None


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_share_that_is_not_there_is_a_404(alice: Person, bob: Person, hello_id: int, method: str) -> None:
    answer = alice.client.request(method, f"/documents/{hello_id}/shares/{bob.id}")

    assert refusal(answer) == (404, "share_not_found")


def test_sharing_with_nobody_is_a_404(alice: Person, hello_id: int) -> None:
    assert refusal(alice.client.put(f"/documents/{hello_id}/shares/{NOBODY}")) == (404, "user_not_found")


def test_ones_own_document_is_not_shared_with_oneself(alice: Person, hello_id: int) -> None:
    assert refusal(alice.client.put(f"/documents/{hello_id}/shares/{alice.id}")) == (422, "own_document")


def test_cards_count_in_the_message_limit(make_server: Callable[..., Server], hello: bytes) -> None:
    server = make_server(MESSAGE_RATE_LIMIT="2/minute").start()
    alice, *others = (register(server, name) for name in ("alice", "bob", "carol", "dave"))
    document_id = upload(alice, hello)
    first = [share(alice, document_id, other) for other in others[:2]]

    answer = alice.client.put(f"/documents/{document_id}/shares/{others[2].id}")

    assert refusal(answer) == (429, "rate_limited")
    assert not can_read(others[2], document_id)
    assert share(alice, document_id, others[0]) == first[0]


# Taking back


def test_what_is_taken_back_is_closed_and_told(alice: Person, bob: Person, hello_id: int) -> None:
    share(alice, hello_id, bob)
    with Tab(bob) as his:
        his.everything()
        unshare(alice, hello_id, bob)
        told = his.expect("document.unshared")

    assert told["document_id"] == hello_id
    assert not can_read(bob, hello_id)
    assert documents_of(bob) == []


def test_a_card_stays_when_its_document_is_taken_back(alice: Person, bob: Person, hello_id: int) -> None:
    show(alice, bob, hello_id, page=1, match="world")
    unshare(alice, hello_id, bob)
    alice.client.patch(f"/documents/{hello_id}", json={"filename": "secret plans.pdf"})

    (his,), (hers,) = cards(bob, alice), cards(alice, bob)

    assert his == {
        "document_id": hello_id,
        "filename": "hello.pdf",
        "page_count": None,
        "page": 1,
        "match": "world",
        "snippet": hers["snippet"],
        "thumbnail": None,
        "status": None,
        "available": False,
    }
    assert (hers["available"], hers["filename"]) == (True, "secret plans.pdf")


def test_a_replay_shows_what_its_reader_may_see_now(alice: Person, bob: Person, hello_id: int) -> None:
    show(alice, bob, hello_id, page=1, match="world")
    unshare(alice, hello_id, bob)

    with Tab(bob) as his, Tab(alice) as hers:
        replayed = {frame["type"]: frame for frame in his.resume(0)}
        (sent,) = [frame for frame in hers.resume(0) if frame["type"] == "message"]

    assert replayed["message"]["attachment"]["available"] is False
    assert "document.shared" not in replayed
    assert replayed["document.unshared"]["document_id"] == hello_id
    assert sent["attachment"]["available"] is True


def test_the_list_of_conversations_shows_what_its_reader_may_see_now(alice: Person, bob: Person, hello_id: int) -> None:
    share(alice, hello_id, bob)
    unshare(alice, hello_id, bob)

    seen = {
        person.name: person.client.get("/conversations").json()["conversations"][0]["last_message"]["attachment"]
        for person in (alice, bob)
    }

    assert (seen["alice"]["available"], seen["bob"]["available"]) == (True, False)


def test_sharing_again_sends_another_card(alice: Person, bob: Person, hello_id: int) -> None:
    share(alice, hello_id, bob)
    unshare(alice, hello_id, bob)
    share(alice, hello_id, bob)

    assert [card["available"] for card in cards(bob, alice)] == [True, True]


# Deletion


def test_a_deleted_document_is_told_to_its_readers(alice: Person, bob: Person, hello_id: int) -> None:
    share(alice, hello_id, bob)
    with Tab(bob) as his:
        his.everything()
        alice.client.delete(f"/documents/{hello_id}")
        told = his.expect("document.deleted")

    assert told["document_id"] == hello_id
    assert not can_read(bob, hello_id)
    assert [(card["available"], card["filename"]) for card in cards(bob, alice)] == [(False, "hello.pdf")]


def test_an_account_takes_its_shares_with_it(
    alice: Person, bob: Person, carol: Person, database: TestDatabase, hello: bytes, hello_id: int
) -> None:
    bobs = upload(bob, hello)
    share(bob, bobs, alice)
    share(alice, hello_id, bob)
    share(alice, hello_id, carol)

    database.query("DELETE FROM users WHERE id = %s", bob.id)

    shares = alice.client.get(f"/documents/{hello_id}/shares").json()["shares"]
    assert [entry["user"]["id"] for entry in shares] == [carol.id]
    assert not can_read(alice, bobs)
    assert documents_of(alice) == [hello_id]
    assert not database.query("SELECT 1 FROM document_shares WHERE document_id = %s OR user_id = %s", bobs, bob.id)


def test_an_account_ends_while_documents_are_shared_with_it(alice: Person, bob: Person, hello: bytes) -> None:
    hers = [upload(alice, hello) for _ in range(4)]
    his = [upload(bob, hello) for _ in range(2)]
    for document_id in his:
        share(bob, document_id, alice)
    deeds: list[Callable[[], httpx.Response]] = [
        *(partial(alice.client.put, f"/documents/{document_id}/shares/{bob.id}") for document_id in hers),
        *(partial(show, alice, bob, document_id) for document_id in hers),
        *(partial(bob.client.delete, f"/documents/{document_id}/shares/{alice.id}") for document_id in his),
    ]
    deeds.insert(5, lambda: bob.client.request("DELETE", "/me", json={"password": PASSWORD}))
    with ThreadPoolExecutor(len(deeds)) as threads:
        answers = [deed.result(WAIT_SECONDS) for deed in [threads.submit(deed) for deed in deeds]]

    assert answers[5].status_code == 204
    assert {answer.status_code for answer in answers} <= {200, 204, 401, 404}
    assert [alice.client.get(f"/documents/{document_id}/shares").json()["shares"] for document_id in hers] == [[]] * 4
    assert documents_of(alice) == hers[::-1]
    assert refusal(alice.client.put(f"/documents/{hers[0]}/shares/{bob.id}")) == (404, "user_not_found")


# Documents that are not ready


def test_a_reader_is_told_when_a_shared_document_is_ready(
    alice: Person, bob: Person, database: TestDatabase, hello: bytes
) -> None:
    with Tab(bob) as his, ThreadPoolExecutor(1) as threads:
        with locked(database, "pages"):
            uploading = threads.submit(alice.upload, hello)
            wait_until(lambda: documents_of(alice))
            (document_id,) = documents_of(alice)
            share(alice, document_id, bob)
            card = his.expect("message")["attachment"]
        ready = his.expect("document.ready")
        uploading.result(WAIT_SECONDS)

    assert (card["status"], card["available"]) == ("processing", True)
    assert ready["document_id"] == document_id
    assert [seen["status"] for seen in cards(bob, alice)] == ["ready"]


def test_a_failed_document_is_shared_as_it_is(alice: Person, bob: Person) -> None:
    with Tab(alice) as hers:
        answer = alice.client.post(
            "/upload-pdf", files={"file": ("broken.pdf", b"%PDF-1.7 no more")}, headers={"Prefer": "respond-async"}
        )
        hers.expect("document.failed")
    document_id = answer.json()["document_id"]

    share(alice, document_id, bob)

    assert [(card["status"], card["thumbnail"]) for card in cards(bob, alice)] == [("failed", None)]
    assert bob.client.get(f"/documents/{document_id}").json()["error"]["code"] == "bad_pdf"
    assert refusal(bob.client.get(f"/documents/{document_id}/text")) == (409, "document_not_ready")


# Sharing with the upload


def test_an_upload_is_shared_in_the_same_request(alice: Person, bob: Person, carol: Person, hello: bytes) -> None:
    answer = alice.client.post(
        "/upload-pdf",
        files={"file": ("hello.pdf", hello)},
        data={"recipient_id": [str(bob.id), str(carol.id), str(bob.id)], "content": "Please sign."},
    )

    document_id = answer.json()["document_id"]
    for person in (bob, carol):
        assert [(message["content"], message["attachment"]["status"]) for message in talk(person, alice)] == [
            ("Please sign.", "ready")
        ]
        assert can_read(person, document_id)


def test_an_upload_in_the_background_is_shared_as_it_is_stored(
    alice: Person, bob: Person, database: TestDatabase
) -> None:
    data = make_pdf("a page of its own")
    with Tab(bob) as his:
        with locked(database, "pages"):
            answer = alice.client.post(
                "/upload-pdf",
                files={"file": ("hello.pdf", data)},
                data={"recipient_id": str(bob.id), "content": "Please sign."},
                headers={"Prefer": "respond-async"},
            )
            card = his.expect("message")
        his.expect("document.ready")

    assert answer.status_code == 202
    assert (card["content"], card["attachment"]["status"]) == ("Please sign.", "processing")
    assert card["attachment"]["document_id"] == answer.json()["document_id"]
    assert can_read(bob, answer.json()["document_id"])


@pytest.mark.parametrize("prefer", ["respond-async", ""])
def test_an_upload_for_nobody_leaves_nothing(
    alice: Person, bob: Person, hello: bytes, nothing_is_left: None, prefer: str
) -> None:
    answer = alice.client.post(
        "/upload-pdf",
        files={"file": ("hello.pdf", hello)},
        data={"recipient_id": [str(bob.id), str(NOBODY)]},
        headers={"Prefer": prefer},
    )

    assert refusal(answer) == (404, "user_not_found")
    assert talk(alice, bob) == []


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"recipient_id": "x"}, (422, "validation_error")),
        ({"recipient_id": "0"}, (422, "validation_error")),
        ({"recipient_id": "9" * 30}, (422, "validation_error")),
        ({"recipient_id": "{alice}"}, (422, "own_document")),
        ({"recipient_id": "{bob}", "content": "x" * 32_001}, (413, "payload_too_large")),
        ({"recipient_id": "{bob}", "content": "a\0b"}, (422, "validation_error")),
    ],
)
def test_an_upload_with_a_wrong_field_leaves_nothing(
    alice: Person,
    bob: Person,
    hello: bytes,
    nothing_is_left: None,
    fields: dict[str, str],
    error: tuple[int, str],
) -> None:
    data = {name: value.format(alice=alice.id, bob=bob.id) for name, value in fields.items()}

    assert refusal(post(alice, "/upload-pdf", hello, **data)) == error
    assert talk(alice, bob) == []


def test_an_upload_that_cannot_be_read_is_shown_to_nobody(alice: Person, bob: Person, nothing_is_left: None) -> None:
    answer = post(alice, "/upload-pdf", b"%PDF-1.7 no more", recipient_id=str(bob.id))

    assert refusal(answer) == (400, "bad_pdf")
    assert talk(alice, bob) == []


def test_a_repeated_upload_sends_no_second_card(alice: Person, bob: Person, hello: bytes) -> None:
    fields = {"client_id": "once", "recipient_id": str(bob.id)}
    first = uploaded(alice, hello, **fields)
    unshare(alice, first["document_id"], bob)

    second = uploaded(alice, hello, **fields)

    assert (second["document_id"], second["duplicate"]) == (first["document_id"], True)
    assert len(talk(bob, alice)) == 1
    assert not can_read(bob, first["document_id"])


# What is said about a document


def test_what_was_said_about_a_document_is_listed(alice: Person, bob: Person, carol: Person, hello_id: int) -> None:
    show(alice, bob, hello_id, content="first", page=1)
    show(alice, carol, hello_id, content="not for bob", page=1)
    show(bob, alice, hello_id, content="second", page=2)
    alice.client.post("/messages", json={"recipient_id": bob.id, "content": "about nothing"})

    def said(person: Person, query: str = "") -> list[str]:
        answer = person.client.get(f"/documents/{hello_id}/messages{query}").json()
        return [message["content"] for message in answer["messages"]]

    assert said(alice) == ["second", "not for bob", "first"]
    assert said(bob) == ["second", "first"]
    assert said(bob, "?page=2") == ["second"]
    assert said(bob, "?page=9") == []


def test_what_was_said_about_a_document_is_in_pages(alice: Person, bob: Person, hello_id: int) -> None:
    for number in range(5):
        show(alice, bob, hello_id, content=str(number))
    path = f"/documents/{hello_id}/messages?limit=2"

    pages = [bob.client.get(path).json()]
    while pages[-1]["next_cursor"]:
        pages.append(bob.client.get(f"{path}&cursor={pages[-1]['next_cursor']}").json())

    assert [[message["content"] for message in page["messages"]] for page in pages] == [["4", "3"], ["2", "1"], ["0"]]


# Two nodes


def test_every_door_closes_on_every_node_at_once(here: Server, there: Server, hello: bytes) -> None:
    alice, bob = register(here, "alice"), register(here, "bob")
    document_id = upload(alice, hello)
    doors = [f"/documents/{document_id}{rest}" for rest in ("", "/text", "/pages/1", "/tables", "/tables.xlsx")]
    with_file = [f"/documents/{document_id}{rest}" for rest in ("/file", "/pages/1/image", "/search?q=hello")]
    with httpx.Client(base_url=there.url, headers=bob.headers, timeout=WAIT_SECONDS) as elsewhere:
        for _ in range(3):
            share(alice, document_id, bob)
            opened = {client.get(door).status_code for client in (bob.client, elsewhere) for door in doors}
            unshare(alice, document_id, bob)
            closed = {client.get(door).status_code for client in (bob.client, elsewhere) for door in doors + with_file}

            assert (opened, closed) == ({200}, {404})


def test_a_share_made_on_one_node_comes_live_on_the_other(here: Server, there: Server, hello: bytes) -> None:
    alice, bob = register(here, "alice"), register(here, "bob")
    document_id = upload(alice, hello)

    with Tab(bob, there) as his:
        his.everything()
        show(alice, bob, document_id, content="look", page=1, match="Hello")
        card, shared = his.expect("message"), his.expect("document.shared")
        unshare(alice, document_id, bob)
        taken = his.expect("document.unshared")

    assert card["attachment"]["snippet"][0] == {"text": "Hello", "hit": True}
    assert shared["document_id"] == taken["document_id"] == document_id
