"""Databases of the tests' own, on the one PostgreSQL of the run."""

import contextlib
from collections.abc import Iterator
from functools import lru_cache
from threading import get_ident
from typing import Any

import psycopg2
from psycopg2.extensions import make_dsn

from db import Database
from delivery.queries import notify_nodes
from postgres.migration import apply_schema

EMPTY = "TEMPLATE template1"  # as CREATE DATABASE makes one


@lru_cache(maxsize=4)
def _kept_connection(url: str, thread: int) -> psycopg2.extensions.connection:
    """The connection of one thread for its queries: a new one for each of thousands takes 3 ms."""
    return psycopg2.connect(url)


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

    def close(self) -> None:
        """Close what `query` keeps open, so that nobody is connected."""
        _kept_connection.cache_clear()

    def query(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        connection = _kept_connection(self.url, get_ident())
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql, params)
                return cursor.fetchall() if cursor.description else []
        except psycopg2.Error:
            if not connection.closed:
                raise
        _kept_connection.cache_clear()  # it was ended meanwhile
        return self.query(sql, *params)
