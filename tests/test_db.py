"""The pool on a real PostgreSQL: rows, waiting, failed statements, transactions, and a server that is lost or hangs."""

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg2
import pytest

import db
from db import Database, IntegrityError
from errors import BusyError, DatabaseUnavailableError, UnstorableTextError
from support.databases import TestDatabase
from support.outages import FragilePostgres, fragile_postgres
from support.pools import One, answers_again, ask, backend, end_any_session
from support.servers import WAIT_SECONDS, wait_until

pytestmark = pytest.mark.anyio

BRIEFLY = 0.3  # seconds, for callers that wait in vain
OpenPool = Callable[..., Database]


class Person(NamedTuple):
    id: int
    name: str


@pytest.fixture(
    params=[("asyncio", {"use_uvloop": True}), ("asyncio", {"use_uvloop": False})], ids=["uvloop", "asyncio"]
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
async def open_pool() -> AsyncIterator[OpenPool]:
    opened: list[Database] = []

    def open_one(keywords: dict[str, str], *, size: int = 4, **options: Any) -> Database:
        opened.append(Database(keywords, size=size, **options))
        return opened[-1]

    yield open_one
    for database in opened:
        await database.close()


@pytest.fixture
def database(open_pool: OpenPool, database: TestDatabase) -> Database:
    return open_pool(database.keywords)


@pytest.fixture
def patient(open_pool: OpenPool, fragile: FragilePostgres) -> Database:
    """A pool on the PostgreSQL that the tests break."""
    return open_pool(fragile.keywords)


@pytest.fixture(scope="module")
def hurt() -> Iterator[FragilePostgres]:
    with fragile_postgres() as server:
        yield server


@pytest.fixture
def fragile(hurt: FragilePostgres) -> FragilePostgres:
    hurt.ensure_started()
    return hurt


# Rows


async def test_rows_are_named_tuples_in_the_order_of_the_columns(database: Database) -> None:
    rows = await database.fetch_all(Person, "SELECT * FROM (VALUES (1, 'alice'), (2, 'bob')) AS t")

    assert rows == [Person(1, "alice"), Person(2, "bob")]
    assert rows[0].name == "alice"


async def test_the_first_row_is_returned_or_none(database: Database) -> None:
    first = await database.fetch_one(Person, "SELECT * FROM (VALUES (1, 'alice'), (2, 'bob')) AS t")
    none = await database.fetch_one(Person, "SELECT 1, 'alice' WHERE false")

    assert first == Person(1, "alice")
    assert none is None


async def test_execute_counts_the_rows_it_touched(database: Database) -> None:
    await database.execute("CREATE TEMPORARY TABLE IF NOT EXISTS counted AS SELECT * FROM generate_series(1, 5) AS n")

    async with database.transaction() as tx:
        await tx.execute("CREATE TEMPORARY TABLE numbers ON COMMIT DROP AS SELECT * FROM generate_series(1, 5) AS n")
        touched = await tx.execute("DELETE FROM numbers WHERE n > %(least)s", {"least": 2})

    assert touched == 3


async def test_values_are_sent_and_received_as_python_has_them(database: Database) -> None:
    values: dict[str, Any] = {
        "text": "it's 100 % \\ “ü” 😀",
        "number": 2**62,
        "moment": datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC),
        "list": ["a", "b,c", '"'],
        "nothing": None,
    }

    for name, value in values.items():
        assert await ask(database, "SELECT %(value)s", value=value) == value, name


async def test_times_are_utc_whatever_the_server_is_set_to(make_database: Callable[[], TestDatabase]) -> None:
    fresh = make_database()
    fresh.query(f"ALTER DATABASE {fresh.keywords['dbname']} SET timezone TO 'Asia/Tokyo'")
    database = Database(fresh.keywords, size=2)

    moment = await ask(database, "SELECT timestamptz '2026-02-03 04:05:06+00'")

    assert moment.isoformat() == "2026-02-03T04:05:06+00:00"
    await database.close()


async def test_large_values_go_both_ways(database: Database) -> None:
    text = "Pagewire " * 1_000_000

    answer = await ask(database, "SELECT %(text)s", text=text)

    assert answer == text


# Waiting for a connection


