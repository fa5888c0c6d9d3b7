"""Every route that takes JSON is sent what is not the caller's to set, beside what it asks for."""

from collections.abc import Callable
from typing import Any

import pytest

from main import create_app
from settings import Settings
from support.accounts import address
from support.databases import TestDatabase
from support.servers import PASSWORD, Person

NEW_PASSWORD = "a longer horse battery"
Body = dict[str, Any]
FOREIGN: Body = {
    "id": 1,
    "user_id": 1,
    "owner_id": 1,
    "owner": 1,
    "sender_id": 1,
    "sender_name": "Root",
    "author_id": 1,
    "role": "admin",
    "is_admin": True,
    "isAdmin": True,
    "may_admin": True,
    "is_verified": True,
    "verified": True,
    "verified_at": "2000-01-01T00:00:00Z",
    "email_verified": True,
    "password_hash": "$2b$04$xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "email_key": "root@example.com",
    "kind": "browser",
    "key": "pw_chosen",
    "prefix": "pw_chose",
    "session_id": 1,
    "session_key": "0" * 32,
    "sid": "0" * 32,
    "created_at": "2000-01-01T00:00:00Z",
    "deleted_at": "2000-01-01T00:00:00Z",
    "edited_at": "2000-01-01T00:00:00Z",
    "last_used_at": "2000-01-01T00:00:00Z",
    "status": "ready",
    "file_path": "/etc/passwd",
    "sha256": "0" * 64,
    "purpose": "password",
    "is_mailed": True,
    "seq": 1,
    "is_own": True,
    "__proto__": {"is_admin": True},
}
# What each route asks for, of alice, who has a document and a message to bob.
RIGHT: dict[tuple[str, str], Callable[[Person, Person], Body]] = {
    ("POST", "/register"): lambda alice, bob: {"email": address("eve"), "password": PASSWORD, "name": "Eve"},
    ("POST", "/login"): lambda alice, bob: {"email": alice.email, "password": PASSWORD},
    ("POST", "/token"): lambda alice, bob: {"email": alice.email, "password": PASSWORD},
    ("POST", "/session"): lambda alice, bob: {"email": alice.email, "password": PASSWORD},
    ("POST", "/refresh"): lambda alice, bob: {"refresh_token": "unknown"},
    ("POST", "/logout"): lambda alice, bob: {"refresh_token": "unknown"},
    ("PATCH", "/me"): lambda alice, bob: {"name": "Alicia"},
    ("POST", "/me/password"): lambda alice, bob: {"current_password": "wrong", "new_password": NEW_PASSWORD},
    ("DELETE", "/me"): lambda alice, bob: {"password": "wrong horse battery"},
    ("POST", "/forgot-password"): lambda alice, bob: {"email": alice.email},
    ("POST", "/reset-password"): lambda alice, bob: {"token": "unknown", "password": NEW_PASSWORD},
    ("POST", "/confirm-email"): lambda alice, bob: {"token": "unknown"},
    ("POST", "/api-keys"): lambda alice, bob: {"name": "script"},
    ("POST", "/users"): lambda alice, bob: {"email": address("eve"), "name": "Eve"},
    ("PUT", "/users/{user_id}"): lambda alice, bob: {"email": alice.email, "name": "Alicia"},
    ("POST", "/messages"): lambda alice, bob: {"recipient_id": bob.id, "content": "hi"},
    ("PATCH", "/message/{message_id}"): lambda alice, bob: {"content": "hello"},
    ("POST", "/messages/{user_id}/read"): lambda alice, bob: {"up_to_id": 1},
    ("PATCH", "/documents/{document_id}"): lambda alice, bob: {"filename": "new.pdf"},
    ("POST", "/documents/{document_id}/read"): lambda alice, bob: {},
    ("POST", "/send-notification"): lambda alice, bob: {"email": bob.email, "message": "hi"},
    ("POST", "/admin/broadcast"): lambda alice, bob: {"content": "hi"},
}


def test_every_route_that_takes_json_is_asked() -> None:
    taking_json = {
        (method.upper(), path)
        for path, methods in create_app(Settings()).openapi()["paths"].items()
        for method, operation in methods.items()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    }

    assert set(RIGHT) == taking_json


@pytest.mark.parametrize(("method", "path"), RIGHT, ids=str)
def test_nobody_sets_what_is_not_theirs(
    alice: Person, bob: Person, database: TestDatabase, hello: bytes, method: str, path: str
) -> None:
    document = alice.upload(hello).json()["document_id"]
    message = alice.client.post("/messages", json={"recipient_id": bob.id, "content": "hi"}).json()["id"]
    before = state_of(database, alice, bob) + strange_rows(database)
    numbers = {"user_id": alice.id if path.startswith("/users") else bob.id, "message_id": message}

    body = {**FOREIGN, **RIGHT[method, path](alice, bob)}
    answer = alice.client.request(method, path.format(document_id=document, **numbers), json=body)

    assert answer.status_code < 500
    assert state_of(database, alice, bob) + strange_rows(database) == before


def state_of(database: TestDatabase, *people: Person) -> list[tuple[Any, ...]]:
    return database.query(
        "SELECT id, email, email_key, is_admin, verified_at, deleted_at, created_at, password_hash FROM users "
        "WHERE id = ANY(%s) ORDER BY id",
        [person.id for person in people],
    )


def strange_rows(database: TestDatabase) -> list[tuple[Any, ...]]:
    """Where what was sent would show: admins, rows of the first account, who does nothing, and of the year 2000."""
    return database.query(
        """
        SELECT 'user', id FROM users WHERE created_at < '2001-01-01' OR is_admin
         UNION ALL SELECT 'session', id FROM sessions WHERE created_at < '2001-01-01' OR key ~ '^(0+|pw_chosen)$'
         UNION ALL SELECT 'key', id FROM sessions WHERE kind = 'key' AND (may_admin OR prefix = 'pw_chose')
               AND user_id IN (SELECT id FROM users WHERE NOT is_admin)
         UNION ALL SELECT 'message', id FROM messages WHERE sender_id = 1 OR created_at < '2001-01-01'
         UNION ALL SELECT 'document', id FROM documents
                WHERE user_id = 1 OR file_path ~ 'passwd' OR sha256 ~ '^0+$' OR created_at < '2001-01-01'
         UNION ALL SELECT 'link', user_id FROM links WHERE user_id = 1
         UNION ALL SELECT 'notification', id FROM notifications WHERE sender_id = 1
        """
    )
