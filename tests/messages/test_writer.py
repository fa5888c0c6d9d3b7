"""The writer of messages, on a real database: fair, in order, whole, and never silent."""

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

import psycopg2
import pytest

from db import Database
from delivery.queries import MARK_BYTES
from errors import BusyError, DatabaseUnavailableError, PagewireError, UserNotFoundError
from messages import queries
from messages import writer as writer_room
from messages.queries import MessageDraft, StoredMessage
from messages.writer import MessageWriter
from support.databases import TestDatabase

pytestmark = pytest.mark.anyio
ALICE, BOB, CAROL = 1, 2, 3
NOBODY = 99
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


class Id(NamedTuple):
    id: int


@pytest.fixture
async def database(tables: TestDatabase) -> AsyncIterator[Database]:
    tables.query("TRUNCATE users, messages, conversations, mailboxes, events RESTART IDENTITY CASCADE")
    for name in ("alice", "bob", "carol"):
        tables.query("INSERT INTO users (email, password_hash, name) VALUES (%s, '', %s)", f"{name}@example.com", name)
    opened = Database(tables.keywords, size=4)
    yield opened
    await opened.close()


class Ears:
    """What the writer published, in its order."""

    def __init__(self) -> None:
        self.heard: list[StoredMessage] = []

    def publish(self, message: StoredMessage, origin: object | None) -> None:
        self.heard.append(message)


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
async def writer(database: Database, ears: Ears) -> AsyncIterator[MessageWriter]:
    opened = MessageWriter(database, ears.publish, node_id=7)
    opened.start()
    yield opened
    await opened.close()


def draft(sender_id: int = ALICE, recipient_id: int = BOB, content: str = "hi", client_id: str | None = None) -> Any:
    return MessageDraft(sender_id, recipient_id, content, client_id)


@contextlib.contextmanager
def held(tables: TestDatabase, sql: str) -> Any:
    """A transaction of somebody else's that has run *sql* and is not over."""
    with contextlib.closing(psycopg2.connect(tables.url)) as connection:
        connection.cursor().execute(sql)
        yield connection
        connection.rollback()


async def test_a_database_that_was_put_back_has_the_rows_of_a_conversation_with_its_next_message(
    writer: MessageWriter, tables: TestDatabase
) -> None:
    """Whoever puts one back ends its connections first; nobody has noticed yet."""
    await writer.submit(draft())
    tables.query("DELETE FROM conversations")
    tables.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    with contextlib.suppress(DatabaseUnavailableError):
        await writer.submit(draft(content="perhaps lost with the connection"))
    await writer.submit(draft(content="after that"))

    assert tables.query("SELECT user_id, other_id FROM conversations ORDER BY 1") == [(ALICE, BOB), (BOB, ALICE)]


async def test_senders_take_turns(writer: MessageWriter, ears: Ears) -> None:
    waiting = [writer.submit(draft(content=str(n))) for n in range(3000)]
    waiting.append(writer.submit(draft(CAROL, content="a word")))
    await asyncio.gather(*waiting)

    place = [stored.message.content for stored in ears.heard].index("a word")
    assert place < 2


async def test_each_senders_order_is_kept(writer: MessageWriter, ears: Ears) -> None:
    waiting = [writer.submit(draft(sender, content=str(n))) for n in range(700) for sender in (ALICE, CAROL, BOB)]
    await asyncio.gather(*waiting)

    for sender in (ALICE, BOB, CAROL):
        mine = [stored.message for stored in ears.heard if stored.message.sender_id == sender]
        assert [message.content for message in mine] == [str(n) for n in range(700)]
        assert [message.id for message in mine] == sorted(message.id for message in mine)


async def test_others_have_their_turn_while_a_batch_is_published(database: Database) -> None:
    turns = 0
    heard_in_turn: list[int] = []

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    writer = MessageWriter(database, lambda message, origin: heard_in_turn.append(turns), node_id=7)
    writer.start()
    other = asyncio.create_task(take_turns())
    await asyncio.gather(*(writer.submit(draft(content=str(n))) for n in range(1000)))
    other.cancel()
    await writer.close()

    assert len(heard_in_turn) == 1000
    assert max(Counter(heard_in_turn).values()) <= 2 * writer_room.MAX_BATCH / writer_room.PUBLISHED_SHARE


