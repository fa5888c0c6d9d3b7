"""A classic database is migrated, whatever its columns have become."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from accounts import queries as accounts
from db import Database
from documents import list_queries as lists
from documents import queries as documents
from messages import queries as messages
from postgres.migration import apply_schema
from support.classic import CLASSIC
from support.databases import EMPTY, TestDatabase

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def fresh(make_database: Callable[..., TestDatabase]) -> TestDatabase:
    return make_database(EMPTY)


@pytest.fixture
async def pool(fresh: TestDatabase) -> AsyncIterator[Database]:
    database = Database(fresh.keywords, size=4)
    yield database
    await database.close()


WITH_ZONES = "".join(
    f"ALTER TABLE {table} ALTER created_at DROP DEFAULT, ALTER created_at TYPE timestamptz;"
    for table in ("users", "messages", "documents")
)
VARIANTS = {
    "as it was": "",
    "with time zones": WITH_ZONES,
    "with some time zones": "ALTER TABLE users ALTER created_at TYPE timestamptz",
    "with wide ids": "ALTER TABLE users ALTER id TYPE bigint; ALTER TABLE users ALTER email TYPE text",
    "without numbers": "ALTER TABLE users ALTER id DROP DEFAULT; ALTER TABLE messages ALTER id DROP DEFAULT",
    "numbered by a sequence of its own": "ALTER SEQUENCE users_id_seq OWNED BY NONE",
    "numbered from the start again": "SELECT setval('users_id_seq', 1), setval('messages_id_seq', 1, false)",
    "with a foreign key of another name": 'ALTER TABLE messages RENAME CONSTRAINT messages_sender_id_fkey TO "By Whom"',
    "after a start that left it half migrated": WITH_ZONES
    + """
        ALTER TABLE users ADD is_admin boolean NOT NULL DEFAULT false;
        ALTER TABLE messages ADD conv text GENERATED ALWAYS AS
            (LEAST(sender_id, recipient_id)::text || ':' || GREATEST(sender_id, recipient_id)::text) STORED;
        CREATE INDEX messages_by_conv ON messages (conv, id);
        """,
}


@pytest.fixture(scope="module", params=list(VARIANTS.values()), ids=list(VARIANTS))
def moved(make_database: Callable[..., TestDatabase], request: pytest.FixtureRequest) -> TestDatabase:
    """A classic database of each kind, after a start; the tests add to it."""
    made = make_database(EMPTY)
    made.query(CLASSIC + request.param)
    asyncio.run(start_on(made))
    return made


async def start_on(made: TestDatabase) -> None:
    database = Database(made.keywords, size=2)
    try:
        await apply_schema(database)
    finally:
        await database.close()


@pytest.fixture
async def migrated(moved: TestDatabase) -> AsyncIterator[Database]:
    database = Database(moved.keywords, size=4)
    yield database
    await database.close()


async def test_classic_accounts_are_migrated(migrated: Database) -> None:
    alice = await accounts.find_credentials(migrated, email="alice@example.com")
    bob = await accounts.find_user(migrated, user_id=2)

    assert alice is not None
    assert (alice.user.id, alice.user.email, alice.user.created_at) == (
        1,
        "Alice@Example.com",
        datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    assert bob is not None
    assert (bob.name, bob.created_at.utcoffset() is not None) == ("bob", True)


async def test_the_first_classic_account_is_the_admin(migrated: Database) -> None:
    people = await accounts.list_users(migrated, except_id=0)

    assert [person.id for person in people if person.is_admin] == [1]


async def test_classic_messages_are_migrated(migrated: Database) -> None:
    conversation = await messages.list_conversation(migrated, user_id=1, other_id=2, limit=10)

    assert [(message.sender_name, message.content) for message in conversation] == [("Alice", "hello"), ("bob", "hi")]
    assert conversation[0].created_at == datetime(2020, 1, 2, 3, 4, 6, tzinfo=UTC)
    assert conversation[1].created_at.utcoffset() is not None


async def test_classic_documents_are_migrated(migrated: Database) -> None:
    ((document, *_),) = await lists.list_documents(migrated, user_id=1, words="OLD", sort="filename", limit=10)

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


def test_no_column_stays_narrow(moved: TestDatabase) -> None:
    narrow = moved.query(
        """
        SELECT table_name, column_name FROM information_schema.columns
         WHERE table_schema = 'public' AND data_type IN ('character varying', 'timestamp without time zone')
            OR column_name IN ('id', 'user_id', 'sender_id', 'recipient_id', 'file_size') AND data_type = 'integer'
        """
    )

    assert narrow == []


async def test_ids_go_on_beyond_what_was_an_integer(pool: Database, fresh: TestDatabase) -> None:
    fresh.query(CLASSIC)
    await apply_schema(pool)
    fresh.query("SELECT setval('users_id_seq', 2147483647)")

    async with pool.transaction() as tx:
        carol = await accounts.insert_user(tx, email="carol@example.com", name="Carol", password_hash="$2b$12$")

    assert carol is not None
    assert carol.id == 2147483648


async def test_messages_of_nobody_stay_with_the_other_person(pool: Database, fresh: TestDatabase) -> None:
    fresh.query(CLASSIC)
    fresh.query("INSERT INTO messages (sender_id, recipient_id, content) VALUES (1, NULL, 'a note'), (NULL, 1, 'lost')")

    await apply_schema(pool)

    mine = await messages.list_messages(pool, user_id=1, offset=0, limit=10)
    assert sorted(message.content for message in mine) == ["a note", "hello", "hi"]
    assert fresh.query("SELECT sender_id FROM messages WHERE content = 'lost'") == [(0,)]


async def test_other_gaps_are_filled(pool: Database, fresh: TestDatabase) -> None:
    fresh.query(CLASSIC)
    fresh.query(
        """
        ALTER TABLE users ALTER email DROP NOT NULL, ALTER password_hash DROP NOT NULL;
        INSERT INTO users (email, password_hash) VALUES (NULL, NULL);
        ALTER TABLE documents ALTER filename DROP NOT NULL, ALTER file_path DROP NOT NULL;
        INSERT INTO documents (user_id) VALUES (1);
        """
    )

    await apply_schema(pool)

    nobody = await accounts.find_user(pool, user_id=3)
    document = await documents.find_document(pool, document_id=2)
    assert nobody is not None
    assert (nobody.email, nobody.name) == ("user3@invalid", "User 3")
    assert document is not None
    assert (document.filename, document.file_path, document.file_size) == ("document.pdf", "missing-2.pdf", 0)


async def test_an_admin_of_the_classic_database_stays_the_only_one(pool: Database, fresh: TestDatabase) -> None:
    fresh.query(CLASSIC)
    fresh.query("ALTER TABLE users ADD is_admin boolean; UPDATE users SET is_admin = true WHERE id = 2")

    await apply_schema(pool)

    assert fresh.query("SELECT id FROM users WHERE is_admin") == [(2,)]
    assert fresh.query("SELECT count(*) FROM users WHERE is_admin IS NULL") == [(0,)]
