"""My own account: names, addresses, passwords, and leaving."""

import httpx
import pytest

from support.accounts import address, fields, problem, sign_in, sign_up
from support.browsers import Browser
from support.databases import TestDatabase
from support.servers import PASSWORD, Person, Server, register, wait_until
from support.tabs import Tab, send

NEW_PASSWORD = "a longer horse battery"


@pytest.fixture
def server(here: Server) -> Server:
    """The people of this file live on one of two nodes."""
    return here


def me(server: Server, headers: dict[str, str]) -> int:
    return httpx.get(f"{server.url}/me", headers=headers).status_code


def make_key(person: Person, **options: object) -> dict[str, str]:
    key = person.client.post("/api-keys", json={"name": "script", **options}).json()["key"]
    return {"Authorization": f"Bearer {key}"}


def change_password(person: Person) -> httpx.Response:
    return person.client.post("/me/password", json={"current_password": PASSWORD, "new_password": NEW_PASSWORD})


def test_a_name_is_changed(alice: Person, bob: Person) -> None:
    answer = alice.client.patch("/me", json={"name": " Alicia "})

    assert answer.json()["name"] == "Alicia"
    assert bob.client.get(f"/users/{alice.id}").json()["name"] == "Alicia"
    assert [user["id"] for user in bob.client.get("/users?q=alicia").json()] == [alice.id]


def test_an_address_is_changed_by_the_password(alice: Person) -> None:
    new = address("alicia")

    answer = alice.client.patch("/me", json={"email": new, "current_password": PASSWORD})

    assert (answer.json()["email"], answer.json()["pending_email"]) == (new, None)
    assert sign_in(alice.client, new).status_code == 200
    assert sign_in(alice.client, alice.email).status_code == 401


@pytest.mark.parametrize("password", [None, "wrong horse battery"])
def test_without_the_password_the_address_stays(alice: Person, password: str | None) -> None:
    answer = alice.client.patch("/me", json={"email": address(), "current_password": password, "name": "Eve"})

    assert problem(answer) == (401, "Invalid credentials", "invalid_credentials")
    assert alice.client.get("/me").json()["name"] == "Alice"


def test_another_persons_address_is_taken(alice: Person, bob: Person) -> None:
    answer = alice.client.patch("/me", json={"email": bob.email.upper(), "current_password": PASSWORD})

    assert problem(answer) == (400, "Email already registered", "email_taken")


@pytest.mark.parametrize("body", [{"is_admin": True}, {"id": 1}, {"password": "x" * 9}, {"verified": True}])
def test_nothing_else_is_changed(alice: Person, body: dict[str, object]) -> None:
    before = alice.client.get("/me").json()

    alice.client.patch("/me", json=body)

    assert alice.client.get("/me").json() == before


def test_a_new_password_ends_everything_but_this_session(alice: Person, there: Server) -> None:
    other = sign_in(alice.client, alice.email).json()
    browser, key = Browser(alice), make_key(alice)
    with Tab(alice, there, token=other["access_token"]) as tab, Tab(alice, there) as own:
        tab.expect("ready")
        own.expect("ready")

        answer = change_password(alice)

        assert answer.status_code == 204
        assert tab.closing()[1] == 4401
        assert own.ask(type="ping")["type"] == "pong"
    assert me(there, {"Authorization": f"Bearer {other['access_token']}"}) == 401
    assert me(there, key) == 401
    assert browser.ask("GET", "/me").status_code == 401
    refreshed = alice.client.post("/refresh", json={"refresh_token": other["refresh_token"]})
    assert refreshed.status_code == 401
    assert me(there, alice.headers) == 200
    assert sign_in(alice.client, alice.email).status_code == 401
    assert sign_in(alice.client, alice.email, NEW_PASSWORD).status_code == 200


def test_a_new_password_takes_the_old_one(alice: Person) -> None:
    body = {"current_password": "wrong horse battery", "new_password": NEW_PASSWORD}

    assert problem(alice.client.post("/me/password", json=body))[2] == "invalid_credentials"
    assert sign_in(alice.client, alice.email).status_code == 200


@pytest.mark.parametrize("password", ["short", "x" * 73])
def test_a_new_password_has_the_length_of_one(alice: Person, password: str) -> None:
    answer = alice.client.post("/me/password", json={"current_password": PASSWORD, "new_password": password})

    assert fields(answer) == {"new_password"}


# Leaving


def leave(person: Person, password: str = PASSWORD) -> httpx.Response:
    return person.client.request("DELETE", "/me", json={"password": password})


