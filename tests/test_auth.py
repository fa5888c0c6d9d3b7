"""The lookup of sessions and accounts: every query starts after the request, and no request depends on another."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from auth import SessionLookup
from db import Database
from errors import DatabaseUnavailableError
from support.databases import TestDatabase

pytestmark = pytest.mark.anyio
PEOPLE = range(1, 41)
NOBODY = 99


@pytest.fixture(scope="module")
def tables(tables: TestDatabase) -> TestDatabase:
    for number in PEOPLE:
        tables.query("INSERT INTO users (email, password_hash, name) VALUES (%s, '', 'one of many')", f"{number}@a.org")
        tables.query("INSERT INTO sessions (user_id, kind, key) VALUES (%s, 'api', %s)", number, str(number))
    return tables


@pytest.fixture
async def database(tables: TestDatabase) -> AsyncIterator[Database]:
    opened = Database(tables.keywords, size=4)
    yield opened
    await opened.close()


async def test_each_of_many_requests_at_once_gets_its_own_account(database: Database) -> None:
    lookup = SessionLookup()
    asked = [*PEOPLE, NOBODY, *PEOPLE]

    found = await asyncio.gather(*(lookup.find(database, str(user_id)) for user_id in asked))

    assert [session and session.user.id for session in found] == [*PEOPLE, None, *PEOPLE]


async def test_an_account_deleted_during_another_lookup_is_not_found(database: Database, tables: TestDatabase) -> None:
    lookup = SessionLookup()
    [gone] = tables.query("INSERT INTO users (email, password_hash, name) VALUES ('g@a.org', '', 'g') RETURNING id")
    tables.query("INSERT INTO sessions (user_id, kind, key) VALUES (%s, 'api', 'gone')", gone[0])
    first = asyncio.create_task(lookup.find(database, "gone"))
    await asyncio.sleep(0)  # its query is under way
    tables.query("DELETE FROM users WHERE id = %s", gone[0])

    assert await lookup.find(database, "gone") is None
    await first


async def test_cancelling_the_request_that_queries_leaves_the_others_their_answers(database: Database) -> None:
    lookup = SessionLookup()
    first = asyncio.create_task(lookup.find(database, "1"))
    await asyncio.sleep(0)
    others = [asyncio.create_task(lookup.find(database, key)) for key in "23"]
    await asyncio.sleep(0)
    first.cancel()

    assert [session and session.user.id for session in await asyncio.gather(*others)] == [2, 3]
    assert first.cancelled()
    assert (await lookup.find(database, "4")) is not None


async def test_every_request_gets_the_error_of_an_unreachable_database(tables: TestDatabase) -> None:
    away = Database({**tables.keywords, "host": "/nowhere"}, size=1, answer_seconds=0.3)
    lookup = SessionLookup()

    told = await asyncio.gather(*(lookup.find(away, str(user_id)) for user_id in PEOPLE), return_exceptions=True)

    assert {type(error) for error in told} == {DatabaseUnavailableError}
