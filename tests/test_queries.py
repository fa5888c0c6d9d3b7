"""Every index in schema.sql is used by the queries that the comment beside it names.

User 7 has one message in a hundred, most of them with user 50, and one document in a hundred.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

import pytest

import auth
import db
from accounts import audit_queries as audit
from accounts import people_queries as people
from accounts import queries as accounts
from db import Connection, Database, Prepared, _compile
from delivery import queries as delivery
from documents import copy_queries as copies
from documents import list_queries as lists
from documents import page_queries as pages
from documents import password_queries as passwords
from documents import queries as documents
from documents import quota_queries as quotas
from documents import share_queries as shares
from edge import queries as limits
from errors import BusyError
from messages import attachment_queries as attachments
from messages import portion_queries as portions
from messages import presence_queries as presence
from messages import queries as messages
from messages.queries import MessageDraft
from search import page_queries as found_pages
from search import queries as search
from support.databases import TestDatabase
from support.servers import HOUSE

pytestmark = pytest.mark.anyio

Row = TypeVar("Row", bound=tuple[Any, ...])
Question = Callable[["Explainer"], Awaitable[object]]

FILL = """
SET LOCAL session_replication_role = replica;   -- foreign keys are not tested here

INSERT INTO users (email, password_hash, name)
SELECT 'user' || n || '@example.com', '$2b$12$', 'User ' || n FROM generate_series(1, 3000) AS n;

INSERT INTO messages (sender_id, recipient_id, content, client_id)
SELECT CASE n % 200 WHEN 0 THEN 7 WHEN 100 THEN 50 ELSE 1 + n % 300 END,
       CASE n % 200 WHEN 0 THEN 50 WHEN 100 THEN 7 ELSE 1 + (n * 7 + 1) % 300 END,
       'hello', CASE WHEN n % 2 = 0 THEN 'id ' || n END
  FROM generate_series(1, 20000) AS n;

INSERT INTO documents (user_id, filename, file_path, file_size, client_id, reader_version, status, node_id)
SELECT CASE n % 100 WHEN 0 THEN 7 ELSE 1 + n % 500 END, 'book.pdf', 'file-' || n || '.pdf', 1, 'id ' || n, 2,
       CASE WHEN n % 2000 = 0 THEN 'processing' ELSE 'ready' END, CASE WHEN n % 2000 = 0 THEN 1 END
  FROM generate_series(1, 10000) AS n;

INSERT INTO document_shares (document_id, user_id)
SELECT 1 + n % 10000, 1 + (n * 7 + n / 10000) % 3000 FROM generate_series(1, 20000) AS n
 UNION SELECT n, 7 FROM generate_series(2, 10000, 9) AS n ON CONFLICT DO NOTHING;

INSERT INTO pages (document_id, page_number, text, width, height)
SELECT 1 + n / 3, 1 + n % 3, 'text', 595, 842 FROM generate_series(0, 9000) AS n;

INSERT INTO page_search (document_id, page_number, keys, vec)
SELECT document_id, page_number, ARRAY[document_id, -(document_id / 32) - 1],
       ('word:1 w' || document_id || ':2')::tsvector
  FROM pages;

INSERT INTO message_search (message_id, vec)
SELECT id, ('word ' || quote_literal('=u' || sender_id) || ' ' || quote_literal('=u' || recipient_id))::tsvector
  FROM messages;

UPDATE documents SET tokens_version = 1 WHERE id % 1000 <> 0;

UPDATE documents SET sha256 = md5((id / 4)::text);

UPDATE documents SET copy_of = id - 7, names = 'a:1A' WHERE id > 9900 AND status = 'ready';

INSERT INTO document_tables (document_id, table_index, page_number, data, bbox)
SELECT 1 + n / 5, n % 5, 1, '[["a", "b"], ["c", "d"]]', '{0,0,9,9}' FROM generate_series(0, 9000) AS n;

UPDATE messages SET document_id = 1 + id % 900, page = 1 WHERE id % 10 = 0;

INSERT INTO conversations (user_id, other_id)
SELECT DISTINCT sender_id, recipient_id FROM messages UNION SELECT DISTINCT recipient_id, sender_id FROM messages;