def test_leaving_takes_the_password(alice: Person) -> None:
    assert problem(leave(alice, "wrong horse battery"))[2] == "invalid_credentials"
    assert alice.client.get("/me").status_code == 200


def test_who_leaves_takes_along_what_is_theirs(alice: Person, bob: Person, there: Server, hello: bytes) -> None:
    files = set(alice.server.files())
    document = alice.upload(hello + b"\n%mine").json()["document_id"]
    alice.client.put(f"/documents/{document}/shares/{bob.id}")
    send(alice, bob, "from alice")
    send(bob, alice, "from bob")
    key = make_key(alice)
    with Tab(bob, there) as tab, Tab(alice, there) as own:
        tab.expect("ready")
        own.expect("ready")

        answer = leave(alice)

        assert answer.status_code == 204, answer.text
        assert tab.expect("document.deleted")["document_id"] == document
        assert own.closing()[1] == 4401
    assert me(there, key) == me(there, alice.headers) == 401
    assert set(alice.server.files()) == files
    assert [m["content"] for m in bob.client.get(f"/messages/{alice.id}").json() if m["content"]] == ["from bob"]
    (conversation,) = bob.client.get("/conversations").json()["conversations"]
    assert conversation["user"]["name"] == "Deleted account"


def test_nobody_finds_or_writes_to_a_deleted_account(alice: Person, bob: Person) -> None:
    send(bob, alice, "hello")
    leave(alice)

    assert bob.client.get(f"/users/{alice.id}").status_code == 404
    assert alice.id not in [user["id"] for user in bob.client.get("/users").json()]
    assert bob.client.get("/users?q=deleted").json() == []
    answer = bob.client.post("/messages", json={"recipient_id": alice.id, "content": "still there?"})
    assert problem(answer) == (404, "User not found", "user_not_found")
    assert sign_in(bob.client, alice.email).status_code == 401
    assert sign_in(bob.client, f"deleted-{alice.id}", "").status_code == 401


def test_the_address_of_a_deleted_account_is_free_again(alice: Person) -> None:
    leave(alice)

    answer = sign_up(alice.client, alice.email)

    assert answer.status_code == 200
    assert answer.json()["user"]["id"] != alice.id
    assert answer.json()["user"]["is_admin"] is False


def test_a_start_leaves_deleted_accounts_as_they_are(alice: Person, bob: Person, shared: TestDatabase) -> None:
    leave(alice)
    leave(bob)
    shared.query("UPDATE schema_version SET content_hash = 'of an older version'")

    restarted = Server(alice.server.folder.parent / "again", shared.url, SECRET_KEY="x y z" * 9 + "abcdefgh").start()
    restarted.stop()

    assert shared.query("SELECT name FROM users WHERE id = %s", alice.id) == [("Deleted account",)]


def test_the_last_admin_stays(make_server: object) -> None:
    server = make_server().start()  # type: ignore[operator]
    admin = register(server, "admin")
    register(server, "bob")

    assert problem(leave(admin))[2] == "last_admin"
    assert admin.client.get("/me").status_code == 200


# API keys


def test_a_key_is_a_token_on_every_node_and_socket(alice: Person, bob: Person, there: Server) -> None:
    answer = alice.client.post("/api-keys", json={"name": "nightly import"})

    key = answer.json()["key"]
    assert answer.status_code == 201
    assert key.startswith("pw_")
    assert me(there, {"Authorization": f"Bearer {key}"}) == 200
    with Tab(alice, there, token=key) as tab:
        tab.expect("ready")
        assert tab.ask(recipient_id=bob.id, content="hi")["type"] == "ack"


def test_the_list_has_no_keys_but_their_prefix(alice: Person, shared: TestDatabase) -> None:
    created = alice.client.post(
        "/api-keys", json={"name": "nightly import", "expires_at": "2099-01-01T00:00:00Z"}
    ).json()

    (listed,) = alice.client.get("/api-keys").json()["api_keys"]

    key = created.pop("key")
    assert listed == created
    assert key.startswith(listed["prefix"])
    assert len(listed["prefix"]) == 8
    assert shared.query("SELECT 1 FROM sessions WHERE key = %s", key) == []
    assert all(session["kind"] == "api" for session in alice.client.get("/sessions").json()["sessions"])


def test_the_first_use_of_a_new_key_is_told(alice: Person) -> None:
    key = alice.client.post("/api-keys", json={"name": "script"}).json()
    before = alice.client.get("/api-keys").json()["api_keys"][0]

    httpx.get(f"{alice.server.url}/me", headers={"Authorization": f"Bearer {key['key']}"})

    assert (before["last_used_at"], before["ip"]) == (None, None)
    wait_until(lambda: alice.client.get("/api-keys").json()["api_keys"][0]["ip"] == "127.0.0.1")
    assert alice.client.get("/api-keys").json()["api_keys"][0]["last_used_at"] > key["created_at"]


