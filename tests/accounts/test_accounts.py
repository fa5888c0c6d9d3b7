"""Accounts: registering, signing in, tokens honest and forged, and who may see whom."""

import base64
import hashlib
import hmac
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest

from auth import Passwords, load_secret_key
from errors import StartupError
from settings import Settings
from support.databases import TestDatabase
from support.servers import PASSWORD, WAIT_SECONDS, Person, Server, register

EURO = "€"  # three bytes in UTF-8
_numbers = count(1)
_hosts = count(1)


def address(name: str = "alice") -> str:
    return f"{name}.{os.getpid()}.n{next(_numbers)}@example.com"


def sign_up(client: httpx.Client, email: str, password: str = PASSWORD, name: str = "Alice") -> httpx.Response:
    return client.post("/register", json={"email": email, "password": password, "name": name})


def sign_in(client: httpx.Client, email: str, password: str = PASSWORD) -> httpx.Response:
    return client.post("/login", json={"email": email, "password": password})


def problem(answer: httpx.Response) -> tuple[int, Any, str]:
    """Status, detail and code of an error, whose shape is checked by the way."""
    body = answer.json()
    assert body["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, body["detail"], body["code"]


def fields(answer: httpx.Response) -> set[str]:
    """The fields that a 422 complains of."""
    assert answer.status_code == 422, answer.text
    return {str(entry["loc"][-1]) for entry in answer.json()["detail"]}


# Registering


def test_registering_answers_a_token_and_the_account(client: httpx.Client) -> None:
    email = address()

    answer = sign_up(client, email)

    body = answer.json()
    assert answer.status_code == 200
    assert set(body) >= {"access_token", "token_type", "expires_in", "user"}
    assert (body["token_type"], body["expires_in"]) == ("bearer", 30 * 60)
    assert set(body["user"]) == {"id", "email", "name", "created_at", "is_admin"}
    assert (body["user"]["email"], body["user"]["name"], body["user"]["is_admin"]) == (email, "Alice", False)


def test_the_token_of_a_new_account_opens_me(client: httpx.Client) -> None:
    account = sign_up(client, address()).json()

    answer = client.get("/me", headers={"Authorization": f"Bearer {account['access_token']}"})

    assert answer.json() == account["user"]


def test_an_account_is_as_old_as_its_registration(alice: Person) -> None:
    created_at = datetime.fromisoformat(alice.client.get("/me").json()["created_at"])

    assert created_at.tzinfo is not None
    assert 0 <= (datetime.now(UTC) - created_at).total_seconds() < WAIT_SECONDS


@pytest.mark.parametrize("change", [str.upper, str.title, str.lower])
def test_an_address_is_taken_in_any_case(client: httpx.Client, alice: Person, change: Callable[[str], str]) -> None:
    answer = sign_up(client, change(alice.email))

    assert problem(answer) == (400, "Email already registered", "email_taken")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("zo\u00eb.{}@example.com", "zoe\u0308.{}@example.com"),  # composed, and with a combining mark
        ("\u00c9mile.{}@example.com", "\u00e9mile.{}@example.com"),
        ("alice.{}@b\u00fccher.example.com", "alice.{}@xn--bcher-kva.example.com"),  # one domain, two spellings
        ("alice.{}@example.com", "Alice <alice.{}@example.com>"),
        ("alice.{}@example.com", "  alice.{}@example.com "),
    ],
)
def test_two_spellings_of_one_address_are_one_account(client: httpx.Client, first: str, second: str) -> None:
    mark = f"{os.getpid()}n{next(_numbers)}"
    registered = sign_up(client, first.format(mark))

    again = sign_up(client, second.format(mark))
    signed_in = sign_in(client, second.format(mark))

    assert problem(again) == (400, "Email already registered", "email_taken")
    assert signed_in.json()["user"] == registered.json()["user"]


def test_of_twenty_registrations_at_once_one_wins(server: Server) -> None:
    email = address()
    with server.client() as client, ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: sign_up(client, email), range(20)))

    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19
    assert {answer.json()["detail"] for answer in answers if answer.status_code == 400} == {"Email already registered"}