async def test_whoever_waits_for_what_is_committed_finds_it_published(
    writer: MessageWriter, ears: Ears, database: Database
) -> None:
    waiting = asyncio.gather(*(writer.submit(draft(content=str(n))) for n in range(3000)))
    looks = 0
    while not waiting.done():
        committed = await database.fetch_all(Id, "SELECT id FROM messages")
        await writer.wait_for_published()
        assert {row.id for row in committed} <= {stored.message.id for stored in ears.heard}
        looks += 1
    await waiting

    assert looks > 1


async def test_what_is_stored_is_told_even_when_the_time_to_close_is_over(
    writer: MessageWriter, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_room, "CLOSE_SECONDS", 0)
    waiting = [writer.submit(draft(content=str(n))) for n in range(100)]
    await waiting[0]
    assert len(ears.heard) < 100
    await writer.close()

    assert [future.result().message.content for future in waiting] == [str(n) for n in range(100)]
    assert len(ears.heard) == 100


async def test_published_numbers_have_no_gap(writer: MessageWriter, ears: Ears) -> None:
    await asyncio.gather(*(writer.submit(draft(sender)) for _ in range(500) for sender in (ALICE, CAROL)))

    assert [message.recipient_seq for message in ears.heard] == list(range(1, 1001))


async def test_a_long_message_makes_a_batch_of_its_own(writer: MessageWriter, ears: Ears) -> None:
    contents = ["x" * 300_000, "y" * 300_000, "z"]
    await asyncio.gather(*(writer.submit(draft(content=content)) for content in contents))

    assert [stored.message.content for stored in ears.heard] == contents


async def test_one_sender_cannot_fill_the_queue(writer: MessageWriter) -> None:
    waiting = [writer.submit(draft()) for _ in range(writer_room.MAX_QUEUED_BY_ONE)]

    with pytest.raises(BusyError):
        writer.submit(draft())
    waiting.append(writer.submit(draft(CAROL)))

    assert len(await asyncio.gather(*waiting)) == writer_room.MAX_QUEUED_BY_ONE + 1


async def test_a_full_queue_refuses_at_once(writer: MessageWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_room, "MAX_QUEUED", 2)
    waiting = [writer.submit(draft(sender)) for sender in (ALICE, BOB)]

    with pytest.raises(BusyError):
        writer.submit(draft(CAROL))

    await asyncio.gather(*waiting)


async def test_a_bad_message_fails_alone(writer: MessageWriter) -> None:
    drafts = [draft(content="1"), draft(recipient_id=NOBODY), draft(content="half \ud800"), draft(content="2")]

    answers = await asyncio.gather(*map(writer.submit, drafts), return_exceptions=True)

    assert [isinstance(answer, StoredMessage) for answer in answers] == [True, False, False, True]
    assert [getattr(answer, "code", "") for answer in answers[1:3]] == ["user_not_found", "unstorable_text"]


async def test_what_was_refused_begins_no_conversation(writer: MessageWriter, tables: TestDatabase) -> None:
    with pytest.raises(UserNotFoundError):
        await writer.submit(draft(recipient_id=NOBODY))
    tables.query("INSERT INTO users (id, email, password_hash, name) VALUES (%s, 'n@example.com', '', 'N')", NOBODY)

    await writer.submit(draft(recipient_id=NOBODY))

    assert tables.query("SELECT user_id, other_id FROM conversations ORDER BY 1") == [(ALICE, NOBODY), (NOBODY, ALICE)]


async def test_a_deleted_account_sends_nothing(writer: MessageWriter, tables: TestDatabase) -> None:
    await writer.submit(draft())
    tables.query("DELETE FROM users WHERE id = %s", ALICE)

    with pytest.raises(UserNotFoundError):
        await writer.submit(draft())


LEFT_OF_BOB = """
    SELECT (SELECT count(*) FROM messages WHERE 2 IN (sender_id, recipient_id)),
           (SELECT count(*) FROM conversations WHERE 2 IN (user_id, other_id))
"""


