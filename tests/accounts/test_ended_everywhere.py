"""What has ended, or was made for another purpose, opens nothing: asked of every route and socket that there is."""

import re
from collections.abc import Callable

import pytest
from fastapi.routing import APIRoute
from starlette.routing import WebSocketRoute
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from main import ROUTES
from support.accounts import OPEN, sign_in
from support.browsers import Browser
from support.servers import PASSWORD, WAIT_SECONDS, Person, Server
from support.sockets import V2, closing

ASK_NOBODY = {"/", "/healthz", "/readyz", "/session", *OPEN}
ASKING = sorted(
    (method, route.path)
    for route in ROUTES
    if isinstance(route, APIRoute) and route.include_in_schema and route.path not in ASK_NOBODY
    for method in route.methods or ()
)
SOCKETS = sorted(route.path for route in ROUTES if isinstance(route, WebSocketRoute))
Headers = dict[str, str]


@pytest.fixture
def server(here: Server) -> Server:
    """Everything ends on one of two nodes."""
    return here


def bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


def filled(path: str, person: Person) -> str:
    return re.sub(r"\{\w+\}", str(person.id), path)


def token_of_an_ended_session(alice: Person) -> Headers:
    alice.client.post("/logout")
    return alice.headers


def token_of_a_session_that_a_new_password_ended(alice: Person) -> Headers:
    token = sign_in(alice.client, alice.email).json()["access_token"]
    alice.client.post("/me/password", json={"current_password": PASSWORD, "new_password": f"new {PASSWORD}"})
    return bearer(token)


def cookie_of_an_ended_session(alice: Person) -> Headers:
    browser = Browser(alice)
    alice.client.post("/logout-all")
    return {"Cookie": browser.cookie, "Sec-Fetch-Site": "same-origin"}


def deleted_key(alice: Person) -> Headers:
    key = alice.client.post("/api-keys", json={"name": "script"}).json()
    alice.client.delete(f"/api-keys/{key['id']}")
    return bearer(key["key"])


def key_of_a_deleted_account(alice: Person) -> Headers:
    key = alice.client.post("/api-keys", json={"name": "script"}).json()["key"]
    assert alice.client.request("DELETE", "/me", json={"password": PASSWORD}).status_code == 204
    return bearer(key)


def refresh_token(alice: Person) -> Headers:
    return bearer(sign_in(alice.client, alice.email).json()["refresh_token"])


def secret_of_a_cookie(alice: Person) -> Headers:
    return bearer(Browser(alice).cookie.partition("=")[2])


def access_token_in_the_cookie(alice: Person) -> Headers:
    name = Browser(alice).cookie.partition("=")[0]
    return {"Cookie": f"{name}={alice.token}", "Sec-Fetch-Site": "same-origin"}


def api_key_in_the_cookie(alice: Person) -> Headers:
    name = Browser(alice).cookie.partition("=")[0]
    key = alice.client.post("/api-keys", json={"name": "script"}).json()["key"]
    return {"Cookie": f"{name}={key}", "Sec-Fetch-Site": "same-origin"}


CREDENTIALS: list[Callable[[Person], Headers]] = [
    token_of_an_ended_session,
    token_of_a_session_that_a_new_password_ended,
    cookie_of_an_ended_session,
    deleted_key,
    key_of_a_deleted_account,
    refresh_token,
    secret_of_a_cookie,
    access_token_in_the_cookie,
    api_key_in_the_cookie,
]


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_no_route_of_any_node_takes_it(alice: Person, there: Server, credential: Callable[[Person], Headers]) -> None:
    headers = credential(alice)
    taken = []

    for node in (alice.server, there):
        with node.client() as client:
            for method, path in ASKING:
                answer = client.request(method, filled(path, alice), headers=headers)
                if answer.status_code != 401 or answer.headers["www-authenticate"] != "Bearer":
                    taken.append((method, path, answer.status_code))

    assert taken == []


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("path", SOCKETS)
def test_no_socket_of_any_node_takes_it(
    alice: Person, there: Server, path: str, credential: Callable[[Person], Headers]
) -> None:
    headers = credential(alice)
    ways: list[tuple[Headers, str, list[Subprotocol]]] = [(headers, "", [V2])]
    if token := headers.get("Authorization", "").removeprefix("Bearer "):
        ways += [({}, f"?token={token}", [V2]), ({}, "", [V2, Subprotocol(f"bearer.{token}")])]

    for node in (alice.server, there):
        for sent, query, subprotocols in ways:
            url = node.url.replace("http", "ws") + filled(path, alice) + query
            with connect(url, additional_headers=sent, subprotocols=subprotocols, open_timeout=WAIT_SECONDS) as socket:
                frames, code = closing(socket)
            assert [frame["type"] for frame in frames] == ["error"]
            assert code == 4401


def test_an_access_token_or_a_key_refreshes_nothing(alice: Person) -> None:
    key = alice.client.post("/api-keys", json={"name": "script"}).json()["key"]

    for token in (alice.token, key, Browser(alice).cookie.partition("=")[2]):
        assert alice.client.post("/refresh", json={"refresh_token": token}).status_code == 401


def test_the_routes_that_ask_nobody_are_these(here: Server) -> None:
    with here.client() as client:
        open_routes = {
            route.path
            for route in ROUTES
            if isinstance(route, APIRoute) and route.include_in_schema
            for method in route.methods or ()
            if client.request(method, re.sub(r"\{\w+\}", "1", route.path)).status_code != 401
        }

    assert open_routes == ASK_NOBODY