def test_an_installation_has_one_admin_though_ten_come_first(make_server: Callable[..., Server]) -> None:
    fresh = make_server().start()
    with fresh.client() as client, ThreadPoolExecutor(10) as threads:
        accounts = [answer.json()["user"] for answer in threads.map(lambda _: sign_up(client, address()), range(10))]

    assert [account["is_admin"] for account in sorted(accounts, key=lambda account: account["id"])] == [True] + [
        False
    ] * 9


@pytest.mark.parametrize("password", ["12345678", "x" * 72, EURO * 24, "        ", "tab\tand\x7fdel", "пароль-пароль"])
def test_a_password_that_fits_is_taken_as_it_is(client: httpx.Client, password: str) -> None:
    email = address()
    registered = sign_up(client, email, password)

    signed_in = sign_in(client, email, password)

    assert (registered.status_code, signed_in.status_code) == (200, 200)


@pytest.mark.parametrize("password", ["1234567", "", "x" * 73, EURO * 25, "x" * 100_000, "with\x00NUL in it"])
def test_a_password_that_does_not_fit_is_refused(client: httpx.Client, password: str) -> None:
    answer = sign_up(client, address(), password)

    assert fields(answer) == {"password"}


def test_half_a_surrogate_pair_is_no_password(client: httpx.Client) -> None:
    body = json.dumps({"email": address(), "name": "Alice", "password": "correct horse \ud83d"})

    answer = client.post("/register", content=body, headers={"Content-Type": "application/json"})

    assert fields(answer) == {"password"}


@pytest.mark.parametrize("password", ["x" * 73, EURO * 25])
def test_signing_in_with_more_than_bcrypt_reads_is_a_422(client: httpx.Client, alice: Person, password: str) -> None:
    answer = sign_in(client, alice.email, password)

    assert fields(answer) == {"password"}


def test_a_password_counts_to_its_last_byte(client: httpx.Client) -> None:
    email = address()
    sign_up(client, email, "x" * 71 + "y")

    answer = sign_in(client, email, "x" * 71 + "z")

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "email",
    [
        "",
        "alice",
        "alice@",
        "@example.com",
        "alice@localhost",
        "alice@example.com, bob@example.com",
        "alice@example.com\nBcc: bob@example.com",
        "alice\x00@example.com",
        f"{'a' * 250}@example.com",
        f"alice@{'a' * 250}.com",
        "a" * 100_000,
        None,
        7,
        ["alice@example.com"],
        {"$ne": ""},
    ],
)
def test_what_is_no_address_is_refused(client: httpx.Client, email: Any) -> None:
    answer = client.post("/register", json={"email": email, "password": PASSWORD, "name": "Alice"})

    assert fields(answer) == {"email"}


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 201, "with\x00NUL", "two\nlines", "\u202eecilA", "\x1b[31mAlice", None, 7]
)
def test_what_is_no_name_is_refused(client: httpx.Client, name: Any) -> None:
    answer = client.post("/register", json={"email": address(), "password": PASSWORD, "name": name})

    assert fields(answer) == {"name"}


@pytest.mark.parametrize("name", ["Zoë", "李小龍", "O'Brien; DROP TABLE users --", "%s %(name)s {0}", "👩‍👩‍👧 & <b>"])
def test_a_name_comes_back_as_it_was_given(client: httpx.Client, name: str) -> None:
    answer = sign_up(client, address(), name=f"  {name} ")

    assert answer.json()["user"]["name"] == name


# Signing in

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
def test_one_may_sign_in_in_many_ways(client: httpx.Client, alice: Person, path: str, way: str) -> None:
    answer = client.post(path, **WAYS_TO_SIGN_IN[way](alice.email, PASSWORD))

    assert answer.status_code == 200, answer.text
    assert answer.json()["user"]["id"] == alice.id
    assert answer.json()["token_type"] == "bearer"


@pytest.mark.parametrize("path", ["/login", "/token"])
@pytest.mark.parametrize("rest", [{}, {"json": {}}, {"data": {"grant_type": "password"}}])
def test_the_query_string_signs_nobody_in(client: httpx.Client, alice: Person, path: str, rest: dict[str, Any]) -> None:
    answer = client.post(path, params={"email": alice.email, "username": alice.email, "password": PASSWORD}, **rest)

    assert answer.status_code == 422


