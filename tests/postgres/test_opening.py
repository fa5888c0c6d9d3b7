"""A database is reached at once, waited for while it starts, or refused with the reason, as one behind a pooler is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from db import Database
from errors import StartupError
from postgres import opening
from postgres.embedded import EmbeddedServer
from postgres.opening import open_schema
from postgres.postmaster import stop_postmaster
from support.databases import EMPTY, TestDatabase
from support.outages import fragile_postgres
from support.poolers import PGBOUNCER, pooled, relayed
from support.servers import wait_until

pytestmark = pytest.mark.anyio

HERE = "PostgreSQL at h:5432/d"
BRIEFLY = 0.5

OpenPool = Callable[[dict[str, str]], Database]

needs_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason="needs PgBouncer")


@pytest.fixture
def fresh(make_database: Callable[..., TestDatabase]) -> TestDatabase:
    return make_database(EMPTY)


@pytest.fixture
async def open_pool() -> AsyncIterator[OpenPool]:
    async with AsyncExitStack() as stack:

        def make(keywords: dict[str, str]) -> Database:
            database = Database(keywords, size=2)
            stack.push_async_callback(database.close)
            return database

        yield make


async def refusal(database: Database) -> str:
    with pytest.raises(StartupError) as raised:
        await open_schema(database, description=HERE)
    assert raised.value.detail.startswith(f"{HERE}: ")
    assert "\n" not in raised.value.detail
    return raised.value.detail.removeprefix(f"{HERE}: ")


# It answers, now or later


async def test_a_database_that_is_starting_is_waited_for(open_pool: OpenPool, caplog: pytest.LogCaptureFixture) -> None:
    with fragile_postgres() as server:
        await asyncio.to_thread(stop_postmaster, server.folders)
        opened = asyncio.create_task(open_schema(open_pool(server.keywords), description=HERE))
        await asyncio.to_thread(wait_until, lambda: caplog.messages)

        await asyncio.to_thread(server.ensure_started)
        await opened

    assert [message.split(": ")[0] for message in caplog.messages] == [f"waiting up to 30 seconds for {HERE}"]


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("nowhere.invalid", "could not resolve the host nowhere.invalid"),
        ("127.0.0.1", "Connection refused"),
        ("/nowhere", "No such file or directory"),
    ],
)
async def test_what_is_waited_for_is_said_at_once_and_at_the_end(
    open_pool: OpenPool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, host: str, reason: str
) -> None:
    monkeypatch.setattr(opening, "CONNECT_SECONDS", BRIEFLY)

    line = await refusal(open_pool({"host": host, "port": "1", "dbname": "d"}))

    assert [reason in message for message in caplog.messages] == [True]
    assert line.startswith("no answer within ")
    assert reason in line
    assert line.endswith(": check the host and the port, and that it is running")


async def test_a_server_that_says_nothing_is_named_too(
    open_pool: OpenPool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "CONNECT_SECONDS", BRIEFLY)
    monkeypatch.setattr(opening, "QUIET_SECONDS", 0.0)
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]

        line = await refusal(open_pool({"host": "127.0.0.1", "port": str(port), "dbname": "d"}))

    assert [message.rpartition(": ")[2] for message in caplog.messages] == ["no answer yet"]
    assert "check the host, the port and the firewalls between" in line


# It refuses


async def test_tls_that_the_server_does_not_speak_is_refused_at_once(
    open_pool: OpenPool, postgres: EmbeddedServer, fresh: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    with relayed(postgres.folders.socket) as port:
        keywords = {**fresh.keywords, "host": "127.0.0.1", "port": str(port), "sslmode": "require"}

        line = await refusal(open_pool(keywords))

    assert line.startswith("server does not support SSL, but SSL was required: set ssl = on")
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("changed", "reason", "remedy"),
    [
        ({"password": "guessed"}, "password authentication failed", "check the user and the password"),
        ({"user": "nobody", "password": "x"}, "authentication failed", "check the user and the password"),
        ({"dbname": "missing"}, 'database "missing" does not exist', "create it with CREATE DATABASE, or name another"),
        ({"sslmode": "always"}, 'invalid sslmode value: "always"', "check the options in DATABASE_URL"),
    ],
)
async def test_what_waiting_does_not_mend_is_refused_at_once(
    open_pool: OpenPool,
    fresh: TestDatabase,
    caplog: pytest.LogCaptureFixture,
    changed: dict[str, str],
    reason: str,
    remedy: str,
) -> None:
    line = await refusal(open_pool({**fresh.keywords, **changed}))

    assert reason in line
    assert line.endswith(remedy)
    assert caplog.messages == []


# Poolers


@needs_pgbouncer
@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("options", [{}, {"server_round_robin": 1}, {"default_pool_size": 1}], ids=str)
async def test_a_pooler_that_shares_sessions_is_refused(
    open_pool: OpenPool, postgres: EmbeddedServer, fresh: TestDatabase, mode: str, options: dict[str, object]
) -> None:
    with pooled(postgres, pool_mode=mode, **options) as keywords:
        line = await refusal(open_pool({**keywords, "dbname": fresh.keywords["dbname"]}))

    assert f"{mode} " in line
    assert line.endswith("set pool_mode = session (PgBouncer), or connect to PostgreSQL directly")


@needs_pgbouncer
async def test_a_busy_pooler_that_shares_sessions_is_refused(
    open_pool: OpenPool, postgres: EmbeddedServer, fresh: TestDatabase
) -> None:
    with pooled(postgres, pool_mode="transaction") as keywords:
        here = {**keywords, "dbname": fresh.keywords["dbname"]}
        others = [await open_pool(here).connect() for _ in range(6)]
        asked = [asyncio.create_task(other.execute("SELECT pg_sleep(0.2)")) for other in others]

        line = await refusal(open_pool(here))

        await asyncio.gather(*asked)
        for other in others:
            other.close()
    assert "in transaction mode" in line


@needs_pgbouncer
async def test_a_pooler_in_session_mode_is_no_hindrance(
    open_pool: OpenPool, postgres: EmbeddedServer, fresh: TestDatabase
) -> None:
    with pooled(postgres, pool_mode="session") as keywords:
        await open_schema(open_pool({**keywords, "dbname": fresh.keywords["dbname"]}), description=HERE)

    assert fresh.query("SELECT count(*) FROM users") == [(0,)]


@needs_pgbouncer
async def test_a_pooler_with_too_few_sessions_is_refused(
    open_pool: OpenPool, postgres: EmbeddedServer, fresh: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "PROBE_SECONDS", BRIEFLY)
    with pooled(postgres, pool_mode="session", default_pool_size=1) as keywords:
        line = await refusal(open_pool({**keywords, "dbname": fresh.keywords["dbname"]}))

    assert "raise its limit of connections (PgBouncer's default_pool_size)" in line
