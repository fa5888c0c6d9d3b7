"""The browser's door: a cookie that no script reads, and that counts for pages of this server alone."""

import re
from collections.abc import Callable

import httpx
import pytest
from fastapi.routing import APIRoute

from main import ROUTES
from support.accounts import OPEN, address, problem
from support.browsers import CORS_ORIGIN, MAY_READ, OWN_PAGE, Browser, situations
from support.databases import TestDatabase
from support.servers import PASSWORD, Person, Server, receive
from support.sockets import V2

DOOR = {"/session"}  # refuses other sites even without a cookie
UNSAFE = sorted(
    (method, route.path)
    for route in ROUTES
    if isinstance(route, APIRoute)
    for method in route.methods or ()
    if method not in ("GET", "HEAD") and route.path not in OPEN | DOOR
)
SAFE = ("/me", "/users", "/documents", "/messages", "/conversations", "/events?after=0", "/sessions")


@pytest.fixture
def browser(alice: Person) -> Browser:
    return Browser(alice)


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", "9223372036854775807", path)


@pytest.mark.parametrize(("method", "path"), UNSAFE, ids=lambda part: str(part))
def test_the_cookie_counts_for_unsafe_requests_of_our_own_pages_alone(
    server: Server, alice: Person, method: str, path: str
) -> None:
    counted = {
        name
        for name, headers in situations(server).items()
        if Browser(alice).ask(method, filled(path), headers).status_code != 401
    }

    assert counted == set(OWN_PAGE)


@pytest.mark.parametrize(("method", "path"), UNSAFE, ids=lambda part: str(part))
@pytest.mark.parametrize("with_cookie", [False, True], ids=["Bearer", "both"])
def test_a_token_counts_wherever_the_request_comes_from(
    server: Server, alice: Person, method: str, path: str, with_cookie: bool
) -> None:
    cookie = {"Cookie": Browser(alice).cookie} if with_cookie else {}
    refused = []

    for name, headers in situations(server).items():
        with server.client() as client:
            token = client.post("/login", json={"email": alice.email, "password": PASSWORD}).json()["access_token"]
            sent = {**headers, **cookie, "Authorization": f"Bearer {token}"}
            if client.request(method, filled(path), headers=sent).status_code == 401:
                refused.append(name)

    assert refused == []


@pytest.mark.parametrize("path", SAFE)
def test_the_cookie_counts_for_what_a_page_may_read(server: Server, browser: Browser, path: str) -> None:
    counted = {name for name, headers in situations(server).items() if browser.ask("GET", path, headers).is_success}

    assert counted == set(MAY_READ)


@pytest.mark.parametrize("path", ["/ws", "/ws/{id}"])
def test_the_cookie_opens_sockets_of_our_own_pages_alone(server: Server, browser: Browser, path: str) -> None:
    path = path.format(id=browser.person.id)
    counted = set()

    for name, headers in situations(server).items():
        with browser.socket(path, headers, subprotocols=[V2]) as socket:
            if receive(socket)["type"] == "ready":
                counted.add(name)

    assert counted == set(OWN_PAGE)


@pytest.mark.parametrize("header", ["Bearer x", "Bearer", "Basic x", ""])
def test_beside_an_authorization_header_the_cookie_is_ignored_even_if_the_header_is_wrong(
    browser: Browser, header: str
) -> None:
    answer = browser.ask("GET", "/me", {"Authorization": header, "Sec-Fetch-Site": "same-origin"})

    assert answer.status_code == 401


def test_beside_a_token_the_cookie_is_ignored(browser: Browser, bob: Person) -> None:
    answer = browser.ask("GET", "/me", {**bob.headers, "Sec-Fetch-Site": "same-origin"})

    assert answer.json()["id"] == bob.id


def test_beside_a_token_a_socket_ignores_the_cookie(browser: Browser, bob: Person) -> None:
    with browser.socket(f"/ws?token={bob.token}", {"Sec-Fetch-Site": "same-origin"}, subprotocols=[V2]) as socket:
        assert receive(socket)["user_id"] == bob.id