async def test_no_more_connections_are_opened_than_the_pool_may_hold(database: Database) -> None:
    pids = await asyncio.gather(*(backend(database) for _ in range(100)))

    assert 1 <= len(set(pids)) <= 4


async def test_callers_wait_while_every_connection_is_busy(open_pool: OpenPool, database: Database) -> None:
    small = open_pool(database._connect_kwargs, size=1)
    order: list[int] = []

    async def caller(number: int) -> None:
        await ask(small, "SELECT 1")
        order.append(number)

    async with small.connection():
        waiting = [asyncio.create_task(caller(number)) for number in range(10)]
        await asyncio.sleep(0)
        assert order == []
    await asyncio.gather(*waiting)

    assert order == list(range(10))


async def test_a_caller_that_waits_too_long_for_a_connection_is_refused(
    open_pool: OpenPool, database: Database
) -> None:
    small = open_pool(database._connect_kwargs, size=1, answer_seconds=BRIEFLY)

    async with small.connection(seconds=WAIT_SECONDS):
        with pytest.raises(DatabaseUnavailableError) as raised:
            await ask(small, "SELECT 1")

    assert (raised.value.status, raised.value.retry_after) == (503, 2)
    assert await ask(small, "SELECT 1") == 1


async def test_too_many_callers_are_refused_and_may_retry(
    open_pool: OpenPool, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "MAX_CALLERS", 3)
    small = open_pool(database._connect_kwargs, size=1)

    async with small.connection():
        waiting = [asyncio.create_task(ask(small, "SELECT 1")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError) as raised:
            await ask(small, "SELECT 1")

    assert raised.value.retry_after is not None
    assert await asyncio.gather(*waiting) == [1, 1]
    assert await ask(small, "SELECT 1") == 1


async def test_callers_that_give_up_at_any_moment_leak_no_connection(open_pool: OpenPool, database: Database) -> None:
    small = open_pool(database._connect_kwargs, size=3)
    chance = random.Random(1)

    async def impatient() -> None:
        with contextlib.suppress(TimeoutError, DatabaseUnavailableError):
            async with asyncio.timeout(chance.random() * 0.02):
                async with small.transaction() as tx:
                    await ask(tx, "SELECT pg_sleep(0.002)")

    await asyncio.gather(*(impatient() for _ in range(300)))

    async with small.connection() as a, small.connection() as b, small.connection() as c:
        assert [await ask(one, "SELECT 7") for one in (a, b, c)] == [7, 7, 7]


# Statements that fail


async def test_a_slow_statement_is_cancelled_here_and_on_the_server(
    open_pool: OpenPool, fragile: FragilePostgres
) -> None:
    hasty = open_pool(fragile.keywords, answer_seconds=BRIEFLY)
    fragile.end_sessions()

    with pytest.raises(DatabaseUnavailableError):
        await hasty.execute("SELECT pg_sleep(60)")

    await asyncio.to_thread(wait_until, lambda: fragile.backends() == [])


async def test_a_transaction_may_be_given_more_time(open_pool: OpenPool, database: Database) -> None:
    hasty = open_pool(database._connect_kwargs, answer_seconds=BRIEFLY)

    async with hasty.transaction(seconds=WAIT_SECONDS) as tx:
        answer = await ask(tx, "SELECT 'done' FROM pg_sleep(1.2)")

    assert answer == "done"


async def test_a_cancelled_statement_closes_its_connection(open_pool: OpenPool, database: Database) -> None:
    single = open_pool(database._connect_kwargs, size=1)
    before = await backend(single)
    sent = asyncio.create_task(ask(single, "SELECT pg_sleep(60)"))
    await asyncio.sleep(0.01)

    sent.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sent
    assert await backend(single) != before


async def test_a_cancelled_statement_ends_on_the_server_too(open_pool: OpenPool, fragile: FragilePostgres) -> None:
    patient = open_pool(fragile.keywords, answer_seconds=600)
    fragile.end_sessions()
    sent = asyncio.create_task(ask(patient, "SELECT pg_sleep(600)"))
    await asyncio.to_thread(wait_until, fragile.backends)

    sent.cancel()

    await asyncio.to_thread(wait_until, lambda: fragile.backends() == [])


async def test_a_rejected_statement_keeps_its_connection(open_pool: OpenPool, database: Database) -> None:
    single = open_pool(database._connect_kwargs, size=1)
    before = await backend(single)

    with pytest.raises(psycopg2.errors.UndefinedTable):
        await ask(single, "SELECT 1 FROM nowhere")

    assert await backend(single) == before


@pytest.mark.parametrize("text", ["a\x00b", "\ud83d", "tail \udc00"])
async def test_text_that_postgresql_cannot_store_is_rejected(
    open_pool: OpenPool, database: Database, text: str
) -> None:
    single = open_pool(database._connect_kwargs, size=1)
    before = await backend(single)

    with pytest.raises(UnstorableTextError):
        await ask(single, "SELECT %(text)s", text=text)

    assert await backend(single) == before


@pytest.mark.parametrize("keywords", [{"client_encoding": "LATIN1"}, {"options": "-c client_encoding=SQL_ASCII"}, {}])
async def test_every_character_is_stored_whatever_encoding_clients_are_set_to(
    open_pool: OpenPool, database: Database, monkeypatch: pytest.MonkeyPatch, keywords: dict[str, str]
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    narrow = open_pool({**database._connect_kwargs, **keywords})

    assert await ask(narrow, "SELECT %(text)s || chr(8364)", text="“tea” 🙂 ") == "“tea” 🙂 €"


async def test_transactions_are_read_committed_whatever_the_role_is_set_to(
    open_pool: OpenPool, database: Database
) -> None:
    strict = open_pool({**database._connect_kwargs, "options": "-c default_transaction_isolation=serializable"})

    assert await ask(strict, "SELECT current_setting('transaction_isolation')") == "read committed"


async def test_a_broken_constraint_is_an_integrity_error(database: Database) -> None:
    async def twice() -> None:
        async with database.transaction() as tx:
            await tx.execute("CREATE TEMPORARY TABLE unique_names (name text PRIMARY KEY) ON COMMIT DROP")
            await tx.execute("INSERT INTO unique_names VALUES ('alice'), ('alice')")

    with pytest.raises(IntegrityError):
        await twice()


# Transactions


@pytest.fixture
async def notes(database: Database) -> str:
    name = f"notes_{os.getpid()}_{random.randrange(10**12)}"
    await database.execute(f"CREATE TABLE {name} (line text)")
    return name


async def lines(database: Database, notes: str) -> list[str]:
    return [row.value for row in await database.fetch_all(One, f"SELECT line FROM {notes} ORDER BY line")]


async def test_a_transaction_is_committed_when_its_block_is_left(database: Database, notes: str) -> None:
    async with database.transaction() as tx:
        await tx.execute(f"INSERT INTO {notes} VALUES ('a')")
        await tx.execute(f"INSERT INTO {notes} VALUES ('b')")
        seen_by_others = await lines(database, notes)

    assert seen_by_others == []
    assert await lines(database, notes) == ["a", "b"]


async def test_an_error_inside_rolls_everything_back(database: Database, notes: str) -> None:
    async def fail() -> None:
        async with database.transaction() as tx:
            await tx.execute(f"INSERT INTO {notes} VALUES ('a')")
            raise KeyError("of the caller's own")

    with pytest.raises(KeyError):
        await fail()

    assert await lines(database, notes) == []


async def test_cancelling_rolls_everything_back(database: Database, notes: str) -> None:
    inserted = asyncio.Event()

    async def wait_inside() -> None:
        async with database.transaction() as tx:
            await tx.execute(f"INSERT INTO {notes} VALUES ('a')")
            inserted.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait_inside())
    await inserted.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert await lines(database, notes) == []


async def test_a_transaction_that_suppresses_a_failed_statement_does_not_pass_as_committed(
    database: Database, notes: str
) -> None:
    async def suppress() -> None:
        async with database.transaction() as tx:
            await tx.execute(f"INSERT INTO {notes} VALUES ('a')")
            with contextlib.suppress(psycopg2.Error):
                await tx.execute("SELECT 1 / 0")

    with pytest.raises(psycopg2.errors.InFailedSqlTransaction):
        await suppress()

    assert await lines(database, notes) == []


async def test_a_timeout_of_the_callers_own_is_not_blamed_on_the_database(database: Database) -> None:
    async def wait_inside() -> None:
        async with database.transaction():
            raise TimeoutError("of the caller's own")

    with pytest.raises(TimeoutError, match="own"):
        await wait_inside()


# A server that is lost, hangs, and comes back


async def test_idle_connections_that_the_server_ends_are_not_handed_out(
    patient: Database, fragile: FragilePostgres
) -> None:
    await asyncio.gather(*(ask(patient, "SELECT pg_sleep(0.05)") for _ in range(4)))
    fragile.end_sessions()

    answers = await asyncio.gather(*(ask(patient, "SELECT 1") for _ in range(20)))

    assert answers == [1] * 20


async def test_a_connection_that_breaks_in_mid_statement_is_an_error(
    patient: Database, fragile: FragilePostgres
) -> None:
    async with patient.connection() as connection:
        pid = await backend(connection)
        sent = asyncio.create_task(ask(connection, "SELECT pg_sleep(60)"))
        await asyncio.sleep(0)
        fragile.ask("SELECT pg_terminate_backend(%s)", pid)
        with pytest.raises(psycopg2.OperationalError):
            await sent

    assert await ask(patient, "SELECT 1") == 1


async def test_a_killed_backend_takes_all_connections_with_it_and_new_ones_are_made(
    patient: Database, fragile: FragilePostgres
) -> None:
    pid = await backend(patient)
    slow = asyncio.create_task(ask(patient, "SELECT pg_sleep(60)"))
    await asyncio.sleep(0.01)

    os.kill(pid, signal.SIGKILL)

    with pytest.raises(DatabaseUnavailableError):
        await slow
    assert await answers_again(patient)


async def test_while_the_server_is_down_callers_get_their_error_in_time(
    open_pool: OpenPool, fragile: FragilePostgres
) -> None:
    hasty = open_pool(fragile.keywords, answer_seconds=BRIEFLY)
    assert await ask(hasty, "SELECT 1") == 1
    fragile.kill()

    results = await asyncio.gather(*(ask(hasty, "SELECT 1") for _ in range(20)), return_exceptions=True)

    assert [type(result) for result in results] == [DatabaseUnavailableError] * 20


async def test_when_the_server_is_back_so_is_the_pool(patient: Database, fragile: FragilePostgres) -> None:
    assert await ask(patient, "SELECT 1") == 1

    fragile.kill()
    await asyncio.to_thread(fragile.ensure_started)

    assert await answers_again(patient)


async def test_a_caller_waits_for_a_server_that_is_coming_back(open_pool: OpenPool, fragile: FragilePostgres) -> None:
    patient = open_pool(fragile.keywords, answer_seconds=WAIT_SECONDS)
    assert await ask(patient, "SELECT 1") == 1
    fragile.kill()

    asked = asyncio.create_task(ask(patient, "SELECT 1"))
    await asyncio.to_thread(fragile.ensure_started)

    assert await asked == 1


async def test_the_next_caller_restarts_an_embedded_server(open_pool: OpenPool, fragile: FragilePostgres) -> None:
    reviving = open_pool(fragile.keywords, revive=fragile.ensure_started)
    assert await ask(reviving, "SELECT 1") == 1

    fragile.kill()

    assert await answers_again(reviving)


async def test_callers_give_up_in_time_on_a_server_that_hangs(open_pool: OpenPool, fragile: FragilePostgres) -> None:
    hasty = open_pool(fragile.keywords, answer_seconds=BRIEFLY)
    assert await ask(hasty, "SELECT 1") == 1
    fragile.freeze()

    results = await asyncio.gather(*(ask(hasty, "SELECT 1") for _ in range(20)), return_exceptions=True)

    fragile.thaw()
    assert [type(result) for result in results] == [DatabaseUnavailableError] * 20
    assert await answers_again(hasty)


async def test_connections_that_died_silently_are_detected_by_a_ping(
    patient: Database, fragile: FragilePostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "PING_AFTER_SECONDS", 0.0)
    await asyncio.gather(*(ask(patient, "SELECT pg_sleep(0.05)") for _ in range(4)))
    silent = fragile.backends()
    for pid in silent:  # as behind a firewall that dropped them: the connection looks open and is silent
        os.kill(pid, signal.SIGSTOP)

    answer = await ask(patient, "SELECT 1")

    for pid in silent:
        os.kill(pid, signal.SIGCONT)
    assert answer == 1


async def test_a_broken_connection_is_never_handed_out(patient: Database, fragile: FragilePostgres) -> None:
    stop = asyncio.Event()
    wrong: list[object] = []

    async def caller(number: int) -> None:
        while not stop.is_set():
            try:
                if (answer := await ask(patient, "SELECT %(number)s", number=number)) != number:
                    wrong.append(answer)
            except DatabaseUnavailableError:
                pass
            except Exception as error:
                wrong.append(error)

    callers = [asyncio.create_task(caller(number)) for number in range(20)]
    for _ in range(20):
        await asyncio.to_thread(end_any_session, fragile)
    stop.set()
    await asyncio.gather(*callers)

    assert wrong == []
    assert await asyncio.gather(*(ask(patient, "SELECT 1") for _ in range(20))) == [1] * 20


async def test_a_lost_idle_connection_is_reported_to_its_owner(patient: Database, fragile: FragilePostgres) -> None:
    lost = asyncio.Event()
    connection = await patient.open_connection()
    connection.on_lost = lost.set
    fragile.ask("SELECT pg_terminate_backend(%s)", await backend(connection))

    async with asyncio.timeout(WAIT_SECONDS):
        await lost.wait()

    assert connection.closed


async def test_a_closed_pool_leaves_no_connection_behind(fragile: FragilePostgres) -> None:
    database = Database(fragile.keywords, size=4)
    borrowed = asyncio.Event()
    give_back = asyncio.Event()

    async def borrower() -> None:
        async with database.connection() as connection:
            await ask(connection, "SELECT 1")
            borrowed.set()
            await give_back.wait()

    task = asyncio.create_task(borrower())
    await borrowed.wait()
    await asyncio.gather(*(ask(database, "SELECT 1") for _ in range(3)))

    await database.close()
    give_back.set()
    await task

    await asyncio.to_thread(wait_until, lambda: fragile.backends() == [])


# Connecting


async def test_a_wrong_password_is_reported_at_once(fragile: FragilePostgres) -> None:
    database = Database({**fragile.keywords, "password": "guessed"}, size=1, answer_seconds=WAIT_SECONDS)

    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        await database.open_connection()


@pytest.mark.parametrize("host", ["nowhere.invalid", "127.0.0.1", "/nowhere"])
async def test_an_unreachable_server_is_an_error_in_time(host: str) -> None:
    database = Database({"host": host, "port": "1", "dbname": "pagewire"}, size=1, answer_seconds=BRIEFLY)

    with pytest.raises(DatabaseUnavailableError):
        await ask(database, "SELECT 1")


async def test_an_outage_is_logged_once_and_so_is_its_end(
    open_pool: OpenPool, fragile: FragilePostgres, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="pagewire.db")
    patient = open_pool(fragile.keywords, answer_seconds=WAIT_SECONDS)
    fragile.kill()

    asked = [asyncio.create_task(ask(patient, "SELECT 1")) for _ in range(4)]
    await asyncio.sleep(BRIEFLY)
    await asyncio.to_thread(fragile.ensure_started)
    await asyncio.gather(*asked)

    messages = [record.message for record in caplog.records]
    assert len(messages) == 2
    assert messages[0].startswith("the database does not answer: ")
    assert messages[1] == "the database answers again"


async def test_a_backend_that_ends_while_a_statement_is_on_its_way_is_noticed_at_once(
    open_pool: OpenPool, fragile: FragilePostgres
) -> None:
    pool = open_pool(fragile.keywords, answer_seconds=300)

    async def lose() -> None:
        async with asyncio.timeout(30), pool.transaction(seconds=300) as tx:
            pid = await backend(tx)
            os.kill(pid, signal.SIGSTOP)
            os.kill(pid, signal.SIGQUIT)
            asked = asyncio.create_task(tx.execute("SELECT 1"))
            await asyncio.sleep(0.05)  # it is sent, and not read
            os.kill(pid, signal.SIGCONT)
            await asked

    with pytest.raises(DatabaseUnavailableError):
        await lose()