@pytest.mark.parametrize("change", [str.upper, str.title, lambda email: f" {email}\t"])
def test_an_address_signs_in_in_any_case(client: httpx.Client, alice: Person, change: Callable[[str], str]) -> None:
    answer = sign_in(client, change(alice.email))

    assert answer.json()["user"]["id"] == alice.id


def test_an_unknown_address_and_a_wrong_password_look_alike(client: httpx.Client, alice: Person) -> None:
    unknown = sign_in(client, address("nobody"))
    wrong = sign_in(client, alice.email, "wrong horse battery")

    assert problem(unknown) == problem(wrong) == (401, "Invalid credentials", "invalid_credentials")
    assert [name for name, _ in unknown.headers.items()] == [name for name, _ in wrong.headers.items()]
    assert wrong.headers["www-authenticate"] == "Bearer"


def test_nobodys_password_takes_as_much_work_as_anybodys() -> None:
    passwords = Passwords(rounds=5)

    found = passwords._nobodys_hash

    assert found.startswith(b"$2b$05$")
    assert len(found) == len(bcrypt.hashpw(b"x", bcrypt.gensalt(5)))
    assert bcrypt.checkpw(b"x", found) is False
    passwords.close()


def test_an_account_without_a_bcrypt_hash_signs_in_with_nothing(
    client: httpx.Client, alice: Person, database: TestDatabase
) -> None:
    database.query("UPDATE users SET password_hash = 'plain' WHERE id = %s", alice.id)

    answer = sign_in(client, alice.email, "plain")

    assert problem(answer) == (401, "Invalid credentials", "invalid_credentials")


@pytest.mark.parametrize("path", ["/login", "/token", "/register"])
@pytest.mark.parametrize(
    "body", ["", "{", "null", "[]", '"alice"', "7", "true", "{}", "NaN", '{"email": NaN}', "[" * 100_000, "1" * 5000]
)
def test_a_body_that_is_no_account_is_refused(client: httpx.Client, path: str, body: str) -> None:
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in (400, 422)
    assert answer.json()["code"] in ("bad_request", "validation_error")


def test_a_form_with_a_file_in_it_signs_nobody_in(client: httpx.Client, alice: Person) -> None:
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


# Who is asking?