def test_a_cookie_answer_is_for_this_browser_and_our_own_pages_alone(server: Server, browser: Browser) -> None:
    for name in MAY_READ:
        answer = browser.ask("GET", "/documents", situations(server)[name])

        assert answer.headers["cache-control"] == "private"
        assert "Cookie" in answer.headers["vary"]
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert not any(header.startswith("access-control-") for header in answer.headers)


def test_a_cookie_answer_has_no_cors_headers_even_where_our_origin_is_one_of_cors(browser: Browser) -> None:
    # A development server that passes requests on: its origin is ours to the browser.
    answer = browser.ask(
        "GET", "/me", {"Host": "localhost:3000", "Origin": CORS_ORIGIN, "Sec-Fetch-Site": "same-origin"}
    )

    assert answer.json()["id"] == browser.person.id
    assert not any(header.startswith("access-control-") for header in answer.headers)


def test_a_cors_origin_with_a_token_may_read_its_answer_in_spite_of_a_cookie(browser: Browser) -> None:
    answer = browser.ask("GET", "/me", {**browser.person.headers, "Origin": CORS_ORIGIN})

    assert answer.headers["access-control-allow-origin"] == CORS_ORIGIN


def test_the_cookie_is_opaque_and_no_script_reads_it(browser: Browser, database: TestDatabase) -> None:
    cookie = browser.answer.headers["set-cookie"]
    name, _, secret = browser.cookie.partition("=")
    ((mark,),) = database.query("SELECT mark FROM installation")

    assert name == f"pagewire_{mark}"
    assert re.fullmatch(r"[\w-]{43}", secret)
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax")
    assert database.query("SELECT 1 FROM sessions WHERE key = %s", secret) == []
    assert browser.answer.headers["cache-control"] == "no-store"
    assert "token" not in browser.answer.text


def test_a_browser_that_is_kept_signed_in_keeps_its_cookie(alice: Person) -> None:
    kept = Browser(alice, keep=True)

    assert "; Max-Age=2592000" in kept.answer.headers["set-cookie"]


def test_each_sign_in_has_a_new_session_and_ends_the_one_before(alice: Person) -> None:
    browser = Browser(alice)

    again = browser.client.post("/session", json={"email": alice.email, "password": PASSWORD})

    assert again.headers["set-cookie"].partition(";")[0] != browser.cookie
    assert browser.ask("GET", "/me").status_code == 401
    assert browser.client.get("/me").json()["id"] == alice.id


def test_a_secret_that_the_browser_brings_is_never_adopted(
    server: Server, alice: Person, database: TestDatabase
) -> None:
    ((mark,),) = database.query("SELECT mark FROM installation")
    planted = {"Cookie": f"pagewire_{mark}={'x' * 43}", "Sec-Fetch-Site": "same-origin"}
    with server.client() as client:
        answer = client.post("/session", json={"email": alice.email, "password": PASSWORD}, headers=planted)

        assert "x" * 43 not in answer.headers["set-cookie"]
        assert client.get("/me", headers=planted).status_code == 401


def test_two_cookies_of_the_name_are_none(browser: Browser, bob: Person) -> None:
    tossed = f"{Browser(bob).cookie}; {browser.cookie}"

    with browser.server.client() as client:
        assert client.get("/me", headers={"Cookie": tossed}).status_code == 401


def test_a_token_is_no_cookie_and_a_cookie_is_no_token(browser: Browser, client: httpx.Client) -> None:
    name, _, secret = browser.cookie.partition("=")

    assert client.get("/me", headers={"Authorization": f"Bearer {secret}"}).status_code == 401
    assert client.get("/me", headers={"Cookie": f"{name}={browser.person.token}"}).status_code == 401


def sign_in_here(person: Person) -> tuple[str, str, object]:
    return "POST", "/session", {"email": person.email, "password": PASSWORD}


def register_here(person: Person) -> tuple[str, str, object]:
    return "POST", "/register", {"email": address(), "password": PASSWORD, "name": "Eve", "session": True}


def sign_out_here(person: Person) -> tuple[str, str, object]:
    return "DELETE", "/session", None


