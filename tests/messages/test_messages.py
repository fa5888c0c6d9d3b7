"""Messages by REST: sent once, listed in order, refused with a reason."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from support.databases import TestDatabase
from support.servers import Person, Server, register

MESSAGE_KEYS = {"id", "sender_id", "recipient_id", "content", "created_at", "sender_name", "client_id"}


def send(sender: Person, recipient: Person, content: str = "hello", **extra: object) -> httpx.Response:
    return sender.client.post("/messages", json={"recipient_id": recipient.id, "content": content, **extra})


def send_all(sender: Person, recipient: Person, *contents: str) -> list[int]:
    """Send one after the other; their ids."""
    return [int(send(sender, recipient, content).json()["id"]) for content in contents]


def contents(messages: list[Any]) -> list[str]:
    return [message["content"] for message in messages]


@pytest.fixture
def carol(server: Server) -> Person:
    return register(server, "carol")


# Sending


def test_a_message_is_answered_when_it_is_stored(alice: Person, bob: Person, database: TestDatabase) -> None:
    answer = send(alice, bob, "The invoice is in.")

    assert answer.status_code == 200
    body = answer.json()
    assert body == {
        "id": body["id"],
        "message": "Message sent successfully",
        "created_at": body["created_at"],
        "duplicate": False,
    }
    stored = database.query("SELECT sender_id, recipient_id, content FROM messages WHERE id = %s", body["id"])
    assert stored == [(alice.id, bob.id, "The invoice is in.")]


def test_the_time_of_a_message_has_an_offset(alice: Person, bob: Person) -> None:
    created_at = datetime.fromisoformat(send(alice, bob).json()["created_at"])

    assert created_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "content", [" spaces around ", "line\nline\ttab", "ü 文 😀 \u202e", "x" * 32_000, "'; --", "%s"]
)
def test_what_was_sent_is_what_is_read(alice: Person, bob: Person, content: str) -> None:
    send(alice, bob, content)

    assert contents(bob.client.get(f"/messages/{alice.id}").json()) == [content]


def test_a_message_to_oneself_is_a_note(alice: Person) -> None:
    answer = send(alice, alice, "buy milk")

    assert answer.status_code == 200
    assert contents(alice.client.get(f"/messages/{alice.id}").json()) == ["buy milk"]
    assert contents(alice.client.get("/messages").json()["messages"]) == ["buy milk"]


@pytest.mark.parametrize("nobody", [2**62, 2**63 - 1], ids=["2^62", "2^63 - 1"])
def test_a_message_to_nobody_is_a_404(alice: Person, nobody: int) -> None:
    answer = alice.client.post("/messages", json={"recipient_id": nobody, "content": "hello?"})

    assert answer.status_code == 404
    body = answer.json()
    assert (body["detail"], body["error"], body["code"]) == ("User not found", "Resource not found", "user_not_found")


def test_a_message_of_more_than_32_000_characters_is_a_413(alice: Person, bob: Person) -> None:
    answer = send(alice, bob, "x" * 32_001)

    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


def test_32_000_characters_may_be_four_bytes_each_and_escaped(alice: Person, bob: Person) -> None:
    body = json.dumps({"recipient_id": bob.id, "content": "😀" * 32_000}, ensure_ascii=True)

    answer = alice.client.post("/messages", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 200


@pytest.mark.parametrize("content", ["", " ", "\n\t\u2003", "nul \x00 inside", 5, None, ["hi"], {"a": 1}, True])
def test_content_that_is_not_a_text_is_a_422(alice: Person, bob: Person, content: object) -> None:
    answer = alice.client.post("/messages", json={"recipient_id": bob.id, "content": content})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "content"]


@pytest.mark.parametrize("recipient_id", ["0", "-1", "1.5", "NaN", "1e400", '"bob"', "null", "[1]", "{}"])
def test_a_recipient_that_is_not_an_id_is_a_422(alice: Person, recipient_id: str) -> None:
    answer = alice.client.post(
        "/messages",
        content=f'{{"recipient_id": {recipient_id}, "content": "hi"}}',
        headers={"Content-Type": "application/json"},
    )

    assert answer.status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "null",
        "[]",
        '"hi"',
        '{"content": "hi"}',
        '{"recipient_id": 1}',
        '{"recipient_id": 1, "content": "\\ud83d"}',
        '{"recipient_id": 1, "content": "hi", "client_id": "\\udc00"}',
    ],
    ids=["nothing", "broken", "null", "list", "text", "nobody", "empty", "half a pair", "half a pair in the id"],
)
def test_a_body_that_is_not_a_message_is_a_422(alice: Person, body: str) -> None:
    answer = alice.client.post("/messages", content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (422, "validation_error")


@pytest.mark.parametrize("body", ["[" * 100_000, '{"content": ' + "[" * 20_000 + "]" * 20_000 + "}"])
def test_a_body_that_is_nested_too_deeply_is_refused(alice: Person, body: str) -> None:
    answer = alice.client.post("/messages", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in (400, 422)


def test_a_body_of_more_than_a_megabyte_is_a_413(alice: Person, bob: Person) -> None:
    answer = send(alice, bob, "x" * (1024 * 1024))

    assert answer.status_code == 413


@pytest.mark.parametrize("method_and_path", ["POST /messages", "GET /messages", "GET /messages/1"])
def test_nobody_reads_or_writes_without_a_token(client: httpx.Client, method_and_path: str) -> None:
    answer = client.request(*method_and_path.split())

    assert (answer.status_code, answer.json()["detail"]) == (401, "Not authenticated")


def test_who_sends_too_much_is_told_when_to_go_on(make_server: Callable[..., Server]) -> None:
    server = make_server(MESSAGE_RATE_LIMIT="3/minute").start()
    alice, bob = register(server, "alice"), register(server, "bob")

    answers = [send(alice, bob) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].json()["code"] == "rate_limited"
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 60
    assert send(bob, alice).status_code == 200


# The same message twice


def test_a_repeat_with_the_same_client_id_is_the_first_message(alice: Person, bob: Person) -> None:
    first = send(alice, bob, "once", client_id="a1").json()

    again = send(alice, bob, "once", client_id="a1")

    assert again.status_code == 200
    assert again.json() == {**first, "duplicate": True}
    assert contents(bob.client.get(f"/messages/{alice.id}").json()) == ["once"]


def test_a_client_id_that_was_used_for_other_words_is_a_409(alice: Person, bob: Person) -> None:
    send(alice, bob, "one thing", client_id="a1")

    answer = send(alice, bob, "another", client_id="a1")

    assert (answer.status_code, answer.json()["code"]) == (409, "client_id_reused")


def test_a_client_id_that_was_used_for_somebody_else_is_a_409(alice: Person, bob: Person, carol: Person) -> None:
    send(alice, bob, client_id="a1")

    answer = send(alice, carol, client_id="a1")

    assert answer.status_code == 409


def test_everybody_has_client_ids_of_their_own(alice: Person, bob: Person) -> None:
    send(alice, bob, client_id="a1")

    answer = send(bob, alice, client_id="a1")

    assert answer.json()["duplicate"] is False


def test_repeats_at_the_same_moment_are_one_message(alice: Person, bob: Person) -> None:
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda _: send(alice, bob, "once", client_id="a1").json(), range(30)))

    assert len({answer["id"] for answer in answers}) == 1
    assert sorted(answer["duplicate"] for answer in answers) == [False] + [True] * 29
    assert contents(alice.client.get(f"/messages/{bob.id}").json()) == ["once"]


@pytest.mark.parametrize("client_id", ["", "x" * 65, "nul\x00", 7])
def test_a_client_id_has_1_to_64_characters(alice: Person, bob: Person, client_id: object) -> None:
    answer = send(alice, bob, client_id=client_id)

    assert answer.status_code == 422


def test_only_the_sender_sees_the_client_id(alice: Person, bob: Person) -> None:
    send(alice, bob, client_id="a1")

    (seen_by_alice,) = alice.client.get(f"/messages/{bob.id}").json()
    (seen_by_bob,) = bob.client.get(f"/messages/{alice.id}").json()

    assert (seen_by_alice["client_id"], seen_by_bob["client_id"]) == ("a1", None)


# All my messages


def test_my_messages_come_newest_first(alice: Person, bob: Person, carol: Person) -> None:
    send_all(alice, bob, "1")
    send_all(carol, alice, "2")
    send_all(bob, carol, "not for alice")
    send_all(bob, alice, "3")

    page = alice.client.get("/messages").json()

    assert contents(page["messages"]) == ["3", "2", "1"]
    assert (page["page"], page["limit"], page["has_more"]) == (1, 20, False)


def test_a_listed_message_has_the_classic_keys(alice: Person, bob: Person) -> None:
    sent = send(alice, bob, "hello").json()

    (message,) = bob.client.get("/messages").json()["messages"]

    assert set(message) >= MESSAGE_KEYS
    assert {key: message[key] for key in MESSAGE_KEYS} == {
        "id": sent["id"],
        "sender_id": alice.id,
        "recipient_id": bob.id,
        "content": "hello",
        "created_at": sent["created_at"],
        "sender_name": "Alice",
        "client_id": None,
    }


def test_pages_lead_through_all_my_messages(alice: Person, bob: Person) -> None:
    for number in range(1, 6):
        send_all(*((alice, bob) if number % 2 else (bob, alice)), str(number))

    pages = [alice.client.get("/messages", params={"page": page, "limit": 2}).json() for page in (1, 2, 3, 4)]

    assert [contents(page["messages"]) for page in pages] == [["5", "4"], ["3", "2"], ["1"], []]
    assert [page["has_more"] for page in pages] == [True, True, False, False]


def test_pages_may_go_from_the_oldest(alice: Person, bob: Person) -> None:
    send_all(alice, bob, "1", "2", "3")

    pages = [alice.client.get("/messages", params={"page": page, "limit": 2, "order": "asc"}).json() for page in (1, 2)]

    assert [contents(page["messages"]) for page in pages] == [["1", "2"], ["3"]]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=ten", "page=0", "page=-1", "page=1000001", f"page={2**64}", "order=up"]
)
def test_a_page_out_of_bounds_is_a_422(alice: Person, query: str) -> None:
    assert alice.client.get(f"/messages?{query}").status_code == 422


def test_the_last_possible_page_is_empty(alice: Person, bob: Person) -> None:
    send_all(alice, bob, "1")

    page = alice.client.get("/messages?page=1000000&limit=200").json()

    assert (page["messages"], page["has_more"]) == ([], False)


# With one user


def test_a_conversation_comes_oldest_first(alice: Person, bob: Person, carol: Person) -> None:
    send_all(alice, bob, "1")
    send_all(bob, alice, "2")
    send_all(carol, alice, "not this one")
    send_all(alice, bob, "3")

    messages = bob.client.get(f"/messages/{alice.id}").json()

    assert contents(messages) == ["1", "2", "3"]
    assert [message["sender_name"] for message in messages] == ["Alice", "Bob", "Alice"]
    assert set(messages[0]) >= MESSAGE_KEYS


def test_a_conversation_that_was_never_begun_is_empty(alice: Person, bob: Person) -> None:
    assert alice.client.get(f"/messages/{bob.id}").json() == []


def test_a_conversation_with_nobody_is_a_404(alice: Person) -> None:
    answer = alice.client.get(f"/messages/{2**62}")

    assert (answer.status_code, answer.json()["detail"]) == (404, "User not found")


@pytest.mark.parametrize("user_id", ["0", "-1", "bob", "1.5", str(2**63), "1" * 400])
def test_a_conversation_with_what_is_no_id_is_refused(alice: Person, user_id: str) -> None:
    assert alice.client.get(f"/messages/{user_id}").status_code in (404, 422)


def test_without_a_limit_the_latest_thousand_come(alice: Person, bob: Person, database: TestDatabase) -> None:
    database.query(
        "INSERT INTO messages (sender_id, recipient_id, content) SELECT %s, %s, n FROM generate_series(1, 1005) n",
        alice.id,
        bob.id,
    )

    messages = alice.client.get(f"/messages/{bob.id}").json()

    assert contents(messages) == [str(n) for n in range(6, 1006)]


def test_a_limit_names_how_many_of_the_latest(alice: Person, bob: Person) -> None:
    send_all(alice, bob, "1", "2", "3")

    assert contents(alice.client.get(f"/messages/{bob.id}?limit=2").json()) == ["2", "3"]


def test_before_an_id_come_those_just_before_it(alice: Person, bob: Person) -> None:
    ids = send_all(alice, bob, "1", "2", "3", "4")

    messages = alice.client.get(f"/messages/{bob.id}", params={"before": ids[3], "limit": 2}).json()

    assert contents(messages) == ["2", "3"]


def test_after_an_id_come_those_just_after_it(alice: Person, bob: Person) -> None:
    ids = send_all(alice, bob, "1", "2", "3", "4")

    messages = alice.client.get(f"/messages/{bob.id}", params={"after": ids[0], "limit": 2}).json()

    assert contents(messages) == ["2", "3"]


def test_after_and_before_cut_a_piece_out(alice: Person, bob: Person) -> None:
    ids = send_all(alice, bob, "1", "2", "3", "4", "5")

    messages = alice.client.get(f"/messages/{bob.id}", params={"after": ids[0], "before": ids[4]}).json()

    assert contents(messages) == ["2", "3", "4"]


def test_a_conversation_is_read_around_a_message(alice: Person, bob: Person) -> None:
    ids = send_all(alice, bob, *"abcdefg")

    def around(message_id: int, limit: int) -> list[str]:
        return contents(bob.client.get(f"/messages/{alice.id}?around={message_id}&limit={limit}").json())

    assert around(ids[3], 3) == ["c", "d", "e"]
    assert around(ids[3], 4) == ["b", "c", "d", "e"]
    assert around(ids[0], 4) == ["a", "b"]
    assert around(ids[6], 4) == ["e", "f", "g"]
    assert around(ids[3], 1) == ["d"]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "before=0", "after=-1", "after=x", "around=0", f"before={2**63}", f"after={2**64}"],
)
def test_a_piece_out_of_bounds_is_a_422(alice: Person, bob: Person, query: str) -> None:
    assert alice.client.get(f"/messages/{bob.id}?{query}").status_code == 422


@pytest.mark.parametrize("query", [f"before={2**63 - 1}", f"after={2**63 - 1}"])
def test_the_largest_id_is_an_edge_like_any_other(alice: Person, bob: Person, query: str) -> None:
    send_all(alice, bob, "1")

    expected = ["1"] if "before" in query else []
    assert contents(alice.client.get(f"/messages/{bob.id}?{query}").json()) == expected