@pytest.mark.parametrize("path", ["/me", "/protected", "/users", "/users/1", "/documents", "/messages"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": ""}, {"Authorization": "Bearer"}])
def test_without_a_token_nobody_is_asking(client: httpx.Client, path: str, headers: dict[str, str]) -> None:
    answer = client.get(path, headers=headers)

    assert problem(answer) == (401, "Not authenticated", "not_authenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_password_in_basic_style_is_no_token(client: httpx.Client, alice: Person) -> None:
    answer = client.get("/me", auth=(alice.email, PASSWORD))

    assert problem(answer) == (401, "Not authenticated", "not_authenticated")


def test_the_word_bearer_is_known_in_any_case(client: httpx.Client, alice: Person) -> None:
    answer = client.get("/protected", headers={"Authorization": f"bEARER {alice.token}"})

    assert answer.json() == {"message": f"Hello user {alice.id}"}


def test_a_token_in_the_query_is_no_token(client: httpx.Client, alice: Person) -> None:
    answer = client.get("/me", params={"token": alice.token, "access_token": alice.token})

    assert answer.status_code == 401


def encode(part: dict[str, Any] | bytes) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture
def key(server: Server) -> bytes:
    return (server.folder / "data" / "secret_key").read_text().strip().encode()


@pytest.fixture
def forge(key: bytes, alice: Person) -> Callable[..., str]:
    """A token that is alice's and true, but for what is changed; the value `...` leaves a claim out."""

    def make(
        header: dict[str, Any] | None = None, raw_claims: bytes | None = None, signed_with: bytes = key, **claims: Any
    ) -> str:
        now = int(time.time())
        true = {
            "sub": str(alice.id),
            "user_id": alice.id,
            "email": alice.email,
            "iat": now,
            "exp": now + 600,
            "jti": "1f0a",
        }
        changed = {name: value for name, value in {**true, **claims}.items() if value is not ...}
        signed = f"{encode({'alg': 'HS256', 'typ': 'JWT', **(header or {})})}.{encode(raw_claims or changed)}"
        digest = hashlib.sha512 if (header or {}).get("alg") == "HS512" else hashlib.sha256
        signature = hmac.new(signed_with, signed.encode(), digest).digest()
        return f"{signed}.{encode(signature)}"

    return make


def test_a_token_made_by_the_rules_is_taken(client: httpx.Client, forge: Callable[..., str], alice: Person) -> None:
    answer = client.get("/me", headers={"Authorization": f"Bearer {forge()}"})

    assert answer.json()["id"] == alice.id


FORGERIES: dict[str, dict[str, Any]] = {
    "signed with another key": {"signed_with": b"another key of thirty-two bytes!"},
    "signed with an empty key": {"signed_with": b""},
    "algorithm none": {"header": {"alg": "none"}},
    "algorithm None": {"header": {"alg": "None"}},
    "algorithm RS256": {"header": {"alg": "RS256"}},
    "algorithm ES256": {"header": {"alg": "ES256"}},
    "algorithm HS512 and the true key": {"header": {"alg": "HS512"}},
    "algorithm as a list": {"header": {"alg": ["HS256"]}},
    "algorithm null": {"header": {"alg": None}},
    "unknown critical header": {"header": {"crit": ["x"], "x": 1}},
    "detached payload": {"header": {"b64": False, "crit": ["b64"]}},
    "key id that is a number": {"header": {"kid": 7}},
    **{f"without {claim}": {claim: ...} for claim in ("exp", "iat", "sub", "user_id", "email", "jti")},
    **{f"{claim} null": {claim: None} for claim in ("exp", "iat", "sub", "user_id", "email", "jti")},
    "exp 10**400": {"exp": 10**400},
    "exp of 5,000 digits": {"raw_claims": b'{"exp": ' + b"9" * 5000 + b"}"},
    "exp NaN": {"exp": float("nan")},
    "exp Infinity": {"exp": float("inf")},
    "exp as a string": {"exp": str(2**33)},
    "exp as a list": {"exp": [2**33]},
    "iat true": {"iat": True},
    "iat NaN": {"iat": float("nan")},
    "iat as a string": {"iat": "now"},
    "iat tomorrow": {"iat": 2**33},
    "not before tomorrow": {"nbf": 2**33},
    "another's sub": {"sub": "1"},
    "sub with a space": {"sub": " 1"},
    "sub as a number": {"sub": 1},
    "another's user_id": {"user_id": 1},
    "user_id true": {"user_id": True, "sub": "True"},
    "user_id a float": {"user_id": 1.0, "sub": "1.0"},
    "user_id a string": {"user_id": "1", "sub": "1"},
    "user_id 10**30": {"user_id": 10**30, "sub": str(10**30)},
    "user_id 2**63": {"user_id": 2**63, "sub": str(2**63)},
    "user_id 2**63 - 1": {"user_id": 2**63 - 1, "sub": str(2**63 - 1)},
    "user_id 0": {"user_id": 0, "sub": "0"},
    "user_id -1": {"user_id": -1, "sub": "-1"},
    "user_id a list": {"user_id": [1], "sub": "[1]"},
    "for another audience": {"aud": "elsewhere"},
    "claims that are a list": {"raw_claims": b"[]"},
    "claims that are null": {"raw_claims": b"null"},
    "claims that are no JSON": {"raw_claims": b"{"},
    "claims that are not UTF-8": {"raw_claims": b"\xff\xfe"},
    "claims nested 100,000 deep": {"raw_claims": b"[" * 20_000},
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_token_is_an_invalid_token(client: httpx.Client, forge: Callable[..., str], forgery: str) -> None:
    answer = client.get("/me", headers={"Authorization": f"Bearer {forge(**FORGERIES[forgery])}"})

    assert problem(answer) == (401, "Invalid token", "invalid_token")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_without_a_signature_is_an_invalid_token(client: httpx.Client, forge: Callable[..., str]) -> None:
    unsigned = f"{encode({'alg': 'none'})}.{forge().split('.')[1]}."

    answer = client.get("/me", headers={"Authorization": f"Bearer {unsigned}"})

    assert problem(answer) == (401, "Invalid token", "invalid_token")


@pytest.mark.parametrize(
    "token",
    [
        f"{encode(b'[' * 20_000)}.e30.x",
        "x",
        "..",
        "a.b.c",
        "a.b.c.d.e",
        "ÿþ",
        "Bearer x",
        "é.é.é",
        "'; --",
        "%00",
        "e30.e30.e30",
        "=" * 9,
    ],
)
def test_what_is_no_token_is_an_invalid_token(client: httpx.Client, token: str) -> None:
    answer = client.get("/me", headers=[(b"Authorization", b"Bearer " + token.encode("latin-1"))])

    assert problem(answer) == (401, "Invalid token", "invalid_token")


def test_a_token_of_yesterday_is_expired(client: httpx.Client, forge: Callable[..., str]) -> None:
    token = forge(iat=int(time.time()) - 86_400, exp=int(time.time()) - 1)

    answer = client.get("/me", headers={"Authorization": f"Bearer {token}"})

    assert problem(answer) == (401, "Token expired", "token_expired")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_token_of_a_deleted_account_is_an_invalid_token(alice: Person, database: TestDatabase) -> None:
    database.query("DELETE FROM users WHERE id = %s", alice.id)

    answer = alice.client.get("/me")

    assert problem(answer) == (401, "Invalid token", "invalid_token")


# Everybody else


def test_one_sees_everyone_but_oneself_by_id(alice: Person, bob: Person) -> None:
    found = alice.client.get("/users").json()

    ids = [user["id"] for user in found]
    assert bob.id in ids
    assert alice.id not in ids
    assert ids == sorted(ids)
    assert all(set(user) == {"id", "email", "name", "created_at"} for user in found)


def test_pages_of_users_lead_to_everyone_once(server: Server, alice: Person) -> None:
    mark = f"crowd{os.getpid()}n{next(_numbers)}"
    crowd = [sign_up(alice.client, address(mark)).json()["user"]["id"] for _ in range(5)]
    pages: list[list[int]] = []
    question: dict[str, str | int] = {"q": mark, "limit": 2}
    while question.get("cursor") or not pages:
        page = alice.client.get("/users", params=question)
        pages.append([user["id"] for user in page.json()])
        question["cursor"] = page.headers.get("x-next-cursor", "")

    assert pages == [crowd[:2], crowd[2:4], crowd[4:]]


def test_the_last_page_of_users_leads_nowhere_though_it_is_full(alice: Person) -> None:
    mark = f"crowd{os.getpid()}n{next(_numbers)}"
    for _ in range(2):
        sign_up(alice.client, address(mark))

    answer = alice.client.get("/users", params={"q": mark, "limit": 2})

    assert len(answer.json()) == 2
    assert "x-next-cursor" not in answer.headers


@pytest.mark.parametrize("look", ["email", "name"])
def test_users_are_found_by_a_part_of_name_or_address_in_any_case(
    client: httpx.Client, alice: Person, look: str
) -> None:
    mark = f"Zita{os.getpid()}N{next(_numbers)}"
    email, name = (address(mark), "Somebody") if look == "email" else (address(), f"Frau {mark} Ö")
    zita = sign_up(client, email, name=name).json()["user"]["id"]

    found = alice.client.get("/users", params={"q": mark.upper()}).json()

    assert [user["id"] for user in found] == [zita]


@pytest.mark.parametrize("q", ["b%b.", "b_b.", "%bob", "b?b.", "b.b.", "\\bob", "'bob", "x" * 200, "\ud7ff", "🙂🙂"])
def test_a_search_for_users_has_no_wildcards(alice: Person, bob: Person, q: str) -> None:
    answer = alice.client.get("/users", params={"q": q})

    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=x",
        "limit=" + "9" * 30,
        "limit=NaN",
        "limit=1e1",
        "cursor=0",
        "cursor=-1",
        "cursor=x",
        "q=%00",
        "q=" + "x" * 201,
    ],
)
def test_a_wrong_question_about_users_is_a_422(alice: Person, query: str) -> None:
    answer = alice.client.get(f"/users?{query}")

    assert fields(answer) == {query.partition("=")[0]}


@pytest.mark.parametrize("cursor", [2**63 - 1, 2**63, 10**30])
def test_a_cursor_beyond_the_end_finds_nobody(alice: Person, cursor: int) -> None:
    answer = alice.client.get("/users", params={"cursor": cursor, "limit": 200})

    assert (answer.status_code, answer.json()) == (200, [])


def test_one_user_is_seen_by_another(alice: Person, bob: Person) -> None:
    answer = alice.client.get(f"/users/{bob.id}")

    assert answer.status_code == 200
    assert answer.json() == {
        "id": bob.id,
        "email": bob.email,
        "name": "Bob",
        "created_at": bob.client.get("/me").json()["created_at"],
    }


def test_a_user_who_is_not_there_is_not_found(alice: Person) -> None:
    answer = alice.client.get(f"/users/{2**63 - 1}")

    assert problem(answer) == (404, "User not found", "user_not_found")
    assert answer.json()["error"] == "Resource not found"


STRANGE_IDS = [
    *("9" * 30, "9" * 5000, str(2**63), "-1", "0", "-0", "abc", "1.5", "1e3", "0x1", "1_0", "NaN", "true", "null"),
    *("%00", "%F0%9F%99%82", "%ff", "1%20", "%D9%A3", "1;2", "1'", "..%2f1", "%2e%2e", "+1", "--1"),
]


@pytest.mark.parametrize("user_id", STRANGE_IDS)
def test_a_strange_id_is_nobodys(alice: Person, user_id: str) -> None:
    answer = alice.client.get(f"/users/{user_id}")

    assert answer.status_code in (200, 404, 422)
    assert answer.status_code != 200 or user_id in ("1%20", "+1", "1_0")  # a number, with some good will
    assert answer.json()


# Limits


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[], TestDatabase]) -> Iterator[Server]:
    """A server that lets an address sign in three times a minute, and an IP register twice an hour."""
    server = Server(
        tmp_path_factory.mktemp("strict"),
        make_database().url,
        LOGIN_RATE_LIMIT="3/minute",
        REGISTER_RATE_LIMIT="2/hour",
    ).start()
    yield server
    server.stop()


