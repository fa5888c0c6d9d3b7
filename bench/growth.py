"""Tables of messages of any size, each in its own database, queried by the product's own function."""

import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from bench.servers import Server
from db import Database
from messages import queries
from postgres.migration import apply_schema

CONVERSATION_MESSAGES = 200  # between two users, interleaved with all others
QUESTIONS = 200  # one after another


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
    name = f"table_{messages}"
    connect_kwargs = {**parse_dsn(server.database_url), "dbname": name}
    with contextlib.closing(psycopg2.connect(server.database_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
    database = Database(connect_kwargs, size=1)
    try:
        await apply_schema(database)
        conversations = messages // CONVERSATION_MESSAGES
        with contextlib.closing(psycopg2.connect(make_dsn(**connect_kwargs))) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
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
    finally:
        await database.close()
