"""Registering: what an account may be, and who is the admin."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from support.accounts import address, fields, problem, sign_in, sign_up, unique
from support.servers import PASSWORD, WAIT_SECONDS, Person, Server, register

EURO = "€"  # three bytes in UTF-8


def test_registering_answers_a_token_and_the_account(client: httpx.Client) -> None:
    email = address()

    answer = sign_up(client, email)

    body = answer.json()
    assert answer.status_code == 200
    assert set(body) >= {"access_token", "token_type", "expires_in", "user"}
    assert (body["token_type"], body["expires_in"]) == ("bearer", 30 * 60)
    assert set(body["user"]) == {"id", "email", "name", "created_at", "is_admin", "verified", "stored_bytes"}
    assert (body["user"]["email"], body["user"]["name"], body["user"]["is_admin"]) == (email, "Alice", False)


def test_the_token_of_a_new_account_opens_me(client: httpx.Client) -> None:
    account = sign_up(client, address()).json()

    answer = client.get("/me", headers={"Authorization": f"Bearer {account['access_token']}"})

    assert answer.json().items() >= account["user"].items()


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
    mark = unique()
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
def test_a_password_that_fits_is_accepted_as_it_is(client: httpx.Client, password: str) -> None:
    email = address()
    registered = sign_up(client, email, password)

    signed_in = sign_in(client, email, password)

    assert (registered.status_code, signed_in.status_code) == (200, 200)


@pytest.mark.parametrize("password", ["1234567", "", "x" * 73, EURO * 25, "x" * 10_000, "with\x00NUL in it"])
def test_a_password_that_does_not_fit_is_refused(client: httpx.Client, password: str) -> None:
    answer = sign_up(client, address(), password)

    assert fields(answer) == {"password"}


def test_half_a_surrogate_pair_is_no_password(client: httpx.Client) -> None:
    body = json.dumps({"email": address(), "name": "Alice", "password": "correct horse \ud83d"})

    answer = client.post("/register", content=body, headers={"Content-Type": "application/json"})

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
        "a" * 10_000,
        None,
        7,
        ["alice@example.com"],
        {"$ne": ""},
    ],
)
def test_an_invalid_address_is_refused(client: httpx.Client, email: Any) -> None:
    answer = client.post("/register", json={"email": email, "password": PASSWORD, "name": "Alice"})

    assert fields(answer) == {"email"}


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 201, "with\x00NUL", "two\nlines", "\u202eecilA", "\x1b[31mAlice", None, 7]
)
def test_an_invalid_name_is_refused(client: httpx.Client, name: Any) -> None:
    answer = client.post("/register", json={"email": address(), "password": PASSWORD, "name": name})

    assert fields(answer) == {"name"}


INVISIBLE = {
    "zero width space": "\u200b",
    "zero width joiners": "\u200c\u200d\u2060",
    "soft hyphen": "\u00ad",
    "byte order mark": "\ufeff",
    "direction mark": "\u061c\u200e",
    "combining grapheme joiner": "\u034f",
    "Hangul fillers": "\u115f\u1160\u3164\uffa0",
    "Khmer inherent vowels": "\u17b4\u17b5",
    "Mongolian separators": "\u180b\u180e",
    "variation selectors": "\ufe00\ufe0f\U000e0100",
    "reserved and ignorable": "\ufff0\U000e0000\U000e0fff",
    "shorthand and musical controls": "\U0001bca0\U0001d173",
    "tags": "\U000e0041\U000e007f",
    "blank Braille pattern": "\u2800",
    "null notehead": "\U0001d159",
    "object replacement": "\ufffc",
    "spaces of all kinds": "\u00a0\u1680\u2003\u202f\u205f\u3000",
    "marks alone": "\u0301\u20dd\u0903",
    "private use": "\ue000\U000f0000\U0010fffd",
    "unassigned": "\u0378\U000effff",
    "noncharacters": "\ufdd0\uffff\U0010ffff",
    "a mixture": " \u3164\u0301\u200b \u2800",
}


@pytest.mark.parametrize("kind", INVISIBLE)
def test_a_name_that_nobody_can_see_is_refused(client: httpx.Client, kind: str) -> None:
    answer = sign_up(client, address(), name=INVISIBLE[kind])

    assert fields(answer) == {"name"}


@pytest.mark.parametrize(
    "name", ["1", "?", "é", "e\u0301", "ن", "क्\u200dष", "می\u200cخواهم", "❤\ufe0f", "🏴\U000e0067\U000e007f"]
)
def test_a_name_may_hold_invisible_characters_beside_visible_ones(client: httpx.Client, name: str) -> None:
    answer = sign_up(client, address(), name=name)

    assert answer.json()["user"]["name"] == name


@pytest.mark.parametrize("local_part", ["a" * 64, "é" * 64, f"a.{'b' * 62}"])
def test_the_local_part_of_an_address_may_have_64_characters(client: httpx.Client, local_part: str) -> None:
    answer = sign_up(client, f"{local_part}@{unique()}.example.com")

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("local_part", ["a" * 65, "é" * 65, "é" * 40 + "a" * 25, f"a.{'b' * 63}", "a" * 200])
def test_a_longer_local_part_is_refused(client: httpx.Client, local_part: str) -> None:
    answer = sign_up(client, f"{local_part}@{unique()}.example.com")

    assert fields(answer) == {"email"}


@pytest.mark.parametrize("char", "\u3164\uffa0\u115f\u2800\u034f\ufe0f\u180b\U000e0100\u200b\u00ad\u2060\ue000")
def test_an_address_with_an_invisible_character_is_refused(client: httpx.Client, char: str) -> None:
    answer = sign_up(client, address(f"ali{char}ce"))

    assert fields(answer) == {"email"}


@pytest.mark.parametrize("name", ["Zoë", "李小龍", "O'Brien; DROP TABLE users --", "%s %(name)s {0}", "👩‍👩‍👧 & <b>"])
def test_a_name_comes_back_as_it_was_given(client: httpx.Client, name: str) -> None:
    answer = sign_up(client, address(), name=f"  {name} ")

    assert answer.json()["user"]["name"] == name


def test_while_registration_is_closed_users_can_still_sign_in(make_server: Callable[..., Server]) -> None:
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