async def until_somebody_waits(tables: TestDatabase) -> None:
    while tables.query(WAITING) == [(0,)]:  # noqa: ASYNC110, the server tells nobody
        await asyncio.sleep(0.01)


async def test_nothing_is_sent_to_who_is_being_deleted(database: Database, tables: TestDatabase) -> None:
    async with asyncio.timeout(8):
        async with database.transaction() as tx:
            await tx.execute("DELETE FROM users WHERE id = 2")
            sending = asyncio.create_task(queries.insert_messages(database, [draft(), draft(ALICE, CAROL)], node_id=7))
            await until_somebody_waits(tables)
        stored = await sending

    assert [one.message.recipient_id for one in stored] == [CAROL]
    assert tables.query(LEFT_OF_BOB) == [(0, 0)]


async def test_an_account_that_goes_takes_along_what_is_just_being_sent(
    database: Database, tables: TestDatabase
) -> None:
    async with asyncio.timeout(8):
        async with database.transaction() as tx:
            await queries.insert_messages(tx, [draft(), draft(BOB, CAROL), draft(ALICE, CAROL)], node_id=7)
            deleting = asyncio.create_task(database.execute("DELETE FROM users WHERE id = 2"))
            await until_somebody_waits(tables)
        await deleting

    assert tables.query(LEFT_OF_BOB) == [(0, 0)]
    assert tables.query("SELECT sender_id, recipient_id FROM messages") == [(ALICE, CAROL)]


async def test_a_listener_that_fails_stops_nobody(database: Database) -> None:
    def fail(stored: StoredMessage, origin: object | None) -> None:
        if stored.message.content == "cursed":
            raise RuntimeError("a bug")

    writer = MessageWriter(database, fail, node_id=7)
    writer.start()
    with contextlib.suppress(PagewireError):
        await writer.submit(draft(content="cursed"))

    assert (await writer.submit(draft(content="blessed"))).message.content == "blessed"
    await writer.close()


async def test_what_waits_is_stored_before_the_writer_closes(database: Database, tables: TestDatabase) -> None:
    writer = MessageWriter(database, lambda message, origin: None, node_id=7)
    writer.start()
    waiting = [writer.submit(draft()) for _ in range(1200)]

    await writer.close()

    assert all(answer.done() for answer in waiting)
    assert tables.query("SELECT count(*) FROM messages") == [(1200,)]


async def test_a_closed_writer_takes_nothing(database: Database) -> None:
    writer = MessageWriter(database, lambda message, origin: None, node_id=7)
    writer.start()
    await writer.close()

    with pytest.raises(BusyError):
        writer.submit(draft())


async def test_a_stop_does_not_wait_for_a_stuck_database(
    database: Database, tables: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_room, "CLOSE_SECONDS", 0.1)
    writer = MessageWriter(database, lambda message, origin: None, node_id=7)
    writer.start()
    with held(tables, "LOCK TABLE messages"):
        waiting = [writer.submit(draft()) for _ in range(1200)]
        await writer.close()

    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(answer) for answer in answers} == {DatabaseUnavailableError}


async def test_a_message_amid_the_end_of_its_recipients_account_is_answered(
    writer: MessageWriter, tables: TestDatabase
) -> None:
    await asyncio.gather(*(writer.submit(draft(a, b)) for a in (ALICE, BOB, CAROL) for b in (ALICE, BOB, CAROL)))
    with contextlib.closing(psycopg2.connect(tables.url)) as connection:
        connection.cursor().execute("SELECT FROM users WHERE id = %s FOR UPDATE", (BOB,))
        to_bob, to_carol = writer.submit(draft()), writer.submit(draft(recipient_id=CAROL))
        while tables.query(WAITING) != [(1,)]:  # noqa: ASYNC110, the server tells nobody
            await asyncio.sleep(0.01)
        await asyncio.to_thread(delete_user, connection, BOB)  # each waits for the other: the server lets one step back
        answers = await asyncio.gather(to_bob, to_carol, return_exceptions=True)

    assert isinstance(answers[0], UserNotFoundError)
    assert isinstance(answers[1], StoredMessage)


