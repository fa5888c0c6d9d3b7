"""Two installations on one host, on different ports: a browser sends both the cookies of either."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from support.accounts import sign_in
from support.browsers import Browser
from support.databases import TestDatabase
from support.servers import PASSWORD, Person, Server, register
from support.sockets import V2, closing
from support.tabs import SECRET_KEY


@pytest.fixture(scope="module")
def their_database(make_database: Callable[[], TestDatabase]) -> TestDatabase:
    return make_database()


@pytest.fixture(scope="module")
def neighbour(tmp_path_factory: pytest.TempPathFactory, their_database: TestDatabase) -> Iterator[Server]:
    """Another installation with the secret key of the first one."""
    made = Server(tmp_path_factory.mktemp("neighbour"), their_database.url, SECRET_KEY=SECRET_KEY).start()
    yield made
    made.stop()


@pytest.fixture
def server(here: Server) -> Server:
    return here


@pytest.fixture
def mallory(neighbour: Server, their_database: TestDatabase, alice: Person) -> Person:
    """Somebody there with alice's number."""
    their_database.query("SELECT setval(pg_get_serial_sequence('users', 'id'), %s, false)", alice.id)
    mallory = register(neighbour, "mallory")
    assert mallory.id == alice.id
    return mallory


def test_one_browser_is_signed_in_at_both(alice: Person, mallory: Person) -> None:
    with httpx.Client(headers={"Sec-Fetch-Site": "same-origin"}) as browser:  # cookies know no ports
        for person in (alice, mallory):
            body = {"email": person.email, "password": PASSWORD}
            assert browser.post(f"{person.server.url}/session", json=body).status_code == 200
        names = [browser.get(f"{person.server.url}/me").json()["name"] for person in (alice, mallory)]
        browser.delete(f"{mallory.server.url}/session")

        assert names == ["Alice", "Mallory"]
        assert browser.get(f"{alice.server.url}/me").status_code == 200
        assert browser.get(f"{mallory.server.url}/me").status_code == 401


def test_the_cookie_of_one_is_none_at_the_other_under_either_name(alice: Person, mallory: Person) -> None:
    ours, theirs = Browser(alice), Browser(mallory)
    own_name = ours.cookie.partition("=")[0]
    tossed = f"{own_name}={theirs.cookie.partition('=')[2]}"

    for cookie in (theirs.cookie, tossed, f"{ours.cookie}; {tossed}"):
        assert httpx.get(f"{alice.server.url}/me", headers={"Cookie": cookie}).status_code == 401


def test_a_tossed_cookie_is_replaced_by_the_next_sign_in(alice: Person, mallory: Person) -> None:
    """Over plain http the neighbour can overwrite our cookie; it can sign a browser out, and no more."""
    name = Browser(alice).cookie.partition("=")[0]
    with alice.server.client() as browser:
        browser.headers["Sec-Fetch-Site"] = "same-origin"
        browser.cookies.set(name, "x" * 43, domain="127.0.0.1", path="/")
        browser.post("/session", json={"email": alice.email, "password": PASSWORD})

        assert browser.get("/me").json()["id"] == alice.id
        assert browser.cookies[name] != "x" * 43


def test_a_page_of_the_neighbour_acts_for_nobody(alice: Person, mallory: Person) -> None:
    browser = Browser(alice)
    from_there = {"Origin": mallory.server.url, "Sec-Fetch-Site": "same-site"}  # what Chromium sends for another port

    assert browser.ask("POST", "/messages", from_there, json={"recipient_id": 1, "content": "hi"}).status_code == 401
    assert browser.ask("GET", "/me", from_there).status_code == 401
    with browser.socket(headers=from_there, subprotocols=[V2]) as socket:
        assert closing(socket)[1] in (4401, 4403)


def test_nothing_that_one_gives_out_is_taken_by_the_other(alice: Person, mallory: Person) -> None:
    tokens = sign_in(mallory.client, mallory.email).json()
    key = mallory.client.post("/api-keys", json={"name": "script"}).json()["key"]

    for token in (tokens["access_token"], key, tokens["refresh_token"]):
        answer = httpx.get(f"{alice.server.url}/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
    assert alice.client.post("/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code == 401
    assert alice.client.get("/me").status_code == 200