@pytest.mark.parametrize("request_for", [sign_in_here, register_here, sign_out_here])
def test_the_door_is_closed_to_other_sites_even_without_a_cookie(
    server: Server, alice: Person, request_for: Callable[[Person], tuple[str, str, object]]
) -> None:
    opened = set()

    for name, headers in situations(server).items():
        method, path, body = request_for(alice)
        with server.client() as client:
            answer = client.request(method, path, json=body, headers=headers)
        if answer.status_code == 403:
            assert answer.json()["code"] == "cross_site"
            assert "set-cookie" not in answer.headers
        else:
            opened.add(name)

    assert opened == {*OWN_PAGE, "neither"}


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None]
)
@pytest.mark.parametrize("path", ["/session", "/register"])
def test_what_a_form_of_another_site_can_send_sets_no_cookie(
    client: httpx.Client, alice: Person, path: str, kind: str | None
) -> None:
    body = f'{{"email": "{alice.email}", "password": "{PASSWORD}", "name": "Eve", "session": true}}'

    answer = client.post(path, content=body, headers={} if kind is None else {"Content-Type": kind})

    assert answer.status_code in (400, 422)
    assert "set-cookie" not in answer.headers


def test_signing_out_ends_the_session_and_empties_the_cache(browser: Browser) -> None:
    answer = browser.ask("DELETE", "/session", {"Sec-Fetch-Site": "same-origin"})

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["clear-site-data"] == '"cache"'
    assert "=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0" in answer.headers["set-cookie"]
    assert browser.ask("GET", "/me").status_code == 401


def test_a_wrong_password_sets_no_cookie(client: httpx.Client, alice: Person) -> None:
    answer = client.post("/session", json={"email": alice.email, "password": "wrong horse battery"})

    assert problem(answer) == (401, "Invalid credentials", "invalid_credentials")
    assert "set-cookie" not in answer.headers


def test_registering_with_a_session_signs_the_browser_in(client: httpx.Client) -> None:
    body = {"email": address(), "password": PASSWORD, "name": "Eve", "session": True}

    answer = client.post("/register", json=body)

    assert answer.json()["refresh_token"] is None
    assert client.get("/me").json().items() >= answer.json()["user"].items()
    assert [s["kind"] for s in client.get("/sessions").json()["sessions"]] == ["browser"]


def test_without_being_asked_registering_sets_no_cookie(client: httpx.Client) -> None:
    answer = client.post("/register", json={"email": address(), "password": PASSWORD, "name": "Eve"})

    assert "set-cookie" not in answer.headers


def test_a_message_can_be_sent_and_a_picture_shown_by_cookie(browser: Browser, bob: Person, hello: bytes) -> None:
    document = browser.client.post("/upload-pdf", files={"file": ("a.pdf", hello)}).json()["document_id"]
    sent = browser.client.post("/messages", json={"recipient_id": bob.id, "content": "hi"})

    picture = browser.ask("GET", f"/documents/{document}/pages/1/image")
    file = browser.ask("GET", f"/documents/{document}/file")

    assert sent.status_code == 200
    assert picture.headers["content-type"] == "image/png"
    assert picture.headers["cache-control"] == "private, no-cache"
    assert file.content == hello
    assert file.headers.get_list("content-security-policy") == ["sandbox; default-src 'none'; frame-ancestors 'none'"]


HTTPS = {"X-Forwarded-Proto": "https", "Host": "pagewire.localhost"}  # as README's nginx sends them


def test_under_https_the_cookie_is_secure_and_of_this_host_alone(server: Server, alice: Person) -> None:
    body = {"email": alice.email, "password": PASSWORD}
    own = {**HTTPS, "Origin": "https://pagewire.localhost"}
    with server.client() as client:
        cookie = client.post("/session", json=body, headers=own).headers["set-cookie"]
        value = cookie.partition(";")[0]

        assert cookie.startswith("__Host-pagewire_")
        assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")
        assert client.get("/me", headers={**HTTPS, "Cookie": value}).json()["id"] == alice.id
        plain = {**HTTPS, "Cookie": value.removeprefix("__Host-")}
        assert client.get("/me", headers=plain).status_code == 401  # as a page of another port could set it
        other_scheme = {**HTTPS, "Origin": "http://pagewire.localhost"}
        assert client.post("/session", json=body, headers=other_scheme).status_code == 403
