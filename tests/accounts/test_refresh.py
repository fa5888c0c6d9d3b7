"""Refresh tokens: each works once, a second use ends the session, and a lost answer is not theft."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from support.accounts import problem
from support.databases import TestDatabase
from support.servers import PASSWORD, Person, Server
from support.tabs import Tab


@pytest.fixture
def server(here: Server) -> Server:
    """The people of this file live on one of two nodes."""
    return here


@pytest.fixture
def tokens(alice: Person) -> dict[str, Any]:
    """A session of alice's."""
    body: dict[str, Any] = httpx.post(
        f"{alice.server.url}/login", json={"email": alice.email, "password": PASSWORD}
    ).json()
    return body


def refresh(server: Server, token: str, client_id: str | None = None) -> httpx.Response:
    body = {"refresh_token": token} if client_id is None else {"refresh_token": token, "client_id": client_id}
    return httpx.post(f"{server.url}/refresh", json=body)


def me(server: Server, token: str) -> int:
    return httpx.get(f"{server.url}/me", headers={"Authorization": f"Bearer {token}"}).status_code


def session_of(token: str) -> str:
    claims = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sid"])


def test_a_refresh_token_brings_new_tokens_of_the_same_session(
    server: Server, there: Server, tokens: dict[str, Any]
) -> None:
    answer = refresh(there, tokens["refresh_token"])

    new = answer.json()
    assert set(new) == {"access_token", "token_type", "expires_in", "refresh_token", "user"}
    assert new["user"] == tokens["user"]
    assert new["refresh_token"] != tokens["refresh_token"]
    assert session_of(new["access_token"]) == session_of(tokens["access_token"])
    assert me(server, new["access_token"]) == 200
    assert answer.headers["cache-control"] == "no-store"
    assert refresh(server, new["refresh_token"]).status_code == 200


def test_a_token_that_is_used_twice_ends_its_session(
    server: Server, there: Server, alice: Person, tokens: dict[str, Any]
) -> None:
    new = refresh(server, tokens["refresh_token"]).json()
    with Tab(alice, there, token=new["access_token"]) as tab:
        tab.expect("ready")

        again = refresh(there, tokens["refresh_token"])

        assert problem(again) == (401, "Invalid token", "invalid_token")
        assert tab.closing()[1] == 4401
    assert me(server, new["access_token"]) == me(there, tokens["access_token"]) == 401
    assert refresh(server, new["refresh_token"]).status_code == 401
    assert alice.client.get("/me").status_code == 200  # by another session


def test_a_token_of_long_ago_ends_its_session(server: Server, tokens: dict[str, Any]) -> None:
    newest = tokens
    for _ in range(3):
        newest = refresh(server, newest["refresh_token"]).json()

    assert refresh(server, tokens["refresh_token"]).status_code == 401
    assert me(server, newest["access_token"]) == 401


@pytest.mark.parametrize("round_number", range(5))
def test_of_six_at_once_at_most_one_pair_works(
    server: Server, there: Server, tokens: dict[str, Any], round_number: int
) -> None:
    with ThreadPoolExecutor(6) as threads:
        answers = list(
            threads.map(lambda number: refresh((server, there)[number % 2], tokens["refresh_token"]), range(6))
        )

    assert {answer.status_code for answer in answers} <= {200, 401}
    pairs = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(pairs) == 1
    assert [me(server, pair["access_token"]) for pair in pairs] == [401]


def test_six_at_once_with_one_client_id_get_one_refresh_token(
    server: Server, there: Server, tokens: dict[str, Any]
) -> None:
    with ThreadPoolExecutor(6) as threads:
        answers = list(
            threads.map(lambda number: refresh((server, there)[number % 2], tokens["refresh_token"], "a"), range(6))
        )

    assert {answer.status_code for answer in answers} == {200}
    (token,) = {answer.json()["refresh_token"] for answer in answers}
    assert refresh(server, token).status_code == 200


def test_who_lost_the_answer_goes_on_by_repeating_with_the_same_client_id(
    server: Server, there: Server, tokens: dict[str, Any]
) -> None:
    lost = refresh(server, tokens["refresh_token"], "4f1c09").json()

    repeated = refresh(there, tokens["refresh_token"], "4f1c09").json()

    assert repeated["refresh_token"] == lost["refresh_token"]
    assert me(server, repeated["access_token"]) == 200


@pytest.mark.parametrize("client_id", [None, "other"])
def test_a_repeat_without_that_client_id_is_theft(
    server: Server, tokens: dict[str, Any], client_id: str | None
) -> None:
    new = refresh(server, tokens["refresh_token"], "4f1c09").json()

    assert refresh(server, tokens["refresh_token"], client_id).status_code == 401
    assert me(server, new["access_token"]) == 401


def test_a_repeat_after_the_next_token_was_used_is_theft(server: Server, tokens: dict[str, Any]) -> None:
    new = refresh(server, tokens["refresh_token"], "4f1c09").json()
    newer = refresh(server, new["refresh_token"], "93ab00").json()

    assert refresh(server, tokens["refresh_token"], "4f1c09").status_code == 401
    assert me(server, newer["access_token"]) == 401


@pytest.mark.parametrize("token", ["x", "0" * 200, "é", "a.b.c"])
def test_what_is_no_refresh_token_is_invalid(server: Server, token: str) -> None:
    assert problem(refresh(server, token)) == (401, "Invalid token", "invalid_token")


@pytest.mark.parametrize("body", [{}, {"refresh_token": ""}, {"refresh_token": "x" * 4097}, {"refresh_token": 7}, []])
def test_a_body_without_a_refresh_token_is_refused(server: Server, body: object) -> None:
    assert httpx.post(f"{server.url}/refresh", json=body).status_code == 422


def test_each_token_serves_its_purpose_alone(server: Server, tokens: dict[str, Any]) -> None:
    assert me(server, tokens["refresh_token"]) == 401
    assert refresh(server, tokens["access_token"]).status_code == 401


def test_an_expired_session_is_not_refreshed(
    server: Server, alice: Person, tokens: dict[str, Any], shared: TestDatabase
) -> None:
    shared.query("UPDATE sessions SET expires_at = now() - interval '1 second' WHERE user_id = %s", alice.id)

    assert problem(refresh(server, tokens["refresh_token"])) == (401, "Token expired", "token_expired")


def test_the_refresh_token_alone_ends_its_session(server: Server, tokens: dict[str, Any]) -> None:
    answer = httpx.post(f"{server.url}/logout", json={"refresh_token": tokens["refresh_token"]})

    assert answer.status_code == 204
    assert me(server, tokens["access_token"]) == 401
    assert refresh(server, tokens["refresh_token"]).status_code == 401


def test_after_the_session_has_ended_its_refresh_token_is_invalid(server: Server, tokens: dict[str, Any]) -> None:
    httpx.post(f"{server.url}/logout", headers={"Authorization": f"Bearer {tokens['access_token']}"})

    assert problem(refresh(server, tokens["refresh_token"])) == (401, "Invalid token", "invalid_token")


def test_refresh_tokens_are_stored_as_hashes(shared: TestDatabase, tokens: dict[str, Any]) -> None:
    stored = shared.query("SELECT hash FROM refresh_tokens")

    assert all(len(token) == 64 for (token,) in stored)
    assert (tokens["refresh_token"],) not in stored
