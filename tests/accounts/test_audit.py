"""Who did what: told to admins alone, without a secret, and kept small whatever is sent."""

from collections.abc import Callable
from typing import Any, cast

import httpx
import pytest

from accounts.audit_queries import MAX_ROWS_OF_A_NETWORK, MAX_ROWS_OF_A_PERSON, MAX_ROWS_OF_NOBODY, Actor
from accounts.audit_trail import MAX_NOTED, AuditTrail
from settings import Settings
from support.accounts import address, problem, sign_in
from support.browsers import Browser
from support.databases import TestDatabase
from support.servers import PASSWORD, Person, Server, wait_until
from support.tabs import connect_to

NEW_PASSWORD = "a longer horse battery"
Entry = dict[str, Any]


@pytest.fixture
def server(here: Server) -> Server:
    """The people of this file live on one of two nodes."""
    return here


def entries(admin: Person, about: Person, *actions: str) -> list[Entry]:
    """What is told of somebody as the actor or the one it is about, oldest first."""
    page = admin.client.get("/admin/audit?limit=200").json()["audit"]
    found = [e for e in page if about.id in (e["actor"] and e["actor"]["id"], e["user"] and e["user"]["id"])]
    return [e for e in reversed(found) if not actions or e["action"] in actions]


def told(admin: Person, about: Person) -> list[tuple[str, int | None]]:
    """The actions about somebody, and who did them."""
    return [(e["action"], e["actor"] and e["actor"]["id"]) for e in entries(admin, about)]


def failures(admin: Person, about: Person, *, times: int = 1) -> list[Entry]:
    wait_until(lambda: sum(e["times"] for e in entries(admin, about, "login_failed")) >= times)
    return entries(admin, about, "login_failed")


def test_a_failed_login_is_told_without_what_was_typed(admin: Person, bob: Person, shared: TestDatabase) -> None:
    sign_in(bob.client, bob.email.upper(), "my secret of another site")

    (entry,) = failures(admin, bob)

    assert (entry["actor"], entry["times"]) == (None, 1)
    assert entry["user"] == {"id": bob.id, "name": "Bob"}
    assert entry["network"] == "127.0.0.1"
    assert shared.query("SELECT 1 FROM audit WHERE audit::text ~ 'secret|@|BOB'") == []


def test_a_login_with_an_address_without_an_account_is_told_of_nobody(admin: Person, shared: TestDatabase) -> None:
    sql = "SELECT coalesce(sum(times), 0) FROM audit WHERE action = 'login_failed' AND user_id IS NULL"
    before = shared.query(sql)[0][0]

    sign_in(admin.client, "correct horse battery")

    wait_until(lambda: shared.query(sql)[0][0] == before + 1)


def test_the_failures_of_an_attack_are_added_up(admin: Person, bob: Person) -> None:
    for _ in range(30):
        sign_in(bob.client, bob.email, "wrong horse battery")

    found = failures(admin, bob, times=30)

    assert sum(entry["times"] for entry in found) == 30
    assert len(found) <= 5


def by_browser(bob: Person) -> httpx.Response:
    return Browser(bob).client.post("/session", json={"email": bob.email, "password": "wrong horse battery"})


def by_form(bob: Person) -> httpx.Response:
    return bob.client.post("/token", data={"username": bob.email, "password": "wrong horse battery"})


def by_an_open_screen(bob: Person) -> httpx.Response:
    return bob.client.post("/me/password", json={"current_password": "wrong", "new_password": NEW_PASSWORD})


@pytest.mark.parametrize("fail", [by_browser, by_form, by_an_open_screen])
def test_every_door_tells_of_failures(admin: Person, bob: Person, fail: Callable[[Person], httpx.Response]) -> None:
    assert fail(bob).status_code == 401

    assert len(failures(admin, bob)) == 1


def test_what_people_do_with_their_account_is_told(admin: Person, bob: Person) -> None:
    key = bob.client.post("/api-keys", json={"name": "hunter2"}).json()
    bob.client.delete(f"/api-keys/{key['id']}")
    bob.client.patch("/me", json={"email": address("robert"), "current_password": PASSWORD})
    bob.client.patch("/me", json={"name": "Robert"})
    sign_in(bob.client, bob.email)
    bob.client.post("/me/password", json={"current_password": PASSWORD, "new_password": NEW_PASSWORD})
    bob.client.post("/logout")

    assert told(admin, bob) == [
        ("account_created", bob.id),
        ("key_created", bob.id),
        ("key_deleted", bob.id),
        ("email_changed", bob.id),
        ("password_changed", bob.id),
        ("session_ended", bob.id),
    ]
    assert {entry["session_id"] for entry in entries(admin, bob, "key_created", "key_deleted")} == {key["id"]}


