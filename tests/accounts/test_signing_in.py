"""Signing in, and what must not leak."""

import re
from collections.abc import Callable
from typing import Any

import bcrypt
import httpx
import pytest

from auth import Passwords
from support.accounts import address, fields, problem, sign_in, sign_up
from support.databases import TestDatabase
from support.servers import PASSWORD, Person

EURO = "€"  # three bytes in UTF-8


@pytest.mark.parametrize("password", ["x" * 73, EURO * 25])
def test_a_password_longer_than_bcrypt_reads_is_a_422(client: httpx.Client, alice: Person, password: str) -> None:
    answer = sign_in(client, alice.email, password)

    assert fields(answer) == {"password"}


WAYS_TO_SIGN_IN: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "JSON with email": lambda email, password: {"json": {"email": email, "password": password}},
    "JSON with username": lambda email, password: {"json": {"username": email, "password": password}},
    "form with username": lambda email, password: {"data": {"username": email, "password": password}},
    "form with email": lambda email, password: {"data": {"email": email, "password": password}},
    "OAuth2 password form": lambda email, password: {
        "data": {"grant_type": "password", "username": email, "password": password, "scope": "", "client_id": ""}
    },
    "multipart form": lambda email, password: {
        "files": {"username": (None, email), "password": (None, password)},
    },
}


@pytest.mark.parametrize("path", ["/login", "/token"])
@pytest.mark.parametrize("way", WAYS_TO_SIGN_IN)
def test_credentials_may_come_as_json_or_as_a_form(client: httpx.Client, alice: Person, path: str, way: str) -> None:
    answer = client.post(path, **WAYS_TO_SIGN_IN[way](alice.email, PASSWORD))

    assert answer.status_code == 200, answer.text
    assert answer.json()["user"]["id"] == alice.id
    assert answer.json()["token_type"] == "bearer"


@pytest.mark.parametrize("path", ["/login", "/token"])
@pytest.mark.parametrize("rest", [{}, {"json": {}}, {"data": {"grant_type": "password"}}])
def test_credentials_in_the_query_are_ignored(
    client: httpx.Client, alice: Person, path: str, rest: dict[str, Any]
) -> None:
    answer = client.post(path, params={"email": alice.email, "username": alice.email, "password": PASSWORD}, **rest)

    assert answer.status_code == 422


@pytest.mark.parametrize("change", [str.upper, str.title, lambda email: f" {email}\t"])
def test_the_case_of_an_address_does_not_matter_when_signing_in(
    client: httpx.Client, alice: Person, change: Callable[[str], str]
) -> None:
    answer = sign_in(client, change(alice.email))

    assert answer.json()["user"]["id"] == alice.id


def test_an_unknown_address_and_a_wrong_password_look_alike(client: httpx.Client, alice: Person) -> None:
    unknown = sign_in(client, address("nobody"))
    wrong = sign_in(client, alice.email, "wrong horse battery")

    assert problem(unknown) == problem(wrong) == (401, "Invalid credentials", "invalid_credentials")
    assert [name for name, _ in unknown.headers.items()] == [name for name, _ in wrong.headers.items()]
    assert wrong.headers["www-authenticate"] == "Bearer"


def test_an_unknown_address_costs_as_much_hashing_as_a_known_one() -> None:
    passwords = Passwords(rounds=5)

    found = passwords._nobodys_hash

    assert found.startswith(b"$2b$05$")
    assert len(found) == len(bcrypt.hashpw(b"x", bcrypt.gensalt(5)))
    assert bcrypt.checkpw(b"x", found) is False
    passwords.close()


def test_an_account_without_a_bcrypt_hash_cannot_sign_in(
    client: httpx.Client, alice: Person, database: TestDatabase
) -> None:
    database.query("UPDATE users SET password_hash = 'plain' WHERE id = %s", alice.id)

    answer = sign_in(client, alice.email, "plain")

    assert problem(answer) == (401, "Invalid credentials", "invalid_credentials")


@pytest.mark.parametrize("path", ["/login", "/token", "/register"])
@pytest.mark.parametrize(
    "body", ["", "{", "null", "[]", '"alice"', "7", "true", "{}", "NaN", '{"email": NaN}', "[" * 100_000, "1" * 5000]
)
def test_a_body_without_credentials_is_refused(client: httpx.Client, path: str, body: str) -> None:
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in (400, 413, 422)
    assert answer.json()["code"] in ("bad_request", "payload_too_large", "validation_error")


def test_a_form_with_a_file_is_refused(client: httpx.Client, alice: Person) -> None:
    answer = client.post(
        "/login", data={"username": alice.email}, files={"password": ("password.txt", PASSWORD, "text/plain")}
    )

    assert answer.status_code == 400


# What must not leak


@pytest.mark.parametrize(
    "body",
    [
        {"email": "alice@example.com", "password": "hush-7"},
        {"email": "alice@example.com", "password": ["hush-7 hush-7"], "name": "Alice"},
        {"email": "alice@example.com", "password": "hush-7 " * 20, "name": "Alice"},
        {"email": "hush-7 hush-7", "password": "hush-7 hush-7", "name": "Alice"},
        {"email": {"password": "hush-7"}, "password": {"hush-7": 1}, "name": "Alice"},
        {"username": ["hush-7"], "password": 7, "hush-7": "hush-7"},
    ],
)
@pytest.mark.parametrize("path", ["/register", "/login", "/token"])
def test_a_422_does_not_repeat_what_was_sent(client: httpx.Client, path: str, body: dict[str, Any]) -> None:
    answer = client.post(path, json=body)

    assert answer.status_code in (401, 422)
    assert "hush" not in answer.text


@pytest.mark.parametrize("path", ["/register", "/login", "/token"])
def test_broken_json_is_not_repeated(client: httpx.Client, path: str) -> None:
    answer = client.post(path, content='{"password": "hush-7", ', headers={"Content-Type": "application/json"})

    assert answer.status_code == 422
    assert "hush" not in answer.text


@pytest.mark.parametrize("path", ["/register", "/login", "/token"])
def test_a_token_is_not_kept_by_caches(client: httpx.Client, alice: Person, path: str) -> None:
    email = address() if path == "/register" else alice.email

    answer = client.post(path, json={"email": email, "password": PASSWORD, "name": "Alice"})

    assert answer.headers["cache-control"] == "no-store"


def test_me_is_not_kept_by_caches(alice: Person) -> None:
    assert alice.client.get("/me").headers["cache-control"] == "no-store"


def test_a_password_is_stored_as_a_salted_hash(client: httpx.Client, database: TestDatabase) -> None:
    accounts = [sign_up(client, address()).json()["user"]["id"] for _ in range(2)]

    hashes = database.query("SELECT password_hash FROM users WHERE id = ANY(%s)", accounts)

    assert len(set(hashes)) == 2
    assert all(re.fullmatch(r"\$2b\$04\$[./A-Za-z0-9]{53}", found) for (found,) in hashes)