def delete_user(connection: Any, user_id: int) -> None:
    connection.cursor().execute("DELETE FROM users WHERE id = %s", (user_id,))
    connection.commit()


# Several processes


async def test_two_processes_that_repeat_the_same_messages_do_not_wait_for_each_other(
    database: Database, tables: TestDatabase
) -> None:
    drafts = [draft(sender, client_id=f"c{n}") for n in range(40) for sender in (ALICE, BOB, CAROL)]

    for start in range(0, len(drafts), 30):
        some = drafts[start : start + 30]
        both = [
            queries.insert_messages(database, order, node_id=7) for order in (some, some[::-1], some[10:] + some[:10])
        ]
        for stored in await asyncio.gather(*both):
            assert len(stored) == 30

    assert tables.query("SELECT count(*), count(DISTINCT (sender_id, client_id)) FROM messages") == [(120, 120)]


async def test_a_message_that_is_edited_while_it_is_repeated_holds_up_nobody(
    database: Database, tables: TestDatabase
) -> None:
    (first,) = await queries.insert_messages(database, [draft(client_id="a1")], node_id=7)
    async with asyncio.timeout(4):
        async with database.transaction() as tx:
            await queries.edit_message(tx, message_id=first.message.id, author_id=ALICE, content="edited", node_id=7)
            repeat = asyncio.create_task(queries.insert_messages(database, [draft(), draft(client_id="a1")], node_id=8))
            await until_somebody_waits(tables)
        stored = await repeat

    assert [message.duplicate for message in stored] == [False, True]


async def test_ids_and_numbers_of_a_conversation_are_in_one_order(database: Database, tables: TestDatabase) -> None:
    await queries.insert_messages(database, [draft(), draft(BOB, ALICE)], node_id=7)

    async def process(node_id: int) -> None:
        for _ in range(60):
            await queries.insert_messages(database, [draft() for _ in range(5)], node_id=node_id)

    await asyncio.gather(*(process(node_id) for node_id in (7, 8, 9)))

    ids = [ref_id for (ref_id,) in tables.query("SELECT ref_id FROM events WHERE user_id = %s ORDER BY seq", BOB)]
    assert ids == sorted(ids)


@contextlib.contextmanager
def listening(tables: TestDatabase) -> Iterator[Callable[[], list[str]]]:
    """Ask it for the notes that came."""
    with contextlib.closing(psycopg2.connect(tables.url)) as connection:
        connection.autocommit = True
        ((channel,),) = tables.query("SELECT channel FROM installation")
        connection.cursor().execute(f"LISTEN {channel}")

        def take() -> list[str]:
            connection.cursor().execute("SELECT 1")  # notes come with an answer
            payloads = [note.payload[: -2 * MARK_BYTES] for note in connection.notifies]
            connection.notifies.clear()
            return payloads

        yield take


async def test_messages_are_told_whole_before_their_numbers(database: Database, tables: TestDatabase) -> None:
    drafts = [draft(content=f"{n} {'é' * 200}", client_id=f"c{n}") for n in range(60)]
    with listening(tables) as take:
        stored = await queries.insert_messages(database, drafts, node_id=7, whole=True)
        payloads = take()

    kinds = "".join(payload[0] for payload in payloads)
    told = [
        message
        for payload in payloads
        if payload[0] == "m"
        for message in queries.read_whole_messages(payload.partition(" ")[2])
    ]
    assert re.fullmatch("mm+e", kinds)
    assert max(len(payload.encode()) for payload in payloads) < 8000
    assert told == [message._replace(ordinal=0) for message in stored]


async def test_a_large_message_and_a_repeated_one_are_not_told_whole(database: Database, tables: TestDatabase) -> None:
    await queries.insert_messages(database, [draft(client_id="again")], node_id=7)
    with listening(tables) as take:
        drafts = [draft(content="x" * 900), draft(client_id="again"), draft(content="small")]
        await queries.insert_messages(database, drafts, node_id=7, whole=True)
        whole, numbers = take()

    assert [stored.message.content for stored in queries.read_whole_messages(whole.partition(" ")[2])] == ["small"]
    assert numbers.startswith("e7 ")