@pytest.fixture
def elsewhere(strict: Server) -> Iterator[Callable[[], httpx.Client]]:
    """Clients of the strict server, an IP of its own each."""
    clients: list[httpx.Client] = []

    def make() -> httpx.Client:
        transport = httpx.HTTPTransport(local_address=f"127.0.{os.getpid() % 250 + 1}.{next(_hosts)}")
        clients.append(httpx.Client(base_url=strict.url, transport=transport, timeout=WAIT_SECONDS))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def assert_limited(answer: httpx.Response, seconds: int) -> None:
    assert problem(answer) == (429, "Too many requests; slow down.", "rate_limited")
    assert 0 < int(answer.headers["retry-after"]) <= seconds


def test_an_address_may_be_tried_so_often_a_minute(elsewhere: Callable[[], httpx.Client]) -> None:
    email = address()
    sign_up(elsewhere(), email)
    tries = [sign_in(elsewhere(), email, "wrong horse battery").status_code for _ in range(3)]

    right = sign_in(elsewhere(), email)

    assert tries == [401, 401, 401]
    assert_limited(right, 60)


def test_the_spellings_of_an_address_are_counted_together(elsewhere: Callable[[], httpx.Client]) -> None:
    email = address()
    spellings = [email.upper(), f" {email} ", f"Alice <{email}>"]
    for spelling in spellings:
        sign_in(elsewhere(), spelling)

    answer = sign_in(elsewhere(), email)

    assert_limited(answer, 60)


