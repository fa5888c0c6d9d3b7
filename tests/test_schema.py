"""The schema: applied once and updated, and a classic database migrated to it."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

import db
from accounts import queries as accounts
from db import Database
from documents import queries as documents
from errors import StartupError
from messages import queries as messages
from support.databases import TestDatabase
from support.servers import HOUSE, WAIT_SECONDS

pytestmark = pytest.mark.anyio

STARTER = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
import db
from db import Database
from psycopg2.extensions import parse_dsn

async def main():
    database = Database(parse_dsn(sys.argv[2]), size=2)
    for _ in range(3):
        await db.apply_schema(database)
    await database.close()

sys.stdin.readline()
asyncio.run(main())
"""


@pytest.fixture
def anyio_backend() -> Any:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def fresh(make_database: Callable[[], TestDatabase]) -> TestDatabase:
    return make_database()


@pytest.fixture
async def pool(fresh: TestDatabase) -> AsyncIterator[Database]:
    database = Database(fresh.keywords, size=4)
    yield database
    await database.close()


def test_six_starters_at_once_apply_the_schema_once(fresh: TestDatabase) -> None:
    command = [sys.executable, "-c", STARTER, str(HOUSE), fresh.url]
    starters = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(6)]

    for starter in starters:
        starter.communicate(b"go\n", timeout=WAIT_SECONDS)

    assert [starter.returncode for starter in starters] == [0] * 6
    assert fresh.query("SELECT count(*) FROM schema_version") == [(1,)]


async def test_an_older_program_refuses_a_newer_schema(pool: Database, fresh: TestDatabase) -> None:
    await db.apply_schema(pool)
    fresh.query("INSERT INTO schema_version (version, content_hash) VALUES (999, 'of a newer one')")

    with pytest.raises(StartupError, match="schema version 999"):
        await db.apply_schema(pool)


async def test_a_changed_schema_is_applied_over_the_old_one(pool: Database, fresh: TestDatabase) -> None:
    await db.apply_schema(pool)
    fresh.query("UPDATE schema_version SET content_hash = 'of an older file'")
    fresh.query("DROP INDEX messages_by_conv")

    await db.apply_schema(pool)

    assert fresh.query("SELECT count(*) FROM pg_indexes WHERE indexname = 'messages_by_conv'") == [(1,)]
    assert fresh.query("SELECT count(*) FROM schema_version") == [(2,)]


# A classic database is migrated

CLASSIC = """
CREATE TABLE users (
    id SERIAL PRIMARY KEY,
    email VARCHAR(255) UNIQUE NOT NULL,
    password_hash VARCHAR(255) NOT NULL,
    name VARCHAR(255),
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE messages (
    id SERIAL PRIMARY KEY,
    sender_id INTEGER REFERENCES users(id),
    recipient_id INTEGER REFERENCES users(id),
    content TEXT NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE documents (
    id SERIAL PRIMARY KEY,
    user_id INTEGER REFERENCES users(id),
    filename VARCHAR(255) NOT NULL,
    file_path VARCHAR(500) NOT NULL,
    extracted_text TEXT,
    page_count INTEGER,
    file_size INTEGER,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
INSERT INTO users (email, password_hash, name, created_at) VALUES
    ('Alice@Example.com', '$2b$12$', 'Alice', '2020-01-02 03:04:05'), ('bob@example.com', '$2b$12$', NULL, NULL);
INSERT INTO messages (sender_id, recipient_id, content, created_at) VALUES
    (1, 2, 'hello', '2020-01-02 03:04:06'), (2, 1, 'hi', NULL);
INSERT INTO documents (user_id, filename, file_path, extracted_text, page_count, file_size) VALUES
    (1, 'old.pdf', 'uploads/old.pdf', 'text', 3, NULL);
"""


@pytest.fixture
async def migrated(pool: Database, fresh: TestDatabase) -> Database:
    fresh.query(CLASSIC)
    await db.apply_schema(pool)
    return pool


async def test_classic_accounts_are_migrated(migrated: Database) -> None:
    alice = await accounts.find_credentials(migrated, email="alice@example.com")
    bob = await accounts.find_user(migrated, user_id=2)

    assert alice is not None
    assert (alice.id, alice.email, alice.created_at) == (
        1,
        "Alice@Example.com",
        datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    assert bob is not None
    assert (bob.name, bob.created_at.utcoffset() is not None) == ("bob", True)


async def test_the_first_classic_account_is_the_admin(migrated: Database) -> None:
    people = await accounts.list_users(migrated, except_id=0)

    assert [person.is_admin for person in people] == [True, False]


async def test_classic_messages_are_migrated(migrated: Database) -> None:
    conversation = await messages.list_conversation(migrated, user_id=1, other_id=2, limit=10)

    assert [(message.sender_name, message.content) for message in conversation] == [("Alice", "hello"), ("bob", "hi")]
    assert conversation[0].created_at == datetime(2020, 1, 2, 3, 4, 6, tzinfo=UTC)
    assert conversation[1].created_at.utcoffset() is not None


async def test_classic_documents_are_migrated(migrated: Database) -> None:
    (document,) = await documents.list_documents(migrated, user_id=1, limit=10)

    assert (document.filename, document.status, document.page_count, document.file_size) == ("old.pdf", "ready", 3, 0)
    assert document.created_at.utcoffset() is not None


async def test_new_rows_join_the_classic_ones(migrated: Database) -> None:
    async with migrated.transaction() as tx:
        carol = await accounts.insert_user(tx, email="carol@example.com", name="Carol", password_hash="$2b$12$")
    assert carol is not None
    (stored,) = await messages.insert_messages(
        migrated, [messages.MessageDraft(1, carol.id, "welcome", None)], node_id=1
    )

    assert (carol.id, carol.is_admin) == (3, False)
    assert (stored.message.id, stored.message.sender_name) == (3, "Alice")


async def test_classic_addresses_that_differ_only_in_case_are_named_at_startup(
    pool: Database, fresh: TestDatabase
) -> None:
    fresh.query(CLASSIC)
    fresh.query("INSERT INTO users (email, password_hash) VALUES ('alice@example.com', '$2b$12$')")

    with pytest.raises(StartupError, match=r"alice@example\.com"):
        await db.apply_schema(pool)
