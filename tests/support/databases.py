"""Databases of the tests' own, on the one PostgreSQL of the run."""

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg2
from psycopg2.extensions import make_dsn

from db import Database
from delivery.queries import notify_nodes
from postgres.migration import apply_schema

EMPTY = "TEMPLATE template1"  # as CREATE DATABASE makes one


class TestDatabase:
    """A database of its own on the run's PostgreSQL."""

    __test__ = False

    def __init__(self, keywords: dict[str, str], superuser: dict[str, str]) -> None:
        self.keywords = keywords
        self._superuser = superuser

    @property
    def url(self) -> str:
        return str(make_dsn(**self.keywords))

    @contextlib.contextmanager
    def open(self) -> Iterator[psycopg2.extensions.connection]:
        """A connection whose transaction is the caller's to end."""
        with contextlib.closing(psycopg2.connect(self.url)) as connection:
            yield connection

    async def update(self) -> None:
        """Bring it up to schema.sql, as a start does."""
        database = Database(self.keywords, size=2, answer_seconds=30)
        await apply_schema(database)
        await database.close()

    def send_note(self, payload: str) -> None:
        """As another node of the installation does."""
        self.query(notify_nodes("SELECT %s::text AS payload"), payload)

    def administer(self, sql: str) -> None:
        """Do what takes a superuser."""
        with contextlib.closing(psycopg2.connect(make_dsn(**self._superuser))) as connection, connection:
            connection.cursor().execute(sql)

    def query(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        with (
            contextlib.closing(psycopg2.connect(self.url)) as connection,
            connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else []
