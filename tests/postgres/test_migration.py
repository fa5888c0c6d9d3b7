"""The schema is applied once, updated, and read as it is."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from db import Database
from errors import StartupError
from postgres.expected import read_schema
from postgres.migration import apply_schema
from support.databases import EMPTY, TestDatabase
from support.servers import HOUSE, WAIT_SECONDS

pytestmark = pytest.mark.anyio

STARTER = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from db import Database
from postgres.migration import apply_schema
from psycopg2.extensions import parse_dsn

async def main():
    database = Database(parse_dsn(sys.argv[2]), size=2)
    for _ in range(3):
        await apply_schema(database)
    await database.close()

sys.stdin.readline()
asyncio.run(main())
"""


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


def test_six_starters_at_once_apply_the_schema_once(fresh: TestDatabase) -> None:
    command = [sys.executable, "-c", STARTER, str(HOUSE), fresh.url]
    starters = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(6)]

    for starter in starters:
        starter.communicate(b"go\n", timeout=WAIT_SECONDS)

    assert [starter.returncode for starter in starters] == [0] * 6
    assert fresh.query("SELECT count(*) FROM schema_version") == [(1,)]


async def test_an_older_program_refuses_a_newer_schema(pool: Database, fresh: TestDatabase) -> None:
    await apply_schema(pool)
    fresh.query("INSERT INTO schema_version (version, content_hash) VALUES (999, 'of a newer one')")

    with pytest.raises(StartupError, match="schema version 999"):
        await apply_schema(pool)


async def test_a_changed_schema_is_applied_over_the_old_one(pool: Database, fresh: TestDatabase) -> None:
    await apply_schema(pool)
    fresh.query("UPDATE schema_version SET content_hash = 'of an older file'")
    fresh.query("DROP INDEX messages_by_conv")

    await apply_schema(pool)

    assert fresh.query("SELECT count(*) FROM pg_indexes WHERE indexname = 'messages_by_conv'") == [(1,)]
    assert fresh.query("SELECT count(*) FROM schema_version") == [(2,)]


async def test_what_is_expected_of_a_database_is_what_the_schema_makes(pool: Database, fresh: TestDatabase) -> None:
    await apply_schema(pool)

    made: dict[str, dict[str, str]] = {}
    for table, column, kind in fresh.query(
        """
        SELECT c.relname, a.attname, format_type(a.atttypid, NULL)
          FROM pg_attribute a
          JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r'
         WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0
        """
    ):
        made.setdefault(table, {})[column] = kind
    functions = {
        name for (name,) in fresh.query("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
    }
    expected = read_schema()
    assert expected.tables == made
    assert set(expected.functions) == functions
