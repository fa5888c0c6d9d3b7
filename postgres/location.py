"""Where the database is: DATABASE_URL, else DB_*, else the embedded server."""

import re
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import parse_dsn

from errors import StartupError
from postgres.embedded import EmbeddedServer
from postgres.programs import find_programs
from settings import Settings

DEFAULT_PORT = 5432  # libpq's


class DatabaseLocation(NamedTuple):
    """How to connect to the database; *server* is the embedded one, to be started first, or None."""

    connect_kwargs: dict[str, str]  # for psycopg2.connect(**connect_kwargs)
    description: str  # without secrets
    server: EmbeddedServer | None


def locate_database(settings: Settings) -> DatabaseLocation:
    """Return the database that *settings* name; starts nothing and connects to nothing.

    Raises:
        StartupError: if DATABASE_URL is malformed, or neither it nor DB_HOST is set and PostgreSQL is not installed.
    """
    if settings.database_url is not None:
        keywords = _parse_database_url(settings.database_url.get_secret_value())
        return DatabaseLocation(keywords, _describe(keywords), None)
    if settings.db_host is not None:
        keywords = _keywords_of(settings, settings.db_host)
        return DatabaseLocation(keywords, _describe(keywords), None)
    find_programs()
    server = EmbeddedServer(settings.data_dir)
    return DatabaseLocation(server.connect_kwargs, f"embedded PostgreSQL in {settings.data_dir / 'postgres'}", server)


def _parse_database_url(url: str) -> dict[str, str]:
    """Return the libpq keywords of *url*; a driver as SQLAlchemy writes it ("postgresql+psycopg2:") is dropped."""
    try:
        return dict(parse_dsn(re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", url.strip())))
    except psycopg2.ProgrammingError as error:
        # Most of libpq's reasons quote the URL, password and all; this one does not.
        reason = str(error).strip() if str(error).startswith("invalid URI query parameter") else "malformed"
        raise StartupError(f"DATABASE_URL: {reason}; write postgresql://user:password@host:5432/database") from None


def _keywords_of(settings: Settings, host: str) -> dict[str, str]:
    keywords = {"host": host, "port": str(settings.db_port), "dbname": settings.db_name}
    if settings.db_user is not None:
        keywords["user"] = settings.db_user
    if settings.db_password is not None:
        keywords["password"] = settings.db_password.get_secret_value()
    return keywords


def _describe(keywords: dict[str, str]) -> str:
    host = keywords.get("host") or keywords.get("hostaddr") or "localhost"
    database = keywords.get("dbname", keywords.get("user", ""))
    return f"PostgreSQL at {host}:{keywords.get('port', DEFAULT_PORT)}/{database}"