def test_a_deleted_key_is_refused_at_once_and_its_sockets_close(alice: Person, there: Server) -> None:
    created = alice.client.post("/api-keys", json={"name": "script"}).json()
    with Tab(alice, there, token=created["key"]) as tab:
        tab.expect("ready")

        assert alice.client.delete(f"/api-keys/{created['id']}").status_code == 204

        assert tab.closing()[1] == 4401
    assert me(there, {"Authorization": f"Bearer {created['key']}"}) == 401
    assert alice.client.delete(f"/api-keys/{created['id']}").status_code == 404


def test_an_expired_key_is_refused(alice: Person, shared: TestDatabase) -> None:
    key = make_key(alice, expires_at="2099-01-01T00:00:00Z")
    shared.query("UPDATE sessions SET expires_at = now() WHERE user_id = %s AND kind = 'key'", alice.id)

    assert me(alice.server, key) == 401


@pytest.mark.parametrize(
    "body",
    [
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2099-01-01T00:00:00"},
        {"expires_at": "9999-12-31T23:59:59-12:00"},  # of the year 10000 elsewhere
        {"expires_at": "9999-12-31T23:59:59Z"},
        {"name": " "},
    ],
)
def test_what_is_no_key_is_refused(alice: Person, body: dict[str, object]) -> None:
    assert alice.client.post("/api-keys", json={"name": "script", **body}).status_code == 422


def test_a_key_that_may_only_read_changes_nothing(alice: Person, bob: Person, hello: bytes) -> None:
    key = make_key(alice, read_only=True)
    with alice.server.client() as client:
        client.headers.update(key)

        assert client.get("/documents").status_code == 200
        assert client.post("/extract", files={"file": ("a.pdf", hello)}).status_code == 200
        for answer in (
            client.post("/messages", json={"recipient_id": bob.id, "content": "hi"}),
            client.post("/upload-pdf", files={"file": ("a.pdf", hello)}),
            client.patch("/me", json={"name": "Eve"}),
            client.post(f"/messages/{bob.id}/read", json={"up_to_id": 1}),
        ):
            assert problem(answer)[::2] == (403, "read_only_key")
    with Tab(alice, token=key["Authorization"].partition(" ")[2]) as tab:
        tab.expect("ready")
        assert tab.ask(recipient_id=bob.id, content="hi")["code"] == "read_only_key"
        assert tab.ask(type="typing", recipient_id=bob.id, active=True)["code"] == "read_only_key"
        assert tab.ask(type="ping")["type"] == "pong"


def test_a_key_may_not_do_what_takes_a_person(alice: Person) -> None:
    with alice.server.client() as client:
        client.headers.update(make_key(alice))
        for answer in (
            client.post("/api-keys", json={"name": "another"}),
            client.get("/api-keys"),
            client.delete("/api-keys/1"),
            client.get("/sessions"),
            client.delete("/sessions/1"),
            client.post("/logout"),
            client.post("/logout-all"),
            client.post("/me/password", json={"current_password": PASSWORD, "new_password": NEW_PASSWORD}),
            client.patch("/me", json={"email": address(), "current_password": PASSWORD}),
            client.request("DELETE", "/me", json={"password": PASSWORD}),
        ):
            assert problem(answer)[::2] == (403, "key_not_allowed"), answer.request.url
        assert client.patch("/me", json={"name": "Alice"}).status_code == 200


def test_a_key_is_an_admin_only_if_made_so(admin: Person) -> None:
    plain, chosen = make_key(admin), make_key(admin, admin=True)

    statuses = [
        httpx.post(f"{admin.server.url}/admin/broadcast", json={"content": "hi"}, headers=key).status_code
        for key in (plain, chosen)
    ]

    assert statuses == [403, 200]


def test_who_is_no_admin_makes_no_admin_key(alice: Person) -> None:
    answer = alice.client.post("/api-keys", json={"name": "script", "admin": True})

    assert problem(answer) == (403, "Admin access required", "admin_required")


def test_a_key_in_the_cookie_is_nothing(alice: Person) -> None:
    browser = Browser(alice)
    name = browser.cookie.partition("=")[0]
    key = make_key(alice)["Authorization"].partition(" ")[2]

    assert httpx.get(f"{alice.server.url}/me", headers={"Cookie": f"{name}={key}"}).status_code == 401