def test_both_doors_count_as_one(elsewhere: Callable[[], httpx.Client]) -> None:
    email, somebody = address(), elsewhere()
    for path in ("/login", "/token", "/login"):
        somebody.post(path, data={"username": email, "password": PASSWORD})

    answer = somebody.post("/token", json={"email": email, "password": PASSWORD})

    assert_limited(answer, 60)


def test_an_ip_may_try_six_times_as_often_as_an_address(elsewhere: Callable[[], httpx.Client]) -> None:
    somebody = elsewhere()
    tries = [sign_in(somebody, address()).status_code for _ in range(18)]

    refused = sign_in(somebody, address())
    another = sign_in(elsewhere(), address())

    assert tries == [401] * 18
    assert_limited(refused, 60)
    assert another.status_code == 401


def test_an_ip_may_register_so_often(elsewhere: Callable[[], httpx.Client]) -> None:
    somebody = elsewhere()
    accounts = [sign_up(somebody, address()).status_code for _ in range(2)]

    refused = sign_up(somebody, address())

    assert accounts == [200, 200]
    assert_limited(refused, 3600)


def test_the_word_of_a_proxy_elsewhere_does_not_change_who_is_counted(elsewhere: Callable[[], httpx.Client]) -> None:
    somebody = elsewhere()
    for number in range(18):
        somebody.headers["X-Forwarded-For"] = f"203.0.113.{number}"
        sign_in(somebody, address())

    refused = sign_in(somebody, address())

    assert_limited(refused, 60)


