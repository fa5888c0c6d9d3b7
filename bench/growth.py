"""Tables of messages and libraries of any size, each in its own database, queried by the product's own functions."""

import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import cursor, make_dsn, parse_dsn

from bench.servers import Server
from db import Database
from documents import list_queries
from messages import queries
from postgres.migration import apply_schema

CONVERSATION_MESSAGES = 200  # between two users, interleaved with all others
QUESTIONS = 200  # one after another
FEW_DOCUMENTS = 10
SHELF_QUESTIONS = 50
OWNER_OF_FEW, READER_OF_FEW, OWNER_OF_MANY, READER_OF_MANY = range(1, 5)


class Table(NamedTuple):
    database: Database
    pairs: "itertools.cycle[tuple[int, int]]"

    async def ask(self, limit: int) -> float:
        """Return the seconds that the last *limit* messages of a conversation take, of each pair in turn."""
        began = time.perf_counter()
        for user_id, other_id in itertools.islice(self.pairs, QUESTIONS):
            found = await queries.list_conversation(self.database, user_id=user_id, other_id=other_id, limit=limit)
            assert len(found) == limit
        return (time.perf_counter() - began) / QUESTIONS


@contextlib.asynccontextmanager
async def open_table(server: Server, messages: int) -> AsyncIterator[Table]:
    """Create a database with so many messages on the PostgreSQL of *server*."""
    async with _open_database(server, f"table_{messages}") as (database, cursor):
        conversations = messages // CONVERSATION_MESSAGES
        cursor.execute(
            "INSERT INTO users (id, email, password_hash, name) "
            "SELECT n, 'user' || n || '@example.com', 'none', 'User ' || n FROM generate_series(1, %s) AS n",
            (2 * conversations,),
        )
        cursor.execute("SET session_replication_role = replica")  # no foreign key checks: the senders exist
        cursor.execute(
            "INSERT INTO messages (sender_id, recipient_id, content) "
            "SELECT 2 * pair + 1 + turn %% 2, 2 * pair + 2 - turn %% 2, "
            "'Page ' || turn || ' has the figures, see the table.' "
            "FROM generate_series(1, %s) AS turn, generate_series(0, %s) AS pair",
            (CONVERSATION_MESSAGES, conversations - 1),
        )
        cursor.execute("VACUUM ANALYZE")  # as autovacuum would, a minute later
        yield Table(database, itertools.cycle([(2 * pair + 1, 2 * pair + 2) for pair in range(min(conversations, 50))]))


class Shelves(NamedTuple):
    """A library in which an owner and a reader have few documents, and another owner and reader have many."""

    database: Database

    async def ask(self, *, many: bool, sort: list_queries.Sort) -> float:
        """Return the seconds that the first page of a list takes, its counts included: the owner's and the reader's."""
        began = time.perf_counter()
        for _ in range(SHELF_QUESTIONS):
            for user_id in (OWNER_OF_MANY, READER_OF_MANY) if many else (OWNER_OF_FEW, READER_OF_FEW):
                found = await list_queries.list_documents(
                    self.database, user_id=user_id, sort=sort, limit=FEW_DOCUMENTS
                )
                await list_queries.count_documents(self.database, user_id=user_id)
                assert len(found) == FEW_DOCUMENTS
        return (time.perf_counter() - began) / SHELF_QUESTIONS / 2


@contextlib.asynccontextmanager
async def open_shelves(server: Server, documents: int) -> AsyncIterator[Shelves]:
    """Create a database with so many documents of one owner, all shared with one reader."""
    async with _open_database(server, f"shelves_{documents}") as (database, cursor):
        cursor.execute(
            "INSERT INTO users (id, email, password_hash, name) "
            "SELECT n, 'user' || n || '@example.com', 'none', 'User ' || n FROM generate_series(1, 4) AS n"
        )
        for owner_id, reader_id, count in (
            (OWNER_OF_FEW, READER_OF_FEW, FEW_DOCUMENTS),
            (OWNER_OF_MANY, READER_OF_MANY, documents),
        ):
            cursor.execute(
                "INSERT INTO documents (user_id, filename, file_path, file_size, page_count) "
                "SELECT %s, md5(n::text) || '.pdf', 'file-' || n, 1000 + n %% 9973, n %% 300 "
                "FROM generate_series(1, %s) AS n",
                (owner_id, count),
            )
            cursor.execute(
                "INSERT INTO document_shares (document_id, user_id) SELECT id, %s FROM documents WHERE user_id = %s",
                (reader_id, owner_id),
            )
        cursor.execute("VACUUM ANALYZE")
        yield Shelves(database)


@contextlib.asynccontextmanager
async def _open_database(server: Server, name: str) -> AsyncIterator[tuple[Database, cursor]]:
    """A new database with our schema on the PostgreSQL of *server*, and a cursor to fill it."""
    connect_kwargs = {**parse_dsn(server.database_url), "dbname": name}
    with contextlib.closing(psycopg2.connect(server.database_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
    database = Database(connect_kwargs, size=1)
    try:
        await apply_schema(database)
        with contextlib.closing(psycopg2.connect(make_dsn(**connect_kwargs))) as connection:
            connection.autocommit = True
            yield database, connection.cursor()
    finally:
        await database.close()