def test_every_session_that_a_new_password_ends_counts(admin: Person, bob: Person) -> None:
    browser, token = Browser(bob), sign_in(bob.client, bob.email)
    bob.client.post("/api-keys", json={"name": "script"})

    bob.client.post("/me/password", json={"current_password": PASSWORD, "new_password": NEW_PASSWORD})

    assert (browser.answer.status_code, token.status_code) == (200, 200)
    assert [(e["action"], e["times"]) for e in entries(admin, bob, "session_ended", "key_deleted")] == [
        ("session_ended", 2),
        ("key_deleted", 1),
    ]


def test_what_admins_do_with_people_is_told(admin: Person, bob: Person, there: Server) -> None:
    own = f"/users/{bob.id}"
    with there.client() as client:
        client.headers.update(admin.headers)
        client.put(own, json={"email": bob.email, "name": "Bob", "is_admin": True})
        client.put(own, json={"email": address("robert"), "name": "Bob", "is_admin": False})
        client.delete(f"{own}/sessions")
        link = client.post(f"{own}/reset").json()["link"]
        client.post("/reset-password", json={"token": link.partition("#token=")[2], "password": NEW_PASSWORD})
        client.put(own, json={"email": bob.email, "name": "Bob", "password": PASSWORD})
        client.delete(own)

    assert told(admin, bob)[1:] == [
        ("admin_granted", admin.id),
        ("email_changed", admin.id),
        ("admin_revoked", admin.id),
        ("session_ended", admin.id),
        ("password_link_made", admin.id),
        ("password_reset", None),
        ("email_changed", admin.id),
        ("password_changed", admin.id),
        ("account_deleted", admin.id),
    ]
    assert entries(admin, bob)[-1]["user"] == {"id": bob.id, "name": "Deleted account"}


def test_who_is_taken_in_is_told(admin: Person) -> None:
    made = admin.client.post("/users", json={"email": address("carol"), "name": "Carol", "is_admin": True}).json()

    found = entries(admin, admin)[-3:]

    assert [entry["action"] for entry in found] == ["account_created", "admin_granted", "password_link_made"]
    assert {entry["user"]["id"] for entry in found} == {made["id"]}


def test_what_is_done_with_documents_is_told(admin: Person, bob: Person, carol: Person, hello: bytes) -> None:
    document = bob.upload(hello).json()["document_id"]
    bob.client.put(f"/documents/{document}/shares/{carol.id}")
    bob.client.put(f"/documents/{document}/shares/{carol.id}")
    bob.client.delete(f"/documents/{document}/shares/{carol.id}")
    bob.client.post("/messages", json={"recipient_id": carol.id, "content": "Look!", "document_id": document})
    bob.client.delete(f"/documents/{document}")

    found = entries(admin, bob)[1:]

    assert [(entry["action"], entry["user"] and entry["user"]["id"]) for entry in found] == [
        ("document_shared", carol.id),
        ("document_unshared", carol.id),
        ("document_shared", carol.id),
        ("document_deleted", None),
    ]
    assert {entry["document_id"] for entry in found} == {document}


def test_a_refresh_token_that_is_used_twice_is_told(admin: Person, bob: Person) -> None:
    token = sign_in(bob.client, bob.email).json()["refresh_token"]
    for _ in range(2):
        bob.client.post("/refresh", json={"refresh_token": token})

    assert told(admin, bob)[1:] == [("refresh_token_reused", None), ("session_ended", None)]


def test_what_is_not_done_is_not_told(admin: Person, bob: Person, shared: TestDatabase) -> None:
    """The row and what it tells of are one transaction."""
    shared.query("ALTER TABLE audit ADD CONSTRAINT no_keys CHECK (action <> 'key_created') NOT VALID")
    try:
        answer = bob.client.post("/api-keys", json={"name": "script"})
    finally:
        shared.query("ALTER TABLE audit DROP CONSTRAINT no_keys")

    assert answer.status_code == 500
    assert bob.client.get("/api-keys").json()["api_keys"] == []


# Who may read it


def test_only_admins_read_it(admin: Person, bob: Person) -> None:
    assert problem(bob.client.get("/admin/audit")) == (403, "Admin access required", "admin_required")
    assert httpx.get(f"{bob.server.url}/admin/audit").status_code == 401


@pytest.mark.parametrize(
    ("rights", "status"), [({}, 403), ({"admin": True}, 200), ({"admin": True, "read_only": True}, 200)]
)
def test_a_key_reads_it_only_if_it_was_made_for_admins(admin: Person, rights: dict[str, bool], status: int) -> None:
    key = admin.client.post("/api-keys", json={"name": "auditor", **rights}).json()["key"]

    answer = httpx.get(f"{admin.server.url}/admin/audit", headers={"Authorization": f"Bearer {key}"})

    assert answer.status_code == status


