"""What is under way while a password is changed: nothing that the old one allowed comes after the change."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from support.accounts import address, problem, sign_in
from support.databases import TestDatabase
from support.servers import PASSWORD, WAIT_SECONDS, Person, Server, wait_until
from support.tabs import connect_to

NEW_PASSWORD = "a longer horse battery"


@pytest.fixture
def server(here: Server) -> Server:
    """The people of this file live on one of two nodes."""
    return here


@contextmanager
def being_changed(database: TestDatabase, person: Person) -> Iterator[None]:
    """A change of somebody's password, committed when a request waits for it at the end of the block."""
    with connect_to(database) as change:
        cursor = change.cursor()
        cursor.execute("UPDATE users SET password_hash = 'another' WHERE id = %s", (person.id,))
        cursor.execute("DELETE FROM sessions WHERE user_id = %s", (person.id,))
        yield
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        wait_until(lambda: database.query(waiting))
        change.commit()
    change.close()


def log_in(person: Person) -> httpx.Response:
    return sign_in(person.client, person.email)


def sign_browser_in(person: Person) -> httpx.Response:
    return person.client.post("/session", json={"email": person.email, "password": PASSWORD})


def make_key(person: Person) -> httpx.Response:
    return person.client.post("/api-keys", json={"name": "still there"})


def change_password(person: Person) -> httpx.Response:
    return person.client.post("/me/password", json={"current_password": PASSWORD, "new_password": NEW_PASSWORD})


def change_address(person: Person) -> httpx.Response:
    return person.client.patch("/me", json={"email": address("mallory"), "current_password": PASSWORD})


def leave(person: Person) -> httpx.Response:
    return person.client.request("DELETE", "/me", json={"password": PASSWORD})


@pytest.mark.parametrize("attempt", [log_in, sign_browser_in, make_key, change_password, change_address, leave])
def test_what_the_old_password_began_does_not_outlive_it(
    alice: Person, shared: TestDatabase, attempt: Callable[[Person], httpx.Response]
) -> None:
    with ThreadPoolExecutor(1) as threads, being_changed(shared, alice):
        answer = threads.submit(attempt, alice)

    assert answer.result(WAIT_SECONDS).status_code == 401
    assert "set-cookie" not in answer.result().headers
    assert shared.query("SELECT 1 FROM sessions WHERE user_id = %s", alice.id) == []
    sql = "SELECT password_hash, email, deleted_at FROM users WHERE id = %s"
    assert shared.query(sql, alice.id) == [("another", alice.email, None)]


def test_of_many_logins_beside_a_change_none_survives(alice: Person, there: Server, shared: TestDatabase) -> None:
    def log_in_often(node: Server) -> list[str]:
        with node.client() as client:
            answers = [sign_in(client, alice.email) for _ in range(20)]
        return [answer.json()["access_token"] for answer in answers if answer.status_code == 200]

    with ThreadPoolExecutor(4) as threads:
        logins = [threads.submit(log_in_often, node) for node in (alice.server, there) * 2]
        assert change_password(alice).status_code == 204
        tokens = [token for login in logins for token in login.result(WAIT_SECONDS)]

    assert sign_in(alice.client, alice.email).status_code == 401
    assert [token for token in tokens if is_alive(there, token)] == []
    assert alice.client.get("/me").status_code == 200


def is_alive(server: Server, token: str) -> bool:
    return httpx.get(f"{server.url}/me", headers={"Authorization": f"Bearer {token}"}).status_code != 401


def test_of_two_changes_at_once_with_the_old_password_one_counts(alice: Person) -> None:
    bodies = [{"current_password": PASSWORD, "new_password": f"{NEW_PASSWORD} {number}"} for number in range(2)]

    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda body: alice.client.post("/me/password", json=body), bodies))

    assert sorted(answer.status_code for answer in answers) == [204, 401]
    lost = next(answer for answer in answers if answer.status_code == 401)
    assert problem(lost)[2] == "invalid_credentials"
