"""What the tests ask a pool."""

import asyncio
import contextlib
import random
from typing import Any, NamedTuple

import db
from db import Database
from errors import DatabaseUnavailableError
from support.outages import FragilePostgres
from support.servers import WAIT_SECONDS, wait_until


class One(NamedTuple):
    value: Any


async def ask(database: db.Executor, sql: str, **params: object) -> Any:
    row = await database.fetch_one(One, sql, params)
    return None if row is None else row.value


async def backend(database: db.Executor) -> int:
    return int(await ask(database, "SELECT pg_backend_pid()"))


async def answers_again(database: Database) -> bool:
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            with contextlib.suppress(DatabaseUnavailableError):
                return bool(await ask(database, "SELECT true"))


def end_any_session(fragile: FragilePostgres) -> None:
    wait_until(fragile.backends)
    fragile.ask("SELECT pg_terminate_backend(%s)", random.choice(fragile.backends() or [0]))