INSERT INTO events (user_id, seq, kind, ref_id, created_at)
SELECT 1 + n % 300, 1 + n / 300, 'message', 1 + n % 20000, now() - (60000 - n) * interval '1 minute'
  FROM generate_series(0, 59999) AS n;

INSERT INTO sessions (user_id, kind, key, expires_at)
SELECT 1 + n % 3000, 'api', md5(n::text), now() + (n - 10) * interval '1 minute' FROM generate_series(1, 20000) AS n;

INSERT INTO refresh_tokens (hash, session_id) SELECT md5(n::text), 1 + n / 2 FROM generate_series(1, 30000) AS n;

INSERT INTO links (hash, user_id, purpose, is_mailed, expires_at)
SELECT md5(n::text), 1 + n % 3000, 'password', true, now() + interval '1 hour' FROM generate_series(1, 6000) AS n;

INSERT INTO rate_hits (key, hits, expires_at)
SELECT md5(n::text), ARRAY[n], now() + (n - 10) * interval '1 second' FROM generate_series(1, 20000) AS n;

INSERT INTO audit (action, actor_id, network)
SELECT CASE WHEN n % 100 = 0 THEN 'key_created' ELSE 'session_ended' END, CASE WHEN n % 10 > 0 THEN n % 3000 END, '192.0.2.7'
  FROM generate_series(1, 20000) AS n;

INSERT INTO presence (user_id, node_id) SELECT n, 1 FROM generate_series(1, 2000) AS n;

INSERT INTO notifications (email, message, status)
SELECT 'user1@example.com', 'hello', CASE WHEN n % 2000 = 0 THEN 'queued' ELSE 'sent' END
  FROM generate_series(1, 10000) AS n;