def test_limits_that_are_off_limit_nothing(client: httpx.Client, alice: Person) -> None:
    answers = {sign_in(client, alice.email, "wrong horse battery").status_code for _ in range(70)}

    assert answers == {401}


def test_while_registration_is_closed_there_is_nobody_new(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    alice = register(server, "alice")
    server.stop()
    server.environment["REGISTRATION"] = "closed"
    server.start()

    with server.client() as client:
        newcomer = sign_up(client, address("bob"))
        returning = sign_in(client, alice.email)

    assert problem(newcomer)[0::2] == (403, "registration_closed")
    assert returning.status_code == 200


# The key


def test_the_key_is_private_and_outlives_a_restart(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    alice = register(server, "alice")
    path = server.folder / "data" / "secret_key"
    before = path.read_bytes()
    server.stop()

    server.start()

    with server.client() as client:
        answer = client.get("/me", headers=alice.headers)
    assert answer.json()["id"] == alice.id
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(before.strip()) == 64


def test_two_processes_that_start_at_once_agree_on_the_key(
    make_server: Callable[..., Server], make_database: Callable[[], TestDatabase]
) -> None:
    database = make_database()
    servers = [make_server("shared", database) for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda server: server.start(), servers))
    alice = register(servers[0], "alice")

    with servers[1].client() as client:
        answer = client.get("/me", headers=alice.headers)

    assert answer.json()["id"] == alice.id
    assert [path.name for path in (servers[0].folder / "data").iterdir()] == ["secret_key"]


def test_many_threads_make_one_key(tmp_path: Path) -> None:
    settings = Settings(secret_key=None, data_dir=tmp_path / "new" / "data")
    with ThreadPoolExecutor(16) as threads:
        keys = set(threads.map(lambda _: load_secret_key(settings), range(64)))

    assert len(keys) == 1
    assert [path.name for path in (tmp_path / "new" / "data").iterdir()] == ["secret_key"]


@pytest.mark.parametrize("content", [b"", b"\n", b"short\n", b"\xff\xfe" * 40], ids=repr)
def test_a_damaged_key_stops_the_start_with_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret_key").write_bytes(content)

    with pytest.raises(StartupError) as caught:
        load_secret_key(Settings(secret_key=None, data_dir=tmp_path))

    assert caught.value.detail.startswith("SECRET_KEY: ")
    assert "\n" not in caught.value.detail


def test_a_data_folder_that_cannot_be_made_stops_the_start_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StartupError) as caught:
        load_secret_key(Settings(secret_key=None, data_dir=tmp_path / "file" / "data"))

    assert caught.value.detail.startswith("SECRET_KEY: cannot keep one in ")
