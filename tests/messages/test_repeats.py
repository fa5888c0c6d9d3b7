"""A client_id makes a message safe to repeat, whatever happened to it since."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.databases import TestDatabase
from support.servers import Person, Server
from support.tabs import Tab, send


@pytest.fixture(scope="module")
def server(here: Server) -> Server:
    return here


Change = Callable[[Person, int], object]


def edit(author: Person, message_id: int) -> object:
    return author.client.patch(f"/message/{message_id}", json={"content": "changed"})


def delete(author: Person, message_id: int) -> object:
    return author.client.delete(f"/message/{message_id}")


def edit_then_delete(author: Person, message_id: int) -> object:
    return (edit(author, message_id), delete(author, message_id))


@pytest.fixture(params=[edit, delete, edit_then_delete])
def change(request: pytest.FixtureRequest) -> Change:
    made: Change = request.param
    return made


def test_a_repeat_by_rest_of_a_changed_message_is_the_first_one(alice: Person, bob: Person, change: Change) -> None:
    body = {"recipient_id": bob.id, "content": "first", "client_id": "a1"}
    first = alice.client.post("/messages", json=body).json()
    change(alice, first["id"])

    answer = alice.client.post("/messages", json=body)

    assert (answer.status_code, answer.json()["id"], answer.json()["duplicate"]) == (200, first["id"], True)


def test_a_repeat_by_socket_of_a_changed_message_is_the_first_one(alice: Person, bob: Person, change: Change) -> None:
    frame = {"recipient_id": bob.id, "content": "first", "client_id": "a1"}
    with Tab(alice) as tab:
        first = tab.ask(**frame)
        change(alice, first["id"])

        again = tab.ask(**frame)

    assert (again["type"], again["id"], again["duplicate"]) == ("ack", first["id"], True)


def test_a_repeat_that_says_what_the_message_says_now_is_something_else(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob, "first", client_id="a1")
    edit(alice, message_id)

    answer = alice.client.post("/messages", json={"recipient_id": bob.id, "content": "changed", "client_id": "a1"})

    assert (answer.status_code, answer.json()["code"]) == (409, "client_id_reused")


def test_a_changed_message_of_an_older_installation_is_the_first_one(
    alice: Person, bob: Person, shared: TestDatabase
) -> None:
    message_id = send(alice, bob, "first", client_id="a1")
    edit(alice, message_id)
    shared.query("UPDATE messages SET sent_hash = NULL WHERE id = %s", message_id)

    assert send(alice, bob, "first", client_id="a1") == message_id


def test_repeats_at_once_from_many_places_are_one_message(
    alice: Person, bob: Person, there: Server, change: Change
) -> None:
    body = {"recipient_id": bob.id, "content": "first", "client_id": "a1"}
    message_id = alice.client.post("/messages", json=body).json()["id"]
    change(alice, message_id)

    def repeat(number: int) -> tuple[int, bool]:
        if number % 2:
            with Tab(alice, there) as tab:
                answer = tab.ask(**body)
        else:
            answer = alice.client.post("/messages", json=body).json()
        return answer["id"], answer["duplicate"]

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(repeat, range(16))) == {(message_id, True)}