ANALYZE;
"""

RANK = search.Rank(["'word'"], [1.0], [0], "", "")
AFTER: dict[lists.Sort, tuple[int | str, int]] = {
    "created_at": (9_000, 9_000),
    "filename": ("book.pdf", 9_000),
    "page_count": (0, 9_000),
    "file_size": (1, 9_000),
}


async def delete_sessions_and_tokens(conn: "Explainer") -> None:
    """What the cascade does is asked here: EXPLAIN does not show it."""
    await accounts.delete_sessions(conn, user_id=7, kinds=["api"])
    await conn.execute("DELETE FROM refresh_tokens WHERE session_id = 7")


async def find_copies_of(conn: "Explainer") -> None:
    """What the function of schema.sql asks: EXPLAIN does not show it."""
    await conn.execute(
        "SELECT copy_of, min(id) FROM documents WHERE copy_of = ANY(%(ids)s::bigint[]) GROUP BY copy_of",
        {"ids": [7]},
    )


QUESTIONS: dict[str, Question] = {
    "hand_over_content": lambda conn: find_copies_of(conn),
    "list_twins": lambda conn: copies.list_twins(conn, limit=9),
    "claim_documents": lambda conn: documents.claim_documents(conn, node_id=7, busy_with=[1, 2, 3], limit=9),
    "claim_notification": lambda conn: delivery.claim_notification(conn, node_id=7),
    "claim_older_extraction": lambda conn: documents.claim_older_extraction(
        conn, document_id=7, node_id=7, reader_version=2
    ),
    "list_older_extractions": lambda conn: documents.list_older_extractions(
        conn, node_id=7, reader_version=2, each=2, limit=9
    ),
    "copy_extraction": lambda conn: copies.copy_extraction(
        cast(Connection, conn), document_id=7, node_id=7, reader_version=1
    ),
    "list_open_passwords": lambda conn: passwords.list_open_passwords(conn, limit=9),
    "lock_expired": lambda conn: quotas.lock_expired(cast(Connection, conn), days=7, limit=9),
    "email_exists": lambda conn: accounts.email_exists(conn, email="User7@example.com"),
    "find_credentials": lambda conn: accounts.find_credentials(conn, email="User7@example.com"),
    "insert_document": lambda conn: documents.insert_document(
        conn,
        user_id=7,
        filename="book.pdf",
        file_path="new.pdf",
        file_size=1,
        sha256="",
        client_id="new",
        node_id=7,
    ),
    "insert_messages": lambda conn: messages.insert_messages(conn, [MessageDraft(7, 8, "hello", "new")], node_id=7),
    "insert_user": lambda conn: accounts.insert_user(
        conn,  # type: ignore[arg-type]
        email="new@example.com",
        name="New",
        password_hash="$2b$12$",
    ),
    "find_link": lambda conn: people.find_link(conn, token_hash="a", purpose="password"),
    "delete_links": lambda conn: people.delete_links(conn, user_id=7),
    "find_sessions": lambda conn: auth.find_sessions(conn, keys=["a", "b"]),
    "list_sessions": lambda conn: accounts.list_sessions(conn, user_id=7, before_id=9_000, limit=50),
    "delete_sessions": lambda conn: delete_sessions_and_tokens(conn),
    "delete_expired_sessions": lambda conn: accounts.delete_expired_sessions(conn),
    "lock_refresh_token": lambda conn: accounts.lock_refresh_token(cast(Connection, conn), token_hash="a"),
    "is_unused": lambda conn: accounts.is_unused(cast(Connection, conn), token_hash="a"),
    "hit": lambda conn: limits.hit(conn, key="a", amount=10, seconds=60),
    "forget_hits": lambda conn: limits.forget_hits(conn),
    "insert_audit": lambda conn: audit.insert_audit(conn, "key_created", audit.Actor(7, None)),
    "list_audit": lambda conn: audit.list_audit(conn, action="key_created", before_id=9_000, limit=50),
    "forget_audit_of_nobody": lambda conn: audit.forget_audit_of_nobody(conn),
    "drop_dead_presence": lambda conn: presence.drop_dead_presence(conn),
    "forget_events": lambda conn: delivery.forget_events(conn, days=30),
    "list_conversations": lambda conn: messages.list_conversations(conn, user_id=7, limit=20),
    "list_events": lambda conn: delivery.list_events(conn, after={7: 5}, limit=20),
    "list_presence": lambda conn: presence.list_presence(conn, user_ids=[7]),
    "mark_read": lambda conn: messages.mark_read(conn, user_id=7, other_id=50, up_to_id=19_000),
    "list_message_sizes": lambda conn: portions.list_message_sizes(conn, user_id=7, other_id=50, limit=20),
    "list_conversation": lambda conn: messages.list_conversation(conn, user_id=7, other_id=50, limit=20),
    **{
        f"list_{'shared_' if shelf == 'shared' else ''}documents{'' if sort == 'created_at' else f'_by_{sort}'}": partial(
            lists.list_documents, user_id=7, shelf=shelf, sort=sort, after=after, limit=20
        )
        for shelf in lists.SHELVES
        for sort, after in AFTER.items()
    },
    "count_documents": lambda conn: lists.count_documents(conn, user_id=7),
    "list_document_messages": lambda conn: attachments.list_document_messages(conn, document_id=7, user_id=7, limit=20),
    "list_known_files": lambda conn: documents.list_known_files(conn, file_paths=["file-1.pdf", "file-2.pdf"]),
    "list_messages": lambda conn: messages.list_messages(conn, user_id=7, offset=50, limit=20),
    "find_document": lambda conn: documents.find_document(conn, document_id=7, reader_id=9),
    "list_shares": lambda conn: shares.list_shares(conn, document_id=7, limit=20),
    "find_messages": lambda conn: search.find_messages(
        conn,
        user_id=7,
        filters=search.Filters(),
        query="'word' & '=u7'",
        first_tier=None,
        rank=RANK,
        mark=20_000,
        tail=[],
        before_id=20_000,
        limit=300,
    ),
    "find_pages": lambda conn: found_pages.find_pages(conn, asked_for(search.Filters())),
    "find_copies": lambda conn: found_pages.find_copies(conn, asked_for(search.Filters())),
    "find_unindexed": lambda conn: search.find_unindexed(conn),
    "list_readable": lambda conn: found_pages.list_readable(
        conn, user_id=7, filters=search.Filters(), before_id=20_000, limit=49
    ),
    "find_page": lambda conn: pages.find_page(conn, document_id=7, page_number=3),
    "find_table": lambda conn: pages.find_table(conn, document_id=7, table_index=3),
    "get_placed_tables_json": lambda conn: pages.get_placed_tables_json(conn, document_id=7),
    "get_tables_json": lambda conn: pages.get_tables_json(conn, document_id=7),
    "list_pages": lambda conn: pages.list_pages(conn, document_id=7),
}


MODULES = (
    accounts,
    people,
    audit,
    limits,
    delivery,
    documents,
    copies,
    lists,
    pages,
    passwords,
    quotas,
    shares,
    messages,
    portions,
    attachments,
    presence,
    search,
    found_pages,
    auth,
    db,
)


class Line(NamedTuple):
    text: str


def asked_for(filters: search.Filters) -> found_pages.Asked:
    return found_pages.Asked(
        user_id=7,
        filters=filters,
        query="'w7'",
        any_word="'w7'",
        first_tier=None,
        rank=RANK,
        keys=[-1, -2],
        from_document_id=0,
        before_id=100,
        after_page=0,
        limit=300,
    )


def plan_of(lines: list[Line]) -> str:
    return "\n".join(line.text for line in lines)


class Explainer:
    """Explains each statement instead of running it; every result is empty."""

    def __init__(self, database: Database, *, for_any_values: bool = False) -> None:
        """*for_any_values*: the generic plan that PostgreSQL may cache for a prepared statement."""
        self._database = database
        self._for_any_values = for_any_values
        self.plan = ""
        self.as_in_a_search = False

    async def _apply_settings(self, tx: Connection) -> None:
        if self.as_in_a_search:
            await tx.execute(search.settings(seconds=5))

    async def fetch_all(self, row: type[Row], sql: str, params: Mapping[str, object] | None = None) -> list[Row]:
        if self._for_any_values and isinstance(sql, Prepared):
            self.plan += await self._plan_for_any_values(sql, params)
        else:
            async with self._database.transaction() as tx:
                await self._apply_settings(tx)
                self.plan += plan_of(await tx.fetch_all(Line, "EXPLAIN " + sql, params))
        return []

    async def _plan_for_any_values(self, sql: Prepared, params: Mapping[str, object] | None) -> str:
        name, prepare, _, names = _compile(sql)
        values = {f"v{number}": (params or {})[key] for number, key in enumerate(names)}
        placeholders = f"({', '.join(f'%({key})s' for key in values)})" if values else ""
        async with self._database.transaction() as tx:
            await self._apply_settings(tx)
            await tx.execute("SET LOCAL plan_cache_mode = force_generic_plan")
            await tx.execute("DEALLOCATE ALL")
            await tx.execute(prepare)
            return plan_of(await tx.fetch_all(Line, f"EXPLAIN EXECUTE {name} {placeholders}", values))

    async def fetch_one(self, row: type[Row], sql: str, params: Mapping[str, object] | None = None) -> Row | None:
        await self.fetch_all(row, sql, params)
        return None

    async def execute(self, sql: str, params: Mapping[str, object] | None = None) -> int:
        await self.fetch_all(Line, sql, params)
        return 0


def promises() -> list[tuple[str, str]]:
    """Each index of schema.sql, paired with each function that its comment names."""
    found = []
    table = ""
    for line in (HOUSE / "schema.sql").read_text().splitlines():
        table = match[1] if (match := re.match(r"CREATE (?:UNLOGGED )?TABLE IF NOT EXISTS (\w+)", line)) else table
        if match := re.match(r"CREATE (?:UNIQUE )?INDEX IF NOT EXISTS (\w+).*-- (.+)", line):
            found += [(match[1], function) for function in match[2].split(", ")]
        elif match := re.match(r" +PRIMARY KEY \(.*-- (.+)", line):
            found += [(f"{table}_pkey", function) for function in match[1].split(", ")]
    return found


@pytest.fixture(scope="module")
async def crowded(make_database: Callable[[], TestDatabase]) -> Any:
    made = make_database()
    database = Database(made.keywords, size=2)
    made.administer(FILL)
    yield database
    await database.close()


@pytest.fixture(params=[False, True], ids=["for these values", "for any values"])
def explainer(crowded: Database, request: pytest.FixtureRequest) -> Explainer:
    return Explainer(crowded, for_any_values=request.param)


def name_of(question: str) -> str:
    """The function that *question* asks; some are asked in several ways."""
    return re.sub("^list_(shared_)?documents.*", "list_documents", question)


def test_every_index_names_the_functions_it_serves() -> None:
    schema = (HOUSE / "schema.sql").read_text()
    indexes = re.findall(r"^CREATE (?:UNIQUE )?INDEX", schema, re.MULTILINE)

    assert len({index for index, _ in promises() if not index.endswith("_pkey")}) == len(indexes)
    assert {
        function for _, function in promises() if not any(hasattr(module, name_of(function)) for module in MODULES)
    } == set()


@pytest.mark.parametrize(("index", "function"), promises())
async def test_the_plan_names_the_index(explainer: Explainer, index: str, function: str) -> None:
    explainer.as_in_a_search = function in ("find_pages", "find_copies", "find_messages")
    with suppress(BusyError):  # raised because the result is empty
        await QUESTIONS[function](explainer)

    assert re.search(rf"(?:on|using|Conflict Arbiter Indexes:) {index}\b", explainer.plan), explainer.plan


@pytest.mark.parametrize(
    "function", ["list_conversation", "list_pages", *(name for name in QUESTIONS if name_of(name) == "list_documents")]
)
async def test_rows_come_sorted_from_the_index(explainer: Explainer, function: str) -> None:
    await QUESTIONS[function](explainer)

    rows, _, _ = explainer.plan.partition("SubPlan")  # what is shown beside a row may be sorted
    assert "Sort" not in rows, explainer.plan


@pytest.mark.parametrize("find", [found_pages.find_pages, found_pages.find_copies])
@pytest.mark.parametrize("filters", [search.Filters(), search.Filters(from_id=7)], ids=["all", "filtered"])
async def test_candidates_of_a_search_are_compared_with_the_readers_own_documents_by_a_hash(
    explainer: Explainer, filters: search.Filters, find: Callable[[Any, found_pages.Asked], Awaitable[object]]
) -> None:
    """A join was planned as if a reader had one document: it went through all of them, for each candidate."""
    explainer.as_in_a_search = True

    await find(explainer, asked_for(filters))

    assert "hashed SubPlan" in explainer.plan
    assert re.search(r"Scan (on|using) document_shares_by_\w+", explainer.plan), explainer.plan
    assert "Join Filter" not in explainer.plan, explainer.plan


async def test_a_quiet_conversation_is_found_without_walking_the_others(
    make_database: Callable[[], TestDatabase],
) -> None:
    """Three pairs, one of them long silent: the planner was tempted to walk back through all messages."""
    made = make_database()
    database = Database(made.keywords, size=2)
    made.administer(
        """
        SET LOCAL session_replication_role = replica;
        INSERT INTO users (email, password_hash, name)
        SELECT 'user' || n || '@example.com', '$2b$12$', 'User ' || n FROM generate_series(1, 60) AS n;
        INSERT INTO messages (sender_id, recipient_id, content)
        SELECT CASE WHEN n <= 40000 THEN 7 ELSE 1 + n % 2 END, CASE WHEN n <= 40000 THEN 50 ELSE 3 END, 'hello'
          FROM generate_series(1, 90000) AS n;
        ANALYZE;
        """
    )
    explainer = Explainer(database)

    await QUESTIONS["list_conversation"](explainer)
    await database.close()

    assert re.search(r"using messages_by_conv\b", explainer.plan), explainer.plan


@pytest.mark.parametrize("edges", [{"before_id": 15_000}, {"after_id": 2_000}, {"before_id": 18_000, "after_id": 5}])
async def test_a_page_of_a_conversation_is_one_range_of_the_index(explainer: Explainer, edges: dict[str, int]) -> None:
    await messages.list_conversation(explainer, user_id=7, other_id=50, limit=20, **edges)

    assert re.search(
        r"Index Cond: \(\(ROW\(m?\.?conv, m?\.?id\) > ROW.* AND \(ROW\(m?\.?conv, m?\.?id\) < ROW", explainer.plan
    ), explainer.plan
    assert "Sort" not in explainer.plan