def test_it_comes_in_pages(admin: Person, bob: Person) -> None:
    for _ in range(3):
        bob.client.post("/api-keys", json={"name": "script"})
    everything = admin.client.get("/admin/audit?action=key_created").json()["audit"]

    first = admin.client.get("/admin/audit?action=key_created&limit=2").json()
    second = admin.client.get(f"/admin/audit?action=key_created&cursor={first['next_cursor']}").json()

    assert first["audit"] + second["audit"] == everything
    assert [entry["id"] for entry in everything] == sorted((entry["id"] for entry in everything), reverse=True)
    assert second["next_cursor"] is None


@pytest.mark.parametrize("query", ["action=unknown", "limit=0", "limit=201", "cursor=x", f"cursor={2**63}"])
def test_what_cannot_be_asked_is_refused(admin: Person, query: str) -> None:
    assert admin.client.get(f"/admin/audit?{query}").status_code == 422


# How much of it there is


def seed(database: TestDatabase, action: str, amount: int, age: str, **source: object) -> None:
    (column, value) = source.popitem()
    database.query(
        f"INSERT INTO audit (action, {column}, created_at, last_at) "
        "SELECT %s, %s, now() - %s::interval, now() - %s::interval FROM generate_series(1, %s)",
        action,
        value,
        age,
        age,
        amount,
    )


def rows(database: TestDatabase, action: str, **source: object) -> tuple[int, int]:
    """How many there are, and how often they say that it happened."""
    (column, value) = source.popitem()
    sql = f"SELECT count(*), coalesce(sum(times), 0) FROM audit WHERE action = %s AND {column} = %s"
    (found,) = database.query(sql, action, value)
    return found[0], found[1]


def fail_from(server: Server, address: str, email: str) -> None:
    with httpx.Client(base_url=server.url, transport=httpx.HTTPTransport(local_address=address)) as client:
        assert sign_in(client, email, "wrong horse battery").status_code == 401


def test_a_network_has_its_rows_of_an_hour_and_then_only_counts(bob: Person, shared: TestDatabase) -> None:
    network = "127.0.77.1"
    seed(shared, "login_failed", MAX_ROWS_OF_A_NETWORK, "10 minutes", network=network)

    fail_from(bob.server, network, bob.email)
    fail_from(bob.server, network, address("nobody"))

    full = (MAX_ROWS_OF_A_NETWORK, MAX_ROWS_OF_A_NETWORK + 2)
    wait_until(lambda: rows(shared, "login_failed", network=network) == full)


def test_an_hour_later_it_has_rows_again(bob: Person, shared: TestDatabase) -> None:
    network = "127.0.77.2"
    seed(shared, "login_failed", MAX_ROWS_OF_A_NETWORK, "61 minutes", network=network)

    fail_from(bob.server, network, bob.email)

    more = MAX_ROWS_OF_A_NETWORK + 1
    wait_until(lambda: rows(shared, "login_failed", network=network) == (more, more))


def test_a_person_has_their_rows_of_an_hour_and_then_only_counts(bob: Person, shared: TestDatabase) -> None:
    seed(shared, "key_created", MAX_ROWS_OF_A_PERSON, "10 minutes", actor_id=bob.id)

    assert bob.client.post("/api-keys", json={"name": "one more"}).status_code == 201
    assert bob.client.post("/logout-all").status_code == 204

    assert rows(shared, "key_created", actor_id=bob.id) == (MAX_ROWS_OF_A_PERSON, MAX_ROWS_OF_A_PERSON + 1)
    assert rows(shared, "session_ended", actor_id=bob.id) == (1, 1)


def test_who_counts_in_the_last_row_waits_for_nobody(bob: Person, shared: TestDatabase) -> None:
    seed(shared, "key_created", MAX_ROWS_OF_A_PERSON, "10 minutes", actor_id=bob.id)
    with connect_to(shared) as holder:
        holder.cursor().execute("SELECT 1 FROM audit WHERE actor_id = %s FOR UPDATE", (bob.id,))

        answer = bob.client.post("/api-keys", json={"name": "meanwhile"})
    holder.close()

    assert answer.status_code == 201


def test_failures_of_many_networks_take_little_memory() -> None:
    trail = AuditTrail(Settings(), cast(Any, None))
    for number in range(10_000):
        trail.note_failed_login(Actor(None, f"192.0.2.{number}"), user_id=None)

    assert len(trail._failed) == MAX_NOTED + 1
    assert sum(trail._failed.values()) == 10_000


def test_old_rows_are_swept(make_database: Callable[[], TestDatabase], make_server: Callable[..., Server]) -> None:
    database = make_database()
    make_server(database=database).start().stop()
    seed(database, "key_created", 3, "31 days", actor_id=7)
    seed(database, "key_created", 2, "29 days", actor_id=7)
    seed(database, "login_failed", MAX_ROWS_OF_NOBODY + 1500, "1 day", network="192.0.2.7")

    make_server(database=database, AUDIT_DAYS="30").start()  # sweeps at its start

    wait_until(lambda: rows(database, "key_created", actor_id=7)[0] == 2)
    wait_until(lambda: rows(database, "login_failed", network="192.0.2.7")[0] == MAX_ROWS_OF_NOBODY)
