"""What a web client asks first: one request, never a 401."""

from collections.abc import Callable

import httpx
import pytest

from support.accounts import sign_up
from support.browsers import Browser
from support.databases import TestDatabase
from support.servers import Person, Server, wait_until
from support.tabs import send


def test_it_says_who_asks_and_what_this_is(alice: Person, bob: Person, carol: Person) -> None:
    for _ in range(3):
        send(bob, alice)
    send(carol, alice)
    browser = Browser(alice)

    answer = browser.client.get("/session")

    assert answer.json() == {
        "user": alice.client.get("/me").json(),
        "installation": {
            "name": "Pagewire",
            "version": "0.1.0",
            "first_run": False,
            "registration": "open",
            "mail": False,
            "max_upload_mb": 50,
            "max_pages": 10_000,
        },
        "unread": {"conversations": 2, "messages": 4},
        "seq": 4,
    }
    assert answer.headers["cache-control"] == "no-store"


def test_a_token_is_as_good_as_a_cookie(alice: Person) -> None:
    assert alice.client.get("/session").json()["user"]["id"] == alice.id


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}, {"Authorization": "x"}, {"Cookie": "a=b"}])
def test_a_stranger_is_told_little_and_no_401(client: httpx.Client, headers: dict[str, str]) -> None:
    answer = client.get("/session", headers=headers)

    assert answer.status_code == 200
    assert answer.json()["user"] is None
    assert answer.json()["installation"]["version"] is None
    assert answer.json()["installation"]["first_run"] is False
    assert answer.json()["unread"] == {"conversations": 0, "messages": 0}


def test_a_page_of_another_site_is_a_stranger(alice: Person) -> None:
    answer = Browser(alice).ask("GET", "/session", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"})

    assert answer.json()["user"] is None


# The first account


@pytest.fixture
def empty(make_server: Callable[..., Server]) -> Server:
    return make_server(FORWARDED_ALLOW_IPS="*").start()


def code_of(server: Server) -> str:
    wait_until(lambda: any("or with " in line for line in server.lines))
    return next(line for line in server.lines if "or with " in line).rpartition(" ")[2]


ELSEWHERE = {"X-Forwarded-For": "192.0.2.7"}


def test_the_first_account_is_made_on_the_servers_own_machine(empty: Server) -> None:
    with empty.client() as client:
        assert client.get("/session").json()["installation"]["first_run"] is True
        assert sign_up(client, "alice@example.com").json()["user"]["is_admin"] is True
        assert client.get("/session").json()["installation"]["first_run"] is False
        assert sign_up(client, "bob@example.com").status_code == 200


def test_from_elsewhere_it_takes_the_code_that_the_start_prints(empty: Server) -> None:
    body = {"email": "alice@example.com", "password": "correct horse battery", "name": "Alice"}
    with empty.client() as client:
        client.headers.update(ELSEWHERE)
        assert client.get("/session").json()["installation"]["first_run"] is False
        assert client.post("/register", json=body).json()["code"] == "setup_code_required"
        assert client.post("/register", json={**body, "setup_code": "wrong"}).status_code == 403

        code = code_of(empty)
        assert client.get("/session", params={"setup_code": code}).json()["installation"]["first_run"] is True
        assert client.post("/register", json={**body, "setup_code": code}).json()["user"]["is_admin"] is True

        assert client.post("/register", json={**body, "email": "bob@example.com"}).status_code == 200


def test_every_process_prints_the_same_code(
    make_server: Callable[..., Server], make_database: Callable[[], TestDatabase]
) -> None:
    database = make_database()

    assert code_of(make_server("shared", database).start()) == code_of(make_server("shared", database).start())


def test_where_registration_is_closed_nobody_is_asked_to_make_the_first_account(
    make_server: Callable[..., Server],
) -> None:
    with make_server(REGISTRATION="closed").start().client() as client:
        installation = client.get("/session").json()["installation"]

    assert (installation["first_run"], installation["registration"]) == (False, "closed")
